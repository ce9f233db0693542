"""Files that a user named: how they are read, written and refused.

Rules:

1. A name may lead to anything: a pipe (``<(...)``), a terminal, ``/dev/zero``, a sparse file of 10 GB. Not more is read
   than the caller allows.
2. Opening and reading may block (a FIFO without a writer). Ctrl-C interrupts them, even while an event loop runs.
3. Symbolic links are followed: the user named them, and ``/dev/stdout`` is one.
4. Only the owner may read new files. A file that holds something else is not replaced: a missing word makes the first
   image of a command line the file of ``--json``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from io import FileIO
from typing import TYPE_CHECKING

from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.errors import AsyncstoreError

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
    with refusing(complaint):
        content = first_bytes(path, most + 1)
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


def refuse_other(path: str, beginnings: bytes, complaint: str) -> None:
    """Refuse to replace a file that holds something else, such as an image or a journal that was named by mistake.

    Args:
        path: the file; it need not exist.
        beginnings: the first byte of what the file may hold is one of these; it may also be empty.
        complaint: the beginning of the error message.

    Raises:
        UsageError: it holds something else.
    """
    found = b""
    with suppress(OSError, ValueError):  # the same error comes when the file is written
        if os.path.isfile(path):
            found = first_bytes(path, 1)
    if found not in beginnings:
        error = UsageError(f"{complaint}: it exists, and holds something else")
        error.add_note("Remove it if nobody needs it, or name another file.")
        raise error


def private(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open`: only the owner may read a new file; an old one keeps its mode."""
    return os.open(path, flags, _OWNER_ONLY)


def write_whole(path: str, content: bytes) -> None:
    """Write a file that only its owner may read. Nothing is buffered, so closing it does not try once more.

    Raises:
        OSError: it cannot be written to its end.
        ValueError: the name holds a NUL character.
    """
    with FileIO(path, "w", opener=private) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]


@contextmanager
def refusing(complaint: str, kind: type[AsyncstoreError] = UsageError) -> Iterator[None]:
    """Within this context a file that cannot be opened, read or written is an error of this kind. Ctrl-C works.

    Args:
        complaint: the beginning of its message.
        kind: the error.
    """
    try:
        with interruptible():
            yield
    except (OSError, ValueError) as error:  # ValueError: the name holds a NUL character
        reason = error.strerror if isinstance(error, OSError) else error
        raise kind(f"{complaint}: {reason}") from error


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
