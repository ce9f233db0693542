"""What to change in each instance: its new identity, and the edits for the worker processes.

Rules:

1. The changes follow from the options, the ordinal and the head of an instance. So they are the same when it is sent
   again, and in a later run with the same journal.
2. They come in this order: invented identity, map, other edits, suffix of UIDs.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from asyncstore.model import Head, Unsendable
from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare.edits import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STANDARD_UIDS,
    Edit,
    EditOptions,
    Kind,
    OriginalAttributes,
    Record,
    Step,
    plain,
)
from asyncstore.prepare.messages import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncstore.model import Instance
    from asyncstore.prepare.edits import ByHead, PlainEdits
    from asyncstore.prepare.invention import Invent
    from asyncstore.prepare.splicing import Value

    IsTaken = Callable[[str, str], bool]

_SYSTEM = "asyncstore"
_LONGEST_UID = 64
_NO_HEAD = Head()
_NO_EDITS = EditOptions()
_ALL = 1 << 30


class _Changes(NamedTuple):
    """The changes to instances of one row of the map."""

    values: dict[int, Value] | None
    """For splicing; ``None``: they are not that simple."""
    edits: PlainEdits
    record: tuple[str | int, ...]
    sop_class_uid: str
    """Empty: it stays."""
    sop_instance_uid: str


class EditOrders:
    """Orders to edit instances.

    Args:
        invent: the identities to invent; ``None``: none.
        options: other edits; ``None``: none.
        seed: of this migration, see :func:`asyncstore.prepare.invention.new_seed`.
        is_taken: whether an earlier run stored another file than the one of this path with this SOP instance UID.
    """

    def __init__(
        self, invent: Invent | None, options: EditOptions | None, seed: str, is_taken: IsTaken | None = None
    ) -> None:
        from asyncstore.prepare.invention import Inventor  # hashlib takes a millisecond

        self._inventor = None if invent is None else Inventor(invent, seed)
        self._options = _NO_EDITS if options is None else options
        self._time = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(int(seed.split()[1])))
        self._passed_over: list[int] = []
        self._of_all = self._changes((), "")
        self._of_row: tuple[object, _Changes] = None, self._of_all
        """The last row of the map, and its changes."""
        self._is_taken = is_taken
        self._only: str | None = None
        """The path of the instance that gets the only SOP instance UID."""

    def pass_over(self, ordinal: int) -> None:
        """See :meth:`asyncstore.prepare.converter.Converter.pass_over`."""
        self._passed_over.append(ordinal)

    def order(self, instance: Instance, *, in_full: bool = False) -> Order | Unsendable | None:
        """The order to edit an instance, or why it cannot be sent; ``None``: nothing of it changes.

        With ``in_full`` it holds all edits in any case.
        """
        changes = self._of_all
        if (table := self._options.map) is not None:
            found = self._row(instance, table)
            if found is None:
                return Unsendable(instance.file, f"its {table.key} is not in the map", instance.details)
            changes = found
        sop_class_uid, uid, transfer_syntax_uid = instance.identity
        values, edits = changes.values, changes.edits
        if not edits and self._inventor is None:
            return None
        if self._inventor is not None:
            path, ordinal = instance.file
            invented = self._inventor.identity(ordinal - bisect_left(self._passed_over, ordinal), path)
            uid = invented.sop_instance_uid
            edits = (*self._inventor.edits(invented), *edits) if values is None or in_full else ()
            if values is not None:
                values = {**invented.values, **values}
        uid = changes.sop_instance_uid or uid
        if not uid.startswith(STANDARD_UIDS):
            uid += self._options.uid_suffix
        reason = self._refusal(instance, changes, uid)
        if reason is not None:
            return Unsendable(instance.file, reason, instance.details)
        return Order(
            instance, transfer_syntax_uid, uid, values, edits, changes.record, changes.sop_class_uid or sop_class_uid
        )

    def _refusal(self, instance: Instance, changes: _Changes, uid: str) -> str | None:
        """Why an instance cannot have its new SOP instance UID; ``None``: it can."""
        if len(uid) > _LONGEST_UID:
            return f"its SOP instance UID would have {len(uid)} characters: no more than {_LONGEST_UID} are allowed"
        if not changes.sop_instance_uid:
            return None
        path = instance.file.path
        if self._only is None and (self._is_taken is None or not self._is_taken(path, uid)):
            self._only = path
        if self._only == path:
            return None
        return "another file gets the SOP instance UID that it was to get: a peer would keep one of them"

    def _row(self, instance: Instance, table: ByHead) -> _Changes | None:
        """The changes of the row for an instance; ``None``: it is not sent, because there is none."""
        row = table.row_for(_NO_HEAD if instance.details is None else instance.details.head)
        if row is None:
            return None if self._options.refuses_others else self._of_all
        if self._of_row[0] is not row:
            self._of_row = row, self._changes(row.edits, row.source)
        return self._of_row[1]

    def _changes(self, of_row: tuple[Edit, ...], source: str) -> _Changes:
        options = self._options
        edits = [*of_row, *options.edits]
        if options.uid_suffix:
            edits.append(Edit(Kind.SUFFIX, (), options.uid_suffix))
        recorded = {OriginalAttributes.MAP: len(of_row), OriginalAttributes.ALL: _ALL}.get(options.original, 0)
        record = Record(self._time, _SYSTEM, source, "COERCE", recorded) if recorded else ()
        is_simple = not record and all(edit.is_simple for edit in edits)
        return _Changes(
            {edit.path[0].tag: _value(edit) for edit in edits} if is_simple else None,
            plain(edits),
            tuple(record),
            _last(edits, SOP_CLASS_UID),
            _last(edits, SOP_INSTANCE_UID),
        )


def _value(edit: Edit) -> Value:
    """The value of a simple edit, for splicing."""
    return None if edit.kind is Kind.REMOVE else (edit.vr, edit.value)


def _last(edits: Iterable[Edit], tag: int) -> str:
    """The value that an element of the data set gets; empty: none."""
    return next((edit.value for edit in reversed([*edits]) if edit.path == (Step(tag),)), "")
