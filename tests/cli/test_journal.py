"""``send --journal`` and ``resume``: what is stored is not sent again, whatever happened between the runs."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from contextlib import suppress

import pytest

from asyncstore.errors import JournalError
from asyncstore.journal.reading import Reader
from support import trees
from support.commands import asyncstore, finished, running_sink, started
from support.oracle import until
from support.peers.dcmtk import running_storescp

pytestmark = pytest.mark.slow


@pytest.fixture
def archive(tmp_path):
    trees.instances(tmp_path / "archive", 30)
    return tmp_path / "archive"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


async def _send(port, archive, journal, *options):
    """Send with a journal; the results of all files, and what was printed."""
    lines = journal.with_suffix(".jsonl")
    ran = await asyncstore(
        "send", "-nh", "--journal", journal, "--json", lines, *options, "127.0.0.1", str(port), archive
    )
    written = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    return ran, Counter(one["result"] for one in written if one["type"] == "outcome")


async def test_the_same_command_again_sends_what_is_new_or_changed_only(archive, journal, tmp_path):
    async with running_sink("--output", tmp_path / "received") as sink:
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (0, {"stored": 30})
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (0, {"skipped": 30})
        assert "Stored all 30 files" in ran.err
        assert "30 of them by an earlier run" in ran.err
        changed = next(archive.rglob("*.dcm"))
        os.utime(changed, ns=(0, 0))
        trees.instances(archive / "new", 2, seed=7)
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (0, {"skipped": 29, "stored": 3})


async def test_a_journal_follows_a_peer_that_moved(archive, journal):
    async with running_sink() as sink:
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (0, {"stored": 30})
    async with running_sink() as sink:
        trees.instances(archive / "new", 2, seed=7)
        ran, _ = await _send(sink.port, archive, journal)
        assert ran.returncode == 1
        assert "If it is the same peer, with another address or AE title now, add --peer-moved." in ran.err
        ran, results = await _send(sink.port, archive, journal, "--peer-moved")
        assert (ran.returncode, results) == (0, {"skipped": 30, "stored": 2})
        with Reader(str(journal)) as reader:
            assert "--peer-moved" not in reader.command.words
        ran = await asyncstore("resume", journal)
        assert ran.returncode == 0


async def test_a_run_that_is_interrupted_before_it_finds_a_file_says_how_to_go_on(journal, tmp_path):
    names = tmp_path / "names"
    os.mkfifo(names)
    writer = os.open(names, os.O_RDWR)  # the list goes on for ever
    try:
        async with running_sink() as sink:
            words = ("--journal", journal, "--files-from", names, "127.0.0.1", str(sink.port))
            process = await started("send", "-nh", *words)
            await until(journal.with_name("run.db-ctl").exists)
            process.send_signal(signal.SIGINT)
            ran = await finished(process)
    finally:
        os.close(writer)
    assert ran.returncode == 130
    assert f"asyncstore resume {journal} sends the rest." in ran.err


async def test_resume_repeats_the_recorded_command_from_anywhere(archive, journal, tmp_path, monkeypatch):
    async with running_sink() as sink:
        monkeypatch.chdir(tmp_path)
        ran = await asyncstore(
            "send", "-nh", "--journal", "run.db", "-aec", "SINK", "127.0.0.1", str(sink.port), "archive"
        )
        assert ran.returncode == 0
        trees.instances(archive / "new", 2, seed=7)
        monkeypatch.chdir("/")
        ran = await asyncstore("resume", journal)
        assert ran.returncode == 0
        assert "Stored all 32 files" in ran.err
        assert "30 of them by an earlier run" in ran.err
        assert "run 2 of the journal" in ran.err


async def test_resume_says_what_to_do_if_the_directory_of_the_command_is_gone(archive, journal, tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    async with running_sink() as sink:
        monkeypatch.chdir(folder)
        assert (await asyncstore("send", "--journal", journal, "127.0.0.1", str(sink.port), archive)).returncode == 0
        monkeypatch.chdir("/")
        folder.rmdir()
        ran = await asyncstore("resume", journal)
    assert ran.returncode == 1
    assert f"given in {folder}, which cannot be entered: No such file or directory" in ran.err
    assert f"Give the whole command again, with --journal {journal}, or put that directory back." in ran.err


async def test_a_secret_is_neither_in_the_journal_nor_needed_in_the_words_of_resume(archive, journal):
    async with running_sink() as sink:
        words = ("-usr", "me", "-pwd", "hunter2", "127.0.0.1", str(sink.port), archive)
        ran = await asyncstore("send", "--journal", journal, *words)
        assert ran.returncode == 0
        with Reader(str(journal)) as reader:
            assert "hunter2" not in str(reader.command)
            assert "--user" in reader.command.words
        assert b"hunter2" not in journal.read_bytes()
        ran = await asyncstore("resume", journal, environment={"ASYNCSTORE_PASSWORD": "hunter2"})
        assert ran.returncode == 0
        assert "30 of them by an earlier run" in ran.err


async def test_failures_stay_as_they_are_until_they_are_taken_up(archive, journal):
    async with running_sink("--status", "0xC000") as sink:
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (2, {"failed": 30})
        port = sink.port
    async with running_sink("--port", str(port)) as sink:
        ran, results = await _send(port, archive, journal)
        assert (ran.returncode, results) == (2, {"failed": 30})
        assert "an earlier run left it so" in ran.err
        assert "--retry-failed" in ran.err
        ran, results = await _send(port, archive, journal, "--retry-failed")
        assert (ran.returncode, results) == (0, {"stored": 30})
        ended = await sink.end()
        assert "30" in ended.out + ended.err


async def test_files_that_could_not_be_sent_are_looked_at_again_if_that_is_asked_for(archive, journal):
    text = trees.text_file(archive)
    async with running_sink() as sink:
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (2, {"stored": 30, "not_sent": 1})
        ran, results = await _send(sink.port, archive, journal)
        assert (ran.returncode, results) == (2, {"skipped": 30, "not_sent": 1})
        assert "an earlier run left it so" in ran.err
        assert "With --retry-not-sent it looks again" in ran.err
        status = text.stat()
        text.write_bytes(trees.instances(archive.parent / "good", 1, seed=9)[0].read_bytes()[: status.st_size])
        os.utime(text, ns=(status.st_atime_ns, status.st_mtime_ns))
        ran, _ = await _send(sink.port, archive, journal, "--retry-not-sent")
        assert "an earlier run left it so" not in ran.err


async def test_summaries_and_the_report_count_the_same_files_alike(archive, journal):
    async def agreed(port, paths):
        await _send(port, paths, journal)
        summary = json.loads(journal.with_suffix(".jsonl").read_text().splitlines()[-1])
        report = await asyncstore("report", "--json", journal)
        run = json.loads(report.out)["runs"][-1]
        for name in ("stored", "warning", "unknown", "skipped"):
            assert summary[name] == run[name]
        assert summary["failed"] == run["failed"] + run["left_failed"]
        assert summary["not_sent"] == run["not_sent"] + run["left_not_sent"] + run["waiting"]
        assert summary["withdrawn"] == run["waiting"]
        return [summary[name] for name in ("stored", "skipped", "failed", "not_sent")]

    few = archive.parent / "few"
    few.mkdir()
    for path in sorted(archive.rglob("*.dcm"))[:4]:
        path.rename(few / path.name)
    (archive / "few").symlink_to(few)
    trees.text_file(archive)
    async with running_sink("--status", "0xC000") as sink:
        assert await agreed(sink.port, archive / "few") == [0, 0, 4, 0]
        port = sink.port
    async with running_sink("--port", str(port)):
        assert await agreed(port, archive) == [26, 0, 4, 1]
        assert await agreed(port, archive) == [0, 26, 4, 1]
        told = await asyncstore("report", journal)
    assert told.out.splitlines()[-1].endswith("  completed; 4 failed as before, 1 not sent as before")


@pytest.mark.peers
async def test_what_could_not_be_sent_without_transcoding_is_sent_by_a_run_that_may_transcode(journal, tmp_path):
    files = [path for path in trees.pydicom_test_files() if path.name in ("CT_small.dcm", "MR_small_RLE.dcm")]
    folder = tmp_path / "files"
    folder.mkdir()
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())
    async with running_storescp(tmp_path / "stored", transfer_syntaxes="+xe") as scp:
        _, results = await _send(scp.port, folder, journal, "--transcode", "never")
        assert results == {"stored": 1, "not_sent": 1}
        _, results = await _send(scp.port, folder, journal, "--transcode", "lossless")
        assert results == {"skipped": 1, "not_sent": 1}
        ran, results = await _send(scp.port, folder, journal, "--transcode", "lossless", "--retry-not-sent")
        assert (ran.returncode, results) == (0, {"skipped": 1, "stored": 1})
    assert len(list((tmp_path / "stored").iterdir())) == 2


def _stored_so_far(journal):
    """How many files the first run has journalled as stored, once there is a journal."""
    with suppress(JournalError), Reader(str(journal)) as reader:
        return sum(stored for (stored,) in reader.rows("SELECT stored FROM runs"))
    return 0


async def test_an_interrupted_run_leaves_the_rest_to_the_next_one(archive, journal):
    async with running_sink("--latency", "0.2") as sink:
        words = ("--journal", journal, "--associations", "2", "127.0.0.1", str(sink.port), archive)
        process = await started("send", *words)
        await until(lambda: _stored_so_far(journal), every=0.05)
        process.send_signal(signal.SIGINT)
        ended = await finished(process)
        assert ended.returncode == 130
        assert f"asyncstore resume {journal} sends the rest" in ended.err
        with Reader(str(journal)) as reader:
            (run,) = reader.rows("SELECT ending, stored FROM runs")
        assert run[0] == "interrupted"
        assert 0 < run[1] < 30
        ended = await asyncstore("resume", journal)
        assert ended.returncode == 0
        assert f"{run[1]} of them by an earlier run" in ended.err


async def test_another_migration_is_refused_with_its_differences(archive, journal):
    async with running_sink() as sink:
        await _send(sink.port, archive, journal)
        ran = await asyncstore(
            "send", "--journal", journal, "-aec", "OTHER", "+II", "127.0.0.1", str(sink.port), archive
        )
        assert ran.returncode == 1
        first, hint = ran.err.splitlines()
        assert "called AE title: recorded ANY-SCP, now OTHER; --invent-instance: recorded nothing, now True" in first
        assert "another --journal" in hint


async def test_a_second_run_on_the_same_journal_is_refused_and_harms_nothing(archive, journal):
    async with running_sink("--latency", "0.2") as sink:
        lines = journal.with_suffix(".jsonl")
        words = ("--journal", journal, "--json", lines, "127.0.0.1", str(sink.port), archive)
        first = await started("send", *words)
        lock = journal.with_name(f"{journal.name}-lock")
        await until(lambda: lock.exists() and lock.read_text())
        second = await asyncstore("send", *words)
        assert second.returncode == 1
        assert f"another run writes to it (process {first.pid})" in second.err
        first.send_signal(signal.SIGTERM)
        assert (await finished(first)).returncode == 130
        assert json.loads(lines.read_text().splitlines()[-1])["type"] == "summary"


async def test_invented_identities_are_the_same_after_a_resume(archive, journal, tmp_path):
    async with running_sink("--output", tmp_path / "received") as sink:
        words = ("--journal", journal, "+IR", "7", "127.0.0.1", str(sink.port), archive)
        assert (await asyncstore("send", *words)).returncode == 0
        received = sorted(path.name for path in (tmp_path / "received").iterdir())
        assert len(received) == 30
        for path in archive.rglob("*.dcm"):
            os.utime(path, ns=(0, 0))  # each counts as changed and is sent again
        assert (await asyncstore("resume", journal)).returncode == 0
        assert sorted(path.name for path in (tmp_path / "received").iterdir()) == received


async def test_a_file_that_became_whole_gets_no_identity_of_a_stored_one(archive, journal, tmp_path):
    broken = sorted(archive.rglob("*.dcm"))[3]
    whole = broken.read_bytes()
    broken.write_bytes(b"not DICOM")
    async with running_sink("--output", tmp_path / "received") as sink:
        words = ("-nh", "--journal", journal, "--retry-not-sent", "+II", "127.0.0.1", str(sink.port), archive)
        assert (await asyncstore("send", *words)).returncode == 2
        broken.write_bytes(whole)
        assert (await asyncstore("send", *words)).returncode == 0
        assert len(list((tmp_path / "received").iterdir())) == 30


async def test_a_file_delivered_several_times_is_skipped_as_often(archive, journal):
    async with running_sink() as sink:
        ran, results = await _send(sink.port, archive, journal, "--repeat", "3")
        assert (ran.returncode, results) == (0, {"stored": 90})
        ran, results = await _send(sink.port, archive, journal, "--repeat", "3")
        assert (ran.returncode, results) == (0, {"skipped": 90})


async def test_what_is_no_journal_is_refused_and_kept(archive, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but mine" * 100)
    for path in (text, tmp_path):
        ran = await asyncstore("send", "--journal", path, "127.0.0.1", "1", archive)
        assert ran.returncode == 1
        assert f"asyncstore send: journal {path}: it is " in ran.err
        assert "Traceback" not in ran.err
    assert text.read_text() == "not a database, but mine" * 100
    ran = await asyncstore("resume", tmp_path / "missing.db")
    assert ran.returncode == 1
    assert "no such file" in ran.err
