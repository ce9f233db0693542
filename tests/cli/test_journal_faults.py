"""Journals that cannot be used, or fail while a run goes on: one line says which, why and what to do."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
from contextlib import asynccontextmanager, suppress

import pytest

from asyncstore.errors import JournalMissing, NotAJournal
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State
from asyncstore.renaming import DONE, without_ending
from support import trees
from support.commands import DEADLINE, asyncstore, finished, running_sink, started
from support.disks import fill, small_disk
from support.oracle import until

pytestmark = pytest.mark.slow

COUNT = 300
PLENTY = 60
"""Instances that are stored before something happens: more than one commit has been made."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    trees.instances(folder, COUNT)
    return folder


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


def stored(journal):
    """The SOP instance UIDs that a journal calls stored; none if there is no journal."""
    with suppress(JournalMissing, NotAJournal), Reader(str(journal)) as reader:
        return {row.sop_instance_uid for row in reader.deliveries([State.STORED])}
    return set()


def received(folder):
    return {path.stem for path in folder.glob("*.dcm")}


@pytest.fixture
def output(tmp_path):
    """Where the sink keeps what it receives."""
    return tmp_path / "received"


@asynccontextmanager
async def under_way(archive, journal, output, *options):
    """A run that has stored some of the archive, and the sink."""
    async with running_sink("--latency", "0.02", "--output", output) as sink:
        words = (*options, "--journal", journal, "127.0.0.1", str(sink.port), archive)
        run = await started("send", *words, environment={"ASYNCSTORE_ASSOCIATIONS": "2"})
        await until(lambda: len(stored(journal)) > PLENTY, every=0.05)
        yield run, sink


async def resumed(journal):
    """A run that sends the rest, over so many associations that it takes a moment."""
    return await asyncstore("resume", journal, environment={"ASYNCSTORE_ASSOCIATIONS": "16"})


def assert_told(ended, *lines):
    """It ended by an error, which is said in these lines."""
    assert "Traceback" not in ended.err
    assert "\n".join(lines) + "\n" in ended.err
    assert ended.returncode != 0


async def test_a_journal_that_cannot_grow_ends_the_run_and_the_next_one_goes_on(archive, journal, output):
    async with under_way(archive, journal, output) as (run, _):
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1 << 15, 1 << 15))
        ended = await finished(run)
        assert_told(
            ended,
            f"asyncstore send: journal {journal}: it could not be written: disk I/O error",
            "Mend that, then give the same command again.",
        )
        before = received(output)
        assert PLENTY < len(stored(journal)) <= len(before) < COUNT
        assert stored(journal) <= before
        assert (await resumed(journal)).returncode == 0
        assert stored(journal) == received(output)
        assert len(stored(journal)) == COUNT


async def test_a_file_keeps_its_name_until_the_journal_has_its_outcome(journal, output, tmp_path):
    """Later runs pass over done files."""
    folder = tmp_path / "archive"
    trees.instances(folder, COUNT)
    async with under_way(folder, journal, output, "+rn") as (run, _):
        await until(lambda: any(folder.rglob(f"*{DONE}")), every=0.05)
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1 << 15, 1 << 15))
        assert (await finished(run)).returncode != 0
    done = {str(path.with_suffix("")) for path in folder.rglob(f"*{DONE}")}
    with Reader(str(journal)) as reader:
        recorded = {without_ending(row.path) for row in reader.deliveries([State.STORED])}
    assert done
    assert done <= recorded


async def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(archive, output, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        journal = disk / "run.db"
        async with under_way(archive, journal, output) as (run, _):
            filler = fill(disk)
            ended = await finished(run)
            assert_told(
                ended,
                f"asyncstore send: journal {journal}: it could not be written: no space is left",
                "Make room there, then give the same command again.",
            )
            assert stored(journal) <= received(output)
            filler.unlink()
            assert (await resumed(journal)).returncode == 0
            assert len(stored(journal)) == COUNT


async def test_a_disk_that_is_full_from_the_beginning_is_told(archive, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        fill(disk)
        assert_told(
            await asyncstore("scan", "--journal", disk / "run.db", archive),
            f"asyncstore scan: journal {disk}/run.db: it could not be written: no space is left",
            "Make room there, then give the same command again.",
        )


@pytest.mark.parametrize("change", ["remove", "rename", "replace"])
async def test_a_journal_that_is_removed_ends_the_run(archive, journal, output, change):
    async with under_way(archive, journal, output) as (run, _):
        aside = journal.with_name("aside.db")
        if change == "replace":
            aside.write_bytes(journal.read_bytes())
            aside.replace(journal)
        elif change == "rename":
            journal.rename(aside)
        else:
            journal.unlink()
        ended = await finished(run)
        assert_told(
            ended,
            f"asyncstore send: journal {journal}: it was removed or replaced during the run",
            "Put it back and give the same command again. Without it another journal sends everything again.",
        )
        assert "asyncstore resume" not in ended.err, "there is nothing to resume from"
        there = received(output)
        assert PLENTY < len(there) < COUNT
        if change == "rename":
            aside.rename(journal)
            assert len(stored(journal)) > PLENTY
            assert stored(journal) <= there
            assert (await resumed(journal)).returncode == 0
            assert len(stored(journal)) == COUNT


async def test_a_second_run_is_refused_at_once_and_names_the_first(archive, journal, output):
    async with under_way(archive, journal, output) as (run, sink):
        run.send_signal(signal.SIGSTOP)  # it still has the journal, and does not end meanwhile
        for words in (["send", "--journal", journal, "127.0.0.1", str(sink.port), archive], ["resume", journal]):
            assert_told(
                await asyncstore(*words),
                f"asyncstore send: journal {journal}: another run writes to it (process {run.pid})",
                "Wait for the end of that run, or use another journal.",
            )
        run.kill()
        await asyncio.wait_for(run.wait(), DEADLINE)
        assert (await resumed(journal)).returncode == 0
        assert len(stored(journal)) == COUNT


def other_database(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE patients (name)")
    other.close()


def newer(path):
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA application_id = {0x61737472}")
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE facts (name)")
    other.close()


GIVE_ANOTHER = "Give a journal; send --journal and scan --journal make one under a new name."


@pytest.mark.parametrize(
    ("make", "problem", "next_step"),
    [
        (os.mkdir, "it is a directory", GIVE_ANOTHER),
        (os.mkfifo, "it is no regular file", GIVE_ANOTHER),
        (lambda path: path.write_bytes(b"no database" * 1000), "it is not a database", GIVE_ANOTHER),
        (other_database, "it is a database of another program", GIVE_ANOTHER),
        (
            newer,
            "a newer asyncstore made it: its tables have version 99, and 2 is known",
            "Use the newer asyncstore, or begin another journal.",
        ),
    ],
    ids=["directory", "fifo", "text", "other-database", "newer"],
)
async def test_what_cannot_be_a_journal_is_refused_and_kept(archive, journal, make, problem, next_step):
    make(journal)
    before = journal.read_bytes() if journal.is_file() else None
    for words in (["send", "--journal", journal, "127.0.0.1", "1", archive],):
        ran = await asyncstore(*words)
        assert ran.returncode == 1
        assert_told(ran, f"asyncstore send: journal {journal}: {problem}", next_step)
    assert before == (journal.read_bytes() if journal.is_file() else None)
    assert {path.name for path in journal.parent.iterdir()} == {"run.db"}


def only_a_header(path):
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = WAL")
    other.close()


@pytest.mark.parametrize("make", [lambda path: path.touch(), only_a_header], ids=["empty", "header"])
async def test_a_run_that_was_killed_while_it_made_the_journal_is_repeated(archive, journal, make):
    make(journal)
    async with running_sink() as sink:
        ran = await asyncstore("send", "--journal", journal, "127.0.0.1", str(sink.port), archive)
    assert (ran.returncode, len(stored(journal))) == (0, COUNT), ran.err


@pytest.mark.parametrize("place", ["no/such", "file"])
async def test_a_folder_that_is_not_there(archive, tmp_path, place):
    (tmp_path / "file").touch()
    journal = tmp_path / place / "run.db"
    ran = await asyncstore("send", "--journal", journal, "127.0.0.1", "1", archive)
    cause = "No such file or directory" if place == "no/such" else "Not a directory"
    assert_told(
        ran,
        f"asyncstore send: journal {journal}: it cannot be written to: {cause}",
        f"There is no folder {journal.parent}: make it, or use another journal.",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_to(archive, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(0o555)
    ran = await asyncstore("send", "--journal", folder / "run.db", "127.0.0.1", "1", archive)
    assert_told(
        ran,
        f"asyncstore send: journal {folder / 'run.db'}: it cannot be written to: Permission denied",
        "Let this user write to it and its folder, or use another journal.",
    )
