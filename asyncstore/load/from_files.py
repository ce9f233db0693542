"""The instances of files for a load, again and again, each time with new UIDs.

Rules:

1. A round sends every instance once. In each round every study and series of the files is a new one, and every SOP
   instance UID is new, unless the UIDs of the files are kept.
2. Only the beginning of a data set is written anew, by places that were found at the start (:mod:`.corpus`). Nothing is
   parsed, and pixels are mapped: the kernel copies them from the page cache to the socket.
3. Each kind of instance is spread evenly over a round, so every part of a measurement has the same load. Within a kind,
   files keep their order.
4. A file that is gone or changed is passed over. What was sent of it while it changed is the association's to report.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import chain, count, cycle, repeat
from typing import TYPE_CHECKING, Final

from asyncstore.errors import UsageError
from asyncstore.load.corpus import Limits, read_corpus, read_exactly
from asyncstore.load.identities import INSTANCE_UID, SERIES_UID, STUDY_UID, new_seed, root_of
from asyncstore.load.values import Made
from asyncstore.model import KEPT, Details, Head, Identity, Instance, Payload, Piece
from asyncstore.prepare.files import FileChanged, opened_at_once, opened_unchanged
from asyncstore.prepare.mapping import Mapping, mapped
from asyncstore.protocol.requests import JOINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncstore.discovery.walk import Paths
    from asyncstore.load.corpus import CorpusFile, Cut
    from asyncstore.load.values import Kind
    from asyncstore.model import Memory, Unsendable

_LEAST_MAPPED: Final = 1 << 16
"""Shorter ones are read: mapping them costs more."""

_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class FromFiles:
    """Makes instances from files: a :class:`~asyncstore.load.values.Source`. Making it reads all of them and blocks.

    Args:
        paths: files and folders.
        keep_uids: send the instances as they are, in every round with the same UIDs.
        seed: the same seed makes the same UIDs; ``None``: one that no other run has.
        may_map: pixels may be mapped. Over TLS they must not be: a file that is cut short while it is read here would
            end the process. They are read then.
        limits: the bounds of what is read.

    Raises:
        UsageError: no file can be sent, or there are more than the limits allow.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        keep_uids: bool = False,
        seed: int | None = None,
        may_map: bool = True,
        limits: Limits | None = None,
    ) -> None:
        corpus = read_corpus(paths, keep_uids=keep_uids, may_map=may_map, limits=limits)
        self.kinds: Sequence[Kind] = corpus.kinds
        self.corpus = corpus.digest
        self.seed = new_seed() if seed is None else seed
        """For the report: it makes the same UIDs again."""
        self.instances = len(corpus.files)
        """Instances in a round."""
        self.passed_over = corpus.passed_over
        """Files that cannot be sent."""
        self.reasons: Sequence[Unsendable] = corpus.reasons
        """Of the first few of these."""
        self.lost: dict[str, str] = {}
        """Files that were gone or changed later, by path, with the reason."""
        self._keep_uids = keep_uids
        self._may_map = may_map
        self._root = root_of(self.seed)
        self._numbers = count(1)
        self._new_names = partial(_Names, self._root, count(1), count(1))
        self._turns = _round_after_round(_spread(corpus.files, len(corpus.kinds)), self._new_names)
        studies = _studies(corpus.files)
        self._by_study = cycle(studies)
        self._studies = len(studies)

    def next(self) -> Made:
        """The next instance.

        Raises:
            UsageError: all files are gone or changed.
        """
        for _ in range(self.instances):
            made = self._made(*next(self._turns))
            if made is not None:
                return made
        raise self._all_lost()

    def study(self) -> Iterator[Made]:
        """The instances of the next study of the files, as a new study.

        Raises:
            UsageError: all files are gone or changed.
        """
        for _ in range(self._studies):
            study = self._of_study(next(self._by_study))
            first = next(study, None)
            if first is not None:
                return chain((first,), study)
        raise self._all_lost()

    def _all_lost(self) -> UsageError:
        path, reason = next(iter(self.lost.items()))
        return UsageError(f"no file is left as it was at the start; the first is {path}: {reason}")

    def _of_study(self, files: Sequence[CorpusFile]) -> Iterator[Made]:
        names = self._new_names()
        for file in files:
            made = self._made(file, names)
            if made is not None:
                yield made

    def _made(self, file: CorpusFile, names: _Names) -> Made | None:
        """The next instance of a file; ``None``: the file is gone or changed."""
        found = file.instance
        payload = found.payload
        beginning = file.held
        rest: memoryview | None = None
        memory: Memory = KEPT
        if beginning is None or payload.length > JOINED:
            try:
                beginning, rest, memory = self._read(file)
            except (OSError, FileChanged) as error:
                self.lost.setdefault(found.path, getattr(error, "strerror", None) or str(error))
                return None
        if self._keep_uids:
            identity, details = found.identity, found.details
        else:
            study_uid, series_uid, details = names.of(file)
            uid = INSTANCE_UID % (self._root, next(self._numbers))
            beginning = _rewritten(beginning, file.cuts, (uid, study_uid, series_uid))
            sop_class_uid, _, transfer_syntax_uid = found.identity
            identity = _new_tuple(Identity, (sop_class_uid, uid.decode(), transfer_syntax_uid))
        length = payload.length + file.growth
        data = beginning if rest is None else None
        in_memory = _new_tuple(Payload, (found.path, 0, length, None, data, b""))
        instance = _new_tuple(Instance, (found.file, identity, in_memory, 0, None, details, None))
        if rest is None:
            return _new_tuple(Made, (instance, file.kind, ()))
        pieces: tuple[Piece, ...] = (_new_tuple(Piece, (instance, rest, not beginning, True, memory, None)),)
        if beginning:
            first = _new_tuple(Piece, (instance, memoryview(beginning), True, False, KEPT, None))
            pieces = (first, *pieces)
        return _new_tuple(Made, (instance, file.kind, pieces))

    def _read(self, file: CorpusFile) -> tuple[bytes, memoryview | None, Memory]:
        """The beginning of a data set, the rest of it, and the memory of the rest.

        Raises:
            OSError: the file cannot be read.
            FileChanged: it is another file now, or was changed.
        """
        payload = file.instance.payload
        start, length = file.beginning, payload.length - file.beginning
        descriptor = opened_unchanged(payload, opened_at_once)
        try:
            beginning = file.held
            if beginning is None:
                beginning = read_exactly(descriptor, payload.offset, start)
            if not length:
                return beginning, None, KEPT
            if self._may_map and length >= _LEAST_MAPPED and not length & 1:
                view = mapped(descriptor, payload.offset + start, length)
                if view is not None:
                    return beginning, view, Mapping(file.instance, view, lambda: None)
            rest = read_exactly(descriptor, payload.offset + start, length)
            return beginning, memoryview(rest + b"\0" * (length & 1)), KEPT
        finally:
            os.close(descriptor)


class _Names:
    """The UIDs of the studies and series of one round."""

    def __init__(self, root: bytes, study_numbers: Iterator[int], series_numbers: Iterator[int]) -> None:
        self._root = root
        self._study_numbers = study_numbers
        self._series_numbers = series_numbers
        self._studies: dict[int, bytes] = {}
        self._series: dict[int, tuple[bytes, bytes, Details]] = {}

    def of(self, file: CorpusFile) -> tuple[bytes, bytes, Details]:
        """The UIDs of the study and the series of a file, and both as details."""
        known = self._series.get(file.series)
        if known is None:
            study_uid = self._studies.get(file.study)
            if study_uid is None:
                study_uid = self._studies[file.study] = STUDY_UID % (self._root, next(self._study_numbers))
            series_uid = SERIES_UID % (self._root, next(self._series_numbers))
            size, mtime, (_, _, patient_id, date, modality) = file.instance.details or Details(0, 0)
            head = Head(study_uid.decode(), series_uid.decode(), patient_id, date, modality)
            known = self._series[file.series] = study_uid, series_uid, Details(size, mtime, head)
        return known


def _round_after_round(
    files: Sequence[CorpusFile], new_names: Callable[[], _Names]
) -> Iterator[tuple[CorpusFile, _Names]]:
    """The files of all rounds, and the names of their round."""
    while True:
        yield from zip(files, repeat(new_names()))


def _rewritten(beginning: bytes, cuts: Sequence[Cut], uids: Sequence[bytes]) -> bytes:
    """The beginning of a data set with new UIDs."""
    view = memoryview(beginning)
    parts: list[bytes | memoryview] = []
    position = 0
    for start, end, text, takes in cuts:
        parts.append(view[position:start])
        parts.append(text)
        if takes is not None:
            parts.append(uids[takes])
        position = end
    parts.append(view[position:])
    return b"".join(parts)


def _spread(files: Sequence[CorpusFile], kinds: int) -> list[CorpusFile]:
    """The files of a round: each kind is spread evenly, and keeps its order."""
    counts = [0] * kinds
    for file in files:
        counts[file.kind] += 1
    turns = [count(0) for _ in range(kinds)]
    return sorted(files, key=lambda file: (next(turns[file.kind]) + 0.5) / counts[file.kind])


def _studies(files: Sequence[CorpusFile]) -> list[list[CorpusFile]]:
    """The files of each study."""
    studies: dict[int, list[CorpusFile]] = {}
    for file in files:
        studies.setdefault(file.study, []).append(file)
    return list(studies.values())
