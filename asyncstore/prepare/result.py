"""A data set while it is written, in few pieces however many elements it has."""

from __future__ import annotations

Chunk = bytes | bytearray | memoryview

_JOINED = 4096
"""Bytes up to which a value is copied into the run of its neighbours: a chunk of its own costs 200 bytes of memory, and
a call for whoever writes it."""


class Result:
    """The data set as it is written, in runs.

    A length that is known only later is written as 0, and patched in its run.
    """

    def __init__(self) -> None:
        self._runs: list[Chunk] = []
        self._run = bytearray()
        self._before = 0
        """Bytes before the current run."""

    def tell(self) -> int:
        """Bytes so far."""
        return self._before + len(self._run)

    def add(self, head: bytes, value: Chunk = b"") -> None:
        """Write a header and its value; a bytearray may still be changed later."""
        self._run += head
        if len(value) <= _JOINED and not isinstance(value, bytearray):
            self._run += value
            return
        self._runs += (self._run, value)
        self._before += len(self._run) + len(value)
        self._run = bytearray()

    def mark(self) -> tuple[bytearray, int]:
        """Where the last four bytes lie, which are a length to be patched."""
        return self._run, len(self._run) - 4

    def end(self) -> list[Chunk]:
        """All that was written."""
        return [run for run in (*self._runs, self._run) if run]
