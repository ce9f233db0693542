"""``asyncstore send --dry-run``: what would be sent, in which presentation contexts, and what cannot be sent and why.

The files are walked and looked into exactly as a run would; no association is opened. Memory holds a line for each kind
of file, however many files there are.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from asyncstore.cli.engine import paths_of, refuse_missing, walk_of
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.file_format import format_of
from asyncstore.cli.loop import every
from asyncstore.cli.options import INPUTS, NO_HALT, PEER, PORT, PROGRESS, QUIET, REPEAT, WORKERS
from asyncstore.cli.proposal import proposal_of
from asyncstore.cli.wording import counted
from asyncstore.model import Instance, PairAnswer
from asyncstore.negotiation import Planned, pair_of
from asyncstore.negotiation.names import name_of
from asyncstore.network.addresses import address_of
from asyncstore.observe.readable import format_bytes, format_count, printable
from asyncstore.protocol.associate import MOST_CONTEXTS
from asyncstore.schedule.carriage import Carriage
from asyncstore.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncstore.cli.table import Parsed
    from asyncstore.model import Unsendable
    from asyncstore.negotiation import Pair, Proposal

_FRAME = 0.25
"""Seconds from one look at the count to the next."""


async def dry_run(parsed: Parsed) -> int:
    """Look into everything, print what was found, and return the exit code."""
    if not parsed[NO_HALT]:
        refuse_missing(parsed[INPUTS])
    findings = await look_into(parsed)
    findings.propose(proposal_of(parsed))
    if not parsed[QUIET]:
        times = f", each {parsed[REPEAT]} times" if parsed[REPEAT] > 1 else ""
        for line in findings.report(f"to {address_of(parsed[PEER], parsed[PORT])}: ", times):
            print(line)  # noqa: T201 - this is what was asked for
    return findings.exit_code


async def look_into(parsed: Parsed) -> Findings:
    """Look into everything that the command line names; on a terminal it is counted meanwhile."""
    findings = Findings()
    counter = _Counter(findings, shown=sys.stderr.isatty() and parsed[PROGRESS] != "off" and not parsed[QUIET])
    with paths_of(parsed) as paths, counter, every(_FRAME, counter.refresh):
        async for batch in survey(paths, walk_of(parsed), workers=parsed[WORKERS], file_format=format_of(parsed)):
            findings.add(batch)
    return findings


class Found(NamedTuple):
    """The instances of one pair of SOP class and transfer syntax.

    Attributes:
        pair: the pair, which needs a presentation context.
        instances: how many there are.
        bytes: of their data sets.
    """

    pair: Pair
    instances: int
    bytes: int


class Refused(NamedTuple):
    """The files that cannot be sent for one reason.

    Attributes:
        reason: why, in words.
        files: how many there are.
        example: the path of one.
    """

    reason: str
    files: int
    example: str


class Findings:
    """What was found, counted by kind.

    Attributes:
        instances: how many instances could be sent.
        bytes: of their data sets.
        unsendable: how many files could not.
        answers: what the peer says to each pair, if it was asked.
        asked: what gave the answers, in one word.
    """

    def __init__(self) -> None:
        self.instances = 0
        self.bytes = 0
        self.unsendable = 0
        self.answers: Mapping[Pair, PairAnswer] = {}
        self.asked = "peer"
        self._proposal: Proposal = Planned()
        self._pairs: dict[Pair, tuple[int, int]] = {}
        self._reasons: dict[str, tuple[int, str]] = {}

    def add(self, batch: Iterable[Instance | Unsendable]) -> None:
        """Count what was found."""
        for item in batch:
            if isinstance(item, Instance):
                self.instances += 1
                self.bytes += item.length
                pair = pair_of(item.sop_class_uid, item.transfer_syntax_uid)
                count, size = self._pairs.get(pair, (0, 0))
                self._pairs[pair] = (count + 1, size + item.length)
            else:
                self.unsendable += 1
                count, example = self._reasons.get(item.reason, (0, item.path))
                self._reasons[item.reason] = (count + 1, example)

    def propose(self, proposal: Proposal) -> None:
        """Say of each pair what a peer that accepts all of a proposal would get it in."""
        self._proposal = proposal
        if proposal == Planned():
            return
        self.asked = "is sent"
        contexts = proposal.contexts([found.pair for found in self.found])
        accepted = {(one.abstract_syntax, syntax): one.id for one in contexts for syntax in one.transfer_syntaxes}
        carriage = Carriage(proposal, contexts, accepted)
        self.answers = {pair: _proposed(pair, carriage.transfer_syntax(pair)) for pair in self._pairs}

    @property
    def found(self) -> list[Found]:
        """What could be sent, the most frequent first."""
        pairs = sorted(self._pairs.items(), key=lambda item: -item[1][0])
        return [Found(pair, count, size) for pair, (count, size) in pairs]

    @property
    def refused(self) -> list[Refused]:
        """What cannot be sent, the most frequent reason first."""
        reasons = sorted(self._reasons.items(), key=lambda item: -item[1][0])
        return [Refused(reason, count, example) for reason, (count, example) in reasons]

    @property
    def not_accepted(self) -> list[Found]:
        """What could be sent, if only the peer accepted it."""
        return [
            found for found in self.found if found.pair in self.answers and not self.answers[found.pair].is_accepted
        ]

    @property
    def exit_code(self) -> int:
        """What a command that found this ends with."""
        if not self.instances:
            return EXIT_NOT_ATTEMPTED
        return EXIT_NOT_STORED if self.unsendable or self.not_accepted else EXIT_OK

    def report(self, before: str = "", after: str = "") -> Iterator[str]:
        """What there is to say, line by line; the first line between these texts."""
        if not self.instances and not self.unsendable:
            yield "no files were found in what was named"
            return
        yield f"{printable(before)}{counted(self.instances, 'instance')}, {format_bytes(self.bytes)}{after}"
        if self._pairs:
            yield ""
            yield from self._pair_lines()
            yield ""
            yield self._contexts()
        if self._reasons:
            yield ""
            yield f"cannot be sent: {counted(self.unsendable, 'file')}"
            yield from self._reason_lines()

    def _pair_lines(self) -> Iterator[str]:
        """A table: how many instances of which SOP class in which transfer syntax, and what the peer says to them."""
        said = (self.asked,) if self.answers else ()
        rows: list[tuple[str, ...]] = [("instances", "data", *said, "SOP class", "transfer syntax")]
        for pair, count, size in self.found:
            said = (self.answers[pair].answer,) if pair in self.answers else ()
            rows.append((format_count(count), format_bytes(size), *said, *map(uid_name, pair)))
        yield from _aligned(rows)

    def _reason_lines(self) -> Iterator[str]:
        """A table: how many files cannot be sent for which reason."""
        rows = [
            (format_count(count), "", printable(reason), f"such as {printable(example)}")
            for reason, count, example in self.refused
        ]
        yield from _aligned(rows)

    def _contexts(self) -> str:
        """How many presentation contexts that takes."""
        needed = len(self._pairs)
        proposed = counted(len(self._proposal.contexts([found.pair for found in self.found])), "presentation context")
        if self._proposal != Planned():
            return f"{proposed} to propose"
        contexts = f"{proposed} to propose: one for each line, and what can be converted to"
        if needed <= MOST_CONTEXTS:
            return contexts
        return f"{contexts}; an association takes {MOST_CONTEXTS}, so not every association will carry every file"


def uid_name(uid: str) -> str:
    """What a UID is called; private ones have no name."""
    return printable(name_of(uid))


def _proposed(pair: Pair, transfer_syntax: str | None) -> PairAnswer:
    if transfer_syntax is None:
        return PairAnswer(*pair, is_accepted=False, answer="not at all")
    return PairAnswer(*pair, is_accepted=True, answer="as it is" if transfer_syntax == pair[1] else "converted")


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows with their columns below one another: two numbers, then texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[:2], widths, strict=False)]
        cells += [f"{cell:<{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


class _Counter:
    """Counts on a terminal while the files are looked into, and leaves nothing behind."""

    def __init__(self, findings: Findings, *, shown: bool) -> None:
        self._findings = findings
        self._shown = shown

    def __enter__(self) -> None:
        """Nothing is shown yet."""

    def __exit__(self, *_: object) -> None:
        self._write("")

    def refresh(self) -> None:
        """Show the count as it is now."""
        self._write(f"{counted(self._findings.instances + self._findings.unsendable, 'file')} looked into")

    def _write(self, text: str) -> None:
        if not self._shown:
            return
        try:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        except OSError:
            self._shown = False
