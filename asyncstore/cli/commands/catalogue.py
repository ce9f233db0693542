"""The catalogue of ``asyncstore scan --journal``: made from the files of a walk, and shown from the journal.

Rules:

1. A file that the catalogue knows and that has not changed is not opened again, so the same command goes on after an
   interrupt or a crash.
2. The first SIGINT or SIGTERM ends the walk; files under way are still recorded. The second ends the scan at once.
3. Figures are those of the whole catalogue, also if several scans made it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from asyncstore.cataloguing import Cataloguing
from asyncstore.cli.choices import format_of
from asyncstore.cli.commands.findings import Findings, count_line, decompressed_sizes
from asyncstore.cli.engine import conversion_of, paths_of, sources_of, walk_of
from asyncstore.cli.loop import every
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.cli.text.page import aligned, broken
from asyncstore.cli.text.uid_names import uid_name
from asyncstore.journal.content import clashes, content, kinds, studies_of_many_patients, unsendable
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import COMPLETED
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import counted, format_bytes, format_count, printable
from asyncstore.prepare.converter import transcoding_of
from asyncstore.prepare.pool import Pool
from asyncstore.surveying import Survey, ended
from asyncstore.waiting import called_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from asyncstore.cli.options.table import Parsed
    from asyncstore.journal.content import ClashingPair, Content
    from asyncstore.journal.journal import Journal

_FRAME = 0.25
"""Seconds between updates of the count."""
_MOST_EXAMPLES = 5
_INTERRUPTED = "interrupted"
_UNMEASURED = "no codec was installed, or the version of asyncstore was an earlier one, when they were found"


class Scan:
    """A scan that fills a catalogue.

    Attributes:
        is_interrupted: whether a signal ended it.
        found: how many files it found.
        known: how many of them the catalogue had already.
        brought_home: how many of them are stored, as a salvaged journal says, which did not know their folder.
        opens_archives: whether it looks into archives.
    """

    def __init__(self, parsed: Parsed, journal: Journal) -> None:
        self.is_interrupted = False
        self.found = 0
        self.brought_home = 0
        self._parsed = parsed
        self._journal = journal
        self._recording = Cataloguing(journal)
        self._decodable = transcoding_of(conversion_of(parsed)).decodable
        self.opens_archives = parsed[source_opt.ARCHIVES]
        self._survey: Survey | None = None
        self._task: asyncio.Task[None] | None = None
        self._command: asyncio.Task[object] | None = None
        """The task of the command, when the scan is over."""

    @property
    def known(self) -> int:
        """How many of the files the catalogue had already."""
        return self._recording.known

    async def run(self) -> None:
        """Find and probe everything, and complete the catalogue.

        Raises:
            JournalError: the journal can no longer be written.
        """
        self._task = asyncio.create_task(self._run())
        with suppress(asyncio.CancelledError):
            await self._task
        self._command = asyncio.current_task()
        failure = self._journal.close(_INTERRUPTED if self.is_interrupted else COMPLETED)
        if failure is not None:
            raise failure

    def interrupt(self) -> None:
        """End the scan, gently the first time; when it is over, end what follows."""
        if self._command is not None:
            self._command.cancel()
            return
        if self.is_interrupted and self._task is not None:
            self._task.cancel()
        self.is_interrupted = True
        if self._survey is not None:
            self._survey.stop_walking()
        self._journal.interrupt()

    def read(self, path: str) -> tuple[Findings, Catalogued]:
        """The contents of the catalogue.

        Raises:
            JournalError: the journal cannot be read.
        """
        findings = Findings(counts_repeats=False)
        syntaxes: dict[str, int] = {}
        unmeasured = 0
        with Reader(path) as reader:
            for kind in kinds(reader):
                pair = kind.sop_class_uid, kind.transfer_syntax_uid
                is_measured = kind.measured == kind.instances
                findings.take(pair, kind.instances, kind.bytes, kind.bytes + kind.growth if is_measured else None)
                if kind.transfer_syntax_uid in self._decodable:
                    unmeasured += kind.instances - kind.measured
                syntaxes[kind.transfer_syntax_uid] = syntaxes.get(kind.transfer_syntax_uid, 0) + kind.instances
            for found in unsendable(reader):
                findings.take_unsendable(found.reason, found.files, found.example)
            duplicates = islice((clash for clash in clashes(reader) if not clash.is_conflict), _MOST_EXAMPLES)
            conflicts = islice((clash for clash in clashes(reader) if clash.is_conflict), _MOST_EXAMPLES)
            return findings, Catalogued(
                path,
                self,
                content(reader),
                syntaxes,
                unmeasured,
                [*duplicates, *conflicts],
                list(islice(studies_of_many_patients(reader), _MOST_EXAMPLES)),
            )

    async def _run(self) -> None:
        parsed = self._parsed
        self._journal.begin_catalogue(sources_of(parsed))
        pool = Pool(parsed[opt.WORKERS], format_of(parsed))
        pool.wants_details = True
        with count_line(parsed) as line:
            with (
                paths_of(parsed) as paths,
                every(_FRAME, lambda: line.show(f"{counted(self.found, 'file')} looked into")),
            ):
                survey = self._survey = Survey(paths, walk_of(parsed), pool, self._recording.without_settled)
                try:
                    if self.is_interrupted:
                        survey.stop_walking()
                    async for batch in survey:
                        self.found += len(batch)
                        self._recording.add(batch, await decompressed_sizes(batch, self._decodable, pool.measure))
                        if survey.has_members:
                            ended(batch)
                        await self._recording.room()
                finally:
                    survey.close()
                    pool.close()
            if not self.is_interrupted:
                line.show("looking for files with the same SOP instance UID")
                brought_home = await called_in_thread(self._journal.complete_catalogue, *self._digest())
                self.brought_home = brought_home or 0

    def _digest(self) -> tuple[Callable[[str, str | None], bytes | None], ...]:
        """How members of archives are compared; nothing if no archive is opened."""
        options = walk_of(self._parsed)
        if options.archives is None:
            return ()
        from asyncstore.discovery.finding import Finder  # few scans open archives
        from asyncstore.discovery.spool import Spool
        from asyncstore.journal.clashes import file_digest

        of_members = Finder(options.archives, Spool(options.ahead)).digest
        return (lambda path, member: file_digest(path, None) if member is None else of_members(path, member),)


class Catalogued(NamedTuple):
    """The contents of a catalogue after a scan."""

    path: str
    scan: Scan
    content: Content
    syntaxes: Mapping[str, int]
    """Instances by transfer syntax UID."""
    unmeasured: int
    """Compressed instances of which the catalogue does not know how large they become when they are decompressed."""
    examples: list[ClashingPair]
    many_patients: list[tuple[str, int]]
    """The first studies under several patient IDs."""

    def report(self, width: int | None) -> Iterator[str]:
        """The lines about the catalogue, for a page of this width."""
        sums, scan = self.content, self.scan
        yield ""
        studies = "1 study" if sums.studies == 1 else f"{format_count(sums.studies)} studies"
        belong = f"{counted(sums.patients, 'patient')}, {studies}, {format_count(sums.series)} series"
        held = f"{counted(sums.instances, 'instance')}, files of {format_bytes(sums.bytes)}"
        yield from broken(f"the catalogue: {belong}, {held}", width)
        if scan.known:
            yield f"{format_count(scan.known)} of {counted(scan.found, 'file')} it had already"
        if scan.brought_home:
            yield f"{counted(scan.brought_home, 'file')} stored before the journal was salvaged"
        if self.unmeasured:
            yield from broken(f"{counted(self.unmeasured, 'compressed instance')} not measured: {_UNMEASURED}", width)
        named = {uid_name(uid): count for uid, count in self.syntaxes.items()}
        for column, counts in (("year", sums.years), ("modality", sums.modalities), ("transfer syntax", named)):
            if counts:
                yield ""
                yield from aligned(_rows(column, counts, by_count=column != "year"), width)
        yield from _clashes(self, width)
        yield from _mixed_studies(self)
        if scan.is_interrupted:
            yield from ("", "interrupted, so there may be more files; the same command goes on")
        elif sums.instances:
            archives = f"{source_opt.ARCHIVES.long} " if scan.opens_archives else ""
            yield from ("", f"asyncstore send -nh {archives}--journal {printable(self.path)} PEER PORT sends them")

    def objects(self) -> Iterator[dict[str, object]]:
        """The JSON objects about single files and studies of the catalogue."""
        with Reader(self.path) as reader:
            for clash in clashes(reader):
                yield {
                    "type": "conflict" if clash.is_conflict else "duplicate",
                    "sop_instance_uid": clash.sop_instance_uid,
                    "path": clash.path,
                    "earlier": clash.earlier,
                }
            for uid, patients in studies_of_many_patients(reader):
                yield {"type": "study_of_several_patients", "study_instance_uid": uid, "patients": patients}

    def figures(self) -> dict[str, object]:
        """Further fields of the JSON summary."""
        sums, scan = self.content, self.scan
        return {
            "journal": self.path,
            "found": scan.found,
            "known": scan.known,
            "is_complete": not scan.is_interrupted,
            "patients": sums.patients,
            "studies": sums.studies,
            "series": sums.series,
            "file_bytes": sums.bytes,
            "years": dict(sorted(sums.years.items())),
            "modalities": dict(sums.modalities),
            "transfer_syntaxes": dict(self.syntaxes),
            "duplicates": sums.duplicates,
            "conflicts": sums.conflicts,
            "studies_of_several_patients": sums.studies_of_many_patients,
            "repeated_sop_instance_uids": sums.repeated,
            "unmeasured": self.unmeasured,
            "brought_home": scan.brought_home,
        }


def _rows(column: str, counts: Mapping[str, int], *, by_count: bool) -> list[tuple[str, ...]]:
    """A table: how many instances of which year, modality or transfer syntax."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]) if by_count else item[0])
    rows = [
        (format_count(count), f"{100 * count / total:.1f} %", printable(name) or "unknown") for name, count in ordered
    ]
    return [("instances", "share", column), *rows]


def _clashes(catalogued: Catalogued, width: int | None) -> Iterator[str]:
    sums = catalogued.content
    for is_conflict, count, what, then in (
        (False, sums.duplicates, "and the same bytes", "it is sent once"),
        (True, sums.conflicts, "and other bytes", "a peer keeps only one of those that share it"),
    ):
        if not count:
            continue
        have = "file has" if count == 1 else "files have"
        said = f"{format_count(count)} {have} the SOP instance UID of another one {what}: {then}"
        yield ""
        yield from broken(said, width)
        examples = [clash for clash in catalogued.examples if clash.is_conflict == is_conflict]
        yield from (f"  {printable(clash.path)} and {printable(clash.earlier)}" for clash in examples)
        if count > _MOST_EXAMPLES:
            yield "  --json names them all"


def _mixed_studies(catalogued: Catalogued) -> Iterator[str]:
    count = catalogued.content.studies_of_many_patients
    if not count:
        return
    yield ""
    stand = "study stands" if count == 1 else "studies stand"
    yield f"{format_count(count)} {stand} under several patient IDs"
    yield from (f"  {uid}: {patients} patient IDs" for uid, patients in catalogued.many_patients)
    more = count - len(catalogued.many_patients)
    if more:
        yield f"  and {format_count(more)} more"
