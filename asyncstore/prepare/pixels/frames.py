"""From fragments to frames (PS3.5 A.4): by number, by an offset table, or by where codestreams begin."""

from __future__ import annotations

from struct import iter_unpack
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.encoding import Unconvertible

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
"""Of codestreams of JPEG and of JPEG 2000."""
_END = b"\xff\xd9"


class Fragments(NamedTuple):
    """Encapsulated pixel data.

    Attributes:
        data: the data set.
        places: position and length of each fragment, without the basic offset table.
        basic: the basic offset table.
        extended: the extended offset table (PS3.3 C.7.6.3.1.8), if there is one.
    """

    data: memoryview
    places: Sequence[tuple[int, int]]
    basic: bytes = b""
    extended: bytes = b""

    def fragment(self, number: int) -> memoryview:
        """A fragment."""
        start, length = self.places[number]
        return self.data[start : start + length]

    def joined(self, numbers: range) -> bytes:
        """Consecutive fragments, joined."""
        if len(numbers) == 1:
            return bytes(self.fragment(numbers[0]))
        return b"".join(map(self.fragment, numbers))


def frames_of(fragments: Fragments, frames: int, *, has_markers: bool) -> list[range]:
    """The numbers of the fragments of each frame.

    Args:
        fragments: the pixel data.
        frames: how many frames there are, as Number of Frames says.
        has_markers: whether codestreams of JPEG and its relatives begin and end with markers.

    Raises:
        Unconvertible: it does not have so many frames, or they cannot be told apart.
    """
    count = len(fragments.places)
    if count < frames:
        raise Unconvertible(f"it has {count} fragments for {frames} frames")
    begins = _beginnings(fragments) if has_markers else []
    if len(begins) > frames:
        raise Unconvertible(f"its pixel data holds {len(begins)} codestreams, but Number of Frames says {frames}")
    if count == frames:  # there is no other way to divide them, whatever an offset table says
        return [range(number, number + 1) for number in range(count)]
    if frames == 1:
        return [range(count)]
    if not has_markers:
        raise Unconvertible(f"it has {count} fragments for {frames} frames, and each must be one fragment")
    if len(begins) == frames:
        return _ranges(begins, count)
    for offsets in (_offsets(fragments.extended, "<Q"), _offsets(fragments.basic, "<I")):
        starts = _starts(fragments, offsets, frames)
        if starts is not None:
            return _ranges(starts, count)
    raise Unconvertible(f"it has {count} fragments for {frames} frames, and no offset table tells them apart")


def _beginnings(fragments: Fragments) -> list[int]:
    """The fragments in which a codestream begins: the last one has ended before."""
    begins: list[int] = []
    for number, (_, length) in enumerate(fragments.places):
        is_begin = length >= len(_BEGINNINGS[1]) and bytes(fragments.fragment(number)[:4]).startswith(_BEGINNINGS)
        if is_begin and (not begins or _has_ended(fragments, number - 1)):
            begins.append(number)
    return begins


def _has_ended(fragments: Fragments, number: int) -> bool:
    end = bytes(fragments.fragment(number)[-16:]).rstrip(b"\0")
    return _END in end[-3:]  # one byte of padding may have any value


def _offsets(table: bytes, kind: str) -> list[int]:
    width = 8 if kind == "<Q" else 4
    return [] if len(table) % width else [offset for (offset,) in iter_unpack(kind, table)]


def _starts(fragments: Fragments, offsets: list[int], frames: int) -> list[int] | None:
    """The first fragment of each frame by an offset table; ``None``: the table is empty or wrong."""
    if len(offsets) != frames or not fragments.places:
        return None
    first = fragments.places[0][0]
    numbers = {start - first: number for number, (start, _) in enumerate(fragments.places)}
    starts = [numbers.get(offset, -1) for offset in offsets]
    is_right = starts[0] == 0 and starts == sorted(set(starts))
    return starts if is_right else None


def _ranges(starts: Sequence[int], count: int) -> list[range]:
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]
