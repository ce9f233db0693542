"""Reads data sets: at their turn if they can be read at once, otherwise ahead of their turn, in pieces, in a thread.

Rules:

1. The event loop never waits for a disk or a file server. :meth:`Reader.load` reads an instance at its turn, if its
   data set is in the page cache (on Linux, ``RWF_NOWAIT`` tells). A thread reads the others. It reads all of them if
   the file system cannot tell what is cached, as over a network; the first load shows that. (Threads cost a fifth
   more processor time: they and the loop hand the interpreter lock to each other.)
2. A trip to the thread costs some 60 µs, so one trip fills one buffer: with many small data sets, or with a part of a
   large one.
3. Buffers are reused; a buffer is free again when its last piece has been sent. Their number is fixed, so memory does
   not grow with files, and reading waits for the network.
4. Large data sets in the page cache are mapped, not read (:mod:`~asyncstore.prepare.mapping`): one copy less saves a
   quarter of the processor time. Files in memory (tmpfs) count as cached.
5. The probe delivers small data sets in memory. Each still counts as a piece of a buffer, so the bounds hold.
6. A file that has changed since the probe is not sent (:mod:`~asyncstore.prepare.files`).
7. The head of a payload goes before the part of its file: in a piece of its own if that part is mapped, otherwise in
   the same buffer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from asyncstore.model import KEPT, Buffer, Instance, Payload, Piece, Unsendable
from asyncstore.prepare.files import FileChanged, check_unchanged, is_memory, opened, opened_at_once, opened_unchanged
from asyncstore.prepare.mapping import Mapping, mapped
from asyncstore.waiting import WaitingThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

P = ParamSpec("P")
Q = TypeVar("Q")
T = TypeVar("T")

ReadAt = Callable[[int, memoryview, int], int]
"""Reads from a descriptor into memory, from an offset on; returns the number of bytes."""

_MOST_TRIPS = 64
"""The most loads that the thread reads before the cache is tried again.

After one cache miss it is tried at once: systems also drop single pages of files that are cached. After consecutive
misses the thread reads 1, 2, 4 ... 64 loads first.
"""

_LEAST_MAPPED = 1 << 16
"""Data sets of so many bytes are mapped: mapping smaller ones costs more than two copies, and many of those are joined
with their request."""

_SAMPLE = 1 << 19
"""Before a file is mapped, one byte in so many is read, because the loop would wait for a page that is not cached.
Each read costs 1.3 µs. They are few, because systems read files ahead in order."""

BUFFER_SIZE = 17 << 16
"""Room for two CT slices of 526 kB. Room for one costs some more trips. Room for four costs a twentieth more processor
time: the data leaves the processor's cache before it is sent. With 8 associations, two buffers a lane are 17 MiB."""


class Reader:
    """Reads instances into ``buffers`` buffers of ``buffer_size`` bytes (an even number).

    The receiver of a piece releases its buffer. With ``may_map``, pieces may be mapped files, which only the kernel may
    read.
    """

    def __init__(self, buffers: int = 2, buffer_size: int = BUFFER_SIZE, *, may_map: bool = False) -> None:
        self._buffer_size = buffer_size
        self.may_map = may_map
        self._free: list[Buffer] = []
        self._places = asyncio.Semaphore(buffers)
        self._thread = WaitingThread("asyncstore-reader")
        self._direct: Buffer | None = None
        """The memory that :meth:`load` reads into."""
        self._is_tried = False
        """Whether the first load has shown if the file system tells what is cached."""
        self._trips = 0
        """Loads that the thread still reads before the cache is tried again."""
        self._next_trips = 0
        """The same after the next cache miss."""

    def is_direct(self, instances: Iterable[Instance]) -> bool:
        """Whether to try :meth:`load`: all are in memory, or the last load came from the page cache."""
        return (self._is_tried and not self._trips) or all(instance.payload.data is not None for instance in instances)

    def load(self, instance: Instance) -> Piece | None:
        """An instance as a single piece, in memory that is valid until the next call.

        If it is not the first one, it holds what follows the head of the payload. ``None``: reading it would wait or
        fail, or it is too large; :meth:`read` gives it, or the reason.
        """
        if self._trips or instance.length > self._buffer_size:
            return None
        piece = self._mapped(instance, 0, _nothing)
        if piece is not None:
            return piece
        if self._direct is None:
            self._direct = Buffer(self._buffer_size, _nothing)
        self._direct.needed = 1
        data = self._direct.view[: instance.length]
        try:
            problem = _read_into(data, instance, 0, _read_cached)
        except _NotCached:
            return None
        return None if problem else Piece(instance, data, is_first=True, is_last=True, buffer=self._direct)

    async def read(self, instances: Iterable[Instance]) -> AsyncIterator[list[Piece]]:
        """The pieces of ``instances``, in order, a buffer's load at a time.

        Raises:
            NoThread: nothing that must wait can be read.
        """
        for load in self._loads(instances):
            if load[0].length <= self._buffer_size:
                buffer = await self._buffer()
                if all(instance.data is not None for instance in load):
                    yield _read_whole(buffer, _read_at, load)
                else:
                    yield await self._read(_read_whole, buffer, load)
                continue
            instance = load[0]
            self._thread.start()  # a data set that has begun must be read to its end
            start = 0
            while start < instance.length:
                await self._places.acquire()
                piece = self._mapped(instance, start, self._places.release)
                if piece is None:
                    piece = await self._read(_read_part, self._memory(), (instance, start))
                pieces = [piece] if start or piece.is_first else [_head_of(instance), piece]
                start += sum(len(each.data) for each in pieces)
                yield pieces
                if piece.problem:
                    break

    def close(self) -> None:
        """End the reader's thread after its current read, without waiting for that."""
        self._thread.close()

    async def _read(self, function: Callable[[Buffer, ReadAt, Q], T], buffer: Buffer, what: Q) -> T:
        """Read at once if all is cached, otherwise in the thread."""
        if self._trips:
            self._trips -= 1
        else:
            try:
                done = await self._read_if_cached(function, buffer, what)
            except _NotCached as reason:
                self._trips = sys.maxsize if reason.is_lasting else self._next_trips
                self._next_trips = min(2 * self._next_trips or 1, _MOST_TRIPS)
            else:
                self._next_trips = 0
                return done
        return await self._thread.call(function, buffer, _read_at, what)

    async def _read_if_cached(self, function: Callable[[Buffer, ReadAt, Q], T], buffer: Buffer, what: Q) -> T:
        """Read if all is cached; the first time in the thread, because a file server may take long to open a file."""
        if self._is_tried:
            return function(buffer, _read_cached, what)
        self._is_tried = True
        return await self._thread.call(function, buffer, _read_cached, what)

    def _mapped(self, instance: Instance, start: int, on_free: Callable[..., None]) -> Piece | None:
        """A part of an instance, mapped; ``None``: it is small, padded, perhaps not cached, or a conversion.

        It begins behind the head of the payload. The file of a conversion is removed before it could be compared once
        more.
        """
        if not self.may_map or self._trips or not self._is_tried:
            return None
        payload = instance.payload
        if payload.length < _LEAST_MAPPED or payload.length & 1 or not payload.version:
            return None
        if payload.head:
            start = max(start, len(payload.head))
        elif instance.original:
            return None
        length = min(payload.length - start, self._buffer_size)
        data = _map(payload, start, length)
        if data is None:
            return None
        return Piece(instance, data, start == 0, start + length == payload.length, Mapping(instance, data, on_free))

    async def _buffer(self) -> Buffer:
        await self._places.acquire()
        return self._memory()

    def _memory(self) -> Buffer:
        return self._free.pop() if self._free else Buffer(self._buffer_size, self._freed)

    def _freed(self, buffer: Buffer) -> None:
        self._free.append(buffer)
        self._places.release()

    def _loads(self, instances: Iterable[Instance]) -> Iterator[list[Instance]]:
        """Groups that fit into one buffer each; an instance larger than a buffer is a group of its own."""
        load: list[Instance] = []
        size = 0
        for instance in instances:
            length = _wire_length(instance)
            if load and size + length > self._buffer_size:
                yield load
                load, size = [], 0
            load.append(instance)
            size += length
        if load:
            yield load


def _wire_length(instance: Instance) -> int:
    """Deflated data sets of odd length are padded with a NUL byte (PS3.5 A.5); all others are even."""
    return instance.length + (instance.length & 1)


def _read_whole(buffer: Buffer, read_at: ReadAt, instances: list[Instance]) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    buffer.needed = len(instances)
    for instance in instances:
        problem = None
        if instance.data is not None:
            data = memoryview(instance.data if not instance.length & 1 else instance.data + b"\0")
        else:
            end = position + _wire_length(instance)
            data = buffer.view[position:end]
            problem = _read_into(data, instance, 0, read_at)
            position = end
        pieces.append(Piece(instance, data, is_first=True, is_last=True, buffer=buffer, problem=problem))
    return pieces


def _read_part(buffer: Buffer, read_at: ReadAt, part: tuple[Instance, int]) -> Piece:
    instance, start = part
    buffer.needed = 1
    data = buffer.view[: min(_wire_length(instance) - start, len(buffer.view))]
    problem = _read_into(data, instance, start, read_at)
    return Piece(instance, data, start == 0, start + len(data) >= instance.length, buffer, problem)


def _head_of(instance: Instance) -> Piece:
    head = memoryview(instance.payload.head)
    return Piece(instance, head, is_first=True, is_last=False, buffer=KEPT)


def _read_into(data: memoryview, instance: Instance, start: int, read_at: ReadAt) -> Unsendable | None:
    """Fill ``data`` from the data set's byte ``start`` on. Returns why that failed, or ``None``.

    Each part opens the file anew. So a cancelled reader leaves no file open, and a file that was changed or exchanged
    meanwhile is noticed.
    """
    wanted = min(len(data), instance.length - start)
    if wanted < len(data):
        data[wanted:] = bytes(len(data) - wanted)
    done, first = 0, instance.offset + start
    if instance.payload.head:
        head = instance.payload.head[start : start + len(data)]
        data[: len(head)] = head
        done, first = len(head), first - len(instance.payload.head)
    payload = instance.payload
    try:
        descriptor = (_open if read_at is _read_cached else opened)(payload.container)
    except OSError as error:
        return Unsendable(instance.file, f"cannot be opened any more: {error.strerror}")
    try:
        try:
            while done < wanted:
                read = read_at(descriptor, data[done:wanted], first + done)
                if not read:
                    break
                done += read
        finally:
            check_unchanged(payload, os.fstat(descriptor))  # not before: it may change while it is read
    except OSError as error:
        return Unsendable(instance.file, f"cannot be read: {error.strerror}")
    except FileChanged as change:
        return Unsendable(instance.file, str(change), has_changed=True)
    finally:
        os.close(descriptor)
    return None if done == wanted else Unsendable(instance.file, "it was cut short", has_changed=True)


def _map(payload: Payload, start: int, length: int) -> memoryview | None:
    """A part of a data set behind its head, mapped; ``None``: it may not be cached, or cannot be read."""
    try:
        descriptor = opened_unchanged(payload, _open)
    except (_NotCached, OSError, FileChanged):
        return None
    try:
        first = payload.offset + start - len(payload.head)
        _check_cached(descriptor, payload, first, first + length - 1)
        return mapped(descriptor, first, length)
    except _NotCached:
        return None
    finally:
        os.close(descriptor)


def _check_cached(descriptor: int, payload: Payload, first: int, last: int) -> None:
    """Read a byte here and there of this part, and raise _NotCached if one is not cached."""
    if payload.version and not is_memory(payload.version[0]):
        for position in (*range(first + _SAMPLE, last, _SAMPLE), last):
            _read_cached(descriptor, _SAMPLED, position)


def _nothing(*_: object) -> None:
    """Nobody waits for this memory."""


def _open(path: str) -> int:
    """Open a file in the event loop, without retrying."""
    try:
        return opened_at_once(path)
    except OSError as error:  # the thread meets it too, and may wait
        raise _NotCached(is_lasting=False) from error


if hasattr(os, "preadv"):

    def _read_at(descriptor: int, data: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [data], offset)

else:

    def _read_at(descriptor: int, data: memoryview, offset: int) -> int:
        os.lseek(descriptor, offset, os.SEEK_SET)
        read = os.read(descriptor, len(data))
        data[: len(read)] = read
        return len(read)


_SAMPLED = memoryview(bytearray(1))


class _NotCached(Exception):
    """Reading would wait for a disk or a file server, or the system cannot tell."""

    def __init__(self, *, is_lasting: bool) -> None:
        super().__init__()
        self.is_lasting = is_lasting


if hasattr(os, "RWF_NOWAIT"):

    def _read_cached(descriptor: int, data: memoryview, offset: int) -> int:
        try:
            read = os.preadv(descriptor, [data], offset, os.RWF_NOWAIT)
        except OSError as error:
            is_known = isinstance(error, BlockingIOError)
            if is_known or not is_memory(os.fstat(descriptor).st_dev):
                raise _NotCached(is_lasting=not is_known) from error
            read = os.preadv(descriptor, [data], offset)
        if read < len(data):
            raise _NotCached(is_lasting=False)
        return read

else:

    def _read_cached(descriptor: int, data: memoryview, offset: int) -> int:  # noqa: ARG001 - the other's signature
        raise _NotCached(is_lasting=True)
