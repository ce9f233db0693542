"""Nothing that a run writes names a patient or holds a secret: canaries stand in every place they can come from.

Each option that writes something belongs into ``WRITERS``, and each one that reads a file into ``READERS``; a new
option of a file, a port or a directory that is in neither fails a test. :func:`everything` collects what was written.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tempfile
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import COMMANDS
from support.commands import Finished, asyncstore, finished, running_sink, started
from support.oracle import until
from support.peers.certificates import Authority
from support.peers.hostile import Behaviour, accepts, answers, answers_late, rejects, running_hostile

pytestmark = pytest.mark.slow

PATIENT = {
    "PatientName": "CANARYNAME^JANE",
    "PatientID": "CANARYID4711",
    "PatientBirthDate": "18970213",
    "AccessionNumber": "CANARYACC99",
    "OtherPatientIDs": "CANARYOTHER1",
    "PatientAddress": "CANARYSTREET 5",
    "ReferringPhysicianName": "CANARYDOCTOR",
    "InstitutionName": "CANARYHOSPITAL",
    "PatientComments": "CANARYREMARK",
    "StudyDescription": "CANARYSTUDY",
}
SECRETS = ("CANARYPASSWORD", "CANARYKEYWORD", "CANARYTOKEN", "CANARYANSWER")
COMMENT = "CANARYCOMMENT\x1b[31m"
FORBIDDEN = (b"CANARY", b"canary", b"18970213", b"1897-02-13", COMMENT.encode()[-5:])
"""Each canary holds one of these; the last one is the escape sequence."""

WRITERS = {"--json", "--journal", "--log-config", "--write-seed-file", "--output", "--html", "--salvage",
           "--hdr", "--metrics-file", "--metrics-port"}  # fmt: skip
"""Options that write, and whose outputs the tests here search. A new one joins a command line of these tests."""
READERS = {
    "--config", "--config-file", "--kerberos", "--saml", "--jwt", "--add-cert-file", "--add-cert-dir", "--add-crl-file",
    "--seed", "--map", "--files-from", "--only-studies", "--only-uids", "--dhparam", "--port", "--peer-check",
    "--dicomdir", "--replay",
}  # fmt: skip
CT = "1.2.840.10008.5.1.4.1.1.2"


def data_set(number, **more):
    """An instance with canaries in the data set itself, in items and in private elements."""
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = CT, f"1.2.3.{number}"
    found.StudyInstanceUID, found.SeriesInstanceUID, found.Modality = "1.2.3", "1.2.4", "CT"
    for place in (found, item := Dataset(), inner := Dataset()):
        for keyword, value in PATIENT.items():
            setattr(place, keyword, value)
    item.OtherPatientIDsSequence = [inner]
    found.OtherPatientIDsSequence, found.RequestAttributesSequence = [item], [item]
    found.private_block(0x0011, "CANARYCREATOR", create=True).add_new(1, "LO", "CANARYPRIVATE")
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found


def written(path, found, transfer_syntax):
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = transfer_syntax
    found.save_as(path, enforce_file_format=True, implicit_vr=transfer_syntax == ImplicitVRLittleEndian,
                  little_endian=True)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Files of all kinds: good, large, cut off within a canary, without file meta information, with odd lengths."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(4):
        syntax = ImplicitVRLittleEndian if number & 1 else ExplicitVRLittleEndian
        written(folder / f"good{number}", data_set(number), syntax)
    written(folder / "large", data_set(5, PixelData=bytes(3 << 20), BitsAllocated=8), ExplicitVRLittleEndian)
    whole = (folder / "good0").read_bytes()
    cut = whole.index(b"CANARYNAME") + 10
    (folder / "cut").write_bytes(whole[:cut])
    (folder / "bare").write_bytes(whole[whole.index(b"\x08\0\x16\0UI") :].replace(b"1.2.3.0", b"1.2.3.6"))
    (folder / "odd").write_bytes(
        whole.replace(b"1.2.3.0", b"1.2.3.7").replace(b"LO\x0c\0CANARYID4711", b"LO\x0b\0CANARYID471")
    )
    (folder / "no uid").write_bytes(whole.replace(b"\x08\0\x18\0UI", b"\x08\0\x17\0UI"))
    (folder / "text").write_bytes(b"CANARYNAME is no DICOM file")
    (folder / "wrong").write_bytes(whole.replace(b"\x10\0\x10\0PN", b"\x10\0\x10\0??"))
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for everything that is written, which is also the folder for temporary files and the home."""
    folder = tmp_path / "written"
    folder.mkdir()
    for variable in ("TMPDIR", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # tempfile remembers its folder
    monkeypatch.chdir(folder)
    before = os.umask(0)
    yield folder
    os.umask(before)


@pytest.fixture
def secrets(tmp_path):
    """Files that hold secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("kerberos", "saml", "jwt"):
        (folder / name).write_text("CANARYTOKEN")
    return folder


def everything(folder, *commands):
    """All bytes that commands printed and that lie in a folder, by where they were found.

    What comes over a port, such as metrics, is written to the folder by its test first.
    """
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for number, command in enumerate(commands):
        found |= {
            f"output of command {number}": command.out.encode(),
            f"errors of command {number}": command.err.encode(),
        }
    return found


def assert_no_canary(folder, *commands):
    found = everything(folder, *commands)
    assert any(found.values())
    for where, content in found.items():
        for canary in FORBIDDEN:
            at = content.find(canary)
            assert at < 0, (where, content[max(0, at - 60) : at + 60])
    names = "".join(map(str, folder.rglob("*")))
    assert "CANARY" not in names


READABLE = ("log.cfg", "run.prom")
"""Files that others may read: a test's own, and metrics, which node_exporter reads as another user."""


def assert_for_the_owner_alone(folder):
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir() if path.name not in READABLE}
    assert modes
    assert not any(modes.values()), modes


def failing(**elements):
    """An acceptor that stores, warns and fails in turn, each time with a comment."""
    statuses = itertools.cycle((0x0000, 0xA700, 0xB000, 0xC000, 0x0110))
    return Behaviour(
        on_request=accepts(identity_response=b"CANARYANSWER"),
        on_store=answers(lambda _: next(statuses), ErrorComment=COMMENT, **elements),
    )


LOG_FILE = """
log4cplus.rootLogger = DEBUG, file, console
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = run.log
log4cplus.appender.console = log4cplus::ConsoleAppender
"""


REPORTS = (
    (), ("--json",), ("--html", "page.html"), ("--list", "failed"), ("--list", "not-sent", "--csv"),
    ("--list", "stored", "--json"), ("--studies", "incomplete"), ("--salvage", "new.db"),
)  # fmt: skip


@pytest.mark.parametrize("level", ["-d +v", "-lc log.cfg"])
async def test_a_run_its_resumption_and_its_reports_name_no_patient_and_no_secret(archive, place, capfd, level):
    (place / "log.cfg").write_text(LOG_FILE)
    environment = {"ASYNCSTORE_PASSWORD": SECRETS[0]}
    words = ("-nh", "-xi", "-rsp", "-usr", "me", "--associations", "2", *level.split(), "--arguments")
    async with running_hostile(failing()) as scp:
        peer = ("--journal", "run.db", "127.0.0.1", str(scp.port), archive)
        sent = await asyncstore(
            "send", *words, "--json", "run.json", "--metrics-file", "run.prom", *peer, environment=environment
        )
        again = await asyncstore("send", *words, "--retry-failed", "-pwd", SECRETS[0], *peer)
        resumed = await asyncstore("resume", "run.db", environment=environment)
    outputs = [sent, again, resumed]
    assert {output.returncode for output in outputs} == {2}
    results = [json.loads(line) for line in (place / "run.json").read_text().splitlines()]
    assert {one.get("result") for one in results} >= {"stored", "warning", "failed", "not_sent"}
    for more in REPORTS:
        assert main(["report", *more, "run.db"]) in (0, 2)
    assert_no_canary(place, *outputs, capfd.readouterr())
    assert_for_the_owner_alone(place)


async def test_a_measurement_with_files_names_no_patient_and_no_secret(archive, place):
    words = ("-d", "--no-calibrate", "--warm-up", "0", "--associations", "2", "--duration", "500ms", "-usr", "me")
    outputs = ("--json", "run.json", "--hdr", "run.hdr", "--html", "run.html")
    async with running_hostile(failing()) as scp:
        ended = await asyncstore(
            "bench", *words, *outputs, "127.0.0.1", str(scp.port), archive,
            environment={"ASYNCSTORE_PASSWORD": SECRETS[0]},
        )  # fmt: skip
    assert ended.returncode == 2
    assert json.loads((place / "run.json").read_text())["whole"]["failed"]
    assert len([*place.iterdir()]) == len(("run.json", "run.hdr", "run.html"))
    assert_no_canary(place, ended)
    assert_for_the_owner_alone(place)


async def test_metrics_and_answers_of_a_run_under_way_name_no_patient(archive, place):
    async with running_hostile(Behaviour(on_store=answers_late(0.1, 0xA700))) as scp:
        words = ("-nh", "-d", "--repeat", "20", "--metrics-port", "0", "--journal", "run.db")
        process = await started("send", *words, "127.0.0.1", str(scp.port), archive)
        said = [line async for line in _until(process.stderr, b"metrics: ")]
        await until(lambda: len(scp.stores) > 5)
        (place / "metrics").write_bytes(await asyncio.to_thread(_scraped, said[-1].split()[-1].decode()))
        answers_of_the_run = [
            await asyncstore("ctl", "run.db", "status"),
            await asyncstore("ctl", "--json", "run.db", "status"),
            await asyncstore("ctl", "run.db", "prioritise", "-", stdin=b"CANARYID4711\n"),
            await asyncstore("ctl", "run.db", "stop"),
        ]
        ended = await finished(process)
    assert b"asyncstore_" in (place / "metrics").read_bytes()
    assert answers_of_the_run[0].returncode == 0
    assert_no_canary(place, *answers_of_the_run, ended, Finished(0, "", b"".join(said).decode()))


async def test_new_values_and_their_map_are_shown_and_kept_nowhere(archive, place, tmp_path, capfd):
    (tmp_path / "map.csv").write_text(
        "PatientID,new PatientID,new PatientName,source\nCANARYID4711,CANARYNEWID,CANARYNEW^NAME,CANARYSOURCE\n"
    )
    changes = ("--map", tmp_path / "map.csv", "--set", "PatientAddress=CANARYNEWSTREET", "--map-others", "send")
    words = ("-nh", "-d", "+v", "--arguments", "--journal", "run.db", *changes)
    async with running_hostile(failing()) as scp:
        peer = ("127.0.0.1", str(scp.port), archive)
        sent = await asyncstore("send", *words, "--json", "run.json", *peer)
        others = await asyncstore("send", *words, "--set", "PatientAddress=CANARYOTHERSTREET", *peer)
        resumed = await asyncstore("resume", "run.db")
        refused = await asyncstore("send", "-nh", "--set", "PatientBirthDate=CANARYDATE", *peer)
        mistyped = await asyncstore("send", "-nh", "--set=PatientName=CANARYNAME", *peer)
        (tmp_path / "map.csv").write_text("PatientID,new PatientBirthDate\nCANARYID4711,CANARYDATE\n")
        bad_map = await asyncstore("send", "-nh", "--map", tmp_path / "map.csv", *peer)
    outputs = [sent, others, resumed, refused, mistyped, bad_map]
    assert [output.returncode for output in outputs] == [2, 1, 1, 1, 1, 1]
    for more in REPORTS:
        assert main(["report", *more, "run.db"]) in (0, 2)
    assert_no_canary(place, *outputs, capfd.readouterr())


async def _until(stream, beginning):
    """The lines of a stream up to the first with this beginning."""
    while line := await stream.readline():
        yield line
        if line.removeprefix(b"I: ").startswith(beginning):
            return


def _scraped(address):
    with urlopen(address, timeout=60) as answer:  # noqa: S310 - it is our own
        return answer.read()


async def test_what_waits_in_the_write_ahead_log_names_no_patient(archive, place):
    """The run is killed, so that its journal is not folded in."""
    async with running_hostile(Behaviour(on_store=answers_late(0.05))) as scp:
        words = ("-nh", "--repeat", "50", "--journal", "run.db", "127.0.0.1", str(scp.port), archive)
        process = await started("send", *words)
        await until(lambda: _size(place / "run.db-wal") > 1 << 15)
        process.kill()
        await process.communicate()
    assert _size(place / "run.db-wal")
    assert_no_canary(place)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def test_a_scan_and_its_catalogue_name_no_patient(archive, place, capfd):
    for words in (
        ["scan"], ["scan", "--json", "plan.json", "-d"], ["scan", "--journal", "run.db", "-v"],
        ["send", "-nh", "--dry-run", "-d", "127.0.0.1", "104"],
    ):  # fmt: skip
        assert main([*words, str(archive)]) in (0, 2)
    assert_no_canary(place, capfd.readouterr())


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("kerberos", Behaviour(on_request=rejects(1, 1, 1))),
        ("saml", failing()),
        ("jwt", Behaviour(on_request=accepts())),
    ],
    ids=["kerberos", "saml", "jwt"],
)
async def test_tokens_and_their_answers_are_shown_nowhere(archive, place, secrets, kind, behaviour):
    """Not if the peer rejects them, confirms them, or does not confirm them."""
    words = ("-nh", "-d", "+v", "-rsp", "--arguments", f"--{kind}", secrets / kind, "--journal", "run.db")
    async with running_hostile(behaviour) as scp:
        ended = await asyncstore("send", *words, "127.0.0.1", str(scp.port), archive)
    assert ended.returncode in (1, 2)
    assert_no_canary(place, ended)


def test_the_password_of_a_key_is_not_shown_even_if_it_is_wrong(place, tmp_path, capfd, monkeypatch):
    certified = Authority.make().certify("localhost")
    key, certificate = certified.write(tmp_path, password="CANARYOTHERWORD")  # noqa: S106 - it is a canary
    words = ["echo", "-d", "--arguments", "+tls", key, certificate, "+cf", certificate]
    monkeypatch.setenv("ASYNCSTORE_USE_PASSWD", SECRETS[1])
    assert main([*words, "localhost", "1"]) == 1
    monkeypatch.delenv("ASYNCSTORE_USE_PASSWD")
    assert main([*words, "+pw", SECRETS[1], "localhost", "1"]) == 1
    assert_no_canary(place, capfd.readouterr())


@pytest.mark.parametrize(
    "line",
    [
        f"-pwd={SECRETS[0]}",
        f"--password={SECRETS[0]}",
        f"-pw{SECRETS[0]}",
        f"-usr me -pwd {SECRETS[0]} -zz",
        f"-pwd {SECRETS[0]}",
        f"-usr me -pwd {SECRETS[0]} -kt /nothing p 1 .",
    ],
)
def test_a_mistyped_password_is_not_shown(place, capfd, line):
    assert main(["send", "--arguments", *line.split()]) == 1
    assert_no_canary(place, capfd.readouterr())


@pytest.mark.parametrize(
    "line",
    [
        f'password = ["{SECRETS[0]}"]',
        f"password = {SECRETS[0]}",
        f'passwrd = "{SECRETS[0]}"',
        f"password = \"{SECRETS[0]}'",
    ],
)
def test_a_mistyped_password_in_a_configuration_file_is_not_shown(place, tmp_path, capfd, line):
    (tmp_path / "a.toml").write_text(f"user = 'me'\n{line}\n")
    assert main(["send", "--config", str(tmp_path / "a.toml"), "p", "1", "."]) == 1
    assert_no_canary(place, capfd.readouterr())


async def test_the_sink_shows_neither_what_it_receives_nor_who_sends_it(archive, place, tmp_path):
    kept = tmp_path / "kept"
    async with running_sink("-d", "--output", kept) as sink:
        words = ("-nh", "-usr", "CANARYUSER", "127.0.0.1", str(sink.port), archive)
        sent = await asyncstore("send", *words, environment={"ASYNCSTORE_PASSWORD": "CANARYPASSWORD"})
        ended = await sink.end()
    assert list(kept.rglob("*"))
    assert "CANARY" not in "".join(map(str, kept.rglob("*")))
    assert_no_canary(place, sent, ended)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
@pytest.mark.usefixtures("place")
async def test_no_process_shows_a_secret_that_came_from_the_environment(archive):
    async with running_hostile(Behaviour(on_store=answers_late(0.2))) as scp:
        words = ("-nh", "-usr", "me", "--workers", "2", "--repeat", "20", "127.0.0.1", str(scp.port), archive)
        process = await started("send", *words, environment={"ASYNCSTORE_PASSWORD": SECRETS[0]}, anew=True)
        await until(lambda: scp.stores)
        environments, titles = _shown_by_processes(process.pid)
        process.kill()
        await process.communicate()
    assert len(environments) == len(titles) - 1 > 0
    assert all(environments)
    assert not any(b"CANARY" in shown for shown in environments + titles)


def _shown_by_processes(pid):
    """What the system shows of a process and its children: the children's environments, and all command lines."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    titles = [Path(f"/proc/{each}/cmdline").read_bytes() for each in (pid, *children)]
    return [Path(f"/proc/{each}/environ").read_bytes() for each in children], titles


@pytest.mark.parametrize("where", ["output", "file", "name"])
def test_a_canary_would_be_found(place, where):
    (place / ("a CANARY" if where == "name" else "a file")).write_text("CANARYNAME" if where == "file" else "something")
    shown = Finished(0, "18970213" if where == "output" else "", "")
    with pytest.raises(AssertionError, match=r"CANARY|18970213"):
        assert_no_canary(place, shown)


def test_every_option_of_a_file_is_known_here():
    """A new one must be searched for canaries."""
    rows = {row.long: row for command in COMMANDS.values() for row in command.options()}
    kinds = {"FILE", "DIRECTORY", "PORT"}
    of_files = {name for name, row in rows.items() if set(row.kind.names) & kinds}
    assert of_files - WRITERS - READERS == set()
