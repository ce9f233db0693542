"""Convert the data sets of files, in a worker process.

Small results come back in memory, large ones in a file (:mod:`asyncstore.prepare.spool`). A large source is mapped into
memory, not read, so no process copies values that stay the same.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import DEFLATED
from asyncstore.prepare.encoding import MAX_INFLATED, DamagedDataSet, Encoding, Unconvertible, encoding_of, inflated
from asyncstore.prepare.files import FileChanged
from asyncstore.prepare.messages import CHANGED, CONVERTED, CONVERTIBLE, UNSENDABLE
from asyncstore.prepare.pixels.allowance import Allowance
from asyncstore.prepare.pixels.syntaxes import encodable, encodable_with_losses
from asyncstore.prepare.reencode import Changes, NotCompressed, reencode
from asyncstore.prepare.rewriting import changed
from asyncstore.prepare.source_data import beginning_of, confirm, whole
from asyncstore.prepare.spool import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.model import Instance
    from asyncstore.prepare.messages import Answer, Order
    from asyncstore.prepare.result import Chunk

_IN_MEMORY = 1 << 20
"""Data sets up to this size in bytes come back in memory: half of a reader's buffer, and 0.3 ms through a pipe."""

_NEEDS_COMPRESSION = "its pixel data would have to be compressed"
_NO_MEMORY = "converting it takes more memory than its size explains, or than there is"

_GLANCE = 1 << 16
"""The pixel data of most instances begins within so many bytes."""
_LONG_GLANCE = 1 << 20
"""The same of nearly all: MR slices of Siemens have 60 to 600 kB of private elements before it."""

_UNCHANGED = Changes()


class Settings(NamedTuple):
    """How to convert data sets.

    Attributes:
        folder: where large results are written.
        new_vrs: whether VRs younger than 1993 may be written.
        deflate_level: zlib's level, 0 to 9.
        max_inflated: the greatest size of an inflated data set, and of a decoded frame, in bytes.
        transcodes: whether pixel data may be decoded and encoded.
        may_lose: whether it may be encoded with losses.
    """

    folder: str
    new_vrs: bool = True
    deflate_level: int = 6
    max_inflated: int = MAX_INFLATED
    transcodes: bool = False
    may_lose: bool = False

    @property
    def changes(self) -> Changes:
        """The changes to a data set."""
        return Changes(self.new_vrs, self.deflate_level, self.max_inflated)


_LIKE_STORESCU = Settings("")

Allow = Callable[[int], None]
"""Called with the bytes of memory that are needed next."""


def _allow_nothing(_: int) -> None:
    """Memory is not limited."""


def convert(orders: Iterable[Order], settings: Settings, allow: Allow = _allow_nothing) -> Iterator[Answer]:
    """Convert data sets, in order; large results lie in files that :func:`asyncstore.prepare.spool.take` opens."""
    return (_converted(order, settings, allow) for order in orders)


def judge(orders: Iterable[Order], settings: Settings, allow: Allow = _allow_nothing) -> Iterator[Answer]:
    """Tell whether each data set can be converted, in order. Of pixel data, the first frame is decoded."""
    for found, target, *_ in orders:
        reason = obstacle(found, target, settings, allow)
        yield (CONVERTIBLE,) if reason is None else (UNSENDABLE, reason)


def measure(orders: Iterable[Order]) -> Iterator[Answer]:
    """Tell the size of each data set, in bytes, if its pixel data is decompressed, by its attributes."""
    for order in orders:
        size = _native_size(order.instance)
        yield (UNSENDABLE, "its size is not known") if size is None else (CONVERTIBLE, size)


def _native_size(found: Instance) -> int | None:
    """The size of a data set with native pixel data; ``None``: unknown."""
    from asyncstore.prepare.splitting import native_end  # few commands ask

    source = encoding_of(found.transfer_syntax_uid)
    try:
        ends = (native_end(found.data or beginning_of(found.payload, most), source) for most in (_GLANCE, _LONG_GLANCE))
        return next((end for end in ends if end is not None), None)
    except (OSError, FileChanged):
        return None


def memory_needed(orders: Iterable[Order], settings: Settings) -> int:
    """The most bytes of memory that these orders need, one after the other.

    The worst case is a data set of empty elements: it takes its own size, that of the copy, which is half as large
    again, and the room reserved for the copy to grow.
    """
    return max((_MOST_COPIES * _size(order.instance, settings) for order in orders), default=0)


_MOST_COPIES = 4


def _size(found: Instance, settings: Settings) -> int:
    return found.length + (settings.max_inflated if found.transfer_syntax_uid in DEFLATED else 0)


def obstacle(
    found: Instance, transfer_syntax_uid: str, settings: Settings = _LIKE_STORESCU, allow: Allow = _allow_nothing
) -> str | None:
    """Why a data set cannot be converted; ``None`` if it can.

    The beginning of a data set shows whether its pixel data would have to be compressed; only others are read whole.
    """
    try:
        is_encoded = settings.transcodes and transfer_syntax_uid in (*encodable(), *_lossy(settings))
        if not is_encoded and _has_early_pixel_data(found, encoding_of(transfer_syntax_uid)):
            return _NEEDS_COMPRESSION
        _chunks(found, transfer_syntax_uid, settings, allow)
    except NotCompressed:
        return _NEEDS_COMPRESSION
    except MemoryError:
        return _NO_MEMORY
    except (Unconvertible, FileChanged) as reason:
        return str(reason)
    return None


def _has_early_pixel_data(found: Instance, target: Encoding) -> bool:
    """Whether the beginning of a data set shows that its pixel data would have to be compressed."""
    if found.data is not None:
        return False
    try:
        reencode(beginning_of(found.payload, _GLANCE), encoding_of(found.transfer_syntax_uid), target, _UNCHANGED)
    except NotCompressed:
        return True
    except (DamagedDataSet, Unconvertible, OSError, FileChanged):
        pass  # the beginning is not the whole
    return False


def _converted(order: Order, settings: Settings, allow: Allow) -> Answer:
    target = order.transfer_syntax_uid
    try:
        found = changed(order, settings.deflate_level, settings.max_inflated)
        chunks, is_new = _chunks(found, target, settings, allow)
        answer = _answer(chunks, settings.folder)
        confirm(order.instance.payload)
        if not is_new:
            return answer
        from asyncstore.prepare.lossy import new_uid

        return *answer, new_uid(order.sop_instance_uid, target)
    except FileChanged as change:
        return CHANGED, str(change)
    except Unconvertible as reason:
        return UNSENDABLE, str(reason)
    except MemoryError:
        return UNSENDABLE, _NO_MEMORY
    except NotCompressed:
        from asyncstore.negotiation.names import name_of

        return UNSENDABLE, f"the peer takes it in {name_of(target)} only, and {_NEEDS_COMPRESSION}"


def _answer(chunks: Iterator[Chunk], folder: str) -> Answer:
    """The answer for a converted data set: in memory if it is small, otherwise in a file."""
    first: list[Chunk] = []
    length = 0
    for chunk in chunks:
        first.append(chunk)
        length += len(chunk)
        if length > _IN_MEMORY:
            break
    else:
        return CONVERTED, None, length, b"".join(first)
    return CONVERTED, *_written(chain(first, chunks), folder), None


def _chunks(found: Instance, target_uid: str, settings: Settings, allow: Allow) -> tuple[Iterator[Chunk], bool]:
    """The converted data set, and whether it is another instance. Decoded pixel data is made while it is taken."""
    source, target, changes = encoding_of(found.transfer_syntax_uid), encoding_of(target_uid), settings.changes
    try:
        data = whole(found)
        if (
            settings.transcodes
            and (source.is_compressed or target.is_compressed)
            and found.transfer_syntax_uid != target_uid
        ):
            allowance = Allowance(changes.max_inflated, allow, settings.may_lose)
            transcoded = _transcoded(data, found.transfer_syntax_uid, target_uid, changes, allowance)
            if transcoded is not None:
                return transcoded, target_uid in _lossy(settings)
        return iter(reencode(data, source, target, changes)), False
    except DamagedDataSet as damage:
        raise Unconvertible(f"its data set is damaged and cannot be converted: {damage}") from damage


def _lossy(settings: Settings) -> tuple[str, ...]:
    """The transfer syntaxes in which pixel data may be encoded with losses."""
    return encodable_with_losses() if settings.may_lose else ()


def _transcoded(
    data: bytes | memoryview, source_uid: str, target_uid: str, changes: Changes, allowance: Allowance
) -> Iterator[Chunk] | None:
    """The transcoded data set; ``None``: it has no pixel data."""
    from asyncstore.prepare.splitting import split  # most conversions leave pixel data alone
    from asyncstore.prepare.transcode import Icons, transcode

    source = encoding_of(source_uid)
    if source.is_deflated:
        data = inflated(data, changes.max_inflated)
    parts = split(memoryview(data), source, changes, Icons(source_uid, changes, allowance).native)
    if parts is None:
        return None
    return transcode(parts, source_uid, target_uid, changes, allowance)


def _written(chunks: Iterable[Chunk], folder: str) -> tuple[str, int]:
    """Write chunks to a file; its path, and how many bytes they have."""
    try:
        return write(chunks, folder)
    except OSError as error:
        raise Unconvertible(f"no room for its converted data set in {folder}: {error.strerror}") from error
