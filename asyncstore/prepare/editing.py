"""Edit a data set, in a worker process: elements at any depth, private ones too, without touching any other value.

Rules:

1. What cannot be done right is :class:`Uneditable`, and the instance is not sent: damaged sequences, values that the
   character set of the data set cannot hold, an item that is not there, a private element without a VR.
2. A new value has the VR of the dictionary. If that leaves a choice, or if there is none, the element keeps its VR.
3. Sequences and items keep their kind of length. Group lengths of changed groups are dropped: they are retired, and
   would be wrong (PS3.5 7.2).
4. Values are encoded in the character set of their data set or item (PS3.5 6.1.2). If the data set has the default one
   and only ASCII in its texts, it gets one that holds the new values.
5. Reasons name no values: they may be names of patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import IMPLICIT_VR_LITTLE_ENDIAN
from asyncstore.prepare import edit_values
from asyncstore.prepare.character_sets import CannotEncode, encoding_for, is_ascii, wider_for
from asyncstore.prepare.data_elements import Element, Level, Unreadable, elements_of, header_of
from asyncstore.prepare.edits import SOP_INSTANCE_UID, STANDARD_UIDS, Edit, Kind, Step
from asyncstore.prepare.elements import ITEM, PIXEL_DATA, UID_PADDING, item_header, layout_of, tag_bytes, tag_name
from asyncstore.prepare.encoding import ENCODINGS, DamagedDataSet, Encoding
from asyncstore.prepare.reencode import Changes, reencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncstore.prepare.edits import Record
    from asyncstore.prepare.elements import ByteOrder, Layout

_CHARACTER_SET = 0x00080005
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_OWN_UIDS = (SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
_UIDS_IN_ITEMS = (_REFERENCED_SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
_LONGEST_UID = 64

_PATIENT_ID, _ISSUER_OF_PATIENT_ID = 0x00100020, 0x00100021
_ORIGINAL_ATTRIBUTES = 0x04000561
_MODIFIED_ATTRIBUTES = 0x04000550
_MODIFICATION_DATE_TIME, _MODIFYING_SYSTEM = 0x04000562, 0x04000563
_SOURCE_OF_PREVIOUS_VALUES, _REASON = 0x04000564, 0x04000565

_FIRST_CREATOR, _LAST_CREATOR = 0x10, 0xFF


class Uneditable(Exception):
    """The data set cannot be edited as it should be; the message says why, in a clause about its file."""


def edited(
    data: bytes | memoryview, transfer_syntax_uid: str, edits: Sequence[Edit], record: Record | None = None
) -> list[bytes | memoryview]:
    """The edited data set in consecutive pieces, in its transfer syntax.

    The last piece is the end of ``data``, as far as it stays; it is empty if the last element does not.

    Args:
        data: the data set, inflated.
        transfer_syntax_uid: how it is encoded.
        edits: what to change, in this order.
        record: what to record of the changes; ``None``: nothing.

    Raises:
        Uneditable: it cannot be.
    """
    source = memoryview(data)
    layout = layout_of(transfer_syntax_uid)
    try:
        elements, end = elements_of(source, layout, 0, len(source))
        top = Level(source, layout, elements)
        before = list(elements)
        count = 0 if record is None else record.edits
        editor = _Editor(top)
        editor.apply(edits[:count])
        if record is not None:
            _record(top, before, record, editor)
        editor.apply(edits[count:])
        pieces = top.written()
    except Unreadable as damage:
        raise Uneditable(f"it cannot be edited: {damage}") from damage
    if any(source[end:]):
        raise Uneditable("it cannot be edited: something stands behind its last element")
    last = top.elements[-1] if top.elements else None
    if last is not None and not last.is_changed and last.end == end:
        end -= len(pieces.pop())
    return [*pieces, source[end:]]


class _Editor:
    """Edits one data set.

    Args:
        top: the data set.
    """

    def __init__(self, top: Level) -> None:
        self._top = top

    def apply(self, edits: Iterable[Edit]) -> None:
        """Make changes, one after the other.

        Raises:
            Uneditable: one cannot be made.
            Unreadable: the data set is damaged.
        """
        for edit in edits:
            if edit.kind is Kind.SUFFIX:
                self._append(edit.value)
            else:
                self._in(self._top, edit, 0, self._character_set(self._top, b""))

    def _in(self, level: Level, edit: Edit, depth: int, character_set: bytes) -> bool:
        """Make the change in a data set or item; whether anything has changed."""
        step = edit.path[depth]
        is_set = edit.kind is Kind.SET
        tag = _tag_in(level, step, creates=is_set)
        if tag is None:
            return False
        if depth == len(edit.path) - 1 and step.item is None:
            is_changed = level.remove(tag) if edit.kind is Kind.REMOVE else self._set(level, tag, edit, character_set)
        else:
            is_changed = self._in_sequence(level, tag, edit, depth, character_set)
        if is_changed:
            level.remove(tag & 0xFFFF0000)
        return is_changed

    def _in_sequence(self, level: Level, tag: int, edit: Edit, depth: int, character_set: bytes) -> bool:
        """Make the change in the items of a sequence, or remove one of them."""
        step = edit.path[depth]
        element = level.find(tag)
        if element is None:
            if edit.kind is not Kind.SET:
                return False
            element = level.add(tag, b"" if level.layout.is_implicit else b"SQ")
        was_open = element.is_changed
        items = level.open(element)
        if edit.kind is Kind.REMOVE and depth == len(edit.path) - 1:
            is_changed = step.item is not None and step.item < len(items)
            del items[step.item : None if step.item is None else step.item + 1]
        else:
            is_changed = False
            for item in self._chosen(level, element, step, creates=edit.kind is Kind.SET):
                is_changed |= self._in(item, edit, depth + 1, self._character_set(item, character_set))
        if not is_changed and not was_open:
            element.levels = None
        return is_changed

    @staticmethod
    def _chosen(level: Level, element: Element, step: Step, *, creates: bool) -> list[Level]:
        """The items that a step names. With ``creates`` the next one is made: also the first, if there are none."""
        items, wanted = level.open(element), step.item
        if wanted is None and (items or not creates):
            return items
        wanted = wanted or 0
        if creates and wanted == len(items):
            level.add_item(element)
        if wanted >= len(items):
            if not creates:
                return []
            raise Uneditable(
                f"its sequence {tag_name(step.tag)} has no item {wanted}: its next one would be {len(items)}"
            )
        return [items[wanted]]

    def _set(self, level: Level, tag: int, edit: Edit, character_set: bytes) -> bool:
        """Give an element its value; whether it had another."""
        element = level.find(tag)
        if element is None and edit.kind is Kind.REPLACE:
            return False
        vr = _vr_for(edit, element)
        try:
            value = self._encoded(level, vr, edit, character_set)
        except CannotEncode as problem:
            raise Uneditable(f"the value for {edit.name} cannot be written in {problem}") from None
        if element is None:
            element = level.add(tag, b"" if level.layout.is_implicit else vr.encode())
        elif [other.tag for other in level.elements].count(tag) > 1:  # in damaged data sets
            level.remove(tag)
            element = level.add(tag, element.vr)
        elif not element.levels and level.value(element) == value and not element.is_undefined:
            return False
        element.new, element.levels, element.is_undefined = value, None, False
        if not level.layout.is_implicit:
            element.vr = vr.encode()
        return True

    def _encoded(self, level: Level, vr: str, edit: Edit, character_set: bytes) -> bytes:
        """The value as it stands in this data set or item.

        Raises:
            CannotEncode: its character set does not have the characters.
        """
        order = level.layout.byte_order
        if edit.value.isascii():
            return edit_values.encoded(vr, edit.value, order)
        try:
            return encoding_for(character_set, vr, edit.value)
        except CannotEncode:
            wider = wider_for(character_set, edit.value)
            if wider is None or level is not self._top or not is_ascii(self._top):
                raise
            self._set_character_set(wider)
            return encoding_for(wider.encode(), vr, edit.value)

    def _set_character_set(self, character_set: str) -> None:
        """Give the data set a character set. All its texts are ASCII, so they stay right."""
        element = self._top.find(_CHARACTER_SET)
        if element is None:
            element = self._top.add(_CHARACTER_SET, b"" if self._top.layout.is_implicit else b"CS")
        element.new = edit_values.encoded("CS", character_set, self._top.layout.byte_order)

    @staticmethod
    def _character_set(level: Level, inherited: bytes) -> bytes:
        """The Specific Character Set of a data set or item."""
        element = level.find(_CHARACTER_SET)
        return inherited if element is None else level.value(element)

    def set_in(self, item: Level, edit: Edit) -> None:
        """Add an element to an item of the data set itself."""
        self._set(item, edit.path[0].tag, edit, self._character_set(self._top, b""))

    def _append(self, suffix: str) -> None:
        """Append a suffix to the UIDs of the instance and of those to which it refers."""
        for tag in _OWN_UIDS:
            element = self._top.find(tag)
            if element is not None:
                self._append_to(self._top, element, suffix)
        needles = _needles(self._top)
        for element in self._top.elements:
            self._append_within(self._top, element, suffix, needles)

    def _append_within(self, level: Level, element: Element, suffix: str, needles: list[bytes]) -> bool:
        """Append it to UIDs in the items of a sequence, if there are any; whether there were."""
        is_sequence = element.levels is not None or element.is_undefined or element.vr == b"SQ"
        may_be_one = not element.vr and element.end - element.value >= len(needles[0])
        if element.tag == PIXEL_DATA or not (is_sequence or may_be_one):
            return False
        was_open = element.levels is not None
        if not was_open:
            content = bytes(level.data[element.value : element.end])
            if not any(needle in content for needle in needles):
                return False
            if may_be_one and not is_sequence and not content.startswith(b"\xfe\xff\x00\xe0"):
                return False
        is_changed = False
        for item in level.open(element):
            for inner in item.elements:
                if inner.tag in _UIDS_IN_ITEMS:
                    is_changed |= self._append_to(item, inner, suffix)
                else:
                    is_changed |= self._append_within(item, inner, suffix, needles)
        if not is_changed and not was_open:
            element.levels = None
        return is_changed

    @staticmethod
    def _append_to(level: Level, element: Element, suffix: str) -> bool:
        uid = level.value(element).rstrip(UID_PADDING)
        if not uid or uid.startswith(STANDARD_UIDS.encode()):
            return False
        uid += suffix.encode("ascii")
        if len(uid) > _LONGEST_UID:
            raise Uneditable(
                f"its UID {tag_name(element.tag)} would have {len(uid)} characters with the suffix: "
                f"no more than {_LONGEST_UID} are allowed"
            )
        element.new = edit_values.padded("UI", uid)
        level.remove(element.tag & 0xFFFF0000)
        return True


def _needles(level: Level) -> list[bytes]:
    """The tags of UIDs in items, as they are encoded; a sequence of VR UN is in little endian."""
    orders: set[ByteOrder] = {level.layout.byte_order, "little"}
    return [tag_bytes(tag, order) for order in orders for tag in _UIDS_IN_ITEMS]


def _tag_in(level: Level, step: Step, *, creates: bool) -> int | None:
    """The tag that a step names in this data set or item (PS3.5 7.8.1).

    ``None``: it has no elements of this private creator, and ``creates`` does not ask for them.
    """
    if not step.creator:
        return step.tag
    group = step.tag & 0xFFFF0000
    blocks: set[int] = set()
    for element in level.elements:
        if element.tag & 0xFFFF0000 != group:
            continue
        number = element.tag & 0xFFFF
        if _FIRST_CREATOR <= number <= _LAST_CREATOR:
            if level.value(element).strip(b" \0") == step.creator.encode():
                return group | number << 8 | step.tag & 0xFF
            blocks.add(number)
        else:
            blocks.add(number >> 8)
    if not creates:
        return None
    block = next((one for one in range(_FIRST_CREATOR, _LAST_CREATOR + 1) if one not in blocks), None)
    if block is None:
        raise Uneditable(f"its group {step.tag >> 16:04X} has no room for another private creator")
    creator = level.add(group | block, b"" if level.layout.is_implicit else b"LO")
    creator.new = edit_values.padded("LO", step.creator.encode())
    return group | block << 8 | step.tag & 0xFF


def _vr_for(edit: Edit, element: Element | None) -> str:
    """The VR of a new value (rule 2).

    Raises:
        Uneditable: there is none.
    """
    there = element.vr.decode("ascii", "replace") if element is not None else ""
    choices = edit.vr.split(" or ") if edit.vr else []
    if len(choices) == 1:
        return choices[0]
    if there in choices or (not choices and there in edit_values.KNOWN):
        vr = there
    elif choices:
        vr = choices[0]
    else:
        raise Uneditable(f"the VR of {edit.name} is not known: name one")
    try:
        edit_values.check(vr, edit.value)
    except ValueError as problem:
        raise Uneditable(f"{edit.name} cannot have this value in it: {problem}") from None
    return vr


def _record(top: Level, before: list[Element], record: Record, editor: _Editor) -> None:
    """Add an item to Original Attributes Sequence, if anything has changed."""
    old = {element.tag: element for element in reversed(before)}
    now = {element.tag: element for element in top.elements}
    changed = {
        tag
        for tag in {*old, *now}
        if tag & 0xFFFF and (tag not in now or now[tag].is_changed or now[tag] is not old.get(tag))
    }
    if not changed:
        return
    if _PATIENT_ID in changed:
        changed.add(_ISSUER_OF_PATIENT_ID)  # it says in which context the old ID was unique
    changed |= _creators_of(changed, old)
    values = [_as_before(top, tag, old.get(tag), now.get(tag)) for tag in sorted(changed)]
    sequence = top.find(_ORIGINAL_ATTRIBUTES)
    if sequence is None:
        sequence = top.add(_ORIGINAL_ATTRIBUTES, b"" if top.layout.is_implicit else b"SQ")
    item = top.add_item(sequence)
    modified = item.add(_MODIFIED_ATTRIBUTES, b"" if item.layout.is_implicit else b"SQ")
    content = b"".join(values)
    if item.layout is not top.layout:
        content = _implicit_little(content, top.layout)
    modified.new = item_header(ITEM, len(content), item.layout.byte_order) + content
    fields = (
        (_MODIFICATION_DATE_TIME, "DT", record.time),
        (_MODIFYING_SYSTEM, "LO", record.system),
        (_SOURCE_OF_PREVIOUS_VALUES, "LO", record.source),
        (_REASON, "CS", record.reason),
    )
    for tag, vr, value in fields:
        editor.set_in(item, Edit(Kind.SET, (Step(tag),), value, vr))


def _implicit_little(elements: bytes, layout: Layout) -> bytes:
    """The same elements in implicit VR little endian."""
    source = Encoding(layout.is_implicit, layout.byte_order == "little")
    try:
        return b"".join(reencode(elements, source, ENCODINGS[IMPLICIT_VR_LITTLE_ENDIAN], Changes()))
    except DamagedDataSet as damage:
        raise Unreadable(str(damage)) from damage


def _as_before(top: Level, tag: int, old: Element | None, now: Element | None) -> bytes:
    """An element as it was; one that was not there is empty."""
    if old is not None:
        return bytes(top.data[old.start : old.end])
    vr = now.vr if now is not None else b"LO"
    return header_of(top.layout, tag, b"" if top.layout.is_implicit else vr, 0)


def _creators_of(tags: Iterable[int], old: Iterable[int]) -> set[int]:
    """The elements that name the creators of private elements."""
    there = set(old)
    creators = {
        tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8 for tag in tags if tag & 0x10000 and tag & 0xFFFF > _LAST_CREATOR
    }
    return creators & there
