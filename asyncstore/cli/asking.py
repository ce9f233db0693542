"""Ask for passwords: at the process's terminal, which does not show them, otherwise on standard input.

OpenSSL does the same for DCMTK's programs.
"""

from __future__ import annotations

import os
import sys

from asyncstore.errors import UsageError
from asyncstore.named_files import interruptible

_LONGEST_LINE = 1 << 16
"""Most bytes of a password. OpenSSL takes 1024."""


def has_terminal() -> bool:
    """Whether the process has a terminal, even if standard input is redirected."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return sys.stdin.isatty()
    return True


def ask(asker: str, question: str, variable: str) -> str:
    """Ask at the terminal, without showing the answer.

    Args:
        asker: the option that needs the answer, for the error.
        question: what to print.
        variable: the variable of the environment that can hold the answer.

    Raises:
        UsageError: nothing was typed, it is not UTF-8, or the terminal would show it.
    """
    import warnings
    from getpass import GetPassWarning, getpass

    try:
        with interruptible(), warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # this terminal would show what is typed
            typed = getpass(question)
        typed.encode()  # in some locales Python turns bytes that are not UTF-8 into surrogates
    except EOFError:
        raise UsageError(f"{asker}: no password was typed; {variable} can hold it") from None
    except UnicodeError:  # its text quotes what was typed
        complaint = f"{asker}: what was typed is not UTF-8; {variable} can hold the password"
        raise UsageError(complaint) from None
    except GetPassWarning:
        raise UsageError(f"{asker}: this terminal would show what is typed; {variable} can hold the password") from None
    else:
        return typed


def line_of_standard_input() -> str | None:
    """The next line of standard input without its end; ``None`` if there is none. No byte beyond it is read.

    Bytes that are not UTF-8 become surrogates, as in the words of a command line.
    """
    try:
        with interruptible(), open(0, "rb", buffering=0, closefd=False) as standard_input:
            line = standard_input.readline(_LONGEST_LINE)
    except OSError:
        return None
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape") if line else None
