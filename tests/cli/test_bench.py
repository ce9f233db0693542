"""``asyncstore bench`` as a process: against a sink, and against peers that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys

import pytest

from asyncstore import Sink, TlsOptions
from benchmarks.copies import write_copies
from support import trees
from support.commands import asyncstore, finished, needs_a_full_device, started
from support.oracle import until
from support.peers.certificates import self_signed
from support.peers.hostile import (
    Behaviour,
    accepts,
    accepts_no_context,
    after,
    answers,
    never_answers,
    obedient,
    rejects,
    resets,
    running_hostile,
)

pytestmark = pytest.mark.slow

SMALL = ("--size", "2K", "--warm-up", "0")
QUICK = (*SMALL, "--no-calibrate", "--associations", "2", "--duration", "300ms")
LATENCY = 0.01
"""Seconds after which a sink answers, so that a load is some dozens of instances and not thousands."""
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"


async def bench(port, *words):
    return await asyncstore("bench", *words, "127.0.0.1", str(port))


async def until_line(stream, beginning):
    """Read lines until one has this beginning."""
    while not (await asyncio.wait_for(stream.readline(), 30)).startswith(beginning):
        pass


def document_of(path):
    return json.loads(path.read_text())


class TestAgainstTheSink:
    async def test_it_measures_and_shows_the_verdict_the_loads_and_the_latencies(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(
                sink.port, *SMALL, "--steps", "1,2", "--duration", "300ms", "--json", tmp_path / "a.json"
            )
        assert done.returncode == 0, done.err
        assert "this machine sends at most" in done.err
        for part in ("closed load", "1 association ", "2 associations", "latency of a store", "where the time went"):
            assert part in done.out
        assert f"Details: {tmp_path / 'a.json'}" in done.out
        found = document_of(tmp_path / "a.json")
        assert [phase["name"] for phase in found["phases"]] == ["1 association", "2 associations"]
        assert found["calibration"]["instances_per_second"] > 0
        assert found["setup"]["peer"]["implementation_version_name"].startswith("ASYNCSTORE")
        assert found["whole"]["stored"] == sum(phase["stored"] for phase in found["phases"]) > 0
        assert found["whole"]["stored"] == sink.tally.instances

    async def test_the_document_can_go_to_standard_output_alone(self):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(sink.port, *QUICK, "--json", "-")
        assert json.loads(done.out)["type"] == "asyncstore-bench"
        assert "latency of a store" in done.err

    async def test_what_was_measured_before_the_files_vanished_is_reported(self, tmp_path):
        write_copies(tmp_path / "files", count=5, data_set_bytes=100_000)
        words = ("--warm-up", "0", "--no-calibrate", "--associations", "2", "--duration", "60s")
        async with Sink(port=0, latency=0.01) as sink:
            target = ("--json", tmp_path / "a.json", "127.0.0.1", str(sink.port), tmp_path / "files")
            process = await started("bench", *words, *target)
            await until(lambda: sink.tally.instances > 20)
            shutil.rmtree(tmp_path / "files")
            done = await finished(process)
        assert done.returncode == 2, done.err
        assert "no file is left as it was at the start" in done.err
        assert "latency of a store" in done.out
        whole = document_of(tmp_path / "a.json")["whole"]
        # A file that is removed while it is sent counts as changed: its outcome is unknown, stored or not.
        assert 20 < sink.tally.instances <= whole["stored"] + whole["unknown"]
        assert whole["stored"] <= sink.tally.instances

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_files_that_vanish_are_named_although_others_are_left(self, tmp_path):
        write_copies(tmp_path / "files", count=3, data_set_bytes=100_000)
        words = ("--warm-up", "0", "--no-calibrate", "--associations", "1", "--duration", "60s")
        async with Sink(port=0, latency=0.01) as sink:
            process = await started("bench", *words, "127.0.0.1", str(sink.port), tmp_path / "files")
            await until(lambda: sink.tally.instances > 3)
            [gone, *_] = (tmp_path / "files").rglob("*.dcm")
            gone.unlink()
            stored = sink.tally.instances
            await until(lambda: sink.tally.instances > stored + 20)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130, done.err
        assert f"1 file gone or changed, and not sent any more, such as {gone}: No such file" in done.err

    async def test_warm_up_and_cool_down_do_not_count_and_repeats_are_told_apart(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            words = ("--warm-up", "200ms", "--cool-down", "200ms", "--repeat", "2", "--json", tmp_path / "a.json")
            done = await bench(sink.port, *QUICK, *words)
        phases = document_of(tmp_path / "a.json")["phases"]
        assert [phase["is_counted"] for phase in phases] == [False, True, True, False]
        assert [phase["repeat"] for phase in phases[1:3]] == [1, 2]
        assert document_of(tmp_path / "a.json")["whole"]["stored"] == phases[1]["stored"] + phases[2]["stored"]
        assert "2 associations, run 2" in done.out

    async def test_over_tls_the_calibration_says_that_it_used_none(self, tmp_path):
        files = self_signed("127.0.0.1").write(tmp_path, "both")
        tls = TlsOptions(*files, peer_certificate="ignore")
        async with Sink(port=0, tls=tls, latency=LATENCY) as sink:
            words = ("+tls", *files, "+cf", files.certificate, "--json", tmp_path / "a.json")
            done = await bench(sink.port, *SMALL, "--associations", "1", "--duration", "300ms", *words)
        assert done.returncode == 0, done.err
        assert "(measured without TLS; with TLS it is less)" in done.err
        assert document_of(tmp_path / "a.json")["setup"]["options"]["enable-tls"] is True
        assert str(tmp_path) not in (tmp_path / "a.json").read_text()

    async def test_quiet_writes_only_files_and_these_hold_no_secret_and_no_path(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            words = ("-q", "--user", "somebody", "--password", "CANARY", "--json", tmp_path / "a.json")
            done = await bench(sink.port, *QUICK, *words)
        assert (done.returncode, done.out, done.err) == (0, "", "")
        text = (tmp_path / "a.json").read_text()
        assert not [secret for secret in ("CANARY", "somebody", str(tmp_path)) if secret in text]
        found = json.loads(text)
        assert found["setup"]["options"]["size"] == "2K"
        assert found["whole"]["stored"]

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_an_interrupt_ends_it_with_what_was_measured(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            words = (*QUICK[:-1], "60s", "--json", tmp_path / "a.json")
            process = await started("bench", *words, "127.0.0.1", str(sink.port))
            await until(lambda: sink.tally.instances > 20)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130
        assert "stopping: stores under way are finished" in done.err
        assert "Interrupted: this is what was measured until then." in done.out
        found = document_of(tmp_path / "a.json")
        assert found["whole"]["stored"] > 0
        assert found["whole"]["unknown"] == 0
        assert found["exit_code"] == 130

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_an_older_document_stays_if_nothing_is_measured(self, tmp_path):
        (tmp_path / "a.json").write_text("older")
        done = await bench(1, *QUICK, "--json", tmp_path / "a.json")
        assert done.returncode == 1
        assert (tmp_path / "a.json").read_text() == "older"
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

    async def test_a_peer_that_cannot_be_searched_is_measured_all_the_same(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(sink.port, *QUICK, "--findable", "5", "--json", tmp_path / "a.json")
        assert done.returncode == 0
        assert "nothing is searched for: the peer does not take C-FIND" in done.err
        assert "searching for the last instances" not in done.err
        assert "C-FIND after C-STORE: no instance was searched for." in done.out
        found = document_of(tmp_path / "a.json")
        assert found["findable"]["asked"] == 0
        assert found["whole"]["stored"] > 0

    @pytest.mark.parametrize(
        "words",
        [
            ("--rate", "100/s", "--duration", "500ms"),
            ("--exams", "36000/h", "--duration", "500ms", "--arrivals", "fixed"),
        ],
    )
    async def test_open_loads_begin_what_they_offer(self, tmp_path, words):
        async with Sink(port=0, latency=LATENCY) as sink:
            load = ("--mix", "sr", "--warm-up", "0", "--no-calibrate", "--random-seed", "1")
            done = await bench(sink.port, *load, *words, "--json", tmp_path / "a.json")
        assert done.returncode == 0, done.err
        found = document_of(tmp_path / "a.json")
        assert [phase["model"] for phase in found["phases"]] == ["open"]
        whole = found["whole"]
        assert whole["offered"] == whole["stored"] + whole["dropped"] > 0
        assert found["setup"]["seed"] == 1

    async def test_a_recorded_run_is_repeated(self, tmp_path):
        trees.instances(tmp_path / "files", 20)
        async with Sink(port=0, latency=LATENCY) as sink:
            record = tmp_path / "run.jsonl"
            await asyncstore("send", "--json", record, "127.0.0.1", str(sink.port), tmp_path / "files")
            words = ("--warm-up", "0", "--no-calibrate", "--replay", record, "--speed", "0.5")
            done = await bench(sink.port, *words, "--json", tmp_path / "a.json")
        assert done.returncode == 0, done.err
        assert document_of(tmp_path / "a.json")["whole"]["offered"] == 20

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_files_are_sent_again_and_again_with_new_uids(self, tmp_path):
        trees.instances(tmp_path / "files", 3)
        async with Sink(port=0, output=tmp_path / "received", latency=LATENCY) as sink:
            words = ("--warm-up", "0", "--no-calibrate", "--associations", "1", "--duration", "60s")
            process = await started("bench", *words, "127.0.0.1", str(sink.port), tmp_path / "files")
            await until(lambda: sink.tally.instances > 6)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130, done.err
        assert len(list((tmp_path / "received").iterdir())) > 6

    async def test_a_crossed_threshold_ends_it_with_99(self):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(sink.port, *QUICK, "--threshold", "failed<1%", "--threshold", "p99<1us")
        assert done.returncode == 99
        assert "threshold failed<1%: 0 %, holds" in done.out
        assert "threshold p99<1us: " in done.out


class TestAgainstOtherPeers:
    async def test_nobody_listens(self):
        done = await bench(1, *QUICK)
        assert done.returncode == 1
        assert "cannot connect: connection refused" in done.err
        assert "Check the host name and the port" in done.err
        assert "Traceback" not in done.err
        assert not done.out

    async def test_a_peer_that_rejects_associations(self):
        async with running_hostile(Behaviour(on_request=rejects(1, 1, 7))) as scp:
            done = await bench(scp.port, *QUICK)
        assert done.returncode == 1
        assert "called AE title not recognized" in done.err
        assert "-aec" in done.err

    async def test_a_peer_that_accepts_no_context(self):
        async with running_hostile(Behaviour(on_request=accepts_no_context())) as scp:
            done = await bench(scp.port, *QUICK)
        assert done.returncode == 1
        assert "it accepts none of the instances" in done.err
        assert "--mix chooses other kinds." in done.err

    async def test_kinds_of_files_that_the_peer_does_not_accept_are_named_with_their_syntax(self, tmp_path):
        write_copies(tmp_path / "files", count=2, data_set_bytes=2000)
        write_copies(tmp_path / "others", count=2, data_set_bytes=530_000, multi_frame=True)
        refuses = accepts(sop_classes=lambda uid: uid != CT_IMAGE)
        async with running_hostile(Behaviour(on_request=refuses)) as scp:
            words = ("--no-calibrate", "--warm-up", "0", "--associations", "1", "--duration", "300ms")
            paths = (tmp_path / "files", tmp_path / "others")
            done = await asyncstore("bench", *words, "127.0.0.1", str(scp.port), *paths)
        assert "Kinds that the PACS does not accept: ct in LittleEndianExplicit." in done.out

    async def test_kinds_that_the_peer_does_not_accept_are_left_out_and_named(self, tmp_path):
        refuses = accepts(sop_classes=lambda uid: uid != US_IMAGE)
        async with running_hostile(Behaviour(on_request=refuses)) as scp:
            words = ("--mix", "sr=3,us=1", "--no-calibrate", "--warm-up", "0", "--associations", "1")
            done = await bench(scp.port, *words, "--duration", "300ms", "--json", tmp_path / "a.json")
        assert done.returncode == 0
        assert "left out: UltrasoundImageStorage" in done.err
        assert "Kinds that the PACS does not accept: us." in done.out
        [kind] = document_of(tmp_path / "a.json")["setup"]["corpus"]["kinds"]
        assert kind["name"] == "sr"
        assert kind["share"] == 1.0

    async def test_a_peer_that_takes_fewer_associations_than_are_wanted(self, tmp_path):
        async with Sink(port=0, max_associations=2, latency=0.01) as sink:
            words = ("--no-calibrate", "--steps", "1,4", "--duration", "700ms", "--json", tmp_path / "a.json")
            done = await bench(sink.port, *SMALL, *words)
        assert "4 associations (2 open)" in done.out
        assert "The PACS kept no more than 2 associations open" in done.out
        found = document_of(tmp_path / "a.json")
        assert [phase["associations"] for phase in found["phases"]] == [1, 2]
        assert found["knee"]["recommended"] == 2

    async def test_a_peer_that_refuses_every_second_instance(self, tmp_path):
        counts = iter(range(1_000_000))
        half = Behaviour(on_store=answers(lambda _store: 0xA700 if next(counts) % 2 else 0))
        async with running_hostile(half) as scp:
            done = await bench(scp.port, *QUICK, "--json", tmp_path / "a.json")
        assert done.returncode == 2
        whole = document_of(tmp_path / "a.json")["whole"]
        assert whole["failed"] > 0
        assert abs(whole["failed"] - whole["stored"]) <= 1
        assert "x status: 0xA700 out of resources" in done.out

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_a_peer_that_dies_in_the_middle_and_comes_back(self, tmp_path):
        dies = Behaviour(on_store=after(5, resets()))
        async with running_hostile(obedient, dies, dies, obedient) as scp:
            words = (*QUICK[:-1], "60s", "--json", tmp_path / "a.json")
            process = await started("bench", *words, "127.0.0.1", str(scp.port))
            await until(lambda: len(scp.stores) > 20)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130, done.err
        whole = document_of(tmp_path / "a.json")["whole"]
        assert whole["unknown"] == 2
        assert whole["stored"] > 10
        assert sum(whole["errors"].values()) == 2
        assert "x association: " in done.out

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    async def test_a_peer_that_goes_away_for_good(self, tmp_path):
        dies = Behaviour(on_store=after(5, resets()))
        gone = Behaviour(on_connect=resets())
        async with running_hostile(obedient, dies, dies, gone) as scp:
            words = (*QUICK[:-1], "60s", "--json", tmp_path / "a.json")
            process = await started("bench", *words, "127.0.0.1", str(scp.port))
            await until(lambda: len(scp.stores) == 12 and len(scp.associations) > 4)
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130, done.err
        whole = document_of(tmp_path / "a.json")["whole"]
        assert (whole["stored"], whole["unknown"]) == (10, 2)

    async def test_a_peer_that_never_answers_is_given_up_by_the_second_interrupt(self):
        async with running_hostile(obedient, never_answers) as scp:
            process = await started("bench", *QUICK, "127.0.0.1", str(scp.port))
            await until(lambda: len(scp.stores) == 2)
            process.send_signal(signal.SIGINT)
            await until_line(process.stderr, b"stopping")
            process.send_signal(signal.SIGINT)
            done = await finished(process)
        assert done.returncode == 130
        assert "aborting" in done.err
        assert "Traceback" not in done.err
        assert "unknown" in done.out


class TestWithoutLibraries:
    @pytest.mark.parametrize(("option", "library"), [("--hdr", "hdrhistogram"), ("--html", "plotly")])
    async def test_a_missing_library_is_named_before_anything_is_sent(self, tmp_path, option, library):
        (tmp_path / "sitecustomize.py").write_text(
            "import importlib.util as u\n"
            "real = u.find_spec\n"
            "u.find_spec = lambda name, *more: None if name in ('hdrh', 'plotly') else real(name, *more)\n"
        )
        done = await asyncstore(
            "bench", *QUICK, option, tmp_path / "out", "127.0.0.1", "1", environment={"PYTHONPATH": str(tmp_path)}
        )
        assert done.returncode == 1
        assert done.err == (
            f"asyncstore bench: {option} needs {library}, which is not installed: "
            "install asyncstore with its extra report\n"
        )

    @pytest.mark.parametrize("target", ["/", "missing/folder/a"])
    async def test_a_file_that_cannot_be_written_is_refused_before_anything_is_sent(self, target):
        done = await bench(1, *QUICK, "--json", target)
        assert done.returncode == 1
        assert f"--json {target}: cannot write it: " in done.err

    @needs_a_full_device
    async def test_a_full_disk_costs_a_file_and_not_the_results(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(sink.port, *QUICK, "--json", "/dev/full", "--hdr", tmp_path / "a.hdr")
        assert done.returncode == 2
        assert "--json /dev/full: cannot write it: No space left on device" in done.err
        assert "latency of a store" in done.out
        assert f"Details: {tmp_path / 'a.hdr'}" in done.out

    @needs_a_full_device
    async def test_results_that_cannot_be_printed_cost_the_exit_code_and_no_file(self, tmp_path):
        async with Sink(port=0, latency=LATENCY) as sink:
            with open("/dev/full", "wb") as full:  # noqa: ASYNC230 - a device
                words = ("bench", *QUICK, "--json", tmp_path / "a.json", "127.0.0.1", str(sink.port))
                done = await finished(await started(*words, stdout=full.fileno()))
        said = "asyncstore bench: standard output: cannot write to it: No space left on device"
        assert (done.returncode, done.err.splitlines()[1:]) == (1, [said])
        assert document_of(tmp_path / "a.json")["exit_code"] == 0

    async def test_a_reader_that_has_gone_ends_it_quietly(self, tmp_path):
        read, write = os.pipe()
        os.close(read)
        async with Sink(port=0, latency=LATENCY) as sink:
            words = ("bench", *QUICK, "--json", tmp_path / "a.json", "127.0.0.1", str(sink.port))
            done = await finished(await started(*words, stdout=write))
        os.close(write)
        assert (done.returncode, len(done.err.splitlines())) == (141, 1)
        assert document_of(tmp_path / "a.json")["exit_code"] == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="/dev/stdout is Linux's")
    async def test_a_file_may_be_a_pipe(self):
        async with Sink(port=0, latency=LATENCY) as sink:
            done = await bench(sink.port, *QUICK, "-q", "--json", "/dev/stdout")
        assert json.loads(done.out)["type"] == "asyncstore-bench"

    async def test_two_outputs_cannot_be_one_file(self, tmp_path):
        done = await bench(1, *QUICK, "--json", tmp_path / "a", "--hdr", tmp_path / "a")
        assert done.returncode == 1
        assert "names the same file" in done.err
