"""END TO END: whole commands as processes, against each other and against DCMTK's programs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from support import trees
from support.commands import asyncstore, finished, needs_a_full_device, running_sink, started
from support.peers.certificates import Authority
from support.peers.dcmtk import running_storescp
from support.peers.hostile import Behaviour, accepts_no_context, rejects, running_hostile
from support.peers.programs import find_program, has_ipv6

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Twelve instances in a tree, and one text file among them."""
    folder = tmp_path_factory.mktemp("archive")
    written = trees.instances(folder / "written", 12)
    for index, path in enumerate(written):
        target = folder / ("top", "top/below")[index % 2] / f"{index}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    trees.text_file(folder / "top")
    shutil.rmtree(folder / "written")
    return folder / "top"


@pytest.fixture
def good(tmp_path):
    """Three instances and nothing else."""
    trees.instances(tmp_path / "good", 3)
    return tmp_path / "good"


def _with_uid_of_its_own(path):
    """The data set of a file, bare, with another SOP instance UID of the same length."""
    _, uid, _, data_set = trees.read_part10(path)
    return data_set.replace(uid.encode(), uid[:-1].encode() + b"%d" % (9 - int(uid[-1])))


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


class TestWhatArrives:
    async def test_a_tree_arrives_whole(self, good, tmp_path):
        received = tmp_path / "received"
        async with running_sink("--output", received) as sink:
            done = await asyncstore("send", HOST, str(sink.port), good)
            assert done.returncode == 0, done
            assert "Stored all 3 files" in done.err
            assert not done.out
            printed = await sink.end()
        assert trees.data_sets(received) == trees.data_sets(good)
        assert printed.returncode == 0
        assert printed.out.startswith("received 3 instances, 8.40 kB, in ")

    @pytest.mark.parametrize(("option", "count"), [((), 12), (("-r",), 6)])
    async def test_without_sd_a_directory_is_a_tree_unless_that_is_not_wanted(self, archive, option, count):
        async with running_sink() as sink:
            done = await asyncstore("send", "-nh", *option, HOST, str(sink.port), archive)
        assert f"Stored {count} of {count + 1} files" in done.err, done  # there is a text file

    @pytest.mark.peers
    @pytest.mark.parametrize(
        ("options", "files"),
        [
            (("+sd",), ("top",)),
            (("+sd", "+r"), ("top",)),
            (("+sd", "+r", "+sp", "1*.dcm"), ("top",)),
            (("+sd", "+sp", "[0-4].d?m"), ("top", "top/below/7.dcm")),
            (("+sd", "+r", "-r"), ("top",)),
            ((), ("top/0.dcm", "top/below/1.dcm")),
        ],
        ids=lambda words: " ".join(words) or "-",
    )
    async def test_the_same_files_are_chosen_as_by_storescu(self, archive, tmp_path, options, files):
        storescu = find_program("storescu", "dcmtk")
        paths = [archive.parent / name for name in files]
        received = {}
        for program in ("theirs", "ours"):
            async with running_storescp(tmp_path / program) as scp:
                words = (*options, "-nh", HOST, str(scp.port), *paths)
                if program == "ours":
                    done = await asyncstore("send", *words)
                    assert done.returncode in {0, 2}, done
                else:
                    await asyncio.to_thread(subprocess.run, [storescu, *words], check=True, capture_output=True)
                received[program] = set(scp.stored())
        assert received["ours"] == received["theirs"]

    @pytest.mark.peers
    @pytest.mark.parametrize("option", ["+f", "+fo", "-f"])
    async def test_the_same_file_formats_are_taken_as_by_storescu(self, tmp_path, option):
        storescu = find_program("storescu", "dcmtk")
        folder = tmp_path / "files"
        bare = {"CT_small.dcm", "MR_small_implicit.dcm", "SC_rgb_small_odd_big_endian.dcm", "reportsi.dcm"}
        folder.mkdir()
        for path in trees.pydicom_test_files():
            if path.name in bare:
                shutil.copy(path, folder)
                (folder / f"bare {path.name}").write_bytes(_with_uid_of_its_own(path))
        trees.text_file(folder)
        received = {}
        for program in ("theirs", "ours"):
            async with running_storescp(tmp_path / program) as scp:
                words = (option, "-nh", "+sd", HOST, str(scp.port), folder)
                if program == "ours":
                    assert (await asyncstore("send", *words)).returncode == 2
                else:
                    await asyncio.to_thread(subprocess.run, [storescu, *words], check=True, capture_output=True)
                received[program] = set(scp.stored())
        assert received["ours"] == received["theirs"]
        assert len(received["ours"]) == (2 * len(bare) if option == "+f" else len(bare))

    async def test_names_come_from_a_list_whatever_they_are(self, good, tmp_path):
        source = next(path for path in good.rglob("*") if path.is_file())
        (tmp_path / "odd").mkdir()
        names = trees.oddly_named(tmp_path / "odd", source)
        async with running_sink() as sink:
            words = ("send", "--json", "-", "--null", "--files-from", "-", HOST, str(sink.port))
            done = await asyncstore(*words, stdin=b"\0".join(names))
        assert done.returncode == 0, done
        outcomes = [line for line in json_lines(done.out) if line["type"] == "outcome"]
        assert {os.fsencode(line["path"]) for line in outcomes} == set(names)

    async def test_every_file_is_stored_as_often_as_asked(self, good):
        async with running_sink() as sink:
            done = await asyncstore("send", "--repeat", "3", HOST, str(sink.port), good)
            assert done.returncode == 0
            assert re.search(r"Stored all 9 files in [^,]+, each file counted 3 times\.\n", done.err)
            assert (await sink.end()).out.startswith("received 9 instances")


class TestExitCodes:
    async def test_2_when_some_file_was_not_stored(self, archive):
        async with running_sink() as sink:
            done = await asyncstore("send", "-nh", HOST, str(sink.port), archive)
        assert done.returncode == 2
        assert "Stored 12 of 13 files" in done.err
        assert f"E: {archive}/README.txt: not sent: not a DICOM file\n" in done.err

    async def test_a_run_that_failed_ends_with_what_to_do_next_by_options_not_given_yet(self, good, tmp_path):
        async with running_sink("--status", "out-of-resources") as sink:
            words = ("send", "-nh", HOST, str(sink.port), good)
            done = await asyncstore(*words)
            assert done.err.endswith("\nAdd --json FILE to have every file's outcome written there.\n")
            done = await asyncstore(*words, "--json", tmp_path / "lines", "+rn")
            assert "Add " not in done.err
            assert done.err.endswith("\nRun the same command again to send the rest: it skips files named .done.\n")

    async def test_nothing_is_said_of_a_second_run_where_files_are_named_which_will_have_other_names(self, good):
        files = sorted(path for path in good.rglob("*") if path.is_file())
        async with running_sink("--status", "out-of-resources") as sink:
            for options in (("-nh",), ("+rn",)):
                done = await asyncstore("send", *options, HOST, str(sink.port), *files)
                assert done.returncode == 2
                assert "pass" not in done.err
                assert "again" not in done.err

    async def test_2_when_the_peer_refuses_and_the_run_halts_then(self, good):
        async with running_sink("--status", "out-of-resources") as sink:
            words = ("--associations", "1", "--retries", "0")  # retried ones end in any order
            done = await asyncstore("send", *words, HOST, str(sink.port), good)
        assert done.returncode == 2
        assert "refused by the SCP: 0xA700 out of resources" in done.err
        assert "Stopped at the first file that was not stored; with --no-halt (-nh) it goes on." in done.err

    async def test_a_run_that_ends_with_its_last_file_is_not_called_stopped(self, good):
        last = next(good.rglob("*.dcm"))
        async with running_sink("--status", "out-of-resources") as sink:
            done = await asyncstore("send", "-R", HOST, str(sink.port), last)  # -R asks when all files are known
        assert done.returncode == 2
        assert "refused by the SCP: 0xA700 out of resources" in done.err
        assert "Stopped at the first file" not in done.err

    async def test_a_run_that_ends_for_want_of_another_association_was_not_stopped_by_a_file(self, tmp_path):
        good, files = trees.instances(tmp_path / "good", 1)[0].read_bytes(), []
        for number in range(10, 75):  # -R proposes 64 SOP classes to an association
            files.append(tmp_path / f"{number}.dcm")
            files[-1].write_bytes(good.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.9.%d" % number))
        async with running_hostile(Behaviour(), Behaviour(on_request=rejects(1, 1, 1))) as scp:
            done = await asyncstore("send", "-R", "--associations", "1", HOST, str(scp.port), *files)
        assert done.returncode == 2
        assert f"{HOST}:{scp.port}: the association was rejected permanently" in done.err
        assert "Stopped at the first file" not in done.err

    async def test_0_when_all_were_stored_with_warnings(self, good):
        async with running_sink("--status", "0xB000") as sink:
            done = await asyncstore("send", HOST, str(sink.port), good)
        assert done.returncode == 0
        assert "W: " in done.err

    async def test_1_when_there_is_nothing_to_send(self, tmp_path):
        trees.text_file(tmp_path)
        done = await asyncstore("send", "-nh", HOST, "104", tmp_path / "README.txt")
        assert done.returncode == 1
        done = await asyncstore("send", "+sd", "+sp", "*.dcm", HOST, "104", tmp_path)
        assert done.returncode == 1

    async def test_1_when_nobody_listens(self, good, refusing_port):
        done = await asyncstore("send", HOST, str(refusing_port), good)
        assert done.returncode == 1
        assert f"asyncstore send: {HOST}:{refusing_port}: cannot connect: connection refused" in done.err
        assert "Check the host name and the port" in done.err
        done = await asyncstore("send", "-v", HOST, str(refusing_port), good)
        assert done.err.count("connection refused") == 1

    async def test_1_when_a_named_file_is_missing_as_storescu(self, good):
        done = await asyncstore("send", HOST, "104", good, good / "gone")
        assert done.returncode == 1
        assert done.err.splitlines() == [
            f"asyncstore send: cannot access '{good}/gone': No such file or directory; nothing was sent",
            "With --no-halt (-nh) the other files are sent, and this one is reported.",
        ]
        done = await asyncstore("send", HOST, "104", good / "gone")
        assert "other files" not in done.err, "there are none"
        async with running_sink() as sink:
            done = await asyncstore("send", "-nh", HOST, str(sink.port), good, good / "gone")
        assert done.returncode == 2
        assert f"E: {good}/gone: not sent: no such file or directory" in done.err

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--json", "/nowhere/x"), "--json /nowhere/x: cannot write it: No such file or directory"),
            (("--files-from", "/nowhere"), "--files-from /nowhere: cannot read it: No such file or directory"),
        ],
    )
    async def test_1_when_a_file_of_ours_cannot_be_opened(self, good, options, said):
        done = await asyncstore("send", *options, HOST, "104", good)
        assert (done.returncode, done.err) == (1, f"asyncstore send: {said}\n")


class TestInterrupts:
    @pytest.fixture
    def many(self, tmp_path):
        trees.instances(tmp_path / "many", 200)
        return tmp_path / "many"

    async def sending(self, sink, folder):
        """A run that has begun to store."""
        process = await started("send", "--json", "-", "--associations", "2", HOST, str(sink.port), folder)
        lines = [await asyncio.wait_for(process.stdout.readline(), 60) for _ in range(2)]
        return process, b"".join(lines).decode()

    async def test_once_ends_it_gently_and_names_what_was_not_sent(self, many, tmp_path):
        async with running_sink("--latency", "0.1", "--output", tmp_path / "received") as sink:
            process, begin = await self.sending(sink, many)
            process.send_signal(signal.SIGTERM)
            done = await finished(process)
        assert done.returncode == 130
        *outcomes, summary = json_lines(begin + done.out)[1:]
        stored = {line["sop_instance_uid"] for line in outcomes if line["result"] == "stored"}
        assert stored == set(trees.data_sets(tmp_path / "received"))
        assert {line["result"] for line in outcomes} == {"stored", "not_sent"}
        assert (summary["exit_code"], summary["stored"], summary["unknown"]) == (130, len(stored), 0)
        assert "stopping" in done.err
        assert f"Interrupted: stored {len(stored)} of " in done.err
        assert done.err.endswith(
            "Add --journal FILE: a run with the same journal sends only what is not known to be stored.\n"
        )

    async def test_twice_ends_it_at_once(self, many):
        async with running_sink("--latency", "30") as sink:
            process = await started("send", "-v", "--associations", "2", HOST, str(sink.port), many)
            while b" accepted " not in await asyncio.wait_for(process.stderr.readline(), 60):
                pass  # the first stores are under way, and stay so
            process.send_signal(signal.SIGINT)
            while b"stopping" not in await asyncio.wait_for(process.stderr.readline(), 60):
                pass
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_repeated_it_ends_one_whose_output_nobody_reads(self, tmp_path, number):
        trees.instances(tmp_path / "many", 400)  # a pipe holds the lines of half of them
        reading, writing = os.pipe()
        async with running_sink() as sink:
            process = await started(
                "send", "--json", "-", "--associations", "2", HOST, str(sink.port), tmp_path / "many", stdout=writing
            )
            os.close(writing)
            while process.returncode is None:
                if select.select([reading], [], [], 0)[0]:  # it has begun
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, number)  # send_signal would take the exit code of one that has just ended
                await asyncio.sleep(0.3)
            assert (await finished(process)).returncode in (-number, 130)
        os.close(reading)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("kind", ["start", "outcome", "summary"])
    async def test_whenever_a_signal_comes_the_exit_code_is_what_the_summary_says(self, tmp_path, number, kind):
        trees.instances(tmp_path / "one", 1)
        async with running_sink() as sink:
            for tries in range(4):
                process = await started("send", "--json", "-", HOST, str(sink.port), tmp_path / "one")
                begin = b""
                while f'"type":"{kind}"'.encode() not in begin:
                    begin += await asyncio.wait_for(process.stdout.readline(), 60)
                await asyncio.sleep(tries / 1000)  # so that it ends a little further each time
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)  # send_signal would take the exit code of one that has just ended
                done = await finished(process)
                summary = json_lines(begin.decode() + done.out)[-1]
                assert (summary["type"], summary["exit_code"]) == ("summary", done.returncode)
                assert done.returncode in (0, 130)
                assert "Traceback" not in done.err
                assert "Exception" not in done.err

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    async def test_a_signal_that_is_ignored_stays_ignored(self, good, number, tmp_path):
        """As SIGINT is where a shell without job control puts a command into the background."""
        async with running_sink("--latency", "0.3", "--output", tmp_path / "received") as sink:
            words = (sys.executable, "-m", "asyncstore", "send", "--json", "-", "--associations", "1")
            pipe = asyncio.subprocess.PIPE
            code = f'trap "" {number.name.removeprefix("SIG")}; exec "$@"'
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", code, "sh", *words, HOST, str(sink.port), good, stdin=pipe, stdout=pipe
            )
            while b'"outcome"' not in await asyncio.wait_for(process.stdout.readline(), 60):
                pass  # the first of three is stored: it is under way
            process.send_signal(number)
            assert (await finished(process)).returncode == 0
        assert trees.data_sets(tmp_path / "received") == trees.data_sets(good)

    @pytest.mark.parametrize(
        "module", ["asyncstore.cli.main", "asyncstore.cli.options.rows", "asyncstore.cli.commands.send", "uvloop"]
    )
    async def test_it_ends_quietly_while_it_is_still_imported(self, module):
        code = f"""
import os, runpy, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
runpy.run_module("asyncstore", run_name="__main__")
"""
        words = (sys.executable, "-c", code, "send", HOST, "104", "/nowhere")
        pipe = asyncio.subprocess.PIPE
        done = await finished(await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, stdin=pipe))
        assert done == (130, "", "")

    async def test_a_list_that_never_ends_does_not_hold_it(self, good):
        first = next(path for path in good.rglob("*") if path.is_file())
        async with running_sink() as sink:
            process = await started("send", "--json", "-", "--files-from", "-", HOST, str(sink.port))
            process.stdin.write(os.fsencode(first) + b"\n")
            while b'"outcome"' not in await asyncio.wait_for(process.stdout.readline(), 60):
                pass  # it is under way once it says what became of the first one
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 60) == 130
            process.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
class TestDescriptors:
    @pytest.mark.parametrize("limit", [24, 40])
    async def test_where_they_are_few_there_are_fewer_associations_and_every_file_is_sent(self, tmp_path, limit):
        files = trees.instances(tmp_path / "many", 300, data_set_bytes=20_000)  # too large to come with the probe
        async with running_sink() as sink:
            words = (sys.executable, "-m", "asyncstore", "send", "--associations", "32", HOST, str(sink.port))
            pipe = asyncio.subprocess.PIPE
            code = f'ulimit -n {limit}; exec "$@"'
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", code, "sh", *words, tmp_path / "many", stdin=pipe, stdout=pipe, stderr=pipe
            )
            done = await finished(process)
        assert f"Stored all {len(files)} files" in done.err, done
        assert "too many open files; ulimit -n sets how many a process may have; other associations go on" in done.err


class TestStreams:
    @pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
    async def test_closed_ones_do_not_stop_it(self, good, tmp_path, closed):
        async with running_sink("--output", tmp_path / "received") as sink:
            words = (sys.executable, "-m", "asyncstore", "send", "-v", "--json", "-", HOST, str(sink.port), good)
            shell = await asyncio.create_subprocess_exec("sh", "-c", f'exec "$@" {closed}', "sh", *words)
            assert await asyncio.wait_for(shell.wait(), 60) == 0
        assert trees.data_sets(tmp_path / "received") == trees.data_sets(good)

    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    async def test_a_reader_that_goes_away_does_not_stop_it(self, good, tmp_path, stream):
        read, write = os.pipe()
        os.close(read)
        async with running_sink("--output", tmp_path / "received") as sink:
            process = await started("send", "-v", "--json", "-", HOST, str(sink.port), good, **{stream: write})
            os.close(write)
            assert (await finished(process)).returncode == 0
        assert trees.data_sets(tmp_path / "received") == trees.data_sets(good)

    async def test_quiet_says_nothing(self, archive):
        async with running_sink() as sink:
            done = await asyncstore("send", "-q", HOST, str(sink.port), archive)
        assert (done.out, done.err) == ("", "")
        assert (await asyncstore("send", "-q", HOST, "104", "/nowhere/file")).err == ""

    async def test_verbose_says_what_storescu_says(self, good):
        async with running_sink() as sink:
            done = await asyncstore("send", "-v", "+v", HOST, str(sink.port), good)
        lines = done.err.splitlines()
        stored = [line for line in lines if line.endswith(": Received Store Response (Success)")]
        assert len(stored) == len({line for line in stored if line.startswith(f"I: {good}/")}) == 3
        assert "I: association 1: context 1: CTImageStorage: accepted in LittleEndianExplicit" in lines

    async def test_presentation_contexts_need_their_option(self, good):
        async with running_sink() as sink:
            done = await asyncstore("send", "-v", HOST, str(sink.port), good)
        assert "CTImageStorage" not in done.err


class TestJson:
    async def test_every_file_is_one_line_between_start_and_summary(self, archive):
        async with running_sink() as sink:
            words = ("send", "-nh", "--json", "-", HOST, str(sink.port), archive)
            done = await asyncstore(*words)
        start, *outcomes, summary = json_lines(done.out)
        assert (start["type"], start["peer"], start["port"]) == ("start", HOST, sink.port)
        assert {line["path"] for line in outcomes} == {str(path) for path in archive.rglob("*") if path.is_file()}
        assert (summary["stored"], summary["not_sent"], summary["exit_code"]) == (12, 1, done.returncode)

    async def test_the_environment_may_ask_for_it(self, good, tmp_path):
        async with running_sink() as sink:
            environment = {"ASYNCSTORE_JSON": str(tmp_path / "lines")}
            done = await asyncstore("send", HOST, str(sink.port), good, environment=environment)
        assert len(json_lines((tmp_path / "lines").read_text())) == 5
        assert f"Every outcome: {tmp_path}/lines" in done.err

    @needs_a_full_device
    @pytest.mark.parametrize("quiet", [(), ("-q",)])
    async def test_outcomes_that_could_not_be_written_cost_the_exit_code(self, good, quiet, tmp_path):
        async with running_sink("--output", tmp_path / "received") as sink:
            done = await asyncstore("send", *quiet, "--json", "/dev/full", HOST, str(sink.port), good)
        assert done.returncode == 2
        assert len(trees.data_sets(tmp_path / "received")) == 3
        assert ("Not every outcome could be written as a JSON line" in done.err) is not bool(quiet)
        assert "Every outcome: " not in done.err


class TestLog:
    @pytest.mark.parametrize(("command", "program"), [("send", "storescu"), ("echo", "echoscu")])
    async def test_why_nothing_could_be_sent_is_in_the_log_that_storescu_would_write(
        self, good, tmp_path, command, program, refusing_port
    ):
        (tmp_path / "a.cfg").write_text(
            "log4cplus.rootLogger = ERROR, f\nlog4cplus.appender.f = log4cplus::FileAppender\n"
            f"log4cplus.appender.f.File = {tmp_path}/${{appname}}.log\n"
        )
        files = [good] if command == "send" else []
        done = await asyncstore(command, "-lc", tmp_path / "a.cfg", HOST, str(refusing_port), *files)
        assert done.returncode == 1
        said = (tmp_path / f"{program}.log").read_text()
        assert said.startswith(f"FATAL - {HOST}:{refusing_port}: cannot connect: connection refused")


class TestDryRun:
    async def test_it_says_what_would_be_sent_and_asks_nobody(self, archive):
        done = await asyncstore("send", "--dry-run", "-nh", "pacs.invalid", "104", archive)
        assert done.returncode == 2
        assert done.out.splitlines() == [
            "to pacs.invalid:104: 12 instances, 33.6 kB",
            "",
            "  instances     data  SOP class       transfer syntax",
            "         12  33.6 kB  CTImageStorage  LittleEndianExplicit",
            "",
            "2 presentation contexts to propose: one for each line, the others to convert into",
            "",
            "cannot be sent: 1 file",
            f"  1    not a DICOM file  such as {archive}/README.txt",
        ]

    @pytest.mark.parametrize(
        ("option", "names"),
        [("-xm", "*"), ("-x4", "CT*"), ("-xi", "*"), ("-xd", "*"), ("-R", "JPEG*"), ("-xh", "report*")],
    )
    async def test_it_says_of_every_file_what_becomes_of_it_where_all_is_accepted(self, tmp_path, option, names):
        for path in trees.pydicom_test_files():
            if path.name in {"CT_small.dcm", "reportsi.dcm", "JPEG2000.dcm"}:
                shutil.copy(path, tmp_path)
        files = sorted(tmp_path.glob(names))
        async with running_sink() as sink:
            sent = await asyncstore("send", "-nh", "--json", "-", option, HOST, str(sink.port), *files)
        planned = await asyncstore("send", "-nh", "--dry-run", option, "pacs.invalid", "104", *files)
        *_, summary = json_lines(sent.out)
        lost = summary["not_sent"]
        of_them = f"{len(files) - lost} of " if lost else ""
        plural = "s" if len(files) > 1 else ""
        assert planned.out.startswith(f"to pacs.invalid:104: {of_them}{len(files)} instance{plural}, ")
        assert planned.out.count(" not at all ") == lost
        assert planned.returncode == sent.returncode == summary["exit_code"]

    async def test_pixel_data_that_would_have_to_be_compressed_is_named_with_a_file(self):
        [image] = [path for path in trees.pydicom_test_files() if path.name == "CT_small.dcm"]
        done = await asyncstore("send", "--dry-run", "-nh", "-xm", "pacs.invalid", "104", image)
        why = "only MPEG2MainProfile@MainLevel is proposed for it, and its pixel data would have to be compressed"
        assert done.out.splitlines()[-2:] == ["cannot be sent: 1 file", f"  1    {why}  such as {image}"]

    async def test_it_says_that_a_run_would_stop_at_what_cannot_be_sent(self, archive):
        halts = "Without --no-halt (-nh) the run ends at the first of these, and the files behind it are not sent."
        done = await asyncstore("send", "--dry-run", "pacs.invalid", "104", archive)
        assert (done.returncode, done.out.splitlines()[-2:]) == (2, ["", halts])
        done = await asyncstore("send", "--dry-run", "pacs.invalid", "104", archive / "below")
        assert (done.returncode, halts in done.out) == (0, False)

    async def test_it_finds_nothing_where_nothing_is(self, tmp_path):
        done = await asyncstore("send", "--dry-run", "pacs.invalid", "104", tmp_path)
        assert (done.returncode, done.out) == (1, "no files were found\n")


class TestEcho:
    @pytest.mark.peers
    async def test_answers_are_timed(self, tmp_path):
        async with running_storescp(tmp_path) as scp:
            done = await asyncstore("echo", "--count", "2", "--interval", "0", HOST, str(scp.port))
        assert done.returncode == 0
        first, *answers, last = done.out.splitlines()
        assert first.startswith(f"{HOST}:{scp.port} accepted the association within ")
        assert [line.split(":")[0] for line in answers] == ["echo 1", "echo 2"]
        assert last.startswith("2 answered: least ")

    @needs_a_full_device
    async def test_answers_that_cannot_be_written_are_no_answers(self):
        async with running_sink() as sink:
            with open("/dev/full", "wb") as full:  # noqa: ASYNC230 - a device
                done = await finished(await started("echo", HOST, str(sink.port), stdout=full.fileno()))
        said = "asyncstore echo: standard output: cannot write to it: No space left on device\n"
        assert (done.returncode, done.err) == (1, said)

    async def test_nobody_answers(self, refusing_port):
        done = await asyncstore("echo", HOST, str(refusing_port))
        assert done.returncode == 1
        assert done.err.startswith(f"asyncstore echo: {HOST}:{refusing_port}: cannot connect: connection refused")
        assert (await asyncstore("echo", "-q", HOST, str(refusing_port))).err == ""

    async def test_a_peer_that_does_not_verify_is_not_called_a_web_server(self):
        async with running_hostile(Behaviour(on_request=accepts_no_context())) as scp:
            done = await asyncstore("echo", HOST, str(scp.port))
        assert done.returncode == 1
        first, second = done.err.splitlines()
        assert first.endswith("it did not accept the Verification SOP class (abstract syntax not supported)")
        assert second.startswith("It may store nevertheless: scan --peer-check asks which contexts it accepts")

    async def test_a_wrong_title_is_explained(self):
        async with running_sink("--aet", "PACS") as sink:
            done = await asyncstore("echo", HOST, str(sink.port))
            assert done.returncode == 1
            assert done.err.splitlines()[-1] == "Give the peer's own AE title with -aec."
            done = await asyncstore("echo", "--count", "1", "-aec", "PACS", HOST, str(sink.port))
            assert done.returncode == 0


class TestSink:
    async def test_it_counts_what_came_again_and_what_it_refused(self, good, tmp_path):
        received = tmp_path / "received"
        async with running_sink("--output", received) as sink:
            await asyncstore("send", "--repeat", "2", HOST, str(sink.port), good)
            printed = await sink.end()
        assert printed.out.startswith("received 6 instances, 16.8 kB, 3 in place of earlier ones, in ")
        async with running_sink("--status", "0xA700") as sink:
            await asyncstore("send", "-nh", "--retries", "0", HOST, str(sink.port), good)
            printed = await sink.end()
        assert printed.out.startswith("received 0 instances, 0 B, refused 3 with 0xA700, in ")

    async def test_it_says_whom_it_rejected_and_why(self, good):
        async with running_sink("--aet", "PACS") as sink:
            await asyncstore("send", "--associations", "1", "-aec", "OTHER", HOST, str(sink.port), good)
            printed = await sink.end()
        assert printed.out.startswith("received 0 instances, 0 B, in 0 associations (1 more rejected), ")
        why = "the association was rejected permanently: called AE title not recognized"
        assert re.fullmatch(rf"W: {re.escape(HOST)}:\d+: {why} \(of STORESCU to OTHER\)\n", printed.err)

    async def test_a_file_is_no_folder_to_store_in(self, tmp_path):
        (tmp_path / "file").touch()
        done = await asyncstore("sink", "--port", "0", "--output", tmp_path / "file")
        said = f"asyncstore sink: cannot store files in '{tmp_path / 'file'}': it is not a directory\n"
        assert (done.returncode, done.err) == (1, said)

    async def test_it_says_once_why_it_cannot_store(self, good, tmp_path):
        received = tmp_path / "received"
        async with running_sink("--output", received) as sink:
            received.rmdir()
            await asyncstore("send", "-nh", "--retries", "0", HOST, str(sink.port), good)
            printed = await sink.end()
        assert printed.out.startswith("received 0 instances, 0 B, refused 3 with 0xA700, in ")
        why = f"cannot store files in {received}: No such file or directory"
        assert printed.err == f"W: {why}; what cannot be stored is refused with 0xA700 out of resources\n"

    @pytest.mark.parametrize(("host", "shown"), [(HOST, rb"127\.0\.0\.1"), ("::1", rb"\[::1\]")])
    async def test_it_says_where_it_listens_and_that_it_speaks_tls(self, host, shown, tmp_path):
        if host == "::1" and not has_ipv6():
            pytest.skip("there is no IPv6 here")
        files = Authority.make().certify().write(tmp_path, "sink")
        words = ("sink", "--port", "0", "--host", host, "+tls", files.key, files.certificate, "-ic", "--aet", "PACS")
        process = await started(*words)
        line = await process.stdout.readline()
        process.terminate()
        assert (await finished(process)).returncode == 0
        assert re.fullmatch(rb"listening on " + shown + rb":\d+ as PACS, over TLS\n", line)

    async def test_an_address_that_is_not_ours_is_named_with_what_to_do(self):
        done = await asyncstore("sink", "--port", "0", "--host", "::1", "-i4")
        assert done.returncode == 1
        first, second = done.err.splitlines()
        assert first.startswith("asyncstore sink: cannot listen at [::1]:0: ")
        assert second == "Give an address of this machine with --host, one of IPv4 with -i4 and one of IPv6 with -i6."

    async def test_a_port_that_is_taken_is_named(self):
        async with running_sink() as sink:
            done = await asyncstore("sink", "--port", str(sink.port))
        assert done.returncode == 1
        assert done.err == (
            f"asyncstore sink: cannot listen at {HOST}:{sink.port}: address already in use\n"
            "Another program listens there: end it, or choose another port with --port; 0 takes a free one.\n"
        )
