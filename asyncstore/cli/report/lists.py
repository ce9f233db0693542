"""The lists of a report: files in one state, studies by completeness; as text, CSV, JSON lines or bare names.

Rules:

1. Lists are written piece by piece, so memory stays flat.
2. As text, control characters and undecodable bytes of names are escaped; in CSV only undecodable bytes are. JSON has
   them as ``send --json`` does. ``--null`` writes names as they are.
3. Files that a walk found and that have not ended have no record yet: no list has them.
"""

from __future__ import annotations

import csv
import io
import json
import os
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from asyncstore.cli.report.machine import name_of
from asyncstore.cli.report.words import WORDS, rfc3339
from asyncstore.cli.standard_output import put, put_bytes
from asyncstore.journal.studies import Studies
from asyncstore.journal.values import State
from asyncstore.members import path_in
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import counted, printable
from asyncstore.observe.results import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.journal.reading import Reader, Recorded
    from asyncstore.journal.studies import Study

ALL = "all"
"""The list of everything."""
_PIECE = 1000
"""Lines that are written at once."""
_Fields = dict[str, object]
_T = TypeVar("_T")


class Wanted(NamedTuple):
    """The files of a list."""

    states: frozenset[State]
    only_repaired: bool = False


def wanted_by(name: str) -> Wanted:
    """The files of the list with this name: a state, ``repaired`` for stored files that were mended, or ``all``."""
    if name == ALL:
        return Wanted(frozenset(State))
    if name == "repaired":
        return Wanted(frozenset(state for state in State if state.is_stored), only_repaired=True)
    return Wanted(frozenset([State[name.upper().replace("-", "_")]]))


def list_of(state: State) -> str:
    """The name of the list of the files in this state."""
    return state.name.lower().replace("_", "-")


def names(readers: Iterable[Reader], wanted: Wanted) -> None:
    """Write the names of these files, each with a zero byte at its end. A file delivered twice has one."""

    def found() -> Iterator[str]:
        last = None
        for row in _deliveries(readers, wanted):
            path = path_in(row.path, row.member)
            if path != last:
                last = path
                yield last

    for piece in _pieces(found()):
        put_bytes(b"".join([os.fsencode(path) + b"\0" for path in piece]))


def files(readers: Iterable[Reader], wanted: Wanted, form: str) -> None:
    """Write these files.

    Args:
        readers: the journals.
        wanted: which files.
        form: ``text``, ``csv`` or ``json``.
    """
    rows = _deliveries(readers, wanted)
    if form == "text":
        _put(_file_text(row, names_state=len(wanted.states) == len(State)) for row in rows)
    else:
        _write(map(_file_fields, rows), form)


def studies(readers: Sequence[Reader], kind: str, form: str) -> None:
    """Write the studies of this completeness, or all; the other arguments are as above."""
    rows = (study for study in Studies(readers) if kind in (study.completeness, ALL))
    if form == "text":
        _put(_study_text(study) for study in rows)
    else:
        _write(map(_study_fields, rows), form)


def _deliveries(readers: Iterable[Reader], wanted: Wanted) -> Iterator[Recorded]:
    for reader in readers:
        yield from reader.deliveries(wanted.states, only_repaired=wanted.only_repaired)


def _file_text(row: Recorded, *, names_state: bool) -> str:
    said = [path_in(row.path, row.member)]
    if names_state:
        said.append(WORDS[row.state])
    if row.reason:
        said.append(row.reason)
    if row.repairs:
        said += ["repaired", "; ".join(words_of(row.repairs))]
    return ": ".join(map(printable, said))


def _file_fields(row: Recorded) -> _Fields:
    return {
        "type": "file",
        "path": row.path,
        "member": row.member,
        "result": name_of(row.state),
        "status": None if row.status is None else f"0x{row.status:04X}",
        "error": row.reason or None,
        "sop_class_uid": row.sop_class_uid or None,
        "sop_instance_uid": row.sop_instance_uid or None,
        "study_instance_uid": row.study or None,
        "series_instance_uid": row.series or None,
        "transfer_syntax_uid": row.transfer_syntax_uid or None,
        "sent_transfer_syntax_uid": row.sent_transfer_syntax_uid or None,
        "bytes": row.bytes,
        "seconds": row.seconds,
        "attempts": row.attempts,
        "association": row.association,
        "time": rfc3339(row.time),
        "run": row.run,
        "conflict": row.is_conflict,
        "repairs": words_of(row.repairs),
    }


def _study_text(study: Study) -> str:
    counts = f"{study.stored} of {counted(study.found, 'instance')} stored"
    waiting = f", {study.waiting} waiting" if study.waiting else ""
    return f"{printable(study.uid) or 'without a UID'}: {counts}{waiting}"


def _study_fields(study: Study) -> _Fields:
    return {
        "type": "study",
        "study_instance_uid": study.uid,
        "study_date": study.date or None,
        "completeness": study.completeness.value,
        "found": study.found,
        "stored": study.stored,
        "waiting": study.waiting,
        "began": None if study.began is None else rfc3339(study.began),
        "ended": None if study.ended is None else rfc3339(study.ended),
    }


def _write(rows: Iterator[_Fields], form: str) -> None:
    if form == "json":
        _put(json.dumps(fields, separators=(",", ":")) for fields in rows)
        return
    is_first = True
    for piece in _pieces(rows):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if is_first:
            writer.writerow(list(piece[0])[1:])
            is_first = False
        writer.writerows(map(_cell, list(fields.values())[1:]) for fields in piece)
        put(text.getvalue().removesuffix("\n"))


def _cell(value: object) -> object:
    return "; ".join(value) if isinstance(value, list) else value


def _put(lines: Iterator[str]) -> None:
    for piece in _pieces(lines):
        put(*piece)


def _pieces(rows: Iterator[_T]) -> Iterator[list[_T]]:
    while piece := list(islice(rows, _PIECE)):
        yield piece
