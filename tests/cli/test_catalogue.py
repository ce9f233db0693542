"""``scan --journal`` makes a catalogue, and ``send --journal`` sends from it: in order, from lists, each file once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
from collections import Counter

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from asyncstore.errors import JournalError
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State
from support import trees
from support.commands import DEADLINE, asyncstore, finished, running_sink, started
from support.oracle import until as asked
from support.peers.hostile import Behaviour, running_hostile, stays_silent

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
STUDIES = {"1": ("20200101", 3), "2": ("20240101", 1), "3": ("", 2), "4": ("20100505", 4)}
"""The dates of some studies, and how many instances they have."""


def write(path, uid, *, study="1", date="20200101", patient="P", comment="", modality="CT"):
    """Write a CT instance."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, uid
    data.StudyDate, data.Modality, data.PatientID = date, modality, patient
    data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.{study}", f"1.2.{study}.1"
    data.ImageComments = comment
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


@pytest.fixture
def archive(tmp_path):
    """The instances of some studies, one after the other by number; their UIDs are 1.2.STUDY.NUMBER."""
    for number in range(4):
        for study, (date, count) in STUDIES.items():
            if number < count:
                write(tmp_path / "archive" / f"{number}" / study, f"1.2.{study}.9.{number}", study=study, date=date)
    return tmp_path / "archive"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


async def scan(journal, *paths):
    """Make a catalogue; the command, its JSON lines by their types."""
    ran = await asyncstore("scan", "--journal", journal, "--json", "-", *paths)
    found = {}
    for line in ran.out.splitlines():
        one = json.loads(line)
        found.setdefault(one["type"], []).append(one)
    return ran, found


async def send(sink, journal, *options, paths=()):
    """Send from a catalogue over one association; the command, and the outcomes in their order."""
    lines = journal.with_suffix(".jsonl")
    ran = await asyncstore(
        "send", "-nh", "--associations", "1", "--journal", journal, "--json", lines, *options, HOST, str(sink.port),
        *paths,
    )  # fmt: skip
    written = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    return ran, [one for one in written if one["type"] == "outcome"], written


def results(outcomes):
    return Counter(one["result"] for one in outcomes)


def arrived(folder):
    """The SOP instance UIDs in a folder of the sink, in the order of their arrival if some time lies between them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [trees.read_part10(path).sop_instance_uid for path in sorted(files, key=lambda one: one.stat().st_mtime_ns)]


def states(journal):
    with Reader(str(journal)) as reader:
        return Counter(row.state for row in reader.deliveries())


async def until(journal, state, count):
    """Wait until so many files are in this state."""
    async with asyncio.timeout(DEADLINE):
        while True:
            with contextlib.suppress(JournalError):  # it is not there yet, or empty
                if states(journal)[state] >= count:
                    return
            await asyncio.sleep(0.1)


def _studies(order):
    """The study of each instance, study by study."""
    return [study for study in order for _ in range(STUDIES[study][1])]


class TestScan:
    async def test_it_counts_what_is_there(self, archive, journal):
        write(archive / "other", "1.2.1.9.99", study="1", patient="Q", modality="MR")
        text = trees.text_file(archive)
        ran, found = await scan(journal, archive)
        [summary] = found["summary"]
        assert (ran.returncode, summary["exit_code"], summary["is_complete"]) == (2, 2, True)
        assert [summary[name] for name in ("patients", "studies", "series", "instances")] == [2, 4, 5, 11]
        assert (summary["found"], summary["known"], summary["unsendable"]) == (12, 0, 1)
        assert summary["file_bytes"] == sum(
            path.stat().st_size for path in archive.rglob("*") if path.is_file() and path != text
        )
        assert summary["years"] == {"": 2, "2010": 4, "2020": 4, "2024": 1}
        assert summary["modalities"] == {"CT": 10, "MR": 1}
        assert summary["transfer_syntaxes"] == {ExplicitVRLittleEndian: 11}
        assert (summary["pairs"], summary["contexts"]) == (1, 2)
        assert [one["example"] for one in found["unsendable"]] == [str(text)]
        assert found["study_of_several_patients"] == [
            {"type": "study_of_several_patients", "study_instance_uid": "1.2.1", "patients": 2}
        ]
        told = (await asyncstore("scan", "--journal", journal, archive)).out
        assert "2 patients, 4 studies, 5 series, 11 instances" in told
        assert "12 of 12 files it had already" in told
        assert "1 study stands under several patient IDs\n  1.2.1: 2 patient IDs" in told
        assert "cannot be sent: 1 file" in told

    async def test_it_tells_what_compressed_instances_grow_to_also_when_it_is_continued(self, tmp_path, journal):
        folder = tmp_path / "compressed"
        write(folder / "plain", "1.9")
        files = [path for path in trees.pydicom_test_files() if path.name in ("JPEG2000.dcm", "MR_small_RLE.dcm")]
        for path in files:
            (folder / path.name).write_bytes(path.read_bytes())

            def contexts(lines):
                found = [line for line in map(json.loads, lines.splitlines()) if line["type"] == "context"]
                return sorted(found, key=lambda line: (line["sop_class_uid"], line["transfer_syntax_uid"]))

            plain = await asyncstore("scan", "--json", "-", folder)
            ran = await asyncstore("scan", "--journal", journal, "--json", "-", folder)
            assert contexts(ran.out) == contexts(plain.out)
        assert sum(line["decompressed_bytes"] is not None for line in contexts(ran.out)) == 2
        assert json.loads(ran.out.splitlines()[-1])["unmeasured"] == 0
        told = await asyncstore("scan", "--journal", journal, folder)
        [line] = [line for line in told.out.splitlines() if line.startswith("compressed: ")]
        assert line in (await asyncstore("scan", folder)).out.splitlines()

    async def test_compressed_instances_that_were_not_measured_are_counted(self, journal):
        [path] = [path for path in trees.pydicom_test_files() if path.name == "MR_small_RLE.dcm"]
        await scan(journal, path)
        with contextlib.closing(sqlite3.connect(journal)) as other:
            other.execute("UPDATE deliveries SET decompressed = NULL")
            other.commit()
        _, found = await scan(journal, path)
        assert found["summary"][0]["unmeasured"] == 1
        assert found["context"][0]["decompressed_bytes"] is None
        assert "1 compressed instance not measured: " in (await asyncstore("scan", "--journal", journal, path)).out

    async def test_the_same_uid_twice_is_a_duplicate_or_a_conflict(self, tmp_path, journal):
        folder = tmp_path / "clashes"
        for name, uid, comment in (("a", "1.9", "x"), ("b", "1.9", "x"), ("c", "1.8", "x"), ("d", "1.8", "yy")):
            write(folder / name, uid, comment=comment)
        _, found = await scan(journal, folder)
        [summary] = found["summary"]
        assert [summary[name] for name in ("duplicates", "conflicts", "repeated_sop_instance_uids")] == [1, 2, 2]
        [duplicate], [conflict] = found["duplicate"], found["conflict"]
        assert (duplicate["path"], duplicate["earlier"]) == (f"{folder}/b", f"{folder}/a")
        assert (conflict["path"], conflict["earlier"]) == (f"{folder}/d", f"{folder}/c")
        told = (await asyncstore("scan", "--journal", journal, folder)).out
        assert "1 file has the SOP instance UID of another one and the same bytes" in told
        assert "2 files have the SOP instance UID of another one and other bytes" in told

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
    async def test_an_interrupted_scan_goes_on_where_it_ended(self, tmp_path, journal, number):
        names = tmp_path / "names"
        os.mkfifo(names)
        files = trees.instances(tmp_path / "archive", 20)
        process = await started("scan", "--journal", journal, "--files-from", names)
        with await asyncio.to_thread(names.open, "w") as fifo:
            print(*files[:8], sep="\n", file=fifo, flush=True)
            await until(journal, State.WAITING, 8)
            process.send_signal(number)
            done = await finished(process)
        if number == signal.SIGINT:
            assert done.returncode == 130
            assert "8 instances" in done.out
            assert "interrupted, so there may be more files; the same command goes on" in done.out
        refused = await asyncstore("send", "--journal", journal, "--order", "newest", HOST, "104")
        assert (refused.returncode, refused.out) == (1, "")
        assert "--order newest needs a complete catalogue" in refused.err
        assert "Give the scan command again" in refused.err
        unchanged = files[0].stat()
        files[0].write_bytes(bytes(unchanged.st_size))
        os.utime(files[0], ns=(0, unchanged.st_mtime_ns))  # it is known, so it is not opened
        process = await started("scan", "--journal", journal, "--json", "-", "--files-from", names)
        with await asyncio.to_thread(names.open, "w") as fifo:
            print(*files, sep="\n", file=fifo)
        done = await finished(process)
        summary = json.loads(done.out.splitlines()[-1])
        assert (done.returncode, summary["found"], summary["known"], summary["instances"]) == (0, 20, 8, 20)
        assert summary["is_complete"]
        assert states(journal) == {State.WAITING: 20}

    async def test_a_second_signal_ends_a_scan_that_hangs_in_comparing_files(self, tmp_path, journal):
        names, hanging = tmp_path / "names", tmp_path / "hanging"
        os.mkfifo(names)
        [file] = trees.instances(tmp_path / "archive", 1)
        os.link(file, hanging)
        process = await started("scan", "--journal", journal, "--files-from", names)
        with await asyncio.to_thread(names.open, "w") as fifo:
            print(file, hanging, sep="\n", file=fifo, flush=True)
            await until(journal, State.WAITING, 2)
            hanging.unlink()
            os.mkfifo(hanging)
        with await asyncio.to_thread(hanging.open, "w"):  # the scan reads it now
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)  # two of one kind may come as one
            done = await finished(process)
        assert (done.returncode, done.err) == (130, "")
        assert states(journal) == {State.WAITING: 2}

    async def test_ctrl_c_ends_the_question_to_the_peer_after_a_scan(self, archive, journal):
        async with running_hostile(Behaviour(on_request=stays_silent())) as scp:
            process = await started("scan", "--journal", journal, "--peer-check", HOST, str(scp.port), archive)
            await asked(lambda: scp.associations and scp.associations[0].request)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert (done.returncode, done.out) == (130, "")
        assert "Traceback" not in done.err
        with Reader(str(journal)) as reader:
            assert reader.rows("SELECT ending FROM runs") == [("completed",)]

    async def test_a_changed_file_is_looked_into_again(self, archive, journal):
        await scan(journal, archive)
        write(archive / "0" / "1", "1.2.1.9.0", study="7", date="19990101")
        _, found = await scan(journal, archive)
        assert found["summary"][0]["known"] == 9
        assert found["summary"][0]["years"] == {"": 2, "1999": 1, "2010": 4, "2020": 2, "2024": 1}

    async def test_a_journal_that_cannot_be_used_is_said(self, archive, tmp_path):
        (tmp_path / "text").write_text("no database, but some text that is long enough to be read as one\n" * 100)
        done = await asyncstore("scan", "--journal", tmp_path / "text", archive)
        assert (done.returncode, done.out) == (1, "")
        assert f"asyncstore scan: journal {tmp_path}/text: it is not a database" in done.err
        done = await asyncstore("scan", "--journal", tmp_path / "run.db")
        assert (done.returncode, "no file or directory is given" in done.err) == (1, True)


class TestSend:
    async def test_all_of_it_is_sent_once_and_resume_sends_nothing(self, archive, journal, tmp_path):
        trees.text_file(archive)
        await scan(journal, archive)
        async with running_sink("--output", tmp_path / "received") as sink:
            ran, outcomes, _ = await send(sink, journal)
            assert (ran.returncode, results(outcomes)) == (2, {"stored": 10, "not_sent": 1})
            assert "files come from the catalogue" in ran.err
            ran, outcomes, _ = await send(sink, journal)
            assert (ran.returncode, results(outcomes)) == (2, {"skipped": 10, "not_sent": 1})
            ran = await asyncstore("resume", journal)
            assert (ran.returncode, "Stored 10 of 11 files" in ran.err) == (2, True)
            assert "0 associations" in ran.err
        assert len(arrived(tmp_path / "received")) == 10
        assert states(journal) == {State.STORED: 10, State.NOT_SENT: 1}

    async def test_what_is_stored_may_be_gone(self, archive, journal):
        await scan(journal, archive)
        async with running_sink() as sink:
            await send(sink, journal)
            (archive / "0" / "1").unlink()
            ran, outcomes, _ = await send(sink, journal)
        assert (ran.returncode, results(outcomes)) == (0, {"skipped": 10})

    async def test_vanished_and_changed_files_are_sent_as_they_are_now(self, archive, journal, tmp_path):
        await scan(journal, archive)
        (archive / "0" / "1").unlink()
        write(archive / "0" / "2", "1.2.2.9.77", study="2", comment="changed")
        (archive / "0" / "3").write_text("no DICOM any more")
        async with running_sink("--output", tmp_path / "received") as sink:
            ran, outcomes, _ = await send(sink, journal, "--order", "oldest")
            assert (ran.returncode, results(outcomes)) == (2, {"stored": 8, "not_sent": 2})
            by_path = {one["path"]: one for one in outcomes}
            assert len(by_path) == 10
            assert by_path[f"{archive}/0/1"]["error"] == "no such file or directory"
            assert "1.2.2.9.77" in arrived(tmp_path / "received")
            write(archive / "0" / "1", "1.2.1.9.0")
            ran, outcomes, _ = await send(sink, journal, "--retry-not-sent")
            assert results(outcomes) == {"skipped": 8, "stored": 1, "not_sent": 1}

    @pytest.mark.parametrize(
        ("order", "affinity", "expected"),
        [
            ("newest", "first", _studies("2143")),
            ("oldest", "first", _studies("4123")),
            ("largest", "first", _studies("4132")),
            ("walk", "first", _studies("1234")),
            ("walk", "none", list("1234134144")),
        ],
    )
    async def test_the_order_of_arrival(self, archive, journal, tmp_path, order, affinity, expected):
        await scan(journal, archive)
        async with running_sink("--output", tmp_path / "received", "--latency", "0.02") as sink:
            ran, outcomes, _ = await send(sink, journal, "--order", order, "--affinity", affinity, paths=[archive])
        assert (ran.returncode, results(outcomes)) == (0, {"stored": 10})
        assert [uid.split(".")[2] for uid in arrived(tmp_path / "received")] == expected

    async def test_new_files_are_found_if_files_are_named(self, archive, journal):
        await scan(journal, archive)
        write(archive / "new", "1.5")
        async with running_sink() as sink:
            _, outcomes, _ = await send(sink, journal)
            assert results(outcomes) == {"stored": 10}
            _, outcomes, _ = await send(sink, journal, paths=[archive])
            assert results(outcomes) == {"skipped": 10, "stored": 1}
            _, outcomes, _ = await send(sink, journal)
            assert results(outcomes) == {"skipped": 11}

    async def test_an_interrupted_run_takes_nothing_from_the_catalogue(self, journal, tmp_path):
        trees.instances(tmp_path / "archive", 400)
        await scan(journal, tmp_path / "archive")
        async with running_sink("--latency", "0.02") as sink:
            process = await started("send", "-nh", "--associations", "2", "--journal", journal, HOST, str(sink.port))
            await until(journal, State.STORED, 1)
            process.send_signal(signal.SIGINT)
            assert (await finished(process)).returncode == 130
            with Reader(str(journal)) as reader:
                left = list(reader.deliveries([State.WAITING]))
            assert 0 < len(left) < 400
            assert all(row.study and row.size and row.sop_instance_uid for row in left)
            _, outcomes, _ = await send(sink, journal, "--order", "newest", "--associations", "8")
        assert results(outcomes) == {"stored": len(left), "skipped": 400 - len(left)}
        assert states(journal) == {State.STORED: 400}


async def test_after_a_salvage_a_scan_finds_stored_files_whose_folder_the_journal_lost(archive, journal):
    async with running_sink() as sink:
        _, outcomes, _ = await send(sink, journal, paths=[archive])
        assert results(outcomes) == {"stored": 10}
        with contextlib.closing(sqlite3.connect(journal)) as other:
            other.execute("DELETE FROM directories")
            other.commit()
        new = journal.with_name("new.db")
        saved = await asyncstore("report", "--salvage", new, journal)
        assert "10 records name files without their folder, which is lost; 10 of them were stored." in saved.out
        _, found = await scan(new, archive)
        assert found["summary"][0]["brought_home"] == 10
        _, outcomes, _ = await send(sink, new)
        assert results(outcomes) == {"skipped": 10}


class TestClashes:
    @pytest.fixture
    def clashes(self, tmp_path, journal):  # noqa: ARG002 - both lie in the same folder
        """Two files of the same bytes, two that conflict, and another one."""
        folder = tmp_path / "clashes"
        for name, uid, comment in (
            ("a", "1.9", "x"), ("b", "1.9", "x"), ("c", "1.8", "x"), ("d", "1.8", "yy"), ("e", "1.7", "x"),
        ):  # fmt: skip
            write(folder / name, uid, comment=comment)
        return folder

    @pytest.mark.parametrize("words", [(), ("-R",)], ids=["contexts as needed", "contexts of all files"])
    async def test_a_copy_is_not_sent_again_and_conflicts_are_sent(self, words, clashes, journal):
        await scan(journal, clashes)
        async with running_sink() as sink:
            ran, outcomes, _ = await send(sink, journal, *words)
            assert (ran.returncode, results(outcomes)) == (0, {"stored": 4, "skipped": 1})
            assert [one["path"] for one in outcomes if one["result"] == "skipped"] == [f"{clashes}/b"]
            assert "Not sent again: 1 file with the SOP instance UID and the bytes of a stored one" in ran.err
            assert "Stored all 5 files in" in ran.err
            assert "by an earlier run" not in ran.err
            assert "2 files of the catalogue conflict" in ran.err
            assert states(journal) == {State.STORED: 5}
            ran, outcomes, _ = await send(sink, journal)
            assert (ran.returncode, results(outcomes)) == (0, {"skipped": 5})
        report = json.loads((await asyncstore("report", "--json", journal)).out)
        runs = [(run["stored"], run["skipped"], run["waiting"]) for run in report["runs"][1:]]
        assert (runs, report["stored"], report["waiting"]) == ([(4, 1, 0), (0, 5, 0)], 5, 0)

    async def test_a_file_whose_conflicting_file_was_removed_is_sent(self, clashes, journal):
        await scan(journal, clashes)
        async with running_sink() as sink:
            await send(sink, journal, "--conflicts", "hold")
            (clashes / "d").unlink()
            _, outcomes, _ = await send(sink, journal, "--conflicts", "hold", "--retry-not-sent")
        assert results(outcomes) == {"skipped": 3, "stored": 1, "not_sent": 1}
        assert [one["error"] for one in outcomes if one["result"] == "not_sent"] == ["no such file or directory"]

    async def test_a_copy_is_sent_if_the_first_file_is_gone(self, clashes, journal):
        await scan(journal, clashes)
        (clashes / "a").unlink()
        async with running_sink() as sink:
            ran, outcomes, _ = await send(sink, journal)
        assert (ran.returncode, results(outcomes)) == (2, {"stored": 4, "not_sent": 1})

    async def test_a_copy_that_changed_is_sent(self, clashes, journal):
        await scan(journal, clashes)
        write(clashes / "b", "1.9", comment="y")
        async with running_sink() as sink:
            _, outcomes, _ = await send(sink, journal)
        assert results(outcomes) == {"stored": 5}

    async def test_a_copy_is_sent_if_the_first_file_changed(self, clashes, journal):
        await scan(journal, clashes)
        write(clashes / "a", "1.9", comment="y")
        async with running_sink() as sink:
            _, outcomes, _ = await send(sink, journal)
        assert results(outcomes) == {"stored": 5}

    async def test_conflicts_are_held_back_until_they_are_wanted(self, clashes, journal, tmp_path):
        await scan(journal, clashes)
        async with running_sink("--output", tmp_path / "received") as sink:
            ran, outcomes, _ = await send(sink, journal, "--conflicts", "hold")
            assert (ran.returncode, results(outcomes)) == (2, {"stored": 2, "skipped": 1, "not_sent": 2})
            reasons = {one["path"][-1]: one["error"] for one in outcomes if one["result"] == "not_sent"}
            said = "another file has the same SOP instance UID and other bytes"
            assert reasons == {"c": f"{said}: {clashes}/d", "d": f"{said}: {clashes}/c"}
            with Reader(str(journal)) as reader:
                assert {row.study for row in reader.deliveries([State.NOT_SENT])} == {"1.2.1"}
            _, outcomes, _ = await send(sink, journal, "--conflicts", "hold", "--retry-not-sent")
            assert results(outcomes) == {"skipped": 3, "not_sent": 2}
            assert sorted(arrived(tmp_path / "received")) == ["1.7", "1.9"]
            _, outcomes, _ = await send(sink, journal, "--retry-not-sent")
            assert results(outcomes) == {"skipped": 3, "stored": 2}

    async def test_new_uids_do_not_clash(self, clashes, journal, tmp_path):
        await scan(journal, clashes)
        async with running_sink("--output", tmp_path / "received") as sink:
            _, outcomes, _ = await send(sink, journal, "+II", "--conflicts", "hold")
        assert results(outcomes) == {"stored": 5}
        assert len(set(arrived(tmp_path / "received"))) == 5


class TestLists:
    async def test_studies_of_a_list_in_its_order(self, archive, journal, tmp_path):
        await scan(journal, archive)
        listed = tmp_path / "studies"
        listed.write_text("1.2.2\r\n\n 1.2.77 \n1.2.1\n")
        async with running_sink("--output", tmp_path / "received", "--latency", "0.02") as sink:
            ran, outcomes, written = await send(sink, journal, "--only-studies", listed, "--order", "list")
        assert (ran.returncode, results(outcomes)) == (2, {"stored": 4})
        assert f"1 UID is in {listed} and not in the catalogue: 1.2.77" in ran.err
        assert [one["uid"] for one in written if one["type"] == "not_found"] == ["1.2.77"]
        assert written[-1]["not_found"] == 1
        assert [uid.split(".")[2] for uid in arrived(tmp_path / "received")] == ["2", "1", "1", "1"]

    async def test_instances_of_a_list(self, archive, journal, tmp_path):
        await scan(journal, archive)
        listed = tmp_path / "uids"
        listed.write_text("1.2.4.9.3\n1.2.1.9.0\n")
        async with running_sink("--output", tmp_path / "received", "--latency", "0.02") as sink:
            ran, outcomes, written = await send(sink, journal, "--only-uids", listed, "--order", "list")
            assert (ran.returncode, results(outcomes), written[-1]["not_found"]) == (0, {"stored": 2}, 0)
            assert arrived(tmp_path / "received") == ["1.2.4.9.3", "1.2.1.9.0"]
            listed.write_text("5.5\n")
            ran, outcomes, _ = await send(sink, journal, "--only-uids", listed)
            assert (ran.returncode, results(outcomes)) == (2, {})
        assert states(journal) == {State.STORED: 2, State.WAITING: 8}

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (None, "cannot read it: No such file or directory"),
            (b"", "it names no UID"),
            (b"\n \n", "it names no UID"),
            (b"StudyInstanceUID;Date\n", "'StudyInstanceUID;Date' is no UID"),
            (b"1.2.3\n" + b"1" * 65 + b"\n", "is no UID"),
            (b"1" * 10_000, "cannot read it: a name in it is longer than"),
            ("1.2.3".encode("utf-16"), "cannot read it: it is UTF-16"),
        ],
    )
    async def test_bad_lists_are_refused_before_anything_is_sent(self, archive, journal, tmp_path, content, complaint):
        await scan(journal, archive)
        if content is not None:
            (tmp_path / "list").write_bytes(content)
        for option in ("--only-uids", "--only-studies"):
            done = await asyncstore("send", "--journal", journal, option, tmp_path / "list", HOST, "104")
            assert (done.returncode, done.out) == (1, "")
            assert f"{option} {tmp_path}/list: " in done.err
            assert complaint in done.err


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ((), "no file or directory is given, and there is no catalogue in"),
            (("--order", "newest"), "--order newest needs a catalogue"[:8]),
            (("--conflicts", "hold"), "--conflicts needs a catalogue, and there is no catalogue in"),
        ],
    )
    async def test_without_a_catalogue(self, archive, journal, words, complaint):
        paths = [archive] if words else []
        done = await asyncstore("send", "--journal", journal, *words, HOST, "104", *paths)
        assert done.returncode == 1
        assert complaint in done.err
        assert f"asyncstore scan --journal {journal} PATHS makes one." in done.err
        assert not journal.exists()

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (("--order", "list"), "--order list needs --only-studies or --only-uids"),
            (("--repeat", "2"), "--repeat cannot be used with files from a catalogue"),
            (("+rn",), "--rename cannot be used with files from a catalogue"),
        ],
    )
    async def test_options_that_do_not_fit(self, archive, journal, words, complaint):
        await scan(journal, archive)
        done = await asyncstore("send", "--journal", journal, *words, HOST, "104")
        assert (done.returncode, complaint in done.err) == (1, True)

    async def test_other_files_than_those_that_were_scanned(self, archive, journal, tmp_path):
        await scan(journal, archive)
        done = await asyncstore("send", "--journal", journal, "--order", "newest", HOST, "104", tmp_path)
        assert (done.returncode, "is of other files" in done.err) == (1, True)

    async def test_options_without_a_journal(self, archive):
        for words in (("--order", "newest"), ("--only-uids", "x"), ("--only-studies", "x"), ("--conflicts", "hold")):
            done = await asyncstore("send", *words, HOST, "104", archive)
            assert (done.returncode, f"{words[0]}" in done.err, "--journal" in done.err) == (1, True, True)


async def test_a_journal_and_what_a_run_writes_in_a_folder_that_is_sent_are_no_part_of_it(archive):
    journal = archive / "0" / "run.db"
    scanned = await asyncstore("scan", "--archives", "--journal", journal, archive)
    assert scanned.returncode == 0
    assert f"asyncstore send -nh --archives --journal {journal} PEER PORT sends them" in scanned.out
    async with running_sink() as sink:
        words = ("--archives", "--journal", journal, "--json", archive / "1.json", "--metrics-file", archive / "1.prom")
        ran = await asyncstore("send", *words, HOST, str(sink.port), archive, journal)
    assert (ran.returncode, states(journal)) == (0, {State.STORED: 10})
