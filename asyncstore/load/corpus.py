"""The instances of files, prepared to be sent again and again: where their UIDs stand, and what they belong to.

Rules:

1. Every file is read once, at the start: that finds its UIDs, hashes its content, and brings it into the page cache.
   What has no instance, or one that cannot be sent as it is, is passed over with its reason.
2. A corpus is bounded: in files, because each takes 1.4 kB of memory, and in bytes, because files that the page cache
   cannot hold would measure the disk.
3. Small data sets and heads stay in memory, up to a bound. Pixels stay in their files.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.errors import UsageError
from asyncstore.load.identities import UID_LENGTH
from asyncstore.load.values import Kind
from asyncstore.model import Instance, Oddity, SourceFile, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.elements import DEFLATED, LONG_HEADER, layout_of, tag_name
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.files import FileChanged, opened_unchanged, read_at
from asyncstore.prepare.head import HeadReader, locate
from asyncstore.prepare.messages import found
from asyncstore.prepare.probe import probe_file
from asyncstore.protocol.requests import JOINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.discovery.walk import Paths
    from asyncstore.prepare.head import Element

_GROUP_0008: Final = 0x0008_0000
_SOP_INSTANCE_UID: Final = 0x0008_0018
_GROUP_0020: Final = 0x0020_0000
_STUDY_INSTANCE_UID: Final = 0x0020_000D
_SERIES_INSTANCE_UID: Final = 0x0020_000E
_LOCATED: Final = (_GROUP_0008, _SOP_INSTANCE_UID, _GROUP_0020, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)

INSTANCE, STUDY, SERIES = range(3)
"""Which UID a cut takes."""
_TAKES: Final = {_SOP_INSTANCE_UID: INSTANCE, _STUDY_INSTANCE_UID: STUDY, _SERIES_INSTANCE_UID: SERIES}

_BEGINNING: Final = 8192
"""Bytes that are read at once: the UIDs of most files are among them."""
_BLOCK: Final = 1 << 20
_LONGEST_UID: Final = 64
_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
"""Other values are not shown: a modality is a code (PS3.3 C.7.3.1.1.1)."""
_FEW: Final = 5
"""Reasons that are kept."""


class Limits(NamedTuple):
    """The bounds of a corpus."""

    files: int = 100_000
    bytes: int = 0
    """Of all files; 0: half of the machine's memory."""
    held: int = 64 << 20
    """Bytes of data sets and heads that stay in memory."""
    read: int = 256 << 20
    """The longest data set that is read into memory, if it must not be mapped."""


class Cut(NamedTuple):
    """A part of a data set that is replaced: the length and the value of a UID, or a group length."""

    start: int
    """From the beginning of the data set."""
    end: int
    text: bytes
    """What takes its place: the length of the new UID, or the whole of a group length."""
    takes: int | None
    """Which UID follows ``text``."""


class CorpusFile(NamedTuple):
    """An instance in a file."""

    instance: Instance
    """As it was found, without its data."""
    kind: int
    study: int
    series: int
    """Numbers from 0, over the whole corpus."""
    cuts: tuple[Cut, ...]
    """In the order of their places."""
    growth: int
    """Bytes by which invented UIDs make the data set longer."""
    held: bytes | None
    """The data set if it is short, otherwise its beginning up to the end of the last cut; ``None``: read it."""

    @property
    def beginning(self) -> int:
        """Bytes of the data set that are read or held; the rest is mapped."""
        if self.instance.payload.length <= JOINED:
            return self.instance.payload.length
        return self.cuts[-1].end if self.cuts else 0


class Corpus(NamedTuple):
    """The instances of files."""

    files: tuple[CorpusFile, ...]
    """In the order of the walk; at least one."""
    kinds: tuple[Kind, ...]
    digest: str
    """A hash of their content, without UIDs that are invented; it does not depend on names and order."""
    passed_over: int
    """Files without an instance that can be sent."""
    reasons: tuple[Unsendable, ...]
    """Of the first few of these."""


def read_corpus(
    paths: Paths,
    *,
    keep_uids: bool = False,
    may_map: bool = True,
    limits: Limits | None = None,
) -> Corpus:
    """Read the instances of files and folders; it blocks.

    Raises:
        UsageError: there is none, or there are more than the limits allow.
    """
    reading = _Reading(_bounded(limits or Limits()), keep_uids=keep_uids, may_map=may_map)
    for file in walk(paths, WalkOptions()):
        if isinstance(file, Unsendable):
            reading.pass_over(file)
        else:
            reading.add(file)
    return reading.corpus()


def _bounded(limits: Limits) -> Limits:
    if limits.bytes:
        return limits
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system says
        memory = 8 << 30
    return limits._replace(bytes=memory // 2)


class _Reading:
    """A corpus while it is read."""

    def __init__(self, limits: Limits, *, keep_uids: bool, may_map: bool) -> None:
        self._limits = limits
        self._keep_uids = keep_uids
        self._may_map = may_map
        self._heads = HeadReader()
        self._files: list[CorpusFile] = []
        self._digests: list[bytes] = []
        self._kinds: dict[tuple[str, str, str], int] = {}
        self._studies: dict[str, int] = {}
        self._series: dict[tuple[int, str], int] = {}
        self._bytes = 0
        self._held = 0
        self._passed_over = 0
        self._reasons: list[Unsendable] = []

    def pass_over(self, file: Unsendable) -> None:
        """Count a file that cannot be sent."""
        self._passed_over += 1
        if len(self._reasons) < _FEW:
            self._reasons.append(file)

    def add(self, file: SourceFile) -> None:
        """Read a file."""
        [instance] = found([file], [probe_file(file.path, FileFormat.ANY, self._heads)])
        if isinstance(instance, Unsendable):
            self.pass_over(instance)
            return
        try:
            self._add(instance)
        except (_Unusable, FileChanged) as reason:
            self.pass_over(Unsendable(file, str(reason)))
        except OSError as error:
            self.pass_over(Unsendable(file, f"cannot be read: {error.strerror}"))

    def _add(self, instance: Instance) -> None:
        if instance.oddities & Oddity.ODD_VALUES:
            raise _Unusable("it has values of odd length: only a rewritten copy could be sent")
        payload = instance.payload
        if payload.length > self._limits.read and not (self._may_map and payload.length % 2 == 0):
            raise _Unusable(f"its data set has more than {self._limits.read >> 20} MiB, and cannot be mapped")
        self._check_limits(payload.length)
        descriptor = opened_unchanged(payload)
        try:
            cuts = () if self._keep_uids else _cuts(instance, descriptor)
            self._digests.append(_digest(descriptor, payload.offset, payload.length, cuts))
            prepared = self._prepared(instance, cuts)
            held = read_exactly(descriptor, payload.offset, prepared.beginning)
        finally:
            os.close(descriptor)
        if self._held + len(held) <= self._limits.held:
            self._held += len(held)
            prepared = prepared._replace(held=held)
        self._bytes += payload.length
        self._files.append(prepared)

    def _check_limits(self, length: int) -> None:
        if len(self._files) == self._limits.files:
            raise UsageError(f"these are more than {self._limits.files} files, the most that a load takes: name fewer")
        if self._bytes + length > self._limits.bytes:
            raise UsageError(
                f"these files have more than {self._limits.bytes >> 20} MiB, half of this machine's memory: they would "
                "measure its disk, not the peer; name fewer"
            )

    def _prepared(self, instance: Instance, cuts: tuple[Cut, ...]) -> CorpusFile:
        details = instance.details
        if details is None:
            raise AssertionError("details were asked for")
        head = details.head
        modality = head.modality if _MODALITY.fullmatch(head.modality) else "OT"
        sop_class_uid, _, transfer_syntax_uid = instance.identity
        kind = self._kinds.setdefault((modality, sop_class_uid, transfer_syntax_uid), len(self._kinds))
        study = self._studies.setdefault(head.study_instance_uid, len(self._studies))
        series = self._series.setdefault((study, head.series_instance_uid), len(self._series))
        growth = sum(
            len(cut.text) + (UID_LENGTH if cut.takes is not None else 0) - (cut.end - cut.start) for cut in cuts
        )
        instance = instance._replace(payload=instance.payload._replace(data=None))
        return CorpusFile(instance, kind, study, series, cuts, growth, None)

    def corpus(self) -> Corpus:
        """All that was read.

        Raises:
            UsageError: there is no instance.
        """
        if not self._files:
            if not self._passed_over:
                raise UsageError("no file was found in the folders that were given")
            first = self._reasons[0]
            if self._passed_over == 1:
                raise UsageError(f"{first.path} cannot be sent: {first.reason}")
            raise UsageError(
                f"none of the {self._passed_over} files can be sent; the first is {first.path}: {first.reason}"
            )
        return Corpus(
            tuple(self._files),
            tuple(self._kind(place, *key) for key, place in self._kinds.items()),
            sha256(b"".join(sorted(self._digests))).hexdigest(),
            self._passed_over,
            tuple(self._reasons),
        )

    def _kind(self, place: int, modality: str, sop_class_uid: str, transfer_syntax_uid: str) -> Kind:
        files = [file for file in self._files if file.kind == place]
        size = sum(file.instance.payload.length + file.growth for file in files)
        return Kind(
            modality.lower(),
            modality,
            sop_class_uid,
            transfer_syntax_uid,
            round(size / len(files)),
            max(round(len(files) / len({file.study for file in files})), 1),
            len(files) / len(self._files),
        )


class _Unusable(Exception):
    """An instance cannot be sent in a load; the message says why."""


def _cuts(instance: Instance, descriptor: int) -> tuple[Cut, ...]:
    """The places of the UIDs of an instance, and of the group lengths that count them."""
    transfer_syntax_uid = instance.identity.transfer_syntax_uid
    offset = instance.payload.offset
    if transfer_syntax_uid in DEFLATED:
        raise _Unusable("its data set is deflated, so its UIDs can only be kept")
    beginning = read_at(descriptor, 0, _BEGINNING)
    elements = locate(descriptor, beginning, offset, transfer_syntax_uid, _LOCATED)
    if _SOP_INSTANCE_UID not in elements:
        raise _Unusable("its data set has no SOP instance UID that could be replaced")
    order = layout_of(transfer_syntax_uid).byte_order
    growths = {_GROUP_0008: 0, _GROUP_0020: 0}
    cuts = []
    for tag, takes in _TAKES.items():
        if tag in elements:
            element = elements[tag]
            if len(element.value) > _LONGEST_UID:
                raise _Unusable(f"its UID {tag_name(tag)} has {len(element.value)} characters")
            growths[tag & 0xFFFF_0000] += UID_LENGTH - len(element.value)
            cuts.append(_cut(element, offset, UID_LENGTH, order, takes))
    for tag, growth in growths.items():
        if growth and tag in elements and len(elements[tag].value) == _UL_BYTES:
            element = elements[tag]
            counted = int.from_bytes(element.value, order) + growth
            end = element.position - offset + len(element.encoded)
            cuts.append(Cut(end - _UL_BYTES, end, counted.to_bytes(_UL_BYTES, order), None))
    return tuple(sorted(cuts))


_UL_BYTES: Final = 4


def _cut(element: Element, offset: int, length: int, order: str, takes: int) -> Cut:
    """The cut of a UID: its length has 16 bits after the VR UI, and 32 bits in other headers."""
    header = len(element.encoded) - len(element.value)
    bits16 = header < LONG_HEADER and element.encoded[4:6] == b"UI"
    size = 2 if bits16 else 4
    start = element.position - offset + header - size
    encoded = length.to_bytes(size, "big" if order == "big" else "little")
    return Cut(start, element.position - offset + len(element.encoded), encoded, takes)


def _digest(descriptor: int, offset: int, length: int, cuts: Sequence[Cut]) -> bytes:
    """A hash of a data set without its cuts."""
    digest = sha256()
    for start, end in _between(cuts, length):
        for position in range(start, end, _BLOCK):
            digest.update(read_exactly(descriptor, offset + position, min(_BLOCK, end - position)))
    return digest.digest()


def read_exactly(descriptor: int, position: int, length: int) -> bytes:
    """So many bytes of a file.

    Raises:
        FileChanged: it has fewer.
        OSError: it cannot be read.
    """
    data = read_at(descriptor, position, length)
    while len(data) < length:  # the system reads at most 2 GiB at once
        more = read_at(descriptor, position + len(data), length - len(data))
        if not more:
            raise FileChanged("it was cut short while it was read")
        data += more
    return data


def _between(cuts: Iterable[Cut], length: int) -> Iterator[tuple[int, int]]:
    """The parts of a data set that are sent as they are."""
    start = 0
    for cut in cuts:
        yield start, cut.start
        start = cut.end
    yield start, length
