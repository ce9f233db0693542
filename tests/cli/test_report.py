"""``asyncstore report`` as its users have it: sums, lists, salvage and exit codes."""

import contextlib
import csv
import io
import json
import os
import re
import signal
import stat

import pytest

from asyncstore.cataloguing import FromCatalogue
from asyncstore.cli.report import machine, plain
from asyncstore.cli.report.facts import gather
from asyncstore.cli.report.page import page
from asyncstore.journal.catalogue import Catalogue
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State, Walk
from support.commands import asyncstore, finished, needs_a_full_device, started
from support.journals import begin, delivery

BEGIN = 1_700_006_400.0
"""2023-11-15T00:00:00Z."""
MR = "1.2.840.10008.5.1.4.1.1.4"
ROWS = [
    *(delivery(f"/a/{number}", status=0, study="1.1", time=BEGIN + number) for number in range(5)),
    delivery("/a/w0", State.WARNING, status=0xB000, reason="0xB000 coercion", time=BEGIN, study="1.1"),
    delivery("/a/w6", State.WARNING, status=0xB006, reason="0xB006 discarded", time=BEGIN, study="1.1"),
    delivery("/a/w7", State.WARNING, status=0xB007, reason="0xB007 mismatch", time=BEGIN, study="1.1"),
    delivery("/a/f1", State.FAILED, status=0xA700, reason="0xA700 out of resources", time=BEGIN + 86_400, study="1.2",
             sop_class_uid=MR),
    delivery("/a/n1", State.NOT_SENT, reason="cannot be opened: Permission denied", size=None, study=None, series=None,
             patient_id=None, sop_class_uid=None, sop_instance_uid=None, time=BEGIN),
    delivery("/a/n2", State.NOT_SENT, reason="cannot be opened: No such file or directory", size=None, study=None,
             series=None, patient_id=None, sop_class_uid=None, sop_instance_uid=None, time=BEGIN),
    delivery("/a/u1", State.UNKNOWN, reason="the association was lost", time=BEGIN, study="1.2"),
    delivery("/a/x1", State.WAITING, attempts=0, study="1.3", time=BEGIN),
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def record(path, rows=ROWS, **more):
    with begin(path, **more) as journal:
        journal.walk = Walk(len(rows), is_ended=True)
        journal.write(rows)


def text_of(*paths, width=None):
    readers = [Reader(str(path)) for path in paths]
    lines = list(plain.lines(gather(readers), width))
    for reader in readers:
        reader.close()
    return lines


async def test_the_verdict_comes_first_and_everything_is_counted(path):
    record(path)
    found = await asyncstore("report", path)
    assert (found.returncode, found.err) == (2, "")
    first, *lines = found.out.splitlines()
    assert first == (
        "Of 13 files found, 8 are stored (3 with a warning), 1 failed, 2 were not sent, 1 is unknown and 1 waits."
    )
    for line in (
        "To pacs 11112, calling AE title US, called AE title THEM.",
        "      5  4.50 kB  stored",
        "     13  9.90 kB  found",
        "3 studies: 1 complete, 1 incomplete, 1 untouched.",
        "not sent: 2 files",
        "  2    cannot be opened",
        "  1      Permission denied",
        "      1    0xB000 coercion of data elements",
        "      1    0xB006 elements discarded",
        "      1    0xB007 data set does not match SOP class",
        "       0           1  MRImageStorage",
        "       8           3  2023-11-15",
        "       0           1  2023-11-16",
    ):
        assert line in lines
    assert lines[-1].startswith("       8        0  ")
    assert lines[-1].endswith("  completed; 1 failed, 2 not sent, 1 unknown, 1 waiting")


async def test_the_sums_as_one_object(path):
    record(path)
    found = await asyncstore("report", "--json", path)
    [line] = found.out.splitlines()
    fields = json.loads(line)
    parts = ("stored", "warning", "failed", "not_sent", "unknown", "skipped", "waiting")
    assert fields["found"] == sum(fields[name] for name in parts) == 13
    assert fields["statuses"] == {"0x0000": 5, "0xA700": 1, "0xB000": 1, "0xB006": 1, "0xB007": 1}
    assert {"result": "not_sent", "reason": "cannot be opened: Permission denied", "files": 1} in fields["reasons"]
    assert fields["studies"] == {"complete": 1, "incomplete": 1, "untouched": 1}
    assert [day["date"] for day in fields["days"]] == ["2023-11-15", "2023-11-16"]
    assert fields["migrations"] == [
        {"host": "pacs", "port": "11112", "calling AE title": "US", "called AE title": "THEM"}
    ]
    [run] = fields["runs"]
    assert (run["run"], run["how"], run["is_walked"], run["is_running"]) == (1, "completed", True, False)
    assert (fields["exit_code"], found.returncode) == (2, 2)
    assert (fields["is_running"], fields["forecast"], fields["rate"]) == (False, None, None)


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("stored", ["0", "1", "2", "3", "4"]),
        ("warning", ["w0", "w6", "w7"]),
        ("failed", ["f1"]),
        ("not-sent", ["n1", "n2"]),
        ("unknown", ["u1"]),
        ("waiting", ["x1"]),
    ],
)
@pytest.mark.slow
async def test_a_list_of_files_in_every_form(path, state, names):
    record(path)
    paths = [f"/a/{name}" for name in names]
    text, as_csv, as_json, null = [
        await asyncstore("report", "--list", state, *form, path) for form in ((), ("--csv",), ("--json",), ("--null",))
    ]
    assert {found.returncode for found in (text, as_csv, as_json, null)} == {0}
    assert [line.partition(": ")[0] for line in text.out.splitlines()] == paths
    assert [row["path"] for row in csv.DictReader(io.StringIO(as_csv.out))] == paths
    rows = [json.loads(line) for line in as_json.out.splitlines()]
    assert [(row["type"], row["path"], row["result"]) for row in rows] == [
        ("file", path, state.replace("-", "_")) for path in paths
    ]
    assert null.out.split("\0") == [*paths, ""]


async def test_the_reason_stands_behind_the_name(path):
    record(path)
    found = await asyncstore("report", "--list", "not-sent", path)
    assert found.out.splitlines()[0] == "/a/n1: cannot be opened: Permission denied"
    found = await asyncstore("report", "--list", "failed", "--json", path)
    row = json.loads(found.out)
    assert (row["status"], row["error"], row["sop_class_uid"]) == ("0xA700", "0xA700 out of resources", MR)
    assert (row["study_instance_uid"], row["time"], row["bytes"]) == ("1.2", "2023-11-16T00:00:00.000Z", 900)


@pytest.mark.parametrize(
    ("kind", "line", "uid"),
    [
        ("complete", "1.1: 8 of 8 instances stored", "1.1"),
        ("incomplete", "1.2: 0 of 2 instances stored", "1.2"),
        ("untouched", "1.3: 0 of 1 instance stored, 1 waiting", "1.3"),
    ],
)
async def test_a_list_of_studies_in_every_form(path, kind, line, uid):
    record(path)
    found = await asyncstore("report", "--studies", kind, path)
    assert (found.returncode, found.out) == (0, f"{line}\n")
    found = await asyncstore("report", "--studies", kind, "--csv", path)
    assert [row["study_instance_uid"] for row in csv.DictReader(io.StringIO(found.out))] == [uid]
    found = await asyncstore("report", "--studies", kind, "--json", path)
    assert [json.loads(each)["completeness"] for each in found.out.splitlines()] == [kind]


async def test_names_survive_to_the_byte(path):
    names = [b"/a/new\nline", b"/a/not utf-8 \xff", b"/a/\x1b[31mred", b'/a/quote"d, with comma']
    record(path, [delivery(os.fsdecode(name), State.FAILED, reason="no\x1b[0m") for name in names])
    process = await started("report", "--list", "failed", "--null", path)
    out, _ = await process.communicate()
    assert sorted(out.split(b"\0")[:-1]) == sorted(names)
    found = await asyncstore("report", "--list", "failed", path)
    assert len(found.out.splitlines()) == 4
    assert "\x1b" not in found.out
    found = await asyncstore("report", "--list", "failed", "--json", path)
    assert sorted(os.fsencode(json.loads(line)["path"]) for line in found.out.splitlines()) == sorted(names)
    found = await asyncstore("report", "--list", "failed", "--csv", path)
    rows = {row["path"] for row in csv.DictReader(io.StringIO(found.out))}
    assert {"/a/new\nline", '/a/quote"d, with comma', "/a/not utf-8 \\udcff"} <= rows


async def test_a_list_can_be_sent_again(path, tmp_path):
    (tmp_path / "a file").write_bytes(b"no DICOM")
    record(
        path, [delivery(tmp_path / "a file", State.FAILED), delivery(tmp_path / "a file", State.FAILED, occurrence=1)]
    )
    listed = await asyncstore("report", "--list", "failed", "--null", path)
    assert listed.out == f"{tmp_path / 'a file'}\0"
    found = await asyncstore("scan", "--files-from", "-", "--null", stdin=listed.out.encode())
    assert "cannot be sent: 1 file" in found.out


@pytest.mark.parametrize(
    ("rows", "code", "sentence"),
    [
        ([delivery("/a/1"), delivery("/a/2")], 0, "All 2 files found are stored."),
        ([delivery("/a/1")], 0, "The only file found is stored."),
        ([delivery("/a/1"), delivery("/a/2", State.WARNING)], 0, "All 2 files found are stored (1 with a warning)."),
        ([delivery("/a/1", State.FAILED)], 2, "Of 1 file found, 0 are stored and 1 failed."),
        ([delivery("/a/1"), delivery("/a/2", State.WAITING)], 2, "Of 2 files found, 1 is stored and 1 waits."),
        ([], 2, "No file was found."),
    ],
)
async def test_the_exit_code_says_whether_everything_is_stored(path, rows, code, sentence):
    record(path, rows)
    found = await asyncstore("report", path)
    assert (found.returncode, found.out.splitlines()[0]) == (code, sentence)
    found = await asyncstore("report", "-q", path)
    assert (found.returncode, found.out) == (code, "")


async def test_a_walk_that_was_cut_short_is_no_success(path):
    journal = begin(path)
    journal.write([delivery("/a/1")])
    journal.walk = Walk(1, is_ended=False)
    journal.close("interrupted")
    found = await asyncstore("report", path)
    assert found.returncode == 2
    assert "The last run ended before it had found all files: there may be more." in found.out


async def test_a_run_that_goes_on(path):
    with begin(path) as journal:
        journal.walk = Walk(10, is_ended=True)
        journal.write([delivery("/a/1"), delivery("/a/2", time=BEGIN)])
        journal.flush()
        found = await asyncstore("report", path)
        fields = json.loads((await asyncstore("report", "--json", path)).out)
        journal.write([delivery("/a/3")])
        journal.flush()
        again = await asyncstore("report", path)
    assert found.returncode == 2
    assert found.out.startswith("Of 10 files found, 2 are stored and 8 wait.\nA run goes on.\n")
    assert found.out.endswith("  goes on\n")
    assert fields["is_running"]
    assert again.out.startswith("Of 10 files found, 3 are stored and 7 wait.\n")


def test_a_run_that_was_killed(path):
    pid = os.fork()
    if not pid:
        journal = begin(path)
        journal.write([delivery("/a/1")])
        journal.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    lines = text_of(path)
    assert "A run goes on." not in lines
    assert "The last run ended before it had found all files: there may be more." in lines
    assert lines[-1].endswith("  was cut off; its last commit was then")


def walk(path, sources, *, is_ended=True, how="completed"):
    """A run that walks these sources, and records a file."""
    with begin(path) as journal:
        journal.begin_walk(sources)
        journal.walk = Walk(1, is_ended=is_ended)
        journal.write([delivery(f"{sources[0]}/{journal.run}")])
        journal.close(how)


def test_a_walk_that_was_cut_short_is_named_until_it_is_repeated(path):
    def seen():
        with Reader(str(path)) as reader:
            facts = gather([reader])
            return facts.sources, facts.exit_code, list(plain.lines(facts, None))[1:3]

    walk(path, ["/a", "/b/c"], is_ended=False)
    last = "The last run ended before it had found all files: there may be more."
    assert seen() == (["/a", "/b/c"], 2, [last, "  to be walked again: /a"])
    walk(path, ["/d"])
    earlier = "An earlier run was cut short before it had recorded all files: there may be more."
    assert seen() == (["/a", "/b/c"], 2, [earlier, "  to be walked again: /a"])
    walk(path, ["/a"])
    assert seen() == (["/b/c"], 2, [earlier, "  to be walked again: /b/c"])
    walk(path, ["/b/c/d", "/b/cc"])
    assert seen()[:2] == (["/b/c"], 2)
    walk(path, ["/b"])
    assert seen()[:2] == ([], 0)


def test_files_that_a_run_found_and_did_not_record_are_not_forgotten_after_another_one(path):
    walk(path, ["/a"], how="interrupted")
    with Reader(str(path)) as reader:
        assert gather([reader]).sources == []  # they count as waiting
    walk(path, ["/b"])
    with Reader(str(path)) as reader:
        facts = gather([reader])
        assert (facts.sources, facts.exit_code) == (["/a"], 2)


def test_a_run_that_goes_on_is_no_walk_that_was_cut_short(path):
    with begin(path) as journal:
        journal.begin_walk(["/a"])
        with Reader(str(path)) as reader:
            assert gather([reader]).sources == []


def test_sources_whose_walks_ended_are_not_kept(path):
    for number in range(3):
        walk(path, [f"/{number}"])
    with Reader(str(path)) as reader:
        [[kept]] = reader.rows("SELECT value FROM facts WHERE name = 'walks'")
    assert json.loads(kept) == {"/2": 3}


@pytest.mark.parametrize("is_scanned", [True, False])
def test_a_run_that_sends_a_catalogue_may_find_more_only_if_the_scan_did_not_end(path, is_scanned):
    with begin(path, None) as journal:
        journal.begin_catalogue(["/a"])
        journal.write([delivery("/a/1", State.WAITING), delivery("/a/2", State.WAITING)])
        if is_scanned:
            journal.complete_catalogue()
    with (
        begin(path) as journal,
        contextlib.closing(FromCatalogue(journal, Catalogue(str(path))).without_settled(iter(()))) as files,
    ):
        next(files)
    assert ("The last run ended before it had found all files: there may be more." in text_of(path)) != is_scanned


@pytest.mark.parametrize(("error", "words"), [
    (KeyboardInterrupt(), "interrupted"), (OSError(5, "Input/output error"), "[Errno 5] Input/output error")
])  # fmt: skip
def test_a_run_that_ended_with_an_error_says_how(path, error, words):
    with contextlib.suppress(type(error)), begin(path):
        raise error
    assert text_of(path)[-1].endswith(f"  {words}")


def test_several_journals_are_one_report(tmp_path):
    paths = [tmp_path / f"{number}.db" for number in range(3)]
    for number, path in enumerate(paths):
        record(path, [delivery(f"/{number}/{file}", study="1") for file in range(number + 1)])
    lines = text_of(*paths)
    assert lines[0] == "All 6 files found are stored."
    assert lines[1] == "3 journals."
    assert "1 study: 1 complete, 0 incomplete, 0 untouched." in lines
    assert sum(line.endswith("  completed") for line in lines) == 3


async def test_one_list_has_every_file_and_study_with_its_state(path):
    record(path)
    text = (await asyncstore("report", "--list", "all", path)).out.splitlines()
    assert len(text) == len(ROWS)
    assert {"/a/0: stored", "/a/f1: failed: 0xA700 out of resources", "/a/x1: waiting"} <= set(text)
    as_csv = await asyncstore("report", "--list", "all", "--csv", path)
    results = [row["result"] for row in csv.DictReader(io.StringIO(as_csv.out))]
    assert sorted(results) == sorted(row.state.name.lower() for row in ROWS)
    studies = (await asyncstore("report", "--studies", "all", "--json", path)).out.splitlines()
    assert {(study["study_instance_uid"], study["completeness"]) for study in map(json.loads, studies)} == {
        ("1.1", "complete"), ("1.2", "incomplete"), ("1.3", "untouched"),
    }  # fmt: skip


async def test_a_journal_that_is_named_twice_counts_once(path):
    record(path)
    os.symlink(path, path.with_name("link.db"))
    found = await asyncstore("report", path, path.with_name("link.db"), f"{path.parent}/./{path.name}")
    assert found.out.startswith("Of 13 files found")


async def test_only_a_catalogue(path):
    with begin(path, None) as journal:
        journal.write([delivery("/a/1", State.WAITING), delivery("/a/2", State.NOT_SENT, reason="not a DICOM file")])
    found = await asyncstore("report", path)
    assert found.returncode == 2
    assert found.out.startswith("2 files found, nothing was sent yet: 1 of them cannot be sent.\n")


@pytest.mark.slow
def test_many_reasons_days_and_runs_take_ten_lines_each(path):
    for run in range(12):
        record(path, [
            delivery(f"/{run}/{number}", State.NOT_SENT, reason=f"problem {chr(97 + number)}: of {run}",
                     time=BEGIN + 86_400 * (30 * run + number), sop_class_uid=f"1.2.{run}.{number}")
            for number in range(15)
        ])  # fmt: skip
    lines = text_of(path)
    assert len(lines) < 70
    assert sum(line.endswith("  completed; 15 not sent") for line in lines) == 10
    assert any(line.endswith("170 days before") for line in lines)
    assert any(line.endswith("more SOP classes") for line in lines)


def test_the_page_has_the_sums_of_days_that_it_does_not_show(path):
    record(path, [delivery(f"/{day}", State.STORED, status=0, time=BEGIN + 86_400 * day) for day in range(53)])
    with Reader(str(path)) as reader:
        text = page(gather([reader]), [reader])
    assert '<td class="number">3</td><td class="number">0</td><td class="text">3 days before</td>' in text


def test_lines_fit_a_narrow_terminal(path):
    record(path)
    assert max(map(len, text_of(path, width=80))) <= 80


@pytest.mark.parametrize("count", [1, 2])
def test_the_instances_that_the_peer_should_hold(tmp_path, count):
    paths = [tmp_path / f"{number}.db" for number in range(count)]
    for number, path in enumerate(paths):
        record(path, [
            delivery("/a/1", sop_instance_uid="1.1"), delivery("/a/2", State.WARNING, sop_instance_uid="1.1"),
            delivery("/a/3", sop_instance_uid=f"2.{number}"), delivery("/a/4", State.FAILED, sop_instance_uid="1.9"),
        ])  # fmt: skip
    readers = [Reader(str(path)) for path in paths]
    facts = gather(readers)
    said = f"The peer should hold {1 + count} instances: some of the {3 * count} stored files share a SOP instance UID."
    assert (json.loads(machine.line(facts))["instances"], said in plain.lines(facts, None)) == (1 + count, True)
    assert said in page(facts, readers)
    for reader in readers:
        reader.close()


def test_files_of_different_instances_are_not_mentioned(path):
    record(path, [delivery("/a/1", sop_instance_uid="1.1"), delivery("/a/2", sop_instance_uid="1.2")])
    assert not any("should hold" in line for line in text_of(path))


async def test_files_that_share_a_uid(path):
    names = [*("/a/1", "/a/2", "/a/3", "/a/4"), "/b/1", "/b/2"]
    with begin(path, None) as journal:
        journal.write([delivery(name, State.WAITING, sop_instance_uid=f"1.2.{ord(name[1])}") for name in names])
        journal.complete_catalogue(lambda path, member: b"same" if path < "/a/3" else path.encode())  # noqa: ARG005
    found = await asyncstore("report", path)
    assert "\n1 file has the SOP instance UID and the bytes of another one.\n" in found.out
    assert "\n6 files share their SOP instance UIDs with files that have other bytes.\n" in found.out
    listed = await asyncstore("report", "--list", "waiting", "--json", path)
    assert {json.loads(line)["conflict"] for line in listed.out.splitlines()} == {True}


@pytest.mark.slow
async def test_a_damaged_journal_is_salvaged(path):
    record(path, [delivery(f"/a/{number}", sop_instance_uid=f"1.2.{number}") for number in range(2000)])
    os.truncate(path, path.stat().st_size * 3 // 4)
    found = await asyncstore("report", path)
    assert found.returncode == 1
    assert f"asyncstore report --salvage FILE {path} reads what can be read" in found.err
    new = path.with_name("new.db")
    found = await asyncstore("report", "--salvage", new, path)
    assert found.returncode == 2
    assert f" of {path} saved in {new}.\n" in found.out
    assert "Damaged, and not read to the end: deliveries" in found.out
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    again = await asyncstore("report", new)
    assert "are stored" in again.out
    found = await asyncstore("report", "--salvage", new, path)
    assert (found.returncode, f"--salvage {new}: it exists already: name a new file" in found.err) == (1, True)


@pytest.mark.slow
async def test_salvage_says_that_the_command_may_be_lost(path):
    record(path, [delivery("/a/1")])
    begin(path, command=["send", "x" * 20_000]).close()
    os.truncate(path, path.stat().st_size - 13_000)
    found = await asyncstore("report", "--salvage", path.with_name("new.db"), path)
    assert found.returncode == 2
    assert "give the whole command again, to the same peer." in " ".join(found.out.split())


@pytest.mark.slow
async def test_salvage_says_what_became_of_records_without_a_folder(path):
    record(path, [delivery(f"/a/{number:04}/1", sop_instance_uid=f"1.2.{number}") for number in range(2000)])
    os.truncate(path, path.stat().st_size // 2)
    found = await asyncstore("report", "--salvage", path.with_name("new.db"), path)
    said = r"^([\d ]+) records name files without their folder, which is lost; \1 of them were stored\.$"
    assert re.search(said, found.out, re.MULTILINE)
    assert f"\nasyncstore scan --journal {path.with_name('new.db')} FILE-OR-DIRECTORY... finds those again" in found.out


async def test_a_whole_journal_is_salvaged_wholly(path):
    record(path)
    found = await asyncstore("report", "--salvage", path.with_name("new.db"), path)
    assert (found.returncode, found.out) == (
        0,
        f"13 records of {path} saved in {path.with_name('new.db')}.\nEverything could be read.\n",
    )


@pytest.mark.slow
async def test_bad_input(path, tmp_path):
    (tmp_path / "text").write_text("hello, this is text")
    for name, cause in (("none", "no such file"), ("text", "it is not a database"), ("", "it is a directory")):
        found = await asyncstore("report", tmp_path / name)
        assert (found.returncode, found.out) == (1, "")
        assert cause in found.err
    assert "Give a journal; " in found.err
    record(path)
    for words in (
        ["--list", "nonsense"],
        ["--csv"],
        ["--null"],
        ["--list", "failed", "--studies", "complete"],
        ["--list", "failed", "--csv", "--json"],
        ["--list", "failed", "--null", "--json"],
        ["--salvage", tmp_path / "new", "--json"],
        ["--salvage", tmp_path / "new", tmp_path / "other"],
    ):
        found = await asyncstore("report", *words, path)
        assert (found.returncode, found.out) == (1, ""), words
        assert found.err


async def test_variables_of_send_do_not_concern_it(path):
    record(path)
    environment = {"ASYNCSTORE_JSON": "run.jsonl", "ASYNCSTORE_NULL": "1", "ASYNCSTORE_FILES_FROM": "list"}
    found = await asyncstore("report", path, environment=environment)
    assert (found.returncode, found.err) == (2, "")


@needs_a_full_device
async def test_output_that_cannot_be_written(path):
    record(path)
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230 - it does not block
        for words in ([], ["--list", "stored"], ["--list", "stored", "--null"]):
            found = await finished(await started("report", *words, path, stdout=full.fileno()))
            assert found.returncode == 1
            assert "standard output: cannot write to it" in found.err


@pytest.mark.slow
async def test_a_reader_that_goes_away_ends_it_quietly(path):
    record(path, [delivery(f"/a/{number}") for number in range(20_000)])
    process = await started("report", "--list", "stored", path)
    await process.stdout.readline()
    process.stdout._transport.close()  # noqa: SLF001 - there is no other way
    assert await process.wait() == 141
