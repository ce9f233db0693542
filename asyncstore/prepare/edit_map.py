"""A table of new values by patient or study: a CSV file, for archives that are merged.

    PatientID,new PatientID,new IssuerOfPatientID,new PatientName
    4711,A-0815,HOSPITAL A,Doe^Jane

Columns named ``PatientID`` and ``StudyInstanceUID`` say which instances a row is for; if both are there, both must
match. Columns named ``new`` and an element hold new values; an empty cell leaves the element as it is. A column
``source`` names the system that the old values are from, for Original Attributes Sequence.

Rules:

1. Every value is checked when the table is read. An error names the line and the column, and shows no value.
2. The table is in UTF-8. Commas or semicolons part its columns.
"""

from __future__ import annotations

import csv
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from asyncstore.prepare.edit_syntax import element_of, setting
from asyncstore.prepare.edit_values import check
from asyncstore.prepare.edits import MapRow
from asyncstore.prepare.elements import UID_PADDING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.model import Head

_PATIENT, _STUDY = "PatientID", "StudyInstanceUID"
_NEW = "new "
_SOURCE = "source"

_Key = tuple[bytes, str]
"""The Patient ID as it is encoded and the Study Instance UID; empty: any."""


class EditMap:
    """The rows of a table.

    Args:
        rows: the rows by patient and study.
        by_patient: whether the Patient ID says which row is meant.
        by_study: the same of the Study Instance UID.
        digest: of the content of the file.
    """

    def __init__(self, rows: dict[_Key, MapRow], digest: bytes, *, by_patient: bool, by_study: bool) -> None:
        self._rows = rows
        self._by_patient, self._by_study = by_patient, by_study
        self.digest = digest

    def __len__(self) -> int:
        return len(self._rows)

    def row_for(self, head: Head) -> MapRow | None:
        """The row for instances with this head."""
        patient = head.patient_id if self._by_patient else b""
        return self._rows.get((patient, head.study_instance_uid if self._by_study else ""))

    @property
    def key(self) -> str:
        """What says which row is meant, in words."""
        return " and ".join(
            word for word, is_key in (("patient", self._by_patient), ("study", self._by_study)) if is_key
        )

    @classmethod
    def of(cls, content: bytes) -> EditMap:
        """Read a table.

        Raises:
            ValueError: it is none; the message names the line and shows no value.
        """
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("it is not in UTF-8") from None
        first = text.partition("\n")[0]
        delimiter = ";" if first.count(";") > first.count(",") else ","
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
        table = _Table([name.strip() for name in next(_lines(reader), [])])
        rows: dict[_Key, MapRow] = {}
        for cells in _lines(reader):
            if any(cells):
                table.add(rows, cells, reader.line_num)
        if not rows:
            raise ValueError("it has no rows")
        return cls(
            rows, sha256(content).digest(), by_patient=table.patient is not None, by_study=table.study is not None
        )


def _lines(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"it is no CSV file: {error}") from None


class _Table:
    """The columns of a table.

    Args:
        names: their names.
    """

    def __init__(self, names: list[str]) -> None:
        self.patient = names.index(_PATIENT) if _PATIENT in names else None
        self.study = names.index(_STUDY) if _STUDY in names else None
        self._source = names.index(_SOURCE) if _SOURCE in names else None
        self._names = names
        known = {_PATIENT, _STUDY, _SOURCE}
        for name in names:
            if not name.startswith(_NEW) and name not in known:
                raise ValueError(
                    f"it has a column {name!r}: columns are {_PATIENT}, {_STUDY}, {_SOURCE}, or {_NEW}ELEMENT"
                )
            if names.count(name) > 1:
                raise ValueError(f"it has two columns {name!r}")
        if self.patient is None and self.study is None:
            raise ValueError(f"it has neither a column {_PATIENT} nor a column {_STUDY}")
        self._new = {}
        for place, name in enumerate(names):
            if name.startswith(_NEW):
                try:
                    self._new[place] = element_of(name.removeprefix(_NEW).strip())
                except ValueError as problem:
                    raise ValueError(f"the column {name!r}: {problem}") from None
        if not self._new:
            raise ValueError(f"it has no column of new values, such as {_NEW}{_PATIENT}")

    def add(self, rows: dict[_Key, MapRow], cells: list[str], line: int) -> None:
        """Add a row.

        Raises:
            ValueError: it is wrong.
        """
        if len(cells) != len(self._names):
            raise ValueError(f"line {line} has {len(cells)} cells, and there are {len(self._names)} columns")
        edits = []
        for place, named in self._new.items():
            if not cells[place]:
                continue
            try:
                edits.append(setting(named, cells[place]))
            except ValueError as problem:
                raise ValueError(f"line {line}, column {self._names[place]!r}: {problem}") from None
        source = "" if self._source is None else cells[self._source].strip()
        try:
            check("LO", source)
        except ValueError as problem:
            raise ValueError(f"line {line}, column {_SOURCE!r}: {problem}") from None
        row = MapRow(tuple(edits), source)
        keys = self._keys(cells, line)
        if not keys.isdisjoint(rows):
            name = _PATIENT if self.study is None else _STUDY
            raise ValueError(f"line {line} is for the same {name} as an earlier one")
        rows.update(dict.fromkeys(keys, row))

    def _keys(self, cells: list[str], line: int) -> set[_Key]:
        """The keys of a row: a Patient ID that is not ASCII may be encoded in several ways."""
        patient = "" if self.patient is None else cells[self.patient].strip()
        study = "" if self.study is None else cells[self.study].strip()
        for place, value, name in ((self.patient, patient, _PATIENT), (self.study, study, _STUDY)):
            if place is not None and not value:
                raise ValueError(f"line {line} has no {name}")
        keys = {(patient.encode().strip(UID_PADDING), study)}
        with suppress(UnicodeEncodeError):
            keys.add((patient.encode("latin-1").strip(UID_PADDING), study))
        return keys
