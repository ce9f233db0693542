"""Limits of a run, with real sockets: what arrives when, what a pause does, and when the time is up.

Times are asserted on one side only: no second brings more than the limit allows, however busy the machine is.
"""

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from unittest import mock

import pytest

from asyncstore import Limits, Result, Sender, Sink, rate_table, stores_table
from support.oracle import GUARD, assert_true, finish, nothing_left_behind, until
from support.peers.hostile import Behaviour, running_hostile
from support.trees import instances

pytestmark = pytest.mark.slow

_PAUSE = rate_table("pause")


class _Counting:
    """Passes connections on to a port, and notes when how many bytes came from the requestors."""

    def __init__(self, port):
        self.target = port
        self.port = 0
        self.arrived = []

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
        await asyncio.sleep(0)

    async def _connected(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._pass(reader, back, self.arrived), self._pass(there, writer, []))

    async def _pass(self, reader, writer, note):
        while data := await reader.read(1 << 16):
            note.append((time.monotonic(), len(data)))
            writer.write(data)
            await writer.drain()
        writer.close()

    def most_in_a_second(self):
        return max(sum(size for at, size in self.arrived if begin <= at < begin + 1) for begin, _ in self.arrived)


async def _noted(sink, seen, over):
    """Note when how many instances have arrived, until the run is over."""
    while not over.done():
        if not seen or sink.tally.instances > seen[-1][1]:
            seen.append((time.monotonic(), sink.tally.instances))
        await asyncio.sleep(0.002)


@asynccontextmanager
async def _sending(port, paths, limits, **options):
    async with asyncio.timeout(GUARD), Sender("127.0.0.1", port, limits=limits, **options) as sender:
        yield sender.send(paths)


@pytest.mark.parametrize("associations", [1, 4])
async def test_no_second_brings_more_stores_than_the_limit_and_a_tenth(tmp_path, associations):
    files = instances(tmp_path, 75, data_set_bytes=3000)
    limits = Limits(stores=stores_table("30/s"))
    async with (
        nothing_left_behind(),
        Sink(port=0) as sink,
        _sending(sink.port, files, limits, associations=associations) as run,
    ):
        finishing = asyncio.ensure_future(finish(run))
        seen = []
        await _noted(sink, seen, finishing)
        ran = await finishing
    assert ran.results == {Result.STORED: 75}
    for begin, before in seen:
        within = max(count for at, count in seen if at < begin + 1)
        assert within - before <= 30 + 3 + 3  # a machine that stood still takes in what came in that time


async def test_no_second_brings_more_bytes_than_the_limit_and_a_tenth_even_within_one_instance(tmp_path):
    large = instances(tmp_path / "large", 1, data_set_bytes=2_000_000)
    small = instances(tmp_path / "small", 50, data_set_bytes=10_000)
    limits = Limits(rate=rate_table("1M"))
    async with (
        nothing_left_behind(),
        Sink(port=0) as sink,
        _Counting(sink.port).running() as counting,
        _sending(counting.port, [tmp_path], limits, associations=2) as run,
    ):
        ran = await finish(run)
    assert ran.results == {Result.STORED: 51}
    assert_true(ran, [*large, *small], {outcome.sop_instance_uid for outcome in ran.outcomes})
    assert counting.most_in_a_second() <= 1_000_000 * 1.25 + 65536  # as above
    assert len(counting.arrived) > 60


async def test_a_pause_lets_nothing_begin_and_holds_no_association_and_the_run_goes_on_after_it(tmp_path):
    files = instances(tmp_path, 40, data_set_bytes=3000)
    async with (
        nothing_left_behind(),
        Sink(port=0) as sink,
        _sending(sink.port, files, Limits(rate=_PAUSE), associations=2) as run,
    ):
        finishing = asyncio.ensure_future(finish(run))
        await until(lambda: run.progress().probed == 40)
        await asyncio.sleep(0.1)
        assert (sink.tally.associations_total, sink.tally.instances) == (0, 0)
        assert run.progress().limit.is_paused
        run.limit_rate(None)
        run.limit_stores(stores_table("20/s"))
        await until(lambda: sink.tally.instances >= 5)
        run.limit_rate(_PAUSE)
        await until(lambda: sink.tally.associations == 0)
        before = sink.tally.instances
        assert before < 40
        await asyncio.sleep(0.2)
        assert sink.tally.instances == before
        run.limit_rate(None)
        run.limit_stores(None)
        ran = await finishing
    assert ran.results == {Result.STORED: 40}
    assert run.progress().limit is None


async def test_lanes_whose_turn_is_far_off_release_their_associations(tmp_path):
    files = instances(tmp_path, 6, data_set_bytes=3000)
    with mock.patch("asyncstore.schedule.turns._LONG_WAIT", 0.1):
        async with (
            nothing_left_behind(),
            Sink(port=0) as sink,
            _sending(sink.port, files, Limits(stores=stores_table("4/s")), associations=4) as run,
        ):
            ran = await finish(run)
    assert ran.results == {Result.STORED: 6}
    assert sink.tally.associations_total >= 4


@pytest.fixture
def _quick_guard():
    with (
        mock.patch("asyncstore.limiting._ECHO_INTERVAL", 0.02),
        mock.patch("asyncstore.limiting._ECHO_GIVEN_UP", 0.2),
        mock.patch("asyncstore.limiting._REST", 0.05),
    ):
        yield


@pytest.mark.usefixtures("_quick_guard")
async def test_the_guard_slows_the_run_while_the_peer_answers_echoes_slowly(tmp_path):
    files = instances(tmp_path, 300, data_set_bytes=3000)
    async with nothing_left_behind(), Sink(port=0, latency=0.03) as sink:
        async with _sending(sink.port, files, Limits(guard_echo=0.01), associations=8) as run:
            finishing = asyncio.ensure_future(finish(run))
            await until(lambda: run.progress().limit is not None)
            limit = run.progress().limit
            assert limit.share < 1
            assert limit.echo_seconds > 0.01
            assert limit.bytes_per_second is None
            run.stop()
            await finishing
        assert sink.tally.echoes > 0


@pytest.mark.usefixtures("_quick_guard")
async def test_the_guard_leaves_a_peer_alone_that_answers_in_time(tmp_path):
    files = instances(tmp_path, 60, data_set_bytes=3000)
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        async with _sending(sink.port, files, Limits(guard_echo=30), associations=1) as run:
            ran = await finish(run)
            assert run.progress().limit is None
        assert sink.tally.echoes > 0
    assert ran.results == {Result.STORED: 60}


@pytest.mark.usefixtures("_quick_guard")
@pytest.mark.parametrize("why", ["echo refused", "one association at a time"])
async def test_without_echoes_the_guard_says_once_that_it_has_no_effect_and_the_run_goes_on(tmp_path, caplog, why):
    files = instances(tmp_path, 60, data_set_bytes=3000)
    caplog.set_level(logging.WARNING)
    limits = Limits(guard_echo=0.1, stores=stores_table("100/s"))
    peers = {
        "echo refused": running_hostile(Behaviour(echo_status=0x0122)),
        "one association at a time": Sink(port=0, max_associations=1),
    }
    async with nothing_left_behind(), peers[why] as peer, _sending(peer.port, files, limits, associations=1) as run:
        ran = await finish(run)
    assert ran.results == {Result.STORED: 60}
    assert caplog.text.count("the guard has no effect") == 1
