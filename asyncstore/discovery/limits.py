"""What archives may cost, and whether one keeps to that.

A few kilobytes can unpack to any number of bytes (zip bombs), and an archive can name its bytes many times. Memory and
disk are bounded anyway (:mod:`asyncstore.discovery.spool`); the limits bound the time, and the size of a single file.
"""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple

_GiB = 1 << 30
_FREE = _GiB
"""Bytes that an archive may unpack to, whatever its own size: a segmentation of zeros deflates to a thousandth."""


class ArchiveLimits(NamedTuple):
    """What one archive may hold, with the archives in it.

    Attributes:
        ratio: unpacked bytes for each byte of the archive; it holds from a gibibyte on.
        total: unpacked bytes.
        file: unpacked bytes of one file.
        members: how many files.
    """

    ratio: int = 200
    total: int = 1 << 40
    file: int = 4 * _GiB
    members: int = 1_000_000


class TooMuch(Exception):
    """An archive exceeds a limit; the message is the reason."""


RATIO = "it unpacks to more bytes than so many times its size may be"
TOTAL = "it unpacks to more bytes than an archive may hold"
MEMBERS = "it holds more files than an archive may hold"


class Count:
    """What an archive held so far.

    Args:
        size: of the archive.
        limits: what it may hold.
    """

    def __init__(self, size: int, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._most = min(limits.total, max(limits.ratio * size, _FREE))
        self._members = self._bytes = 0
        self._names: set[int] = set()
        self._places: dict[int, int] = {}
        """The last numbers of names that came again."""

    def add_bytes(self, count: int) -> None:
        """So many bytes more are unpacked.

        Raises:
            TooMuch: those are too many.
        """
        self._bytes += count
        if self._bytes > self._most:
            if self._most == self.limits.total:
                raise TooMuch(f"{TOTAL} ({self.limits.total})")
            raise TooMuch(f"{RATIO} ({self.limits.ratio})")

    def add_member(self) -> None:
        """One member more is found.

        Raises:
            TooMuch: those are too many.
        """
        self._members += 1
        if self._members > self.limits.members:
            raise TooMuch(f"{MEMBERS} ({self.limits.members})")

    def unique(self, name: str) -> str:
        """The name of a member; with a number behind it if an earlier one has the same name."""
        tried, number = name, hash(name)  # hashes take an eighth of the memory of names
        if number in self._names:
            place = self._places.get(number, 1)
            while hash(tried) in self._names:
                place += 1
                tried = f"{name}#{place}"
            self._places[number] = place
        self._names.add(hash(tried))
        return tried
