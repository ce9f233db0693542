"""The reasons why files were not stored, counted by kind.

Rules:

1. A reason has parts, from general to specific (:class:`~asyncstore.model.Reason`): its kind, its subject, details.
   In plain text, colons separate the parts: ``cannot be opened: Permission denied``.
2. Tags, UIDs and numbers in the kind of a plain text differ from file to file. They become its subject, and ``…``
   replaces them in the kind.
3. Memory stays flat: the numbers of kinds and of subjects are limited.
4. If there is no room for all reasons, the most frequent kinds are named, with their most frequent subjects.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from asyncstore.model import Reason
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MOST_KINDS = 200
"""Further kinds are counted together; there are some fifty."""
_MOST_SUBJECTS = 100
"""Further subjects of a kind are counted together."""
_OTHERS = "other reasons"

_COLON = ": "
_VALUE = r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)|\b\d[\d.]*\b"
"""A tag, a UID or a number."""


class Detail(NamedTuple):
    """The files of one kind of reason that have the same subject."""

    text: str
    """The subject, and the details that all files share."""
    files: int
    example: str
    reason: str
    """The whole reason, or its parts that all files share."""


class Group(NamedTuple):
    """The files of one kind of reason."""

    text: str
    """The kind; the whole reason if there is only one subject."""
    files: int
    example: str
    """The path of the first of them."""
    details: tuple[Detail, ...]
    """By subject, the most frequent first; empty if there is only one."""

    @property
    def parts(self) -> tuple[Detail, ...]:
        """The details; if there are none, the group itself as one."""
        return self.details or (Detail(self.text, self.files, self.example, self.text),)


class Row(NamedTuple):
    """An entry in a list of reasons."""

    text: str
    files: int | None = None
    """The number of files; ``None``: ``text`` is the path of an example."""
    is_detail: bool = False


class Reasons:
    """Counts the reasons of one result."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, reason: str, path: str, files: int = 1) -> None:
        """Count the file at ``path`` with this reason, or several files of which it is the first."""
        kind, *rest = parts_of(reason)
        counted = self._kinds.get(kind)
        if counted is None:
            if len(self._kinds) >= _MOST_KINDS:
                reason, kind, rest = _OTHERS, _OTHERS, []
            counted = self._kinds.setdefault(kind, _Kind(path))
        counted.add(reason, rest[0] if rest else "", path, files)

    def groups(self) -> list[Group]:
        """The kinds, the most frequent first."""
        return sorted((kind.group(name) for name, kind in self._kinds.items()), key=lambda group: -group.files)


class _Subject:
    """Files of one kind whose reasons have the same subject."""

    def __init__(self, reason: str, path: str) -> None:
        self.files = 0
        self.example = path
        self.reason: str | None = reason
        """The reason of all of them; ``None`` if their reasons differ."""
        self.parts = parts_of(reason)
        """The first parts, as far as they are the same for all files."""

    def count(self, reason: str, files: int) -> None:
        self.files += files
        if self.reason != reason:
            self.reason = None
            pairs = zip(self.parts, parts_of(reason), strict=False)
            self.parts = tuple(ours for ours, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Kind:
    """Files whose reasons are of one kind."""

    def __init__(self, path: str) -> None:
        self._example = path
        self._subjects: dict[str, _Subject] = {}

    def add(self, reason: str, subject: str, path: str, files: int) -> None:
        counted = self._subjects.get(subject)
        if counted is None:
            if len(self._subjects) >= _MOST_SUBJECTS:
                reason = subject = _OTHERS
            counted = self._subjects.setdefault(subject, _Subject(reason, path))
        counted.count(reason, files)

    def group(self, kind: str) -> Group:
        files = sum(subject.files for subject in self._subjects.values())
        details = [_detail(subject) for subject in self._subjects.values()]
        if len(details) == 1:
            return Group(details[0].reason, files, self._example, ())
        return Group(kind, files, self._example, tuple(sorted(details, key=_by_files)))


def _detail(subject: _Subject) -> Detail:
    text = _COLON.join(subject.parts[1:] or subject.parts)
    return Detail(text, subject.files, subject.example, subject.reason or _COLON.join(subject.parts))


def _by_files(detail: Detail) -> tuple[bool, int]:
    """The most frequent first; those that were counted together last."""
    return detail.text == _OTHERS, -detail.files


def parts_of(reason: str) -> tuple[str, ...]:
    """The parts of a reason (rules 1 and 2)."""
    if isinstance(reason, Reason):
        return reason.parts
    kind, *rest = reason.split(_COLON)
    values = re.findall(_VALUE, kind)
    return (re.sub(_VALUE, "…", kind), ", ".join(values), *rest) if values else (kind, *rest)


def selection(groups: Sequence[Group], most: int, height: Callable[[str], int] = lambda _: 1) -> Iterator[Row]:
    """The reasons that fit into ``most`` lines: kinds with an example each, and subjects (rule 4).

    Args:
        groups: the reasons, the most frequent first.
        most: the number of lines. The first kind is always named.
        height: the number of lines that the text of a group takes; an example and a subject take one.
    """
    named = _named(groups, most, height)
    is_more = named < len(groups)
    left = max(most - sum(height(group.text) for group in groups[:named]) - is_more, 0)
    for group in groups[:named]:
        yield Row(group.text, group.files)
        room = min(max(_FEWEST_LINES, left // named), left)
        rows = [Row(group.example), *_details(group.details, room - 1)] if room else []
        left -= len(rows)
        yield from rows
    if is_more:
        more = len(groups) - named
        files = sum(group.files for group in groups[named:])
        yield Row(f"for {more} more reason{'s' if more > 1 else ''}", files)


_FEWEST_LINES = 4
"""The least number of lines for the example and the subjects of a kind."""


def _named(groups: Sequence[Group], most: int, height: Callable[[str], int]) -> int:
    """The number of kinds that can be named. The subjects of the most frequent kind go before the rarest kinds."""
    room = most - (_FEWEST_LINES if groups and groups[0].details else 0)
    for number, group in enumerate(groups):
        room -= height(group.text)
        is_last = number == len(groups) - 1
        if number and room < (not is_last):
            return number
    return len(groups)


def _details(details: Sequence[Detail], room: int) -> Iterator[Row]:
    """The subjects that fit into ``room`` lines, and the number of files with other subjects."""
    shown = len(details) if len(details) <= room else max(room - 1, 0)
    for detail in details[:shown]:
        yield Row(detail.text, detail.files, is_detail=True)
    left = details[shown:]
    if shown and left:
        are_counted = all(one.text != _OTHERS for one in left)
        text = f"and {len(left)} more" if are_counted else "and others"
        yield Row(text, sum(one.files for one in left), is_detail=True)
