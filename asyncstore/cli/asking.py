"""Passwords that are asked for: at the terminal, where they are not shown, or else on standard input.

The process's terminal if it has one, otherwise standard input, as OpenSSL does for DCMTK's programs.
"""

from __future__ import annotations

import os
import sys

from asyncstore.errors import UsageError
from asyncstore.named_files import interruptible

_LONGEST_LINE = 1 << 16
"""Bytes of a password, of which OpenSSL takes 1024; whatever is longer is something else."""


def has_terminal() -> bool:
    """Whether there is someone to ask, wherever standard input comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return sys.stdin.isatty()
    return True


def ask(asker: str, question: str, variable: str) -> str:
    """What is typed at the terminal, unseen.

    Args:
        asker: what asks, for the error.
        question: what to print.
        variable: which variable of the environment can hold the answer.

    Raises:
        UsageError: nothing was typed, or it is not UTF-8, or it would be seen.
    """
    import warnings  # noqa: PLC0415 - few command lines need it
    from getpass import GetPassWarning, getpass  # noqa: PLC0415 - as above

    try:
        with interruptible(), warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # it would show what is typed
            typed = getpass(question)
        typed.encode()  # in some locales Python lets pass, as surrogates, what is not UTF-8 on standard input
    except EOFError:
        raise UsageError(f"{asker}: no password was typed; {variable} can hold it") from None
    except UnicodeError:  # which quotes what was typed
        complaint = f"{asker}: what was typed is not UTF-8; {variable} can hold the password"
        raise UsageError(complaint) from None
    except GetPassWarning:
        raise UsageError(f"{asker}: this terminal would show what is typed; {variable} can hold the password") from None
    else:
        return typed


def line_of_standard_input() -> str | None:
    """The next line of standard input without its end, and no byte beyond it is read; ``None`` if there is none.

    What is not UTF-8 in it is in surrogates, as in the words of a command line.
    """
    try:
        with interruptible(), open(0, "rb", buffering=0, closefd=False) as standard_input:
            line = standard_input.readline(_LONGEST_LINE)
    except OSError:
        return None
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape") if line else None
