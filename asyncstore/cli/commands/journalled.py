"""The journal of a command: opened from its options, closed at its end, and the words that repeat the command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncstore import __version__
from asyncstore.cli.engine import conversion_of, sources_of
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import edit_rows as edit_opt
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.grammar import END_OF_OPTIONS
from asyncstore.cli.options.kinds import Secret
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import format_count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncstore.cli.commands.selection import Selection
    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.journal.journal import Journal
    from asyncstore.recording import Recording

_EDITING: tuple[Option[object], ...] = (*opt.INVENTIONS, opt.DISABLE_NEW_VR, opt.REPEAT, edit_opt.REPAIR)
"""The options that change what the peer gets, besides those of :mod:`asyncstore.cli.editing`."""

_NOT_REPEATED: tuple[Option[object], ...] = (
    opt.JOURNAL, opt.RETRY_FAILED, opt.RETRY_NOT_SENT, opt.JOURNAL_ON_NETWORK, opt.PEER_MOVED,
)  # fmt: skip
"""These are given anew to a repeated command, or concern one run only."""


class RunJournal(NamedTuple):
    """The journal of one run."""

    journal: Journal
    recording: Recording
    """Looks up files in it and records outcomes."""
    selection: Selection | None
    """What is sent of the catalogue; ``None``: files are walked."""

    @property
    def greeting(self) -> str | None:
        """What earlier runs did, in a line; ``None`` for the first run."""
        if self.journal.run == 1:
            return None
        done = format_count(self.journal.stored_before)
        return f"run {self.journal.run} of the journal {printable(self.journal.path)}: earlier runs stored {done}"

    async def second_pass(self, first: int) -> Recording:
        """What a further pass asks the journal, which sends again what the peer refused.

        Args:
            first: the ordinal of its first file.

        Raises:
            JournalError: the journal can no longer be written.
        """
        from asyncstore.recording import SecondPass

        await self.journal.recorded()
        return SecondPass(self.journal, first)


@contextmanager
def journal_of(parsed: Parsed) -> Iterator[RunJournal | None]:
    """The journal that the options name, for a run of ``send``; it is closed at the end.

    Raises:
        JournalError: it cannot be used.
    """
    path = parsed[opt.JOURNAL]
    if path is None:
        yield None
        return
    from asyncstore.cli.commands.selection import selection_of  # few runs have a journal
    from asyncstore.cli.editing import hidden_edits, shown_edits
    from asyncstore.journal.journal import Journal
    from asyncstore.journal.lookup import NOT_ENDED
    from asyncstore.journal.settings import Migration
    from asyncstore.journal.values import State
    from asyncstore.recording import Recording

    migration = Migration(
        parsed[opt.PEER],
        parsed[opt.PORT],
        parsed[opt.CALLING_AE_TITLE],
        parsed[opt.CALLED_AE_TITLE],
        (*((row.long, str(parsed[row])) for row in _EDITING if row in parsed), *shown_edits(parsed)),
        hidden_edits(parsed),
    )
    again = set(NOT_ENDED)
    if parsed[opt.RETRY_FAILED]:
        again.add(State.FAILED)
    if parsed[opt.RETRY_NOT_SENT]:
        again.add(State.NOT_SENT)
    selection = selection_of(parsed, path)  # before a journal is made
    with Journal.open(
        path,
        migration,
        version=__version__,
        command=_repeatable(parsed.words),
        allow_network=parsed[opt.JOURNAL_ON_NETWORK],
        peer_moved=parsed[opt.PEER_MOVED],
    ) as journal:
        recording = Recording(journal, again, parsed[opt.REPEAT])
        if selection is None:
            journal.begin_walk(sources_of(parsed))
        else:
            recording = selection.recording(journal, again, minds_clashes=conversion_of(parsed).invent is None)
        yield RunJournal(journal, recording, selection)


def _repeatable(words: Sequence[str]) -> list[str]:
    """The words of a command, without secrets and without the options of its journal."""
    left_out = {
        row.long: len(row.kind.names)
        for row in cmd.SEND.options()
        if isinstance(row.kind, Secret) or row in _NOT_REPEATED
    }
    repeated: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == END_OF_OPTIONS:
            return [*repeated, word, *rest]
        for _ in range(left_out.get(word, 0)):
            next(rest, None)
        if word not in left_out:
            repeated.append(word)
    return repeated
