"""Edits: what is changed in data sets before they are sent, as values that travel to the worker processes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Head

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STANDARD_UIDS = "1.2.840.10008."
"""How the UIDs of the standard begin. Well-known instances have such UIDs (PS3.6 A), and get no suffix."""
_GROUP_BITS = 16
_PIXEL_GROUP = 0x7FE0
_VRS_OF_TEXT = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "ST", "TM", "UI"))
"""The VRs whose values are short texts."""


class Kind(StrEnum):
    """What an edit does."""

    SET = "set"
    """Gives an element a value; adds the element if it is missing."""
    REPLACE = "replace"
    """Gives an element a value if it is there."""
    REMOVE = "remove"
    SUFFIX = "suffix"
    """Appends a suffix to the UIDs of study, series and instance, and of the instances that the data set refers to."""


class Step(NamedTuple):
    """One level of the path to an element: the element itself, or a sequence around it."""

    tag: int
    """Of a private element with a creator: its group, and the last byte of its number."""
    creator: str = ""
    """The private creator (PS3.5 7.8.1); empty: the tag is whole."""
    item: int | None = None
    """The item of a sequence, from 0; ``None``: all items."""

    def __str__(self) -> str:
        group = f"{self.tag >> _GROUP_BITS:04X}"
        number = f"{self.creator},{self.tag & 0xFF:02X}" if self.creator else f"{self.tag & 0xFFFF:04X}"
        name = f"({group},{number})"
        return name if self.item is None else f"{name}[{self.item}]"


class Edit(NamedTuple):
    """One change. It names no value when it is shown: values may be patients' names."""

    kind: Kind
    path: tuple[Step, ...] = ()
    value: str = ""
    """As text, with backslashes between several values."""
    vr: str = ""
    """The VR by the dictionary or by the user, such as ``US or SS``; empty: the one that the element has."""

    @property
    def name(self) -> str:
        """The element, as reasons name it."""
        return ".".join(map(str, self.path))

    def __repr__(self) -> str:
        return f"<Edit {self.kind} {self.name}>"

    @property
    def is_simple(self) -> bool:
        """Whether it concerns an element of the data set itself, has one VR, and its value is ASCII."""
        if len(self.path) != 1:
            return False
        step = self.path[0]
        has_one_vr = self.kind is Kind.REMOVE or (self.vr in _VRS_OF_TEXT and self.value.isascii())
        return has_one_vr and not step.creator and step.item is None and step.tag >> 16 < _PIXEL_GROUP


class Record(NamedTuple):
    """What Original Attributes Sequence (PS3.3 C.12.1.1.9) says about a change."""

    time: str
    """When it was made, as a DT."""
    system: str
    """The system that made it."""
    source: str
    """Where the replaced values came from."""
    reason: str
    """``COERCE`` or ``CORRECT``."""
    edits: int
    """How many of the edits it concerns: the first ones."""


class OriginalAttributes(StrEnum):
    """Which changes are recorded in Original Attributes Sequence."""

    MAP = "map"
    """Those by a map."""
    ALL = "all"
    NONE = "none"


class MapRow(NamedTuple):
    """The changes to some of the instances."""

    edits: tuple[Edit, ...]
    source: str
    """Where the replaced values came from."""


class ByHead(Protocol):
    """Changes by patient or study; :class:`asyncstore.prepare.edit_map.EditMap` says more."""

    @property
    def key(self) -> str:
        """What says which row is meant, in words."""

    def row_for(self, head: Head) -> MapRow | None:
        """The row for instances with this head."""


class EditOptions(NamedTuple):
    """How data sets are edited, besides invented identities.

    Attributes:
        edits: changes to every data set, in their order.
        uid_suffix: appended to the UIDs of study, series and instance, and of referenced instances.
        map: changes by patient or study; they come before ``edits``.
        refuses_others: whether instances that are not in the map are not sent; otherwise they are sent without it.
        original: which changes are recorded in Original Attributes Sequence.
    """

    edits: tuple[Edit, ...] = ()
    uid_suffix: str = ""
    map: ByHead | None = None
    refuses_others: bool = True
    original: OriginalAttributes = OriginalAttributes.MAP

    def __bool__(self) -> bool:
        return bool(self.edits or self.uid_suffix or self.map is not None)


PlainEdits = tuple[tuple[Any, ...], ...]


def plain(edits: Iterable[Edit]) -> PlainEdits:
    """Edits as plain tuples, for :mod:`asyncstore.prepare.messages`."""
    return tuple((str(edit.kind), tuple(map(tuple, edit.path)), edit.value, edit.vr) for edit in edits)


def from_plain(edits: PlainEdits) -> list[Edit]:
    """The edits that :func:`plain` made plain."""
    return [Edit(Kind(kind), tuple(map(Step._make, path)), value, vr) for kind, path, value, vr in edits]
