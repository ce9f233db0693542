"""The files of a catalogue in their order; series that are needed now come before their turn.

Rules:

1. Each file comes once. A series that came before its turn is left out later.
2. A file that has had its turn does not come again. In the order of the walk its place tells; in all other orders a
   series comes whole, so a series that has begun at its turn keeps it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from asyncstore.journal.catalogue import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.journal.catalogue import Catalogue, File

_BITS = 8
_PIECE = 1024
"""Bytes whose bits stand for series that follow one another."""


class Turns:
    """The files of ``catalogue`` in this order. One thread iterates; others may call :meth:`prioritise`."""

    def __init__(self, catalogue: Catalogue, order: Order) -> None:
        self._catalogue = catalogue
        self._order = order
        self._wanted: deque[str] = deque()
        self._early: set[int] = set()
        """The series that came before their turn."""
        self._begun: dict[int, bytearray] = {}
        """A bit for each series: whether it has begun at its turn. In a damaged journal its number may be anything."""

    def prioritise(self, key: str) -> None:
        """Let the study or patient with this Study Instance UID or Patient ID come next."""
        self._wanted.append(key)

    def __iter__(self) -> Iterator[File]:
        """The files.

        Raises:
            JournalError: the journal cannot be read.
        """
        last = (-1, b"", 0)
        for file in self._catalogue.files(self._order):
            while self._wanted:
                yield from self._before_their_turn(self._wanted.popleft(), last)
            if file.series in self._early:
                continue
            if self._order is Order.WALK:
                last = file.place
            elif file.series is not None:
                self._begin(file.series)
            yield file

    def _before_their_turn(self, key: str, last: tuple[int, bytes, int]) -> Iterator[File]:
        """The files of a study or patient that have not come; ``last`` is the place of the last one in the walk."""
        for series in self._catalogue.series_of(key):
            if series in self._early or self._has_begun(series):
                continue
            self._early.add(series)
            for file in self._catalogue.of_series(series):
                if file.place > last:
                    yield file

    def _begin(self, series: int) -> None:
        byte, bit = divmod(series, _BITS)
        piece, place = divmod(byte, _PIECE)
        bits = self._begun.get(piece)
        if bits is None:
            bits = self._begun[piece] = bytearray(_PIECE)
        bits[place] |= 1 << bit

    def _has_begun(self, series: int) -> bool:
        byte, bit = divmod(series, _BITS)
        piece, place = divmod(byte, _PIECE)
        return piece in self._begun and bool(self._begun[piece][place] >> bit & 1)
