"""``--archives``: journals, lists, orders and plans know the members of archives."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from support import trees
from support.archives import archive
from support.commands import asyncstore, finished, running_sink, started
from support.oracle import until

pytestmark = pytest.mark.slow


@pytest.fixture
def packed(tmp_path):
    """A zip with two series of five instances, and a tar.gz with one of five."""
    files = [trees.instances(tmp_path / f"files {seed}", 5, seed=seed) for seed in range(3)]
    folder = tmp_path / "in"
    archive(folder, "deflated.zip", files[0] + files[1])
    archive(folder, "files.tar.gz", files[2])
    return folder


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


def lines(path):
    written = [json.loads(line) for line in path.read_text().splitlines()]
    return [one for one in written if one["type"] == "outcome"]


async def _send(port, journal, *words):
    """Send with a journal; the results, and what was printed."""
    log = journal.with_suffix(".jsonl")
    ran = await asyncstore(
        "send", "-nh", "--archives", "--journal", journal, "--json", log, "127.0.0.1", str(port), *words
    )
    return ran, Counter(one["result"] for one in lines(log))


async def test_the_same_command_again_skips_stored_members_and_sends_those_of_changed_archives(packed, journal):
    async with running_sink() as sink:
        ran, results = await _send(sink.port, journal, packed)
        assert (ran.returncode, results) == (0, {"stored": 15})
        ran, results = await _send(sink.port, journal, packed)
        assert (ran.returncode, results) == (0, {"skipped": 15})
        os.utime(packed / "files.tar.gz", ns=(0, 0))
        ran, results = await _send(sink.port, journal, packed)
        assert (ran.returncode, results) == (0, {"skipped": 10, "stored": 5})
    paths = [one["path"] for one in lines(journal.with_suffix(".jsonl"))]
    assert f"{packed}/deflated.zip!d/0.dcm" in paths


@pytest.mark.parametrize("name", ["deflated.zip", "zip-in.tar.gz"])
async def test_an_archive_that_has_become_whole_is_no_longer_told_as_not_sent(name, journal, tmp_path):
    damaged = archive(tmp_path / "in", name, trees.instances(tmp_path / "files", 3))
    (damaged.parent / "inner.zip").unlink(missing_ok=True)
    (damaged.parent / "inner.tar").unlink(missing_ok=True)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) * 3 // 4])
    async with running_sink() as sink:
        _, results = await _send(sink.port, journal, damaged.parent)
        assert results["not_sent"]
        _, again = await _send(sink.port, journal, damaged.parent)
        assert again["not_sent"] == results["not_sent"]
        damaged.write_bytes(whole)
        ran, results = await _send(sink.port, journal, damaged.parent)
        assert (ran.returncode, results) == (0, {"stored": 3})
    reported = await asyncstore("report", "--json", journal)
    assert (reported.returncode, json.loads(reported.out)["found"]) == (0, 3)


async def test_resume_opens_the_archives_again(packed, journal):
    async with running_sink() as sink:
        ran, _ = await _send(sink.port, journal, packed)
        ran = await asyncstore("resume", journal)
        assert ran.returncode == 0
        assert "15 of them by an earlier run" in ran.err


@pytest.mark.parametrize("order", ["walk", "newest", "largest"])
async def test_a_catalogue_has_the_members_and_sends_them_in_any_order(order, packed, journal, tmp_path):
    archive(packed, "copy.zip", sorted((tmp_path / "files 0").rglob("*.dcm")))
    scanned = await asyncstore("scan", "--archives", "--journal", journal, packed)
    assert scanned.returncode == 0
    assert "20 instances" in scanned.out
    assert "5 files have the SOP instance UID of another one and the same bytes: it is sent once" in scanned.out
    again = await asyncstore("scan", "--archives", "--journal", journal, packed)
    assert "20 of 20 files it had already" in again.out
    async with running_sink("--output", tmp_path / "out") as sink:
        ran, results = await _send(sink.port, journal, "--order", order)
        assert (ran.returncode, results) == (0, {"stored": 15, "skipped": 5})
        ran, results = await _send(sink.port, journal, "--order", order)
        assert (ran.returncode, results) == (0, {"skipped": 20})
    assert len(trees.data_sets(tmp_path / "out")) == 15


async def test_copies_in_a_zip_wait_for_the_others_in_it(journal, tmp_path):
    files = trees.instances(tmp_path / "files", 5)
    packed = archive(tmp_path / "in", "deflated.zip", [*files, *files])
    await asyncstore("scan", "--archives", "--journal", journal, packed)
    async with running_sink() as sink:
        ran, results = await _send(sink.port, journal)
    assert (ran.returncode, results) == (0, {"stored": 5, "skipped": 5})


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which files a process has open")
async def test_a_run_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path):
    packed = archive(tmp_path / "in", "files.tar.gz", trees.instances(tmp_path / "files", 20, data_set_bytes=200_000))
    (tmp_path / "tmp").mkdir()
    async with running_sink("--latency", "5") as sink:
        words = ("send", "--archives", "--ahead", "300000", "127.0.0.1", str(sink.port), packed)
        process = await started(*words, environment={"TMPDIR": str(tmp_path / "tmp")})
        await until(lambda: _opened_in(tmp_path / "tmp", process.pid))
        process.kill()
        await finished(process)
    assert list((tmp_path / "tmp").iterdir()) == []


def _opened_in(folder, pid):
    """Files of a folder that a process has open and that have no names.

    Python makes one with a name for a moment, to see whether it can write there.
    """
    opened = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            opened.append(os.readlink(descriptor))
    return [path for path in opened if path.startswith(f"{folder}/") and path.endswith(" (deleted)")]


async def test_a_catalogue_with_archives_says_how_to_send_them(packed, journal):
    await asyncstore("scan", "--archives", "--journal", journal, packed)
    async with running_sink() as sink:
        ran = await asyncstore("send", "-nh", "--journal", journal, "127.0.0.1", str(sink.port))
        assert ran.returncode == 1
        assert "Give --archives, so that they are opened." in ran.err
        ran, results = await _send(sink.port, journal)
        assert (ran.returncode, results) == (0, {"stored": 15})


async def test_members_that_were_not_stored_can_be_listed_and_sent_by_their_names(packed, journal):
    async with running_sink("--status", "0xA900") as sink:
        ran, results = await _send(sink.port, journal, packed)
        assert (ran.returncode, results) == (2, {"failed": 15})
    told = await asyncstore("report", "--list", "failed", journal)
    assert f"{packed}/deflated.zip!d/3.dcm: " in told.out
    listed = await asyncstore("report", "--list", "failed", "--null", journal)
    async with running_sink() as sink:
        words = ("--files-from", "-", "--null", "127.0.0.1", str(sink.port))
        ran = await asyncstore("send", "--archives", *words, stdin=listed.out.encode())
    assert ran.returncode == 0
    assert "Stored all 15 files" in ran.err


async def test_a_member_is_named_on_the_command_line(packed):
    async with running_sink() as sink:
        name = f"{packed}/files.tar.gz!d/4.dcm"
        ran = await asyncstore("send", "--archives", "127.0.0.1", str(sink.port), name)
        assert (ran.returncode, "Stored 1 file" in ran.err) == (0, True)
        ran = await asyncstore("send", "--archives", "127.0.0.1", str(sink.port), name + "x")
        assert ran.returncode == 1
        assert "no such file in the archive" in ran.err


@pytest.mark.parametrize("words", [(), ("-nh",), ("--files-from", "-")])
async def test_without_archives_a_named_member_is_not_sent_and_the_option_is_named(words, packed):
    name = f"{packed}/files.tar.gz!d/4.dcm"
    listed = "--files-from" in words
    ran = await asyncstore("send", *words, "pacs.invalid", "104", *(() if listed else (name,)), stdin=name.encode())
    assert ran.returncode == 1
    assert "a file in an archive, and archives are not opened" in ran.err
    assert "--archives opens them." in ran.err


async def test_a_missing_file_with_the_separator_in_its_name_is_a_missing_file(tmp_path):
    (tmp_path / "text").write_text("no archive")
    for words in ((f"{tmp_path}/text!a",), (f"{tmp_path}/gone!a",), ("--archives", f"{tmp_path}/text!a")):
        ran = await asyncstore("send", *words[:-1], "pacs.invalid", "104", words[-1])
        assert "No such file or directory; nothing was sent" in ran.err
        assert "--archives" not in ran.err


@pytest.mark.parametrize(
    ("listed", "words", "hint"),
    [("a.dcm\0b.dcm\0", (), "--null reads such a list."), ("a\nb\n", ("--null",), "Leave --null out.")],
)
async def test_a_list_with_other_separators_is_refused_and_the_option_is_named(listed, words, hint):
    ran = await asyncstore("scan", "--files-from", "-", *words, stdin=listed.encode())
    assert ran.returncode == 1
    assert "--files-from -: it could not be read to its end" in ran.err
    assert hint in ran.err
    assert "Traceback" not in ran.err


async def test_a_plan_counts_members(packed):
    scanned = await asyncstore("scan", "--archives", packed)
    assert scanned.out.startswith("15 instances")
    planned = await asyncstore("send", "--dry-run", "--archives", "pacs.invalid", "104", packed)
    assert "15 instances" in planned.out
    unopened = await asyncstore("scan", packed)
    assert unopened.returncode == 1
    assert "not a DICOM file" in unopened.out
    assert "--archives sends the files in archives" in " ".join(unopened.out.split())


async def test_archives_are_not_renamed(packed):
    ran = await asyncstore("send", "--archives", "+rn", "127.0.0.1", "104", packed)
    assert ran.returncode == 1
    assert "--archives" in ran.err
    assert "--rename" in ran.err


async def test_urls_are_neither_renamed_nor_shown_with_a_password():
    ran = await asyncstore("send", "+rn", "127.0.0.1", "104", "s3://bucket/")
    assert (ran.returncode, "--rename cannot rename" in ran.err) == (1, True)
    ran = await asyncstore("send", "127.0.0.1", "104", "sftp://me:hunter2@host/files")
    assert (ran.returncode, "hunter2" in ran.err, "FSSPEC_SFTP_PASSWORD" in ran.err) == (1, False, True)


async def test_limits_are_said_with_the_options_that_raise_them(packed):
    for option, said in (
        ("--archive-files", "more files"),
        ("--archive-bytes", "more bytes"),
        ("--archive-file-bytes", "larger"),
    ):
        scanned = await asyncstore("scan", "--archives", option, "2", packed)
        text = " ".join(scanned.out.split())
        assert said in text
        assert option in text
