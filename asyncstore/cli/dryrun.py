"""``asyncstore send --dry-run``: what would be sent, in which presentation contexts, and what cannot be sent and why.

The files are walked and looked into exactly as a run would; no association is opened. Memory holds a line for each kind
of file, however many files there are.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pydicom.uid import UID

from asyncstore.cli.engine import format_of, paths_of, refuse_missing, walk_of
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED, EXIT_NOT_STORED, EXIT_OK
from asyncstore.cli.loop import every
from asyncstore.cli.options import INPUTS, NO_HALT, PEER, PORT, PROGRESS, QUIET, REPEAT, WORKERS
from asyncstore.cli.wording import counted
from asyncstore.model import Instance
from asyncstore.negotiation import pair_of
from asyncstore.observe.readable import format_bytes, format_count, printable
from asyncstore.protocol.associate import MOST_CONTEXTS
from asyncstore.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncstore.cli.table import Parsed
    from asyncstore.model import Unsendable
    from asyncstore.negotiation import Pair

_FRAME = 0.25
"""Seconds from one look at the count to the next."""


async def dry_run(parsed: Parsed) -> int:
    """Look into everything, print what was found, and return the exit code."""
    if not parsed[NO_HALT]:
        refuse_missing(parsed[INPUTS])
    findings = Findings()
    counter = _Counter(findings, shown=sys.stderr.isatty() and parsed[PROGRESS] != "off" and not parsed[QUIET])
    with paths_of(parsed) as paths, counter, every(_FRAME, counter.refresh):
        async for batch in survey(paths, walk_of(parsed), workers=parsed[WORKERS], file_format=format_of(parsed)):
            findings.add(batch)
    if not parsed[QUIET]:
        for line in findings.report(f"{parsed[PEER]}:{parsed[PORT]}", parsed[REPEAT]):
            print(line)  # noqa: T201 - this is what was asked for
    if not findings.instances:
        return EXIT_NOT_ATTEMPTED
    return EXIT_NOT_STORED if findings.unsendable else EXIT_OK


class Findings:
    """What was found, counted by kind.

    Attributes:
        instances: how many instances could be sent.
        bytes: of their data sets.
        unsendable: how many files could not.
    """

    def __init__(self) -> None:
        self.instances = 0
        self.bytes = 0
        self.unsendable = 0
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

    def report(self, peer: str, repeat: int) -> Iterator[str]:
        """What there is to say, line by line."""
        if not self.instances and not self.unsendable:
            yield "no files were found in what was named"
            return
        times = f", each {repeat} times" if repeat > 1 else ""
        yield f"to {printable(peer)}: {counted(self.instances, 'instance')}, {format_bytes(self.bytes)}{times}"
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
        """A table: how many instances of which SOP class in which transfer syntax."""
        rows = [("instances", "data", "SOP class", "transfer syntax")]
        for (sop_class, syntax), (count, size) in sorted(self._pairs.items(), key=lambda item: -item[1][0]):
            rows.append((format_count(count), format_bytes(size), _name(sop_class), _name(syntax)))
        yield from _aligned(rows)

    def _reason_lines(self) -> Iterator[str]:
        """A table: how many files cannot be sent for which reason."""
        rows = [
            (format_count(count), "", printable(reason), f"such as {printable(example)}")
            for reason, (count, example) in sorted(self._reasons.items(), key=lambda item: -item[1][0])
        ]
        yield from _aligned(rows)

    def _contexts(self) -> str:
        """How many presentation contexts that takes."""
        needed = len(self._pairs)
        contexts = f"{counted(needed, 'presentation context')} to propose, one for each line"
        if needed <= MOST_CONTEXTS:
            return contexts
        return f"{contexts}; an association takes {MOST_CONTEXTS}, so not every association will carry every file"


def _name(uid: str) -> str:
    """What a UID is called; private ones have no name."""
    return printable(UID(uid).name)


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    """The rows with their columns below one another: two numbers, two texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for count, size, text, more in rows:
        line = f"  {count:>{widths[0]}}  {size:>{widths[1]}}  {text:<{widths[2]}}  {more}"
        yield line.rstrip()


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
