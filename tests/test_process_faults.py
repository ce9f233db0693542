"""What happens to the program from outside: it is stopped, its clock jumps, its disk is full, its network goes down."""

import asyncio
import json
import re
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from support import trees
from support.commands import DEADLINE, asyncstore, finished, running_sink, started
from support.disks import small_disk
from support.oracle import until
from support.peers.choosing import first
from support.peers.hostile import Behaviour, answers, running_hostile, stays_silent

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_workers")]
HOST = "127.0.0.1"


def results(done):
    """How many files ended how."""
    found = [line["result"] for line in outcomes(done)]
    return {result: found.count(result) for result in found}


def outcomes(done):
    """The outcomes of a run with ``--json -``."""
    return [line for line in map(json.loads, done.out.splitlines()) if line["type"] == "outcome"]


async def test_a_program_that_is_stopped_for_longer_than_its_timeouts_goes_on(tmp_path):
    trees.instances(tmp_path / "archive", 200)
    async with running_sink("--latency", "0.01", "--output", tmp_path / "received") as sink:
        words = ("-ts", "1", "-td", "1", "-ta", "1", "--associations", "2", "--json", "-", HOST, str(sink.port))
        run = await started("send", *words, tmp_path / "archive")
        await until(lambda: len(list((tmp_path / "received").glob("*.dcm"))) > 10)
        run.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        run.send_signal(signal.SIGCONT)
        done = await finished(run)
    assert done.returncode == 0, done.err
    assert results(done) == {"stored": 200}
    assert trees.data_sets(tmp_path / "received") == trees.data_sets(tmp_path / "archive")


JUMPING = """
import itertools, sys, time
jumps = itertools.cycle([0, 86_400 * 365, -86_400 * 365, 3600, -3600.5])
true, true_ns = time.time, time.time_ns
time.time = lambda: true() + next(jumps)
time.time_ns = lambda: true_ns() + int(next(jumps) * 1e9)
from asyncstore.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("silent", [False, True])
async def test_a_wall_clock_that_jumps_moves_no_timer(tmp_path, silent):
    """A peer that falls silent is given up after its time, not at once and not never."""
    trees.instances(tmp_path / "archive", 30)
    behaviour = Behaviour(on_store=first(10, answers(), stays_silent() if silent else answers()))
    patience = ("-td", "2", "--retries", "0", "--wait-for-peer", "0")
    words = ("send", "-nh", *patience, "--associations", "1", "--journal", tmp_path / "run.db", "--json", "-", HOST)
    async with running_hostile(behaviour) as scp:
        begun = asyncio.get_running_loop().time()
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", JUMPING, *words, str(scp.port), tmp_path / "archive"),
            **dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE),
        )
        done = await finished(run)
        seconds = asyncio.get_running_loop().time() - begun
    assert "Traceback" not in done.err
    assert done.returncode == (2 if silent else 0), done.err
    assert seconds > 2 * silent
    assert results(done)["stored"] == (10 if silent else 30)


async def test_of_data_sets_that_the_temporary_folder_has_no_room_for_only_these_are_not_sent(tmp_path):
    trees.instances(tmp_path / "archive" / "large", 2, data_set_bytes=9_000_000)
    trees.instances(tmp_path / "archive" / "small", 5, seed=1)
    with small_disk(tmp_path / "disk") as disk:
        async with running_sink() as sink:
            words = ("-nh", "-xi", "--json", "-", HOST, str(sink.port), tmp_path / "archive")
            done = await asyncstore("send", *words, environment={"TMPDIR": str(disk)})
        assert done.returncode == 2, done.err
        assert results(done) == {"stored": 5, "not_sent": 2}
        [why] = {line["error"] for line in outcomes(done) if line["result"] == "not_sent"}
        assert "no space" in why.lower()
        assert not list(disk.iterdir())


class Namespaces:
    """Two network namespaces with a link between them, which can be taken down. Needs root."""

    SENDER, RECEIVER = "10.200.77.1", "10.200.77.2"

    def __init__(self):
        mark = secrets.token_hex(3)
        self.near, self.far = f"as-near-{mark}", f"as-far-{mark}"
        self.link = f"as{mark}"

    @contextmanager
    def there(self):
        try:
            self._make()
            yield
        finally:
            for namespace in (self.near, self.far):
                subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)

    def _make(self):
        for namespace in (self.near, self.far):
            if not _ip("netns", "add", namespace):
                pytest.skip("this user cannot make a network namespace (ip netns add): run the test as root")
        pair = ("link", "add", f"{self.link}a", "netns", self.near, "type", "veth", "peer")
        if not _ip(*pair, "name", f"{self.link}b", "netns", self.far):
            pytest.skip("this system has no virtual network links (veth)")
        for namespace, name, address in ((self.near, "a", self.SENDER), (self.far, "b", self.RECEIVER)):
            assert _ip("-n", namespace, "address", "add", f"{address}/24", "dev", self.link + name)
            assert _ip("-n", namespace, "link", "set", self.link + name, "up")

    def set_link(self, state):
        assert _ip("-n", self.far, "link", "set", f"{self.link}b", state)

    @staticmethod
    async def start(namespace, *words):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        return await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", namespace, sys.executable, "-m", "asyncstore", *words), **pipes
        )


def _ip(*words):
    try:
        return subprocess.run(["ip", *words], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        pytest.skip("the program ip is not installed: apt install iproute2")


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_link_that_goes_down_loses_nothing(tmp_path, comes_back):
    """Packets vanish then, and nobody is told. Back within the timeouts, TCP repeats them; otherwise the run ends."""
    trees.instances(tmp_path / "archive", 200)
    network = Namespaces()
    with network.there():
        listening = ("--host", network.RECEIVER, "--port", "0", "--latency", "0.01", "--output", tmp_path / "received")
        sink = await network.start(network.far, "sink", *listening)
        try:
            line = await asyncio.wait_for(sink.stdout.readline(), DEADLINE)
            [port] = re.findall(rb"listening on [0-9.]+:(\d+) ", line)
            seconds = "30" if comes_back else "2"
            times = [word for option in ("-to", "-ts", "-ta", "-td") for word in (option, seconds)]
            times += ["--wait-for-peer", "1"]
            words = ("-nh", *times, "--associations", "2", "--json", "-", network.RECEIVER, port.decode())
            run = await network.start(network.near, "send", *words, tmp_path / "archive")
            await until(lambda: len(list((tmp_path / "received").glob("*.dcm"))) > 20)
            network.set_link("down")
            if comes_back:
                await asyncio.sleep(0.5)
                network.set_link("up")
            done = await finished(run)
        finally:
            sink.terminate()
            await finished(sink)
    assert "Traceback" not in done.err
    found, held = results(done), trees.data_sets(tmp_path / "received")
    sent = trees.data_sets(tmp_path / "archive")
    assert sum(found.values()) == 200
    assert held.items() <= sent.items()
    assert {line["sop_instance_uid"] for line in outcomes(done) if line["result"] == "stored"} <= held.keys()
    assert (done.returncode == 0) is comes_back is (found["stored"] == 200)


@pytest.mark.parametrize("words", [["report", "run.db"], ["resume", "run.db"], ["scan", "--journal", "run.db", "/"]])
async def test_a_working_directory_that_was_removed_is_said(tmp_path, words):
    folder = tmp_path / "removed"
    folder.mkdir()
    done = await in_shell(f'cd {folder} && rmdir {folder} && exec "$@"', *words)
    assert (done.returncode, done.out) == (1, "")
    assert done.err == "asyncstore: the working directory has been removed; change to another one\n"


async def test_too_few_descriptors_to_begin_with_are_said():
    done = await in_shell('ulimit -n 10; exec "$@"', "scan", ".")
    assert (done.returncode, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert done.err.endswith("asyncstore: too many open files; ulimit -n sets how many a process may have\n")


async def in_shell(code, *words):
    """A command that a shell starts, after it has prepared its surroundings."""
    program = (sys.executable, "-c", "import sys; from asyncstore.__main__ import main; sys.exit(main())")
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    return await finished(await asyncio.create_subprocess_exec("sh", "-c", code, "sh", *program, *words, **pipes))
