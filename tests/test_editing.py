"""Runs that edit: what a storage SCP receives, and what a journal and a dry run make of it."""

from __future__ import annotations

import asyncio
import csv
import json
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, MRImageStorage

from support import trees
from support.commands import asyncstore, running_sink

pytestmark = pytest.mark.slow

MAP = "PatientID,new PatientID,new PatientName,source\n1CT1,A-1,Müller^Jörg,OLD HOSPITAL\n"


def _file(name):
    return next(path for path in trees.pydicom_test_files() if path.name == name)


async def _sent(folder, *words, files=("CT_small.dcm",)):
    """What a sink receives of files of pydicom's, by their SOP class, and the outcomes."""
    kept, lines = folder / "kept", folder / "run.json"
    async with running_sink("--output", kept) as sink:
        paths = [path if isinstance(path, Path) else _file(path) for path in files]
        ended = await asyncstore("send", "-nh", *words, "--json", lines, "127.0.0.1", str(sink.port), *paths)
    outcomes = [json.loads(line) for line in await asyncio.to_thread(_lines, lines)]
    received = {}
    for path in kept.rglob("*.dcm"):
        instance = dcmread(path)
        assert instance.file_meta.MediaStorageSOPInstanceUID == instance.SOPInstanceUID
        assert instance.file_meta.MediaStorageSOPClassUID == instance.SOPClassUID
        received[instance.SOPClassUID] = instance
    by_path = {one["path"]: one for one in outcomes if one["type"] == "outcome"}
    return received, [by_path[str(path)] for path in paths], ended


def _lines(path):
    return path.read_text().splitlines()


async def test_all_kinds_of_edits_arrive_together(tmp_path):
    (tmp_path / "map.csv").write_text(MAP)
    words = ("--map", tmp_path / "map.csv", "--set", "StudyDescription=Schädel", "--remove", "InstanceNumber")
    received, [outcome], _ = await _sent(tmp_path, *words, "--uid-suffix", "7")
    before, after = dcmread(_file("CT_small.dcm")), received[CTImageStorage]
    assert (after.PatientID, str(after.PatientName), after.StudyDescription) == ("A-1", "Müller^Jörg", "Schädel")
    assert "InstanceNumber" not in after
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert after[keyword].value == f"{before[keyword].value}.7"
    [original] = after.OriginalAttributesSequence
    assert original.ModifiedAttributesSequence[0].PatientID == "1CT1"
    assert original.SourceOfPreviousValues == "OLD HOSPITAL"
    assert "StudyDescription" not in original.ModifiedAttributesSequence[0]
    assert after.PixelData == before.PixelData
    assert (outcome["result"], outcome["sop_instance_uid"]) == ("stored", after.SOPInstanceUID)


@pytest.mark.parametrize("words", [("-xi",), ("-xb",), ("-xd",), ("-u",), ()], ids=" ".join)
async def test_edited_instances_are_converted_as_others(tmp_path, words):
    names = ("CT_small.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")
    received, outcomes, _ = await _sent(
        tmp_path, *words, "--set", "PatientID=4711", "--set", "RequestAttributesSequence.StudyID=5", files=names
    )
    assert [one["result"] for one in outcomes] == ["stored"] * 3
    for instance in received.values():
        assert instance.PatientID == "4711"
        assert instance.RequestAttributesSequence[0].StudyID == "5"
        instance.decode()


async def test_a_sequence_of_undefined_length_can_be_removed_and_an_element_in_it_set(tmp_path):
    made = dcmread(_file("CT_small.dcm"))
    made["OtherPatientIDsSequence"].is_undefined_length = True
    made.PatientComments = "x" * 9000
    made.save_as(tmp_path / "file.dcm")
    received, [outcome], _ = await _sent(
        tmp_path, "--remove", "OtherPatientIDsSequence", "--set", "PatientSex=F", files=[tmp_path / "file.dcm"]
    )
    assert outcome["result"] == "stored"
    after = received[CTImageStorage]
    assert "OtherPatientIDsSequence" not in after
    assert (after.PatientSex, after.PatientComments, after.PixelData) == ("F", made.PatientComments, made.PixelData)


async def test_an_instance_may_become_one_of_another_sop_class(tmp_path):
    words = ("--set", f"SOPClassUID={MRImageStorage}", "--set", "SOPInstanceUID=1.2.3")
    received, [first, second], _ = await _sent(tmp_path, *words, files=("CT_small.dcm", "MR_small.dcm"))
    assert received[MRImageStorage].SOPInstanceUID == "1.2.3"
    assert (first["result"], first["sop_class_uid"], first["sop_instance_uid"]) == ("stored", CTImageStorage, "1.2.3")
    assert second["result"] == "not_sent"
    assert "another file" in second["error"]


async def test_a_later_run_gives_no_other_file_the_only_sop_instance_uid(tmp_path):
    files = trees.instances(tmp_path / "in", 3)
    words = ("--journal", tmp_path / "run.db", "--retry-not-sent", "--set", "SOPInstanceUID=1.2.3")
    words = ("-nh", *words, "--json", tmp_path / "run.json")
    async with running_sink() as sink:
        for first in ("stored", "skipped", "stored"):
            await asyncstore("send", *words, "127.0.0.1", str(sink.port), tmp_path / "in")
            outcomes = [json.loads(line) for line in _lines(tmp_path / "run.json")]
            results = {one["path"]: one["result"] for one in outcomes if one["type"] == "outcome"}
            assert [results[str(path)] for path in files] == [first, "not_sent", "not_sent"]
            if first == "skipped":
                files[0].touch()


async def test_instances_that_are_not_in_the_map_are_refused_or_sent_as_they_are(tmp_path):
    (tmp_path / "map.csv").write_text(MAP)
    files = ("CT_small.dcm", "MR_small.dcm")
    _, outcomes, ended = await _sent(tmp_path, "--map", tmp_path / "map.csv", files=files)
    assert [one["result"] for one in outcomes] == ["stored", "not_sent"]
    assert outcomes[1]["error"] == "its patient is not in the map"
    assert ended.returncode == 2
    words = ("--map", tmp_path / "map.csv", "--map-others", "send")
    received, outcomes, _ = await _sent(tmp_path / "other", *words, files=files)
    assert [one["result"] for one in outcomes] == ["stored"] * 2
    assert received[MRImageStorage].PatientID == dcmread(_file("MR_small.dcm")).PatientID


async def test_what_cannot_be_edited_is_not_sent_and_says_why(tmp_path):
    words = ("--set", "(0040,0275)[4].StudyID=5")
    _, [outcome], _ = await _sent(tmp_path, *words)
    assert outcome["result"] == "not_sent"
    assert outcome["error"] == "its sequence (0040,0275) has no item 4: its next one would be 0"


async def test_a_dry_run_tells_what_would_be_edited_and_what_could_not(tmp_path):
    (tmp_path / "map.csv").write_text(MAP)
    words = ("-nh", "--map", tmp_path / "map.csv", "--set", f"SOPClassUID={MRImageStorage}")
    ended = await asyncstore("send", "--dry-run", *words, "h", "1", _file("CT_small.dcm"), _file("rtplan.dcm"))
    assert "1 instance would be edited." in ended.out
    assert "MRImageStorage" in ended.out
    assert "its patient is not in the map" in ended.out


async def test_a_journal_belongs_to_the_edits_of_its_first_run(tmp_path):
    (tmp_path / "map.csv").write_text(MAP)
    journal = ("--journal", tmp_path / "run.db")
    async with running_sink() as sink:
        peer = ("127.0.0.1", str(sink.port), _file("CT_small.dcm"))
        words = ("--map", tmp_path / "map.csv", "--set", "StudyID=1", "--remove", "PatientSex")
        first = await asyncstore("send", *journal, *words, *peer)
        again = await asyncstore("send", *journal, *words, *peer)
        refusals = {
            "--set": (*words[:3], "StudyID=2", *words[4:]),
            "--remove": words[:4],
            "--uid-suffix": (*words, "--uid-suffix", "1"),
        }
        refused = {option: await asyncstore("send", *journal, *others, *peer) for option, others in refusals.items()}
        (tmp_path / "map.csv").write_text(MAP.replace("A-1", "A-2"))
        refused["--map"] = await asyncstore("send", *journal, *words, *peer)
    assert (first.returncode, again.returncode) == (0, 0)
    for option, ended in refused.items():
        assert ended.returncode == 1
        assert f"{option}: recorded" in ended.err


async def test_members_of_archives_are_edited_in_their_place(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(_file("CT_small.dcm"), "ct")
        file.write(_file("MR_small.dcm"), "mr", zipfile.ZIP_DEFLATED)
    kept = tmp_path / "kept"
    async with running_sink("--output", kept) as sink:
        words = ("--archives", "--set", "PatientID=4711", "--set", "RequestAttributesSequence.StudyID=5")
        ended = await asyncstore("send", "-nh", *words, "127.0.0.1", str(sink.port), archive)
    assert ended.returncode == 0
    received = [dcmread(path) for path in kept.rglob("*.dcm")]
    assert {instance.SOPClassUID for instance in received} == {CTImageStorage, MRImageStorage}
    for instance in received:
        assert (instance.PatientID, instance.RequestAttributesSequence[0].StudyID) == ("4711", "5")
        name = "CT_small.dcm" if instance.SOPClassUID == CTImageStorage else "MR_small.dcm"
        assert instance.PixelData == dcmread(_file(name)).PixelData


# Repair.

CASES = Path(__file__).parent / "cases"
MENDED = ("bytes-behind-pixels.dcm", "delimiter-open-image-long.dcm", "odd-trailing-newline.dcm")


async def test_each_mended_file_is_listed_with_what_was_done(tmp_path):
    files = [CASES / name for name in (*MENDED, "fragments-zeros-for-end.dcm", "odd-text.dcm")]
    received, outcomes, ended = await _sent(tmp_path, "--repair", files=files)
    assert [one["result"] for one in outcomes] == ["stored"] * 3 + ["not_sent", "stored"]
    assert [one.get("repairs") for one in outcomes] == [
        ["bytes behind its last element were left out"],
        ["missing ends of items were written"],
        ["bytes behind its last element were left out"],
        None,
        None,
    ]
    assert received
    assert ended.err.count(": repaired: ") == 3
    assert "3 files repaired" in ended.err


async def test_the_report_counts_and_lists_mended_files_with_what_was_done(tmp_path):
    journal = tmp_path / "run.db"
    files = [CASES / name for name in (*MENDED, "odd-text.dcm")]
    _, outcomes, _ = await _sent(tmp_path, "--repair", "--journal", journal, files=files)
    mended = {one["path"]: one["repairs"] for one in outcomes if "repairs" in one}
    told = await asyncstore("report", journal)
    lines = (
        "\nrepaired: 3 files\n  2    bytes behind its last element were left out\n"
        "  1    missing ends of items were written\n"
    )
    assert lines in told.out
    sums = json.loads((await asyncstore("report", "--json", journal)).out)
    assert sums["repaired"] == 3
    assert [one["files"] for one in sums["repairs"]] == [2, 1]
    listed = await asyncstore("report", "--list", "repaired", journal)
    assert sorted(listed.out.splitlines()) == sorted(f"{path}: repaired: {'; '.join(mended[path])}" for path in mended)
    as_json = await asyncstore("report", "--list", "repaired", "--json", journal)
    assert {one["path"]: one["repairs"] for one in map(json.loads, as_json.out.splitlines())} == mended
    as_csv = await asyncstore("report", "--list", "repaired", "--csv", journal)
    assert {row["path"]: row["repairs"] for row in csv.DictReader(as_csv.out.splitlines())} == {
        path: "; ".join(words) for path, words in mended.items()
    }
    names = await asyncstore("report", "--list", "repaired", "--null", journal)
    assert sorted(names.out.split("\0")[:-1]) == sorted(mended)
    page = tmp_path / "page.html"
    await asyncstore("report", "--html", page, journal)
    assert "missing ends of items were written" in page.read_text()


async def test_without_the_wish_nothing_is_mended(tmp_path):
    _, outcomes, _ = await _sent(tmp_path, files=[CASES / name for name in MENDED])
    assert {one["result"] for one in outcomes} == {"not_sent"}


@pytest.mark.parametrize("words", [("-xi",), ("-xd",), ("--set", "PatientID=1"), ("+II",)], ids=" ".join)
async def test_mended_instances_are_converted_and_edited_as_others(tmp_path, words):
    files = [CASES / name for name in ("delimiter-open-image-long.dcm", "bytes-behind-pixels.dcm")]
    received, outcomes, _ = await _sent(tmp_path, "--repair", *words, files=files)
    assert [one["result"] for one in outcomes] == ["stored"] * 2
    assert all("repairs" in one for one in outcomes)
    for instance in received.values():
        assert instance.PixelData
        assert "--set" not in words or instance.PatientID == "1"
