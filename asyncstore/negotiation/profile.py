"""DCMTK's association configuration files: from text to the proposal of one profile. Pure.

The format (``/etc/dcmtk/storescu.cfg`` is an example):

1. ``[[Supersection]]`` holds ``[Section]``, which holds ``Key = Value``. Names and keys ignore case. Only letters,
   digits, ``-`` and ``_`` count in them.
2. A line that begins with ``#`` is a comment. A line that begins with a space continues the value before it.
3. Entries of a list are numbered from 1 without a gap. Entries after a gap, repeated keys and unknown keys are ignored,
   as in DCMTK, but with a remark (:attr:`Profiled.remarks`).
4. Sections of the same name in one supersection form one list. A profile must not be repeated.
5. The whole file is checked, whichever profile is chosen. Errors name the file, the line and the key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeVar

from asyncstore.errors import UsageError
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation.names import names, uid_of
from asyncstore.negotiation.transcoding import NO_TRANSCODING, Transcoding
from asyncstore.protocol.associate import MOST_CONTEXTS, ExtendedNegotiation, ProposedContext, RoleSelection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from asyncstore.negotiation.contexts import Pair

T = TypeVar("T")
Item = TypeVar("Item", RoleSelection, ExtendedNegotiation)

_MOST_ENTRIES = MOST_CONTEXTS
"""Entries of a list: DCMTK's limit for transfer syntaxes, too."""
_MOST_INFORMATION = 1024
"""Bytes of extended negotiation for one SOP class: DCMTK's limit."""

_LONGEST_VALUE = 4096
"""Characters of a value; the longest, extended negotiation, has 2048 digits at most."""
_LONGEST_SHOWN = 80
"""Characters of a key or heading in a message."""

_HEADING = re.compile(r"(\[+)([^\[\]]*)(\]+)[ \t]*(.*)", re.DOTALL)
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)
"""DCMTK checks no more; 64 characters is the limit of PS3.5 9.1."""
_ROLES = {"SCU": (True, False), "SCP": (False, True), "BOTH": (True, True)}
"""Whether the SCU and the SCP role are proposed."""


class Profiled(NamedTuple):
    """The proposal of a profile, the same for all files; made by :func:`read_profile`.

    Attributes:
        proposed: the contexts, in the profile's order.
        remarks: lines for the file's author about ignored entries.
    """

    proposed: tuple[ProposedContext, ...]
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    remarks: tuple[str, ...] = ()
    needs_all_files: bool = False
    prefers_deflated: bool = False
    transcoding: Transcoding = NO_TRANSCODING

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:  # noqa: ARG002 - as of any proposal
        """The profile's contexts."""
        return self.proposed

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:  # noqa: ARG002 - as of any proposal
        """Always true: the proposal never changes."""
        return True

    def allowing(self, transcoding: Transcoding) -> Self:
        """The same contexts, with this transcoding."""
        return self._replace(transcoding=transcoding)


def read_profile(text: str, file: str, profile: str) -> Profiled:
    """The proposal of a profile.

    Args:
        text: the contents of the configuration file.
        file: its name, for messages.
        profile: the profile's name; case and spaces do not count.

    Raises:
        UsageError: the file has an error, or no such profile.
    """
    return _Reader(text, file).proposal(profile)


class _Entry(NamedTuple):
    key: str
    """As written in the file."""
    value: str
    line: int


class _Section(NamedTuple):
    name: str
    line: int
    entries: list[_Entry]


class _Context(NamedTuple):
    sop_class_uid: str
    transfer_syntaxes: tuple[str, ...]


class _Reader:
    """A configuration file, read and checked."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._remarks: list[str] = []
        self._supersections: dict[str, list[_Section]] = {}
        self._unknown: dict[str, int] = {}
        """Unknown supersections, and their lines."""
        self._read(text)
        self._transfer_syntaxes = self._lists("TransferSyntaxes", "TransferSyntax", self._uid)
        self._contexts = self._lists("PresentationContexts", "PresentationContext", self._context)
        self._roles = self._lists("SCPSCURoleSelection", "Role", self._role, is_optional=True)
        self._extended = self._lists("ExtendedNegotiation", "ExtendedNegotiation", self._extension, is_optional=True)
        self._profiles = dict(self._each_profile())

    def proposal(self, profile: str) -> Profiled:
        chosen = self._profiles.get(_plain(profile))
        if chosen is None:
            there_are = ", ".join(section.name for section in self._supersections["PROFILES"]) or "none at all"
            raise UsageError(f"{self._file}: it has no profile {profile!r}; there are: {there_are}")
        return chosen._replace(remarks=tuple(self._remarks))

    # Lines.

    def _read(self, text: str) -> None:
        sections: list[_Section] | None = None
        entries: list[_Entry] | None = None
        is_entry_open = False
        for line, content in _lines(text):
            rest = content.strip(" \t")
            if is_entry_open and entries and content[0] in " \t":
                entries[-1] = entries[-1]._replace(value=f"{entries[-1].value}\n{rest}")
                self._check_length(entries[-1])
                continue
            is_entry_open = False
            if rest.startswith("["):
                level, name, rest = self._heading(line, rest)
                if level > 1:
                    sections, entries = self._new_supersection(line, name), None
                elif sections is None:
                    self._refuse(line, f"[{name}]", "it stands in no [[supersection]]")
                else:
                    entries = []
                    sections.append(_Section(name, line, entries))
            if rest:
                key, value = self._key_and_value(line, rest)
                if entries is None:
                    self._refuse(line, key, "it stands in no [section]")
                entries.append(_Entry(key, value, line))
                self._check_length(entries[-1])
                is_entry_open = True

    def _check_length(self, entry: _Entry) -> None:
        if len(entry.value) > _LONGEST_VALUE:
            self._refuse(entry.line, entry.key, f"its value has more than {_LONGEST_VALUE} characters")

    def _heading(self, line: int, content: str) -> tuple[int, str, str]:
        """The level of a heading, its name, and the rest of the line."""
        found = _HEADING.fullmatch(content)
        if found is None or len(found[1]) != len(found[3]):
            self._refuse(line, content, "its brackets do not match")
        return len(found[1]), found[2].strip(), found[4]

    def _new_supersection(self, line: int, name: str) -> list[_Section]:
        key = _plain(name)
        if key in self._supersections:
            self._refuse(line, f"[[{name}]]", "it stands twice; one can hold all sections")
        if key not in _SUPERSECTIONS:
            self._unknown[name] = line
            self._remarks.append(f"{self._file}, line {line}: [[{name}]] means nothing here and is ignored")
        return self._supersections.setdefault(key, [])

    def _key_and_value(self, line: int, content: str) -> tuple[str, str]:
        key, equals, value = content.partition("=")
        if not equals or not _plain(key):
            self._refuse(line, content, "it is neither [a heading] nor key = value")
        return key.strip(), value.strip(" \t")

    # Lists.

    def _lists(
        self, name: str, stem: str, meaning: Callable[[_Entry], T], *, is_optional: bool = False
    ) -> dict[str, list[T]]:
        """The values in each section of a supersection, by the section's name."""
        sections = self._supersections.get(_plain(name))
        if sections is None and not is_optional:
            self._refuse_without(name, "nothing to propose")
        lists: dict[str, list[T]] = {}
        for section in sections or ():
            for entry in self._numbered(section, stem):
                values = lists.setdefault(_plain(section.name), [])
                value = meaning(entry)
                self._check_addition(entry, value, values)
                values.append(value)
        return lists

    def _numbered(self, section: _Section, stem: str) -> Iterator[_Entry]:
        """The entries of a section in the order of their numbers (rule 3)."""
        by_key: dict[str, _Entry] = {}
        for entry in section.entries:
            if by_key.setdefault(_plain(entry.key), entry) is not entry:
                self._ignore(entry, f"[{section.name}] has that key already")
        number = 1
        while (found := by_key.pop(_plain(f"{stem}{number}"), None)) is not None:
            yield found
            number += 1
        for entry in by_key.values():
            self._ignore(entry, f"[{section.name}] has no {stem}{number}, and what follows a gap does not count")

    def _check_addition(self, entry: _Entry, value: T, values: list[T]) -> None:
        """Refuse an entry if its list is full, or has a role or an extension for its SOP class already."""
        if len(values) == _MOST_ENTRIES:
            self._refuse(entry.line, entry.key, f"its list is too long: {_MOST_ENTRIES} entries are allowed")
        if isinstance(value, RoleSelection | ExtendedNegotiation):
            for other in values:
                if isinstance(other, type(value)) and other.sop_class_uid == value.sop_class_uid:
                    sop_class, _, _ = entry.value.partition("\\")
                    self._refuse(entry.line, entry.key, f"its list has {sop_class.strip()} already")

    # Values.

    def _uid(self, entry: _Entry, name: str | None = None) -> str:
        text = entry.value if name is None else name.strip()
        uid = text if text[:1].isdigit() else uid_of(text.removeprefix("="))
        if uid is None or not _UID.fullmatch(uid):
            self._refuse(entry.line, entry.key, f"{text!r} is neither a UID nor a name of one{_suggestion(text)}")
        return uid

    def _parts(self, entry: _Entry, second: str) -> tuple[str, str]:
        """The UID before the backslash, and the text after it."""
        first, backslash, rest = entry.value.partition("\\")
        if not backslash:
            self._refuse(entry.line, entry.key, f"{entry.value!r} lacks the backslash between SOP class and {second}")
        return self._uid(entry, first), rest.strip()

    def _context(self, entry: _Entry) -> _Context:
        uid, name = self._parts(entry, "list of transfer syntaxes")
        transfer_syntaxes = self._list(entry, name, "TransferSyntaxes", self._transfer_syntaxes)
        return _Context(uid, tuple(transfer_syntaxes))

    def _role(self, entry: _Entry) -> RoleSelection:
        uid, name = self._parts(entry, "role")
        roles = _ROLES.get(name.upper())
        if roles is None:
            self._refuse(entry.line, entry.key, f"{name!r} is none of SCU, SCP, BOTH")
        return RoleSelection(uid, *roles)

    def _extension(self, entry: _Entry) -> ExtendedNegotiation:
        uid, digits = self._parts(entry, "application information")
        if not re.fullmatch(f"([0-9A-Fa-f]{{2}}){{1,{_MOST_INFORMATION}}}", digits, re.ASCII):
            what = f"after the backslash 1 to {_MOST_INFORMATION} bytes are needed, of two hexadecimal digits each"
            self._refuse(entry.line, entry.key, what)
        return ExtendedNegotiation(uid, bytes.fromhex(digits))

    # Profiles.

    def _each_profile(self) -> Iterator[tuple[str, Profiled]]:
        """The profiles by name; each list that they name exists."""
        if "PROFILES" not in self._supersections:
            self._refuse_without("Profiles", "nothing to choose")
        known: set[str] = set()
        for section in self._supersections["PROFILES"]:
            if _plain(section.name) in known:
                self._refuse(section.line, f"[{section.name}]", "another profile has that name")
            known.add(_plain(section.name))
            yield _plain(section.name), self._profile(section)

    def _profile(self, section: _Section) -> Profiled:
        found: dict[str, _Entry] = {}
        for entry in section.entries:
            if _plain(entry.key) not in _PROFILE_KEYS:
                self._ignore(entry, "profiles have no such key")
            elif found.setdefault(_plain(entry.key), entry) is not entry:
                self._ignore(entry, f"[{section.name}] has that key already")
        if "PRESENTATIONCONTEXTS" not in found:
            self._refuse(section.line, f"[{section.name}]", "it names no PresentationContexts")
        named = found["PRESENTATIONCONTEXTS"]
        contexts = self._list(named, named.value, "PresentationContexts", self._contexts)
        proposed = {context.sop_class_uid for context in contexts}
        return Profiled(
            tuple(ProposedContext(2 * index + 1, *context) for index, context in enumerate(contexts)),
            self._further(found, "SCPSCURoleSelection", self._roles, proposed),
            self._further(found, "ExtendedNegotiation", self._extended, proposed),
        )

    def _list(self, entry: _Entry, name: str, supersection: str, lists: dict[str, list[T]]) -> list[T]:
        """The list of this name, which an entry names."""
        values = lists.get(_plain(name))
        if values is None:
            self._refuse(entry.line, entry.key, f"[[{supersection}]] has no list {name!r}, or an empty one")
        return values

    def _further(
        self, found: dict[str, _Entry], name: str, lists: dict[str, list[Item]], proposed: set[str]
    ) -> tuple[Item, ...]:
        """The roles or extensions that a profile names, each for a SOP class with a presentation context."""
        entry = found.get(_plain(name))
        items = () if entry is None else tuple(self._list(entry, entry.value, name, lists))
        for item in items:
            if entry is not None and item.sop_class_uid not in proposed:
                what = f"{entry.value!r} lists SOP class {item.sop_class_uid}, which has no presentation context here"
                self._refuse(entry.line, entry.key, what)
        return items

    # Complaints.

    def _ignore(self, entry: _Entry, reason: str) -> None:
        self._remarks.append(f"{self._file}, line {entry.line}: {entry.key} is ignored: {reason}")

    def _refuse_without(self, name: str, there_is: str) -> NoReturn:
        """Refuse the file because a supersection is missing; point to a misspelt one if there is one."""
        for misspelt in _close(name, self._unknown):
            self._refuse(
                self._unknown[misspelt], f"[[{misspelt}]]", f"there is no such supersection, did you mean [[{name}]]?"
            )
        raise UsageError(f"{self._file}: [[{name}]] is missing; without it there is {there_is}")

    def _refuse(self, line: int, key: str, cause: str) -> NoReturn:
        shown = key if len(key) <= _LONGEST_SHOWN else f"{key[:_LONGEST_SHOWN]}…"
        raise UsageError(f"{self._file}, line {line}: {shown}: {cause}")


_SUPERSECTIONS = frozenset(
    {"TRANSFERSYNTAXES", "PRESENTATIONCONTEXTS", "SCPSCUROLESELECTION", "EXTENDEDNEGOTIATION", "PROFILES"}
)
_PROFILE_KEYS = frozenset({"PRESENTATIONCONTEXTS", "SCPSCUROLESELECTION", "EXTENDEDNEGOTIATION"})


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and contents of the lines, without blank lines and comments; any system's line ends count."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip(" \t") and not line.startswith("#"):
            yield number, line


def _plain(name: str) -> str:
    """The significant characters of a name (rule 1)."""
    return re.sub(r"[^A-Z0-9_-]", "", name.upper())


def _suggestion(text: str) -> str:
    close = _close(text, names())
    return f", did you mean {close[0]}?" if close else ""


def _close(word: str, words: Iterable[str]) -> list[str]:
    """The most similar of ``words``, or none."""
    from difflib import get_close_matches  # only mistakes need it

    return get_close_matches(word, words, n=1)
