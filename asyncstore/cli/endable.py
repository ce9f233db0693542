"""Reading from where nothing may come for a long time, such as a terminal or a pipe, without having to wait for it.

A thread that is blocked in a read cannot be stopped, and the process would wait for it at its end. So a daemon thread,
for which nobody waits, copies to a pipe of our own, and closing that pipe ends whoever reads from it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from types import TracebackType
    from typing import Self

_BLOCK = 1 << 16
"""As much as a pipe holds on Linux."""


class Endable:
    """What a file delivers, until its end or that of this context, whichever comes first.

    Args:
        source: the file; it is closed when its end is reached.

    Attributes:
        stream: where it is to be read; it may be read, and closed, after the context.
        error: why reading from the source failed, if it did.
    """

    def __init__(self, source: FileIO) -> None:
        reading, writing = os.pipe()
        self.stream = open(reading, "rb", buffering=0)  # noqa: PTH123, SIM115 - see the class
        self.error: OSError | None = None
        self._source = source
        self._target = open(writing, "wb", buffering=0)  # noqa: PTH123, SIM115 - closed on leaving

    def __enter__(self) -> Self:
        threading.Thread(target=self._copy, name="files-from", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._target.close()

    def _copy(self) -> None:
        """Copy until either side ends."""
        with suppress(OSError, ValueError), self._target, self._source:
            while block := self._read():
                rest = memoryview(block)
                while rest:
                    rest = rest[self._target.write(rest) :]

    def _read(self) -> bytes:
        """What comes next; nothing at the end, and after an error."""
        try:
            return self._source.read(_BLOCK)
        except OSError as error:
            self.error = error
            return b""
