"""Files that a user named: small ones are read whole or refused; only the owner may read new ones.

Rules:

1. A name may lead to anything: a pipe (``<(...)``), a terminal, ``/dev/zero``, a sparse file of 10 GB. Not more is read
   than the caller allows.
2. Opening and reading may block (a FIFO without a writer). Ctrl-C interrupts them, even while an event loop runs.
3. Symbolic links are followed: the user named them, and ``/dev/stdout`` is one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWNER_ONLY = 0o600


def read_named(path: str, most: int, complaint: str) -> bytes:
    """Read a small file.

    Args:
        path: the file.
        most: its greatest length in bytes.
        complaint: the beginning of the error message: ``--jwt FILE: cannot read it``.

    Raises:
        UsageError: it cannot be read, or is longer.
    """
    try:
        content = first_bytes(path, most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{complaint}: {reason}") from None
    if len(content) > most:
        raise UsageError(f"{complaint}: it is longer than the {most} bytes that can be used")
    return content


def first_bytes(path: str, most: int) -> bytes:
    """The first bytes of a file, at most ``most``.

    Raises:
        OSError: it cannot be read.
        ValueError: the name holds a NUL character.
    """
    with interruptible(), open(path, "rb") as file:
        return file.read(most)


def private(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open`: only the owner may read a new file; an old one keeps its mode."""
    return os.open(path, flags, _OWNER_ONLY)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt at once, until the context ends. A running event loop would delay it."""
    import signal  # --help starts faster without it
    from threading import current_thread, main_thread

    before = signal.getsignal(signal.SIGINT)
    is_changed = before not in (signal.SIG_IGN, None) and current_thread() is main_thread()
    if is_changed:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if is_changed:
            signal.signal(signal.SIGINT, before)
