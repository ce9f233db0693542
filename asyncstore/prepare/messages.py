"""The messages between the pool and its worker processes: orders, and a plain tuple for each file as the answer.

Rules:

1. A message is four bytes of length and a marshalled list: marshal is the fastest way between two processes of the same
   interpreter. It takes plain tuples only.
2. An answer begins with a tag. It names neither file nor ordinal: the main process has both, and joins answers and
   files in their order.
"""

from __future__ import annotations

import marshal
from itertools import repeat
from struct import Struct
from typing import IO, TYPE_CHECKING, Any

from asyncstore.members import MemberPath
from asyncstore.model import Details, Head, Identity, Instance, Oddity, Payload, Unsendable
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.model import SourceFile
    from asyncstore.prepare.edits import PlainEdits
    from asyncstore.prepare.splicing import Value

_LENGTH = Struct("<I")

HELLO = b"."
"""A worker writes this first, as soon as it runs."""

PROBE = "probe"
PROBE_PARTS = "probe parts"
CONVERT = "convert"
EDIT = "edit"
JUDGE = "judge"
MEASURE = "measure"
"""The tag of an order. Paths of files follow, or a tuple for each file: its path, or the fields of a
:class:`~asyncstore.members.Part`; or the arguments of :func:`~asyncstore.prepare.conversion.convert`,
:func:`~asyncstore.prepare.rewriting.edit`, :func:`~asyncstore.prepare.conversion.judge` or
:func:`~asyncstore.prepare.conversion.measure` as plain tuples."""

PART = "part"
DONE = "done"
"""The tag of a message of answers: part of the batch, or the rest of it."""

Answer = tuple[Any, ...]

INSTANCE = "instance"
"""The tag of an instance. Its three UIDs follow; then offset, length, version and data of its payload; then its
oddities; then its details (``None``: not asked for)."""
CONVERTED = "converted"
"""The tag of a converted data set. Its container follows (``None``: it is in memory), its length, its data, and its SOP
instance UID if that is another one."""
SPLICED = "spliced"
"""The tag of a data set with a new head. The head follows, then the offset and the length of the rest, which is in the
file as before."""
LATER = "later"
"""The tag of a data set that can only be edited as a whole. Nothing follows."""
CONVERTIBLE = "convertible"
"""The tag of a data set that can be converted. If it was measured, its size in bytes follows."""
CHANGED = "changed"
"""The tag of a data set whose file has changed since the probe. How follows."""
UNSENDABLE = "unsendable"
"""The tag of any other file. The reason follows; in the answer to a probe then its details (``None``: not asked for, or
not known)."""

_ALL_INSTANCES = {INSTANCE}
_NO_HEAD = Head()
_EDITED_LATER = int(Oddity.EDITED_LATER)
_new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its class."""


class Order(NamedTuple):
    """An order to convert a data set.

    Attributes:
        instance: the instance in the file.
        transfer_syntax_uid: the transfer syntax of the result.
        sop_instance_uid: the SOP instance UID of the result.
        values: new values of elements, see :func:`~asyncstore.prepare.splicing.spliced`; ``None``: ``edits`` has them.
        edits: the changes to make, see :mod:`~asyncstore.prepare.edits`.
        record: what to record of them, a plain :class:`~asyncstore.prepare.edits.Record`; empty: nothing.
        sop_class_uid: the SOP class UID of the result; empty: that of the instance.
        repairs: what to mend first: flags of :class:`~asyncstore.model.Oddity`, SOP class and SOP instance UID; empty:
            nothing.
    """

    instance: Instance
    transfer_syntax_uid: str
    sop_instance_uid: str
    values: Mapping[int, Value] | None = None
    edits: PlainEdits = ()
    record: tuple[str | int, ...] = ()
    sop_class_uid: str = ""
    repairs: tuple[int, str, str] | tuple[()] = ()


class Unfit(Exception):
    """A file cannot be sent; the message is the reason."""


def found(files: Sequence[SourceFile], answers: Sequence[Answer]) -> list[Instance | Unsendable]:
    """What a worker found in ``files``. Most batches hold instances only, and take half a microsecond a file."""
    if {answer[0] for answer in answers} != _ALL_INSTANCES:
        return list(map(_found, files, answers))
    all_details = repeat(None, len(files)) if answers[0][-1] is None else _details([one[-1] for one in answers])
    return [
        _new_tuple(
            Instance,
            (
                file,
                _new_tuple(Identity, (sop_class, sop_instance, transfer_syntax)),
                _new_tuple(Payload, (file[0], offset, length, version, data, b"")),
                oddities,
                None,
                details,
                None,
            ),
        )
        for file, details, (
            _,
            sop_class,
            sop_instance,
            transfer_syntax,
            offset,
            length,
            version,
            data,
            oddities,
            _,
        ) in zip(files, all_details, answers, strict=True)
    ]


def part_of(path: str) -> tuple[Any, ...]:
    """What a worker is told about a file that may be a member of an archive."""
    if not isinstance(path, MemberPath):
        return (path,)
    return (str(path),) if path.part is None else tuple(path.part)


def found_in_parts(files: Sequence[SourceFile], answers: Sequence[Answer]) -> list[Instance | Unsendable]:
    """The same where some files are members of archives."""
    return [
        _found_member(file, file.path, answer) if isinstance(file.path, MemberPath) else _found(file, answer)
        for file, answer in zip(files, answers, strict=True)
    ]


def _found_member(file: SourceFile, path: MemberPath, answer: Answer) -> Instance | Unsendable:
    found = _found(file, answer)
    part = path.part
    if part is None:
        return found
    details = found.details
    if details is not None:
        details = details._replace(size=path.size, mtime=path.mtime)
    if isinstance(found, Unsendable):
        return found._replace(details=details)
    payload = found.payload
    payload = payload._replace(container=part.container, offset=part.offset + payload.offset, version=part.version)
    return found._replace(payload=payload, details=details)


def _found(file: SourceFile, answer: Answer) -> Instance | Unsendable:
    if answer[0] == UNSENDABLE:
        _, reason, details = answer
        return Unsendable(file, reason, *(_details([details]) if details is not None else ()))
    [instance] = found([file], [answer])
    return instance


def _details(plain: Iterable[tuple[int, int, tuple[Any, ...]]]) -> list[Details]:
    """The details of files. Files of one series share one head: marshal keeps one object one."""
    all_details = []
    last, head = None, _NO_HEAD
    for size, mtime, fields in plain:
        if fields is not last:
            last, head = fields, _new_tuple(Head, fields) if fields else _NO_HEAD
        all_details.append(_new_tuple(Details, (size, mtime, head)))
    return all_details


def converted(orders: Sequence[Order], answers: Sequence[Answer]) -> list[Instance | Unsendable]:
    """The conversions that were ordered."""
    return [_converted(order, answer) for order, answer in zip(orders, answers, strict=True)]


def _converted(order: Order, answer: Answer) -> Instance | Unsendable:
    original = order.instance
    if answer[0] in (UNSENDABLE, CHANGED):
        return Unsendable(original.file, answer[1], has_changed=answer[0] == CHANGED)
    _, container, length, data, *new_uid = answer
    uid = new_uid[0] if new_uid else order.sop_instance_uid
    identity = Identity(original.identity.sop_class_uid, uid, order.transfer_syntax_uid)
    payload = Payload(container or original.path, 0, length, None, data)
    return Instance(original.file, identity, payload, original=original)


def edited(orders: Sequence[Order], answers: Sequence[Answer]) -> list[Instance | Unsendable]:
    """The instances that were ordered to be edited."""
    return [_edited(order, answer) for order, answer in zip(orders, answers, strict=True)]


def edited_later(order: Order) -> Instance:
    """An instance whose data set can only be edited as a whole."""
    return _new_instance(order, order.instance.payload, order.instance.oddities | _EDITED_LATER)


def _edited(order: Order, answer: Answer) -> Instance | Unsendable:
    found = order.instance
    if answer[0] == UNSENDABLE:
        return Unsendable(found.file, answer[1], found.details)
    if answer[0] == LATER:
        return edited_later(order)
    before = found.payload
    if answer[0] == SPLICED:
        _, head, offset, rest = answer
        payload = Payload(before.container, offset, len(head) + rest, before.version, None, head)
    else:
        _, _, length, data = answer
        payload = Payload(before.container, 0, length, None, data)
    return _new_instance(order, payload, found.oddities)


def _new_instance(order: Order, payload: Payload, oddities: int) -> Instance:
    found = order.instance
    identity = Identity(
        order.sop_class_uid or found.identity.sop_class_uid, order.sop_instance_uid, order.transfer_syntax_uid
    )
    return Instance(found.file, identity, payload, oddities, None, found.details, found.identity)


def reason_in(answer: Answer) -> str | None:
    """Why a data set cannot be converted, by the answer about it; ``None`` if it can."""
    return answer[1] if answer[0] == UNSENDABLE else None


def size_in(answer: Answer) -> int | None:
    """The measured size of a data set, by the answer about it; ``None``: unknown."""
    return answer[1] if answer[0] == CONVERTIBLE else None


def containers(answers: Sequence[Answer]) -> Iterator[str]:
    """The files of converted data sets among these answers."""
    return (answer[1] for answer in answers if answer[0] == CONVERTED and answer[1] is not None)


def write_message(stream: IO[bytes], items: list[Any]) -> None:
    """Write a list of str, bytes, numbers, and plain tuples, lists and dictionaries of them.

    Raises:
        OSError: the other process is gone.
    """
    data = marshal.dumps(items)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> list[Any]:
    """Read a list that :func:`write_message` wrote.

    Raises:
        EOFError: the other process is gone.
    """
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    data = stream.read(_LENGTH.unpack(header)[0])
    items: list[Any] = marshal.loads(data)  # noqa: S302 - from our own child, or parent
    return items
