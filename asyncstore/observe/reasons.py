"""Why files were not stored, counted by kind.

Rules:

1. A reason has parts, from what many files have in common to what few have (:class:`~asyncstore.model.Reason`): its
   kind, then its subject, then more of it. Colons part a plain text: ``cannot be opened: Permission denied``.
2. Tags, UIDs and numbers in the kind of a plain text differ from file to file as well: they are its subject, and ``…``
   stands for them.
3. Memory stays flat, however many files fail for however many reasons.
4. Where there is no room for all of it, the most frequent kinds are named, with their most frequent subjects.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MOST_KINDS = 200
"""Kinds beyond which new ones are not counted apart; there are some fifty."""
_MOST_SUBJECTS = 100
"""Subjects of one kind beyond which new ones are not counted apart."""
_OTHERS = "other reasons"

_COLON = ": "
_VALUE = re.compile(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)|\b\d[\d.]*\b")
"""A tag, a UID or a number."""


class Detail(NamedTuple):
    """The files of one kind of reason that have the same subject."""

    text: str
    """The subject, with as much of the details as is the same for all files."""
    files: int
    example: str
    reason: str
    """The whole reason, as far as it is the same for all files."""


class Group(NamedTuple):
    """The files of one kind of reason."""

    text: str
    """The kind, with as much of the rest as is the same for all files."""
    files: int
    example: str
    """The path of the first of them."""
    details: tuple[Detail, ...]
    """By subject, the most frequent first; empty where there is only one."""


class Row(NamedTuple):
    """A line, or some, of a list of reasons."""

    text: str
    files: int | None = None
    """How many; ``None``: ``text`` is the path of an example."""
    is_detail: bool = False


class Reasons:
    """Counts reasons."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, reason: str, path: str) -> None:
        """The file at ``path`` has this reason."""
        kind, *rest = parts_of(reason)
        counted = self._kinds.get(kind)
        if counted is None:
            if len(self._kinds) >= _MOST_KINDS:
                reason, kind, rest = _OTHERS, _OTHERS, []
            counted = self._kinds.setdefault(kind, _Kind(path))
        counted.add(reason, rest[0] if rest else "", path)

    def groups(self) -> list[Group]:
        """The kinds, the most frequent first."""
        return sorted((kind.group(name) for name, kind in self._kinds.items()), key=lambda group: -group.files)


class _Alike:
    """Files that have something of their reason in common."""

    def __init__(self, reason: str, path: str) -> None:
        self.files = 0
        self.example = path
        self.reason: str | None = reason
        """``None``: they have not all the same."""
        self.parts = parts_of(reason)
        """Those that they have in common."""

    def count(self, reason: str) -> None:
        self.files += 1
        if self.reason != reason:
            self.reason = None
            pairs = zip(self.parts, parts_of(reason), strict=False)
            self.parts = tuple(ours for ours, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Kind:
    """Files that have a kind of reason in common."""

    def __init__(self, path: str) -> None:
        self._example = path
        self._subjects: dict[str, _Alike] = {}

    def add(self, reason: str, subject: str, path: str) -> None:
        alike = self._subjects.get(subject)
        if alike is None:
            if len(self._subjects) >= _MOST_SUBJECTS:
                reason = subject = _OTHERS
            alike = self._subjects.setdefault(subject, _Alike(reason, path))
        alike.count(reason)

    def group(self, kind: str) -> Group:
        files = sum(alike.files for alike in self._subjects.values())
        details = [_detail(alike) for alike in self._subjects.values()]
        if len(details) == 1:
            return Group(details[0].reason, files, self._example, ())
        return Group(kind, files, self._example, tuple(sorted(details, key=lambda detail: -detail.files)))


def _detail(alike: _Alike) -> Detail:
    text = _COLON.join(alike.parts[1:] or alike.parts)
    return Detail(text, alike.files, alike.example, alike.reason or _COLON.join(alike.parts))


def parts_of(reason: str) -> tuple[str, ...]:
    """The parts of a reason (rules 1 and 2)."""
    if isinstance(reason, Reason):
        return reason.parts
    kind, *rest = reason.split(_COLON)
    values = _VALUE.findall(kind)
    return (_VALUE.sub("…", kind), ", ".join(values), *rest) if values else (kind, *rest)


def selection(groups: Sequence[Group], most: int, height: Callable[[str], int] = lambda _: 1) -> Iterator[Row]:
    """What fits of these reasons into ``most`` lines: kinds with an example each, and subjects (rule 4).

    Args:
        groups: the reasons, the most frequent first.
        most: how many lines there may be. The first kind is named in any case.
        height: how many lines the text of a group takes; an example and a subject take one.
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
"""Lines for the example and the subjects of a kind, as long as there are any: fewer say little of its subjects."""


def _named(groups: Sequence[Group], most: int, height: Callable[[str], int]) -> int:
    """How many kinds can be named; the subjects of the most frequent one are worth more than the rarest kinds."""
    room = most - (_FEWEST_LINES if groups and groups[0].details else 0)
    for number, group in enumerate(groups):
        room -= height(group.text)
        is_last = number == len(groups) - 1
        if number and room < (not is_last):
            return number
    return len(groups)


def _details(details: Sequence[Detail], room: int) -> Iterator[Row]:
    """The subjects that fit into this many lines, and how many files have others."""
    shown = len(details) if len(details) <= room else max(room - 1, 0)
    for detail in details[:shown]:
        yield Row(detail.text, detail.files, is_detail=True)
    if 0 < shown < len(details):
        yield Row(f"and {len(details) - shown} more", sum(one.files for one in details[shown:]), is_detail=True)
