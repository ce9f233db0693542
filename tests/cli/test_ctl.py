"""``asyncstore ctl`` and the runs that it steers; SIGHUP; runs as a service of systemd."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from asyncstore import Sink
from asyncstore.cli.commands.ctl import run as run_ctl
from asyncstore.cli.main import main
from asyncstore.cli.options.command_table import CTL
from asyncstore.cli.options.grammar import parse
from asyncstore.control.client import ask
from asyncstore.control.place import socket_of
from asyncstore.control.server import Server
from asyncstore.errors import ControlDenied
from asyncstore.journal.place import Lock
from support import trees
from support.commands import asyncstore, finished, started
from support.oracle import until
from support.peers.hostile import Behaviour, answers, answers_late, running_hostile, then, waits
from support.peers.programs import find_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets that asyncio can use")

FILES = 40
_STATUS = {
    "program": "asyncstore 1", "process": 7, "peer": "peer:104", "run": 3, "state": "running", "seconds": 3720.0,
    "found": 3000, "walking": True, "stored": 1249, "warning": 1, "failed": 1, "not_sent": 0, "unknown": 0,
    "skipped": 5, "bytes": 2_000_000, "retrying": 0, "retries": 0, "instances_per_second": 5.0,
    "bytes_per_second": 10_000.0, "seconds_left": None, "associations": None, "lanes": [{}, {}],
    "lane_states": {"sending": 1, "opening": 1}, "paused": None, "waiting": None,
}  # fmt: skip
"""A status without the fields that people do not see."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    trees.instances(folder, FILES)
    return folder


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


def occupy(path):
    """Let another file have this name."""
    Path(path).mkdir()


def has_socket(journal):
    return Path(f"{journal}-ctl").is_socket()


@asynccontextmanager
async def sending(journal, port, archive, *options, **environment):
    """A run, once it takes requests; it is killed if the test fails."""
    words = ("send", "-nh", "--journal", journal, "--affinity", "none", *options, "127.0.0.1", str(port), archive)
    process = await started(*words, environment=environment)
    try:
        await until(lambda: has_socket(journal) or process.returncode is not None)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def comes(asked):
    """Wait until a question about a run has an answer that counts as true."""
    async with asyncio.timeout(60):
        while not await asked():  # noqa: ASYNC110 - the run wakes nobody here
            await asyncio.sleep(0.01)


async def _is_idle(journal):
    return "sending" not in (await status(journal))["lane_states"]


async def _has_lanes(journal, number):
    return len((await status(journal))["lanes"]) >= number


async def _failed(journal):
    return (await status(journal))["failed"]


async def _is_noted(journal):
    return (await ask(str(journal), "retry-failed"))["ok"]


async def status(journal):
    return (await ask(str(journal), "status"))["status"]


def outcomes(path):
    """The results in JSON lines, by path; of several lines of a file the last one counts."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return Counter({line["path"]: line["result"] for line in lines if line["type"] == "outcome"}.values())


@pytest.mark.slow
class TestARun:
    async def test_a_paused_run_sends_nothing_and_then_everything(self, archive, journal):
        async with Sink(port=0, latency=0.02) as sink, sending(journal, sink.port, archive) as process:
            await until(lambda: sink.tally.instances > 0)
            assert "paused" in (await ask(str(journal), "pause"))["message"]
            await comes(lambda: _is_idle(journal))
            arrived = sink.tally.instances
            assert arrived < FILES
            await asyncio.sleep(0.3)
            assert sink.tally.instances == arrived
            assert (await status(journal))["state"] == "paused"
            await ask(str(journal), "resume")
            ended = await finished(process)
            assert ended.returncode == 0, ended
            assert sink.tally.instances == FILES
        assert not has_socket(journal)

    async def test_a_stopped_run_ends_as_at_sigterm_and_can_be_resumed(self, archive, journal, tmp_path):
        lines = tmp_path / "lines"
        async with (
            Sink(port=0, latency=0.05) as sink,
            sending(journal, sink.port, archive, "--associations", "1", "--json", lines) as process,
        ):
            await until(lambda: sink.tally.instances > 0)
            done = await asyncstore("ctl", journal, "stop")
            assert (done.returncode, done.err) == (0, "")
            assert "stopping" in done.out
            ended = await finished(process)
            assert ended.returncode == 130, ended
            assert "asyncstore ctl: stopping" in ended.err
            assert outcomes(lines) == {"stored": sink.tally.instances, "not_sent": FILES - sink.tally.instances}
            assert (await asyncstore("resume", journal)).returncode == 0
            assert sink.tally.instances == FILES

    async def test_the_status_is_for_people_and_for_programs(self, archive, journal):
        async with (
            Sink(port=0, latency=0.05) as sink,
            sending(journal, sink.port, archive, "--associations", "2") as process,
        ):
            await until(lambda: sink.tally.instances > 0)
            await ask(str(journal), "pause")
            read = await asyncstore("ctl", journal, "status")
            assert (read.returncode, read.err) == (0, "")
            assert f"Run 1 of {journal} (process {process.pid}) has been sending to 127.0.0.1:{sink.port}" in read.out
            assert f"of {FILES} files stored" in read.out
            assert f"ago by asyncstore ctl: asyncstore ctl {journal} resume goes on." in read.out
            parsed = json.loads((await asyncstore("ctl", "--json", journal, "status")).out)
            assert (parsed["run"], parsed["process"], parsed["found"]) == (1, process.pid, FILES)
            assert parsed["paused"]["by"] == "asyncstore ctl"
            for shown in (read.out, json.dumps(parsed)):
                assert ".dcm" not in shown
            await ask(str(journal), "stop")
            await finished(process)

    async def test_the_number_of_associations_changes(self, archive, journal):
        async with (
            Sink(port=0, latency=0.05) as sink,
            sending(journal, sink.port, archive, "--associations", "1") as process,
        ):
            await until(lambda: sink.tally.instances > 0)
            assert (await ask(str(journal), "associations", 4))["ok"]
            await comes(lambda: _has_lanes(journal, 4))
            ended = await finished(process)
            assert ended.returncode == 0, ended
            assert "associations." in ended.err, "and not: at most 1 at a time"

    async def test_a_study_that_is_needed_now_goes_first(self, journal, tmp_path):
        first, last = (trees.instances(tmp_path / "archive" / name, 20, seed=seed) for seed, name in enumerate("az", 1))
        study = str(dcmread(last[0], specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        behaviour = Behaviour(on_store=answers_late(0.02))
        options = ("--associations", "1", "--retries", "0")
        async with (
            running_hostile(behaviour) as peer,
            sending(journal, peer.port, tmp_path / "archive", *options) as process,
        ):
            await until(lambda: peer.stores)
            await ask(str(journal), "pause")
            await comes(lambda: _is_idle(journal))
            arrived = len(peer.stores)
            assert arrived < len(first)
            done = await asyncstore("ctl", journal, "prioritise", study)
            assert "this study or patient goes first from now on; 20 instances waiting" in done.out, done
            await ask(str(journal), "resume")
            ended = await finished(process)
        assert ended.returncode == 0, ended
        assert study not in ended.err
        wanted = {trees.read_part10(path)[1] for path in last}
        assert {store.sop_instance_uid for store in peer.stores[arrived : arrived + 20]} == wanted

    async def test_a_run_whose_socket_cannot_be_made_goes_on_with_a_warning(self, archive, journal):
        occupy(f"{journal}-ctl")
        async with Sink(port=0) as sink:
            words = ("send", "-nh", "--journal", journal, "127.0.0.1", str(sink.port), archive)
            ended = await asyncstore(*words)
        assert ended.returncode == 0, ended
        assert "W: asyncstore ctl cannot reach this run: " in ended.err
        assert sink.tally.instances == FILES

    async def test_a_socket_that_a_killed_run_left_is_replaced(self, archive, journal):
        async with Sink(port=0, latency=0.05) as sink:
            async with sending(journal, sink.port, archive) as process:
                process.kill()
                await process.communicate()
            assert (await asyncstore("ctl", journal, "status")).returncode == 1
            async with sending(journal, sink.port, archive) as process:
                await comes(lambda: _answer(journal))
                assert (await finished(process)).returncode == 0


async def _answer(journal):
    """Whether a run answers at the socket beside the journal."""
    try:
        return await ask(str(journal), "status")
    except Exception:  # noqa: BLE001 - the socket of the killed run is still there
        return None


@pytest.mark.slow
class TestSendingAgain:
    async def test_what_was_refused_is_sent_again_when_everything_else_is_sent(self, archive, journal, tmp_path):
        lines = tmp_path / "lines"
        refuses = {"now": True}
        behaviour = Behaviour(on_store=then(waits(0.05), answers(lambda _: 0xA900 if refuses["now"] else 0)))
        async with (
            running_hostile(behaviour) as peer,
            sending(journal, peer.port, archive, "--associations", "1", "--json", lines) as process,
        ):
            await comes(lambda: _failed(journal))
            await ask(str(journal), "pause")
            assert (await ask(str(journal), "retry-failed"))["ok"]
            refuses["now"] = False
            await ask(str(journal), "resume")
            ended = await finished(process)
        assert ended.returncode == 0, ended
        assert f"Stored all {FILES} files" in ended.err
        assert outcomes(lines) == {"stored": FILES}
        summary = json.loads(lines.read_text().splitlines()[-1])
        assert (summary["stored"], summary["failed"]) == (FILES, 0)
        again = [json.loads(line) for line in lines.read_text().splitlines() if "replaces" in line]
        assert again
        assert all(line["replaces"] == "failed" and line["ordinal"] > FILES for line in again)
        report = await asyncstore("report", "--json", journal)
        facts = json.loads(report.out)
        assert (facts["stored"], facts["failed"]) == (FILES, 0)
        assert facts["runs"][0]["failed"] == 0

    async def test_what_earlier_runs_left_refused_is_sent_again_too(self, archive, journal):
        async with running_hostile(Behaviour(on_store=answers(0xA900))) as peer:
            words = ("-nh", "--journal", journal, "127.0.0.1", str(peer.port), archive)
            assert (await asyncstore("send", *words)).returncode == 2
        trees.instances(archive / "more", 4, seed=9)
        try:
            async with Sink(port=peer.port, latency=0.2) as sink:
                async with sending(journal, sink.port, archive) as process:
                    await comes(lambda: _is_noted(journal))
                    ended = await finished(process)
                assert ended.returncode == 0, ended
                assert sink.tally.instances == FILES + 4
            assert f"Stored all {FILES + 4} files" in ended.err
        finally:
            shutil.rmtree(archive / "more")

    async def test_a_run_with_new_identities_cannot(self, archive, journal):
        async with (
            Sink(port=0, latency=0.05) as sink,
            sending(journal, sink.port, archive, "--invent-instance", "--associations", "1") as process,
        ):
            await until(lambda: sink.tally.instances > 0)
            answer = await ask(str(journal), "retry-failed")
            assert answer["error"] == "a run with --invent-instance cannot: resume --retry-failed can, after it"
            await ask(str(journal), "stop")
            await finished(process)


@pytest.mark.slow
class TestHangup:
    async def test_the_configuration_is_read_again(self, archive, journal, tmp_path):
        config = tmp_path / "config.toml"
        config.write_text("[send]\nassociations = 1\n")
        async with (
            Sink(port=0, latency=0.05) as sink,
            sending(journal, sink.port, archive, "--config", config) as process,
        ):
            await until(lambda: sink.tally.instances > 0)
            config.write_text("[send]\nassociations = 0\n")
            process.send_signal(signal.SIGHUP)
            assert b"out of range" in await _line_with(process, b"E: ")
            config.write_text("[send]\nassociations = 3\nmax-pdu = 4096\n")
            process.send_signal(signal.SIGHUP)
            assert b"cannot change while a run goes on: --max-pdu" in await _line_with(process, b"W: ")
            assert b"--associations changed" in await _line_with(process, b"W: ")
            await comes(lambda: _has_lanes(journal, 3))
            assert (await finished(process)).returncode == 0
            assert sink.tally.instances == FILES

    @pytest.mark.parametrize("how", ["request", "hangup"])
    async def test_a_limit_can_be_taken_away(self, archive, journal, tmp_path, how):
        config = tmp_path / "config.toml"
        config.write_text('[send]\nlimit-stores = "pause"\n')
        async with (
            Sink(port=0) as sink,
            sending(journal, sink.port, archive, "--config", config) as process,
        ):
            await comes(lambda: _has_found_all(journal))
            assert (await status(journal))["limits"]
            assert sink.tally.instances == 0
            if how == "request":
                assert not (await ask(str(journal), "limit-stores", "fast"))["ok"]
                assert (await ask(str(journal), "limit-stores", "off"))["ok"]
            else:
                config.write_text("[send]\n")
                process.send_signal(signal.SIGHUP)
                assert b"--limit-stores changed" in await _line_with(process, b"W: ")
            assert (await finished(process)).returncode == 0
            assert sink.tally.instances == FILES


async def _has_found_all(journal):
    now = await status(journal)
    return now["found"] == FILES and not now["walking"]


async def _line_with(process, part):
    """The next line on standard error that has this part."""
    while part not in (line := await asyncio.wait_for(process.stderr.readline(), 60)):
        assert line
    return line


@pytest.mark.slow
class TestService:
    async def test_systemd_is_told_how_a_run_goes_on(self, archive, journal, tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.setblocking(False)
            variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
            config = tmp_path / "config.toml"
            config.write_text("[send]\nassociations = 1\n")
            options = ("--systemd", "--config", config)
            async with (
                Sink(port=0, latency=0.02) as sink,
                sending(journal, sink.port, archive, *options, **variables) as process,
            ):
                told = []
                while "READY=1" not in told:
                    told += await _told(manager)
                process.send_signal(signal.SIGHUP)
                while told[-1] != "READY=1" or "RELOADING=1" not in told:
                    told += await _told(manager)
                assert (await finished(process)).returncode == 0
            while told[-1] != "STOPPING=1":
                told += await _told(manager)
        assert "WATCHDOG=1" in told
        assert any(line.startswith("STATUS=") and "stored" in line for line in told)
        assert not any(".dcm" in line for line in told)

    async def test_a_run_that_can_do_nothing_is_never_ready(self, archive, tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.setblocking(False)
            words = ("send", "-nh", "--systemd", "127.0.0.1", "1", archive)
            ended = await asyncstore(*words, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
            assert ended.returncode == 1, ended
            told = []
            while "STOPPING=1" not in told:
                told += await _told(manager)
        assert "READY=1" not in told

    async def test_without_a_service_manager_a_line_says_so_and_the_run_goes_on(self, archive):
        async with Sink(port=0) as sink:
            for variables, words in [
                ({"NOTIFY_SOCKET": ""}, "W: --systemd: NOTIFY_SOCKET is not set"),
                ({"NOTIFY_SOCKET": "vsock:2:1"}, "W: --systemd: NOTIFY_SOCKET holds no address"),
            ]:
                command = ("send", "-nh", "--systemd", "127.0.0.1", str(sink.port), archive)
                ended = await asyncstore(*command, environment=variables)
                assert ended.returncode == 0, ended
                assert words in ended.err


async def _told(manager):
    message = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(manager, 10_000), 60)
    return message.decode().split("\n")


@pytest.mark.peers
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    analyze = find_program("systemd-analyze", "systemd")
    unit = Path(__file__).parents[2] / "docs" / "asyncstore-migrate@.service"
    text = unit.read_text().replace("/usr/local/bin/asyncstore", shutil.which("true"))
    copy = tmp_path / "asyncstore-migrate@pacs1.service"
    copy.write_text(text)
    words = (analyze, "verify", "--man=no", copy)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_of_the_unit_is_one_that_asyncstore_takes(tmp_path):
    unit = (Path(__file__).parents[2] / "docs" / "asyncstore-migrate@.service").read_text()
    command = unit.replace("\\\n", " ").partition("ExecStart=/usr/local/bin/asyncstore ")[2].partition("\n")[0]
    (tmp_path / "pacs1.toml").write_text('[peers.pacs1]\nhost = "127.0.0.1"\nport = 1\n')
    words = command.replace("/etc/asyncstore", str(tmp_path)).replace("%S/asyncstore", str(tmp_path))
    ran = main([*words.replace("%i", "pacs1").split()[:-1], str(tmp_path / "none")])
    assert ran == 1
    assert (tmp_path / "pacs1.db").exists()


class TestAsking:
    """The command without a run, or with one that misbehaves."""

    @pytest.fixture
    def held(self, journal):
        journal.touch()
        with Lock(str(journal)):
            yield journal

    def test_without_a_journal(self, journal, capsys):
        assert main(["ctl", str(journal), "status"]) == 1
        assert f"journal {journal}: no such file" in capsys.readouterr().err

    def test_without_a_run(self, journal, capsys):
        journal.touch()
        assert main(["ctl", str(journal), "status"]) == 1
        said = capsys.readouterr().err
        assert f"{journal}: no run writes to this journal now" in said
        assert f"asyncstore resume {journal} goes on" in said

    def test_a_run_that_takes_no_requests(self, held, capsys):
        assert main(["ctl", str(held), "status"]) == 1
        assert "the run that writes to this journal takes no requests" in capsys.readouterr().err

    def test_the_run_of_another_user(self, journal, capsys, monkeypatch):
        async def refuse(*_):
            raise ControlDenied(str(journal), "alice")

        monkeypatch.setattr("asyncstore.cli.commands.ctl.ask", refuse)
        assert main(["ctl", str(journal), "pause"]) == 1
        said = capsys.readouterr().err
        assert f"asyncstore ctl: {journal}: the run belongs to the user alice\n" in said
        assert "sudo -u alice" in said

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["pause", "5"], "pause takes no value, and '5' is given"),
            (["associations"], "associations: no value is given"),
            (["associations", "0"], "associations: 0 is out of range (1..1024)"),
            (["associations", "many"], "associations: 'many' is neither an integer nor auto"),
            (["dance"], "'dance' is none of status, pause"),
            (["status", "a", "b"], "unexpected parameter 'b'"),
            ([], "no request is given"),
        ],
    )
    def test_a_request_that_is_none(self, journal, capsys, words, said):
        assert main(["ctl", str(journal), *words]) == 1
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ({"ok": False, "error": "not \x1b[31mnow"}, "not \\x1b[31mnow"),
            ({"ok": False}, "the run refused, and did not say why"),
            ({"ok": True}, "the answer makes no sense"),
            ({"ok": True, "status": []}, "the answer makes no sense"),
            ({"ok": True, "status": {"run": 1}}, "the answer makes no sense"),
            ({"ok": True, "status": _STATUS | {"seconds": float("inf")}}, "the answer makes no sense"),
        ],
    )
    def test_an_answer_that_is_no_good(self, journal, capsys, monkeypatch, answer, said):
        async def answering(*_):
            return answer

        monkeypatch.setattr("asyncstore.cli.commands.ctl.ask", answering)
        assert main(["ctl", str(journal), "status"]) == 1
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("differs", "lines"),
        [
            (
                {},
                [
                    "Run 3 of {} (process 7) has been sending to peer:104 for 1 h 02 min.",
                    "1 250 of 3 000+ files stored, 1 with a warning, 1 failed, 5 skipped, 2.00 MB.",
                    "5.0/s, 10.0 kB/s.",
                    "2 associations (auto): 1 sending, 1 opening.",
                    "To end it: asyncstore ctl {} stop",
                ],
            ),
            (
                {"associations": 4, "seconds_left": 100.0, "walking": False, "retries": 1, "retrying": 2},
                [
                    "1 250 of 3 000 files stored, 1 with a warning, 1 failed, 5 skipped, 2.00 MB.",
                    "5.0/s, 10.0 kB/s, about 2 min left.",
                    "2 associations (4 wanted): 1 sending, 1 opening.",
                    "1 attempt repeated; 2 instances waiting for the next one.",
                ],
            ),
            (
                {"state": "paused", "paused": {"by": "asyncstore ctl", "seconds": 200.0}, "seconds_left": 100.0},
                ["5.0/s, 10.0 kB/s.", "Paused 3 min 20 s ago by asyncstore ctl: asyncstore ctl {} resume goes on."],
            ),
            (
                {"state": "waiting", "waiting": {"reason": "it refuses", "next_trial": 1, "seconds_left": 42.0}},
                ["The peer is down, and the run waits for it for up to 42 s: it refuses."],
            ),
            (
                {"state": "waiting", "waiting": {"reason": "it refuses", "next_trial": 1, "seconds_left": None}},
                ["The peer is down, and the run waits for it for as long as it takes: it refuses."],
            ),
            ({"limits": ["at most 2.00 MB/s"]}, ["Limited: at most 2.00 MB/s."]),
        ],
    )
    def test_the_status_reads_well(self, journal, capsys, monkeypatch, differs, lines):
        async def answering(*_):
            return {"ok": True, "status": _STATUS | differs}

        monkeypatch.setattr("asyncstore.cli.commands.ctl.ask", answering)
        assert main(["ctl", str(journal), "status"]) == 0
        shown = capsys.readouterr().out.splitlines()
        wanted = [line.format(journal) for line in lines]
        assert [line for line in shown if line in wanted] == wanted

    def test_a_run_that_is_ending_is_not_told_how_to_end(self, journal, capsys, monkeypatch):
        async def answering(*_):
            return {"ok": True, "status": _STATUS | {"state": "stopping"}}

        monkeypatch.setattr("asyncstore.cli.commands.ctl.ask", answering)
        assert main(["ctl", str(journal), "status"]) == 0
        shown = capsys.readouterr().out
        assert "It is ending: files under way are finished." in shown
        assert "To end it" not in shown

    async def test_a_key_can_come_from_standard_input(self, held):
        asked = []

        def answer(line):
            asked.append(json.loads(line))
            return b'{"version":1,"ok":true,"message":"done"}'

        async with Server(socket_of(str(held)), answer):
            done = await asyncstore("ctl", held, "prioritise", "-", stdin="DOE^JANÉ\n".encode())
        assert (done.returncode, done.out) == (0, "done\n")
        assert asked == [{"version": 1, "request": "prioritise", "value": "DOE^JANÉ"}]

    def test_on_windows_it_is_refused_with_words(self, held, monkeypatch, capsys):
        monkeypatch.setattr("asyncstore.control.client.is_supported", lambda: False)
        assert main(["ctl", str(held), "status"]) == 1
        assert "this system has no Unix sockets that could be used" in capsys.readouterr().err

    def test_nothing_typed_is_an_error(self, journal, monkeypatch):
        monkeypatch.setattr("asyncstore.cli.commands.ctl.line_of_standard_input", lambda: None)
        with pytest.raises(Exception, match="nothing was typed"):
            run_ctl(parse(CTL, (str(journal), "prioritise", "-"), os.environ))
