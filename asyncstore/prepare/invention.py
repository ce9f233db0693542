"""Invented identities: new UIDs, names and numbers, so that one file can be many instances of many patients.

Instances are counted in the order of delivery: a new series begins after so many instances, a new study after so many
series, a new patient after so many studies, as with storescu's ``+II +IR +IS +IP``. Series and instance numbers begin
at 0, as in storescu, but here they do so in every study.

An identity depends on nothing but a seed, the file's path, and the instance's place among the instances, which follows
from its ordinal: sent again, it is the same instance. In a later run of a journal a file may have the place of another
one, because files came or became whole. So the path is part of the SOP instance UID: no two files ever share one.
"""

from __future__ import annotations

import time
from hashlib import sha1
from typing import TYPE_CHECKING

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncstore.prepare.edits import PlainEdits

_PATIENT_NAME = 0x00100010
_PATIENT_ID = 0x00100020
_STUDY_INSTANCE_UID = 0x0020000D
_STUDY_ID = 0x00200010
_SERIES_INSTANCE_UID = 0x0020000E
_SERIES_NUMBER = 0x00200011
_SOP_INSTANCE_UID = 0x00080018
_INSTANCE_NUMBER = 0x00200013


_VRS: Mapping[int, str] = {
    _PATIENT_NAME: "PN",
    _PATIENT_ID: "LO",
    _STUDY_INSTANCE_UID: "UI",
    _STUDY_ID: "SH",
    _SERIES_INSTANCE_UID: "UI",
    _SERIES_NUMBER: "IS",
    _SOP_INSTANCE_UID: "UI",
    _INSTANCE_NUMBER: "IS",
}
_SECONDS = 10**8
"""Study IDs begin with the time modulo three years: an SH has 16 characters (PS3.5 6.2), and a number takes seven."""


class Invent(NamedTuple):
    """The sizes of invented series, studies and patients.

    Attributes:
        instances: the number of instances in a series.
        series: the number of series in a study.
        studies: the number of studies of a patient.
    """

    instances: int = 100
    series: int = 50
    studies: int = 25


class Invented(NamedTuple):
    """An invented identity."""

    sop_instance_uid: str
    values: Mapping[int, bytes]
    """The elements with new values, padded to even length."""


def new_seed() -> str:
    """A seed that no other run has: a UUID, and the time in seconds."""
    from uuid import uuid4  # the import takes 3 ms, and few runs invent identities

    return f"{uuid4()} {int(time.time())}"


class Inventor:
    """Invents identities. The same seed gives the same ones."""

    def __init__(self, invent: Invent, seed: str) -> None:
        from uuid import UUID

        uuid, begun = seed.split()
        self._invent = invent
        self._namespace = UUID(uuid).bytes
        self._begun = int(begun)
        self._series: tuple[int, Mapping[int, bytes]] = -1, {}
        """The last series, and the values that its instances share."""

    def identity(self, place: int, path: str = "") -> Invented:
        """The instance in this place among the instances, from 1, which comes from the file of this path."""
        count = place - 1
        series, instance = divmod(count, self._invent.instances)
        if series != self._series[0]:
            self._series = series, self._of_series(series)
        uid = self._uid(f"instance {path}", count)
        values = {**self._series[1], _SOP_INSTANCE_UID: uid, _INSTANCE_NUMBER: _text(instance)}
        return Invented(uid.rstrip(b"\0").decode("ascii"), values)

    @staticmethod
    def edits(invented: Invented) -> PlainEdits:
        """The same as edits."""
        return tuple(
            ("replace", ((tag, "", None),), value.rstrip(b" \0").decode("ascii"), _VRS[tag])
            for tag, value in invented.values.items()
        )

    def _of_series(self, number: int) -> dict[int, bytes]:
        """The values that the instances of a series share."""
        study_count, series = divmod(number, self._invent.series)
        name = f"{self._begun}{study_count // self._invent.studies}"
        return {
            _PATIENT_NAME: _text(f"INVENTED^{name}"),
            _PATIENT_ID: _text(f"PID{name}"),
            _STUDY_INSTANCE_UID: self._uid("study", study_count),
            _STUDY_ID: _text(f"S{self._begun % _SECONDS:08}{study_count}"),
            _SERIES_INSTANCE_UID: self._uid("series", number),
            _SERIES_NUMBER: _text(series),
        }

    def _uid(self, kind: str, number: int) -> bytes:
        """A UID from a UUID of version 5 (PS3.5 B.2), which depends on the run, the kind of thing and its number.

        :func:`uuid.uuid5` takes three times as long.
        """
        name = f"{kind} {number}".encode("utf-8", "surrogatepass")
        digest = bytearray(sha1(self._namespace + name, usedforsecurity=False).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x50
        digest[8] = digest[8] & 0x3F | 0x80
        uid = b"2.25.%d" % int.from_bytes(digest, "big")
        return uid + b"\0" * (len(uid) & 1)


def _text(value: object) -> bytes:
    text = str(value).encode("ascii")
    return text + b" " * (len(text) & 1)
