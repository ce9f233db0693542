"""Collect a data set while it is written, in few pieces even if it has many elements."""

from __future__ import annotations

Chunk = bytes | bytearray | memoryview

_JOINED = 4096
"""Values up to this size in bytes are copied into the current run: a chunk of its own costs 200 bytes of memory and one
more buffer to write."""


class Result:
    """Collects a data set in runs of elements.

    A length that is not known yet is written as 0 and patched later.
    """

    def __init__(self) -> None:
        self._runs: list[Chunk] = []
        self._run = bytearray()
        self._before = 0
        """Bytes before the current run."""

    def tell(self) -> int:
        """The number of bytes so far."""
        return self._before + len(self._run)

    def add(self, head: bytes, value: Chunk = b"") -> None:
        """Add a header and its value. A bytearray is not copied, so it can be changed later."""
        self._run += head
        if len(value) <= _JOINED and not isinstance(value, bytearray):
            self._run += value
            return
        self._runs += (self._run, value)
        self._before += len(self._run) + len(value)
        self._run = bytearray()

    def mark(self) -> tuple[bytearray, int]:
        """The buffer and position of the last four bytes, a length to patch."""
        return self._run, len(self._run) - 4

    def end(self) -> list[Chunk]:
        """All chunks, in order."""
        return [run for run in (*self._runs, self._run) if run]
