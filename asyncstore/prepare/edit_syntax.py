"""How users write edits: paths to elements, and values (``PatientID=4711``, ``(0040,0275)[0].(0040,0007)=CT head``).

A path names an element by its keyword, its tag, or its private creator: ``(0029,ACME 1.0,08)``. Sequences around it
come first, with dots between. ``[0]`` is the first item of a sequence; without a number all items are meant. A VR may
follow: ``(0029,ACME 1.0,08):LO=value``. The dictionary is pydicom's; it takes 0.2 s to import.
"""

from __future__ import annotations

import re

from asyncstore.named_tuple import NamedTuple
from asyncstore.prepare import edit_values
from asyncstore.prepare.edits import SOP_CLASS_UID, SOP_INSTANCE_UID, Edit, Kind, Step
from asyncstore.prepare.elements import LONG_VRS, SHORT_VRS

_STEP = re.compile(
    r"(?:(?P<keyword>[A-Za-z][A-Za-z0-9]*)"
    r"|\((?P<group>[0-9A-Fa-f]{4}),\s*(?P<number>[0-9A-Fa-f]{4})\)"
    r"|\((?P<private>[0-9A-Fa-f]{4}),\s*(?P<creator>[^\s,\"][^,\"]*|\"[^\"]+\")\s*,\s*(?P<byte>[0-9A-Fa-f]{2})\))"
    r"(?:\[(?P<item>[0-9]{1,6})\])?"
)
_BEGINNING = re.compile(r"\([^)=]*\)?|[^\s=]*")
_VR = re.compile(r":([A-Za-z]{2})(?==|\Z)")
_VRS = frozenset(vr.decode() for vr in LONG_VRS | SHORT_VRS)
_EXAMPLE = "write a keyword such as PatientID, or a tag such as (0010,0020)"
_LONGEST_CREATOR = 64
"""PS3.5 6.2, VR LO."""

_CHARACTER_SET = 0x00080005
_PIXEL_GROUP = 0x7FE0
_DATA_GROUPS = range(0x0008, 0xFFFE)
_LATE_GROUPS = (0xFFFA, 0xFFFC)
_FIRST_PRIVATE = 0x1000
_SUFFIX = re.compile(r"\.?((?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*)", re.ASCII)
_MOST_SUFFIX = 32


class _Named(NamedTuple):
    """An element by its path, what its VR and multiplicity are, and the text behind it."""

    path: tuple[Step, ...]
    vr: str
    multiplicity: str
    rest: str


def set_of(text: str) -> Edit:
    """The edit that ``PATH=VALUE`` means.

    Raises:
        ValueError: it means none; the message says why, without the value.
    """
    named = _named(text)
    if not named.rest.startswith("="):
        raise ValueError(f"{_shown(text)} has no value: write PATH=VALUE")
    return setting(named, named.rest[1:])


def element_of(text: str) -> _Named:
    """The element that a path means, for :func:`setting`.

    Raises:
        ValueError: it means none.
    """
    named = _named(text)
    if named.rest:
        raise ValueError(f"nothing may follow {_shown(text)}: leave the rest out")
    return named


def setting(named: _Named, value: str) -> Edit:
    """The edit that gives an element a value.

    Raises:
        ValueError: the element cannot have it; the message does not show the value.
    """
    edit = Edit(Kind.SET, named.path, value, named.vr)
    _check_settable(edit, named)
    choices = named.vr.split(" or ") if named.vr else []
    problems = [_problem_of(vr, value) for vr in choices]
    if problems and all(problems):
        raise ValueError(f"{edit.name}: {problems[0]}")
    if choices:
        _check_multiplicity(edit, choices[0], named.multiplicity)
    return edit


def remove_of(text: str) -> Edit:
    """The edit that removes the element, or the item of a sequence, of this path.

    Raises:
        ValueError: the path means none.
    """
    named = element_of(text)
    last = named.path[-1]
    is_own = len(named.path) == 1
    if is_own and last.tag in (SOP_CLASS_UID, SOP_INSTANCE_UID):
        raise ValueError(f"{last} identifies the instance: without it no peer can store it")
    if is_own and last.tag == _CHARACTER_SET:
        raise ValueError(f"{last} says how texts are encoded: without it they would be misread")
    return Edit(Kind.REMOVE, named.path)


def suffix_of(text: str) -> str:
    """A suffix of UIDs, with the dot at its beginning.

    Raises:
        ValueError: it is none.
    """
    found = _SUFFIX.fullmatch(text)
    if found is None or len(found[0]) > _MOST_SUFFIX:
        raise ValueError(f"{text!r} cannot follow a UID: write numbers with dots between, such as .1 or .2026.7")
    return f".{found[1]}"


def _named(text: str) -> _Named:
    """Read the path at the beginning of a text.

    Raises:
        ValueError: there is none.
    """
    steps: list[Step] = []
    vr = multiplicity = ""
    position = 0
    while True:
        found = _STEP.match(text, position)
        if found is None:
            raise ValueError(_unreadable(text))
        step, vr, multiplicity = _step(found)
        steps.append(step)
        position = found.end()
        if not text.startswith(".", position):
            break
        if vr not in ("SQ", ""):
            raise ValueError(f"{step} is no sequence, so nothing can be in it")
        position += 1
    given = _VR.match(text, position)
    if given is not None:
        if given[1] not in _VRS:
            raise ValueError(f"{given[1]} is no VR")
        if vr and given[1] not in vr.split(" or "):
            raise ValueError(f"{steps[-1]} has the VR {vr}, not {given[1]}")
        vr, position = given[1], given.end()
    return _Named(tuple(steps), vr, multiplicity, text[position:])


def _step(found: re.Match[str]) -> tuple[Step, str, str]:
    """A step, and the VR and the multiplicity of its element; empty: not known."""
    item = None if found["item"] is None else int(found["item"])
    if found["creator"] is not None:
        return _private(found, item)
    from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword  # see the head

    if found["keyword"] is not None:
        tag = tag_for_keyword(found["keyword"])
        if tag is None:
            raise ValueError(f"{found['keyword']!r} is no keyword of the DICOM dictionary; {_EXAMPLE}")
    else:
        tag = int(found["group"] + found["number"], 16)
    step = Step(int(tag), "", item)
    _check_group(step)
    try:
        return step, dictionary_VR(tag), dictionary_VM(tag)
    except KeyError:
        return step, "", ""


def _private(found: re.Match[str], item: int | None) -> tuple[Step, str, str]:
    from pydicom.datadict import private_dictionary_VM, private_dictionary_VR  # see the head

    group, creator = int(found["private"], 16), found["creator"].strip(' "')
    step = Step(group << 16 | int(found["byte"], 16), creator, item)
    if not group & 1:
        raise ValueError(f"{step} has a private creator, but its group {group:04X} is even")
    if not creator.isascii() or len(creator) > _LONGEST_CREATOR:
        raise ValueError(f"{step}: a private creator has up to {_LONGEST_CREATOR} ASCII characters")
    _check_group(step)
    tag = step.tag | _FIRST_PRIVATE
    try:
        return step, private_dictionary_VR(tag, creator), private_dictionary_VM(tag, creator)
    except KeyError:
        return step, "", ""


def _check_group(step: Step) -> None:
    group = step.tag >> 16
    if group == 0x0002:  # noqa: PLR2004 - the group of file meta information
        raise ValueError(f"{step} is in file meta information, which is not sent; SOPInstanceUID is in the data set")
    is_behind_pixels = group > _PIXEL_GROUP and not group & 1 and group not in _LATE_GROUPS  # there are none
    if group not in _DATA_GROUPS or is_behind_pixels or (not step.creator and not step.tag & 0xFFFF):
        raise ValueError(f"{step} is no element that could be edited")


def _check_settable(edit: Edit, named: _Named) -> None:
    step = edit.path[-1]
    if step.item is not None:
        raise ValueError(f"{edit.name} is an item: name an element in it")
    if step.tag >> 16 in (_PIXEL_GROUP, *_LATE_GROUPS):
        raise ValueError(f"{step} stands with the pixel data or behind it: it can only be removed")
    if step.tag == _CHARACTER_SET:
        raise ValueError(f"{step} says how texts are encoded, and they would stay as they are")
    if named.vr == "SQ" and edit.value:
        raise ValueError(f"{edit.name} is a sequence: name an element in it, or give it no value to empty it")
    if len(edit.path) == 1 and not edit.value and step.tag in (SOP_CLASS_UID, SOP_INSTANCE_UID):
        raise ValueError(f"{step} identifies the instance: it cannot be empty")
    if step.tag >> 16 & 1 and not step.creator:
        raise ValueError(
            f"{step} is private: name its creator, as in ({step.tag >> 16:04X},CREATOR,{step.tag & 0xFF:02X})"
        )


def _problem_of(vr: str, value: str) -> str | None:
    """Why this is no value of this VR; ``None``: it is one."""
    try:
        edit_values.check(vr, value)
    except ValueError as problem:
        return str(problem)
    return None


def _check_multiplicity(edit: Edit, vr: str, multiplicity: str) -> None:
    """Check how many values there are (PS3.5 6.4); an empty value is allowed."""
    if not multiplicity or not edit.value or vr == "SQ":
        return
    count = len(edit_values.parts(vr, edit.value))
    least, _, most = multiplicity.partition("-")
    step = int(most[:-1] or 1) if most.endswith("n") else 1
    is_good = count >= int(least) and (
        count == int(least) if not most else count % step == 0 if most.endswith("n") else count <= int(most)
    )
    if not is_good:
        raise ValueError(f"{edit.name} has {count} values, and its VM is {multiplicity}")


def _unreadable(text: str) -> str:
    return f"{_shown(text)} names no element; {_EXAMPLE}"


def _shown(text: str) -> str:
    """A text without what may be a value."""
    found = _BEGINNING.match(text)
    return repr(found[0] if found else "")
