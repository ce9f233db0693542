"""What ``asyncstore send --journal`` takes from a catalogue instead of a walk, and the lists that choose from it.

Rules:

1. The catalogue is sent if no files are named. Named files are walked, so that new ones are found, unless an option
   needs the catalogue: then they must be those that were scanned.
2. Orders by study and ``--conflicts hold`` need a complete catalogue.
3. A list holds a UID a line. It is read line by line into a temporary table, so memory stays flat.
4. Nothing is written before everything is checked.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncstore.cataloguing import FromCatalogue
from asyncstore.cli.engine import sources_of
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.discovery.lists import files_from
from asyncstore.errors import JournalMissing, UsageError
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.values import State
from asyncstore.named_files import refusing
from asyncstore.observe.formatting import counted, format_count, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.journal.journal import Journal
    from asyncstore.observe.jsonlines import JsonLines

_UID = re.compile(r"[0-9A-Za-z.]{1,64}", re.ASCII)
"""PS3.5 9.1: at most 64 characters. Real archives have letters in some."""
_LISTS = (opt.ONLY_STUDIES, opt.ONLY_UIDS)
_BY_STUDY = (Order.NEWEST, Order.OLDEST, Order.LARGEST)
_HOLD = "hold"
_MOST_EXAMPLES = 5


class Selection:
    """What is sent of a catalogue.

    Attributes:
        missing: how many listed UIDs the catalogue does not have; ``None``: there is no list.
    """

    def __init__(self, parsed: Parsed, journal: str, catalogue: Catalogue) -> None:
        self.missing: int | None = None
        self._journal = printable(journal)
        self._catalogue = catalogue
        self._order = Order(parsed[opt.ORDER])
        self._holds = parsed[opt.CONFLICTS] == _HOLD
        self._is_complete = catalogue.is_complete
        self._conflicts = catalogue.conflicts
        self._not_found: list[str] = []
        """The first of them."""
        self._list, self._missing = _chosen(parsed, catalogue)
        self._recording: FromCatalogue | None = None

    def recording(self, journal: Journal, again: Collection[State], *, minds_clashes: bool) -> FromCatalogue:
        """What a run asks its journal and writes into it."""
        self._conflicts = self._conflicts if minds_clashes else 0
        self._recording = FromCatalogue(
            journal, self._catalogue, again, self._order, holds_conflicts=self._holds, minds_clashes=minds_clashes
        )
        return self._recording

    @property
    def greeting(self) -> str:
        """Where the files come from, in a line."""
        return f"files come from the catalogue in {self._journal}; scan again to have new ones found"

    def look_for_missing(self, json_lines: JsonLines | None) -> None:
        """Count the listed UIDs that the catalogue does not have, before the run begins.

        Raises:
            JournalError: the journal cannot be read.
        """
        if self._missing is None:
            return
        self.missing = 0
        for uid in self._missing:
            self.missing += 1
            if len(self._not_found) < _MOST_EXAMPLES:
                self._not_found.append(uid)
            if json_lines is not None:
                json_lines.not_found(uid)

    def details(self) -> Iterator[str]:
        """Lines of the summary."""
        if self.missing:
            are = "UID is" if self.missing == 1 else "UIDs are"
            more = ", …" if self.missing > len(self._not_found) else ""
            named = f"{', '.join(map(printable, self._not_found))}{more}"
            yield f"{format_count(self.missing)} {are} in {self._list} and not in the catalogue: {named}"
        if self._recording is not None and self._recording.copies:
            copies = counted(self._recording.copies, "file")
            yield f"Not sent again: {copies} with the SOP instance UID and the bytes of a stored one."
        if self._conflicts and not self._holds:
            yield (
                f"{counted(self._conflicts, 'file')} of the catalogue conflict: same SOP instance UID, other bytes. "
                f"{opt.CONFLICTS.long} hold holds them back; asyncstore scan names them."
            )
        if not self._is_complete:
            yield "The catalogue is not complete, so there may be more files: give its scan command again."


def selection_of(parsed: Parsed, journal: str) -> Selection | None:
    """What is sent of the catalogue in a journal; ``None``: files are walked.

    Raises:
        JournalError: the journal cannot be read.
        UsageError: an option needs a catalogue, a complete one, or a list that can be read.
    """
    lists = (parsed[opt.FILES_FROM], parsed[source_opt.DICOMDIR])
    is_named = bool(parsed[opt.INPUTS]) or any(name is not None for name in lists)
    needed: list[Option[object]] = [row for row in (opt.ORDER, *_LISTS, opt.CONFLICTS) if parsed[row] != row.default]
    if is_named and not needed:
        return None  # the journal may be empty: its first run was killed
    catalogue = None
    with suppress(JournalMissing):
        catalogue = Catalogue(journal, tuple(State))
    if catalogue is None:
        raise _none(journal, needed)
    try:
        _confirm(parsed, journal, catalogue, needed, is_named=is_named)
        return Selection(parsed, journal, catalogue)
    except BaseException:
        catalogue.close()
        raise


def _confirm(
    parsed: Parsed, journal: str, catalogue: Catalogue, needed: list[Option[object]], *, is_named: bool
) -> None:
    """Check that the catalogue can be sent.

    Raises:
        UsageError: it cannot.
    """
    sources = set(catalogue.sources)
    if not sources:
        raise _none(journal, needed)
    if is_named and (parsed[opt.FILES_FROM] is not None or set(sources_of(parsed)) != sources):
        error = UsageError(f"{needed[0].long} needs a catalogue, and the one in {journal} is of other files")
        error.add_note("Name no files to send the catalogue, or those that were scanned.")
        raise error
    if catalogue.has_members and not parsed[source_opt.ARCHIVES]:
        error = UsageError(f"the catalogue in {journal} has files in archives")
        error.add_note(f"Give {source_opt.ARCHIVES.long}, so that they are opened.")
        raise error
    for unfit in (opt.REPEAT, opt.RENAME):
        if parsed[unfit] != unfit.default:
            raise UsageError(f"{unfit.long} cannot be used with files from a catalogue")
    _check_order(parsed, journal, is_complete=catalogue.is_complete)


def _check_order(parsed: Parsed, journal: str, *, is_complete: bool) -> None:
    """Check what order and conflicts need.

    Raises:
        UsageError: it is not there.
    """
    order = Order(parsed[opt.ORDER])
    if order is Order.LIST and not any(parsed[row] for row in _LISTS):
        raise UsageError(f"{opt.ORDER.long} list needs {' or '.join(row.long for row in _LISTS)}")
    holds = parsed[opt.CONFLICTS] == _HOLD
    if not is_complete and (holds or order in _BY_STUDY):
        what = f"{opt.CONFLICTS.long} {_HOLD}" if holds else f"{opt.ORDER.long} {order}"
        error = UsageError(f"{what} needs a complete catalogue, and the scan of {journal} did not end")
        error.add_note("Give the scan command again: it goes on where it ended.")
        raise error


def _none(journal: str, needed: list[Option[object]]) -> UsageError:
    """There is no catalogue."""
    what = f"{needed[0].long} needs a catalogue" if needed else "no file or directory is given"
    error = UsageError(f"{what}, and there is no catalogue in {journal}")
    error.add_note(f"asyncstore scan {opt.JOURNAL.long} {journal} PATHS makes one.")
    return error


def _chosen(parsed: Parsed, catalogue: Catalogue) -> tuple[str, Iterator[str] | None]:
    """Take only what the list names. Returns the list's name, and the UIDs that the catalogue lacks."""
    for row, choose in zip(_LISTS, (catalogue.only_studies, catalogue.only_instances), strict=True):
        name = parsed[row]
        if name is not None:
            return printable(name), choose(_uids(row, name))
    return "", None


def _uids(row: Option[str | None], name: str) -> Iterator[str]:
    """The UIDs in a list.

    Raises:
        UsageError: it cannot be read, names none, or holds something else.
    """
    complaint = f"{row.long} {name}"
    is_empty = True
    with refusing(f"{complaint}: cannot read it"), open(name, "rb", buffering=0) as file:
        for line in files_from(file):
            uid = line.strip()
            if not uid:
                continue
            if not _UID.fullmatch(uid):
                raise UsageError(f"{complaint}: {printable(uid[:80])!r} is no UID")
            is_empty = False
            yield uid
    if is_empty:
        raise UsageError(f"{complaint}: it names no UID")
