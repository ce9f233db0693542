"""Synthetic instances for a load, made while they are sent.

Rules:

1. A template is encoded once for each kind (:mod:`asyncstore.load.templates`). For an instance only the head is
   written, and its pixels are views of memory that all instances share. That takes a few microseconds, whatever its
   size is.
2. Data sets of up to 32 kB are joined into one ``bytes``, because the network sends them in one buffer. Larger ones
   come in pieces: the head, then the pixels.
3. All UIDs come from the seed and from counters. So the same seed makes the same UIDs, and another seed others.
4. Each kind has its share of any few hundred instances, so every part of a measurement has the same load. Of each kind,
   studies follow one another.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import count, cycle
from typing import TYPE_CHECKING, Final

from asyncstore.arguments import check
from asyncstore.load.identities import (
    ACCESSION_NUMBER,
    INSTANCE_NUMBER,
    INSTANCE_UID,
    PATIENT_ID,
    SERIES_NUMBER,
    SERIES_UID,
    STUDY_UID,
    mark_of,
    new_seed,
    root_of,
)
from asyncstore.load.values import Made
from asyncstore.model import KEPT, Details, Head, Identity, Instance, Payload, Piece, SourceFile
from asyncstore.protocol.requests import JOINED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.load.values import Kind

_ROUND: Final = 10_000
"""Instances after which the order of the kinds repeats: shares are met to a hundredth of a percent."""

_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class Synthetic:
    """Makes synthetic instances: a :class:`~asyncstore.load.values.Source`.

    Args:
        kinds: what to make (:mod:`asyncstore.load.mix`); the shares are of all instances.
        seed: the same seed makes the same UIDs; ``None``: one that no other run has.

    Raises:
        UsageError: a kind cannot be made in its size.
    """

    def __init__(self, kinds: Sequence[Kind], *, seed: int | None = None) -> None:
        from asyncstore.load.templates import template_of  # it imports pydicom

        check(bool(kinds), "a load needs at least one kind of instances")
        self.kinds: Sequence[Kind] = tuple(kinds)
        self.seed = new_seed() if seed is None else seed
        """For the report: it makes the same UIDs again."""
        self._templates = [template_of(kind._replace(share=1.0)) for kind in kinds]
        self._root = root_of(self.seed)
        self._mark = mark_of(self._root)
        self._instances = count(1)
        self._studies = count(1)
        self._series = count(1)
        self._endless = [self._study_after_study(place) for place in range(len(self.kinds))]
        self._order = cycle(evenly([kind.share for kind in kinds]))
        self._order_of_studies = cycle(evenly([kind.share / kind.instances_per_study for kind in kinds]))

    @property
    def corpus(self) -> str:
        """A hash of the kinds' content and of their shares, without UIDs: it does not depend on the seed."""
        digest = sha256()
        for kind, template in zip(self.kinds, self._templates, strict=True):
            digest.update(template.digest + f" {kind.share:.6f}\n".encode())
        return digest.hexdigest()

    def next(self) -> Made:
        """The next instance of the mix."""
        return next(self._endless[next(self._order)])

    def of_kind(self, kind: int) -> Made:
        """The next instance of the kind at this place."""
        return next(self._endless[kind])

    def study(self) -> Iterator[Made]:
        """The instances of a whole new study of one kind."""
        return self._study(next(self._order_of_studies))

    def _study_after_study(self, place: int) -> Iterator[Made]:
        while True:
            yield from self._study(place)

    def _study(self, place: int) -> Iterator[Made]:
        """The instances of a new study of the kind at this place."""
        study = next(self._studies)
        instances = self.kinds[place].instances_per_study
        series = min(self._templates[place].series, instances)
        for number in range(series):
            first, end = instances * number // series, instances * (number + 1) // series
            yield from self.series(place, study, number + 1, range(first + 1, end + 1))

    def series(self, place: int, study: int, series_number: int, numbers: range) -> Iterator[Made]:
        """The instances of a new series of a study. Its part of the head is written once.

        Args:
            place: of the kind.
            study: the number of the study.
            series_number: the number of the series in it, below 100.
            numbers: the numbers of the instances, below 1 000 000.
        """
        root, counter, new = self._root, self._instances, _new_tuple
        template = self._templates[place]
        kind = template.kind
        patient_id = PATIENT_ID % (self._mark, study)
        study_uid = STUDY_UID % (root, study)
        series_uid = SERIES_UID % (root, next(self._series))
        head = bytearray(template.head)
        for part, value in (
            (template.patient_id, patient_id),
            (template.accession, ACCESSION_NUMBER % (self._mark, study)),
            (template.study_uid, study_uid),
            (template.series_uid, series_uid),
            (template.series_number, SERIES_NUMBER % series_number),
        ):
            head[part] = value
        before = bytes(head[: template.instance_uid.start])
        between = bytes(head[template.instance_uid.stop : template.instance_number.start])
        after = bytes(head[template.instance_number.stop :])
        name = f"synthetic {kind.name}"
        length = kind.bytes
        details = Details(
            length, 0, Head(study_uid.decode(), series_uid.decode(), patient_id, "20200101", kind.modality)
        )
        in_memory = new(Payload, (name, 0, length, None, None, b""))
        sop_class_uid, transfer_syntax_uid = kind.sop_class_uid, kind.transfer_syntax_uid
        join, variants, variant_count = b"".join, template.pixels, len(template.pixels)
        is_short = length <= JOINED
        for number in numbers:
            ordinal = next(counter)
            uid = INSTANCE_UID % (root, ordinal)
            pixels = variants[ordinal % variant_count]
            identity = new(Identity, (sop_class_uid, uid.decode(), transfer_syntax_uid))
            file = new(SourceFile, (name, ordinal))
            if is_short:
                data = join((before, uid, between, INSTANCE_NUMBER % number, after, *pixels))
                payload = new(Payload, (name, 0, length, None, data, b""))
                yield new(Made, (new(Instance, (file, identity, payload, 0, None, details, None)), place, ()))
                continue
            instance = new(Instance, (file, identity, in_memory, 0, None, details, None))
            data = join((before, uid, between, INSTANCE_NUMBER % number, after))
            pieces = [new(Piece, (instance, memoryview(data), True, not pixels, KEPT, None))]
            last = len(pixels) - 1
            for index, view in enumerate(pixels):
                pieces.append(new(Piece, (instance, view, False, index == last, KEPT, None)))
            yield new(Made, (instance, place, tuple(pieces)))


def evenly(weights: Sequence[float]) -> bytes:
    """Places of weights, each as often as its weight says, and spread as evenly as possible."""
    total = sum(weights)
    counts = [max(round(_ROUND * weight / total), 1) for weight in weights]
    turns = [((turn + 0.5) / number, place) for place, number in enumerate(counts) for turn in range(number)]
    return bytes(place for _, place in sorted(turns))
