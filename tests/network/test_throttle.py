"""Links under one limit of bytes, in simulated time: what arrives when."""

import asyncio
import os
import socket
from contextlib import closing

import pytest

from asyncstore.network.link import Link
from asyncstore.network.throttle import Throttle


class _SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on to the next timer at once when nothing else is to be done."""

    now = 5000.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled and not self._selector.select(0):
            self.now = max(self.now, self._scheduled[0]._when)  # noqa: SLF001 - there is no other way to it
        super()._run_once()


class _Budget:
    """Bytes at a rate; the most that may be left over is what comes in a tenth of a second."""

    def __init__(self, rate):
        self.loop = asyncio.get_running_loop()
        self.rate, self.left, self.at = rate, 1.0, self.loop.time()

    def take(self, units):
        self._fill()
        self.left -= units

    def seconds_until(self, units):
        self._fill()
        return max(units - self.left, 0) / self.rate if self.rate else 0.0

    def _fill(self):
        now = self.loop.time()
        self.left, self.at = min(self.left + (now - self.at) * (self.rate or 0), (self.rate or 0) / 10), now


class _End:
    """A link, and what arrives at its other end when."""

    def __init__(self, throttle):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.other = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        self.loop = asyncio.get_running_loop()
        self.arrived, self.data, self.drained = [], bytearray(), 0
        self.ends = []
        self.link = Link(ours, lambda _: None, self.ends.append, self._drained)
        if throttle is not None:
            self.link.throttle(throttle)
        self.other.setblocking(False)
        self.receive()

    def _drained(self):
        self.drained += 1

    def receive(self):
        self.loop.add_reader(self.other, self._arrives)

    def stand_still(self):
        self.loop.remove_reader(self.other)

    def _arrives(self):
        data = self.other.recv(1 << 20)
        if not data:
            self.stand_still()
        self.arrived.append((self.loop.time(), len(data)))
        self.data += data

    def close(self):
        if self.other.fileno() >= 0:
            self.loop.remove_reader(self.other)
        self.link.close()
        self.other.close()


def _simulated(test):
    def run():
        with asyncio.Runner(loop_factory=_SimulatedTime) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


async def _until(condition):
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it does not come true")


def _most_in_a_second(arrived):
    return max(sum(size for at, size in arrived if begin <= at < begin + 1) for begin, _ in arrived)


def _buffers(size, piece=16384):
    data = os.urandom(size)
    return data, [memoryview(data)[start : start + piece] for start in range(0, size, piece)]


@_simulated
async def test_one_large_data_set_goes_out_evenly_and_whole():
    rate = 1_000_000
    with closing(_End(Throttle(_Budget(rate)))) as end:
        data, buffers = _buffers(3_000_000)
        begin = end.loop.time()
        end.link.send(buffers)
        assert end.link.is_blocked
        assert end.link.is_held
        await _until(lambda: len(end.data) == len(data))
        assert bytes(end.data) == data
        assert 2.9 <= end.loop.time() - begin <= 3.1
        assert _most_in_a_second(end.arrived) <= rate * 1.13
        assert len(end.arrived) > 100
        assert not end.link.is_blocked
        assert end.drained == 1


@_simulated
async def test_links_share_the_limit_in_turns():
    throttle = Throttle(_Budget(1_000_000))
    ends = [_End(throttle) for _ in range(4)]
    for end in ends:
        end.link.send(_buffers(400_000)[1])
    await _until(lambda: sum(len(end.data) for end in ends) >= 800_000)
    assert max(len(end.data) for end in ends) - min(len(end.data) for end in ends) <= 40_000
    ends[0].link.close()
    await _until(lambda: all(len(end.data) == 400_000 for end in ends[1:]))
    assert _most_in_a_second(sorted(arrival for end in ends for arrival in end.arrived)) <= 1_150_000
    for end in ends:
        end.close()


@_simulated
async def test_small_messages_leave_at_once_while_the_limit_is_not_reached():
    with closing(_End(Throttle(_Budget(1_000_000)))) as end:
        await asyncio.sleep(1)
        for _ in range(10):
            end.link.send_one(bytes(5000))
            assert not end.link.is_blocked
            await asyncio.sleep(0.01)
        assert end.drained == 0


@pytest.mark.slow
@_simulated
async def test_a_limit_can_come_change_and_go_while_data_is_under_way():
    budget = _Budget(None)
    throttle = Throttle(budget)
    with closing(_End(throttle)) as end:
        end.stand_still()
        data, buffers = _buffers(20_000_000)
        end.link.send(buffers)
        assert end.link.is_blocked
        assert not end.link.is_held
        budget.rate = 100_000
        throttle.changed()
        end.receive()
        begin = end.loop.time()
        await _until(lambda: end.loop.time() > begin + 2)
        before = end.link.bytes_sent
        await _until(lambda: end.loop.time() > begin + 4)
        assert 150_000 <= end.link.bytes_sent - before <= 230_000
        budget.rate = 1_000_000
        throttle.changed()
        await _until(lambda: end.loop.time() > begin + 5)
        assert 900_000 <= end.link.bytes_sent - before - 200_000 <= 1_300_000
        budget.rate = None
        throttle.changed()
        now = end.loop.time()
        await _until(lambda: len(end.data) == len(data))
        assert end.loop.time() - now < 2  # with the limit it would take 18 s
        assert bytes(end.data) == data


@_simulated
async def test_a_peer_that_stands_still_blocks_the_link_and_takes_nothing_of_the_limit():
    budget = _Budget(100_000_000)
    throttle = Throttle(budget)
    with closing(_End(throttle)) as slow, closing(_End(throttle)) as quick:
        slow.stand_still()
        slow.link.send(_buffers(8_000_000)[1])
        await _until(lambda: slow.link.is_blocked and not slow.link.is_held)
        quick.link.send(_buffers(10_000_000)[1])
        begin = quick.loop.time()
        await _until(lambda: len(quick.data) == 10_000_000)
        assert quick.loop.time() - begin < 0.2
        slow.receive()
        await _until(lambda: len(slow.data) == 8_000_000)


@_simulated
async def test_a_closed_link_drops_its_turn():
    throttle = Throttle(_Budget(10_000))
    with closing(_End(throttle)) as first, closing(_End(throttle)) as second:
        first.link.send([bytes(1_000_000)])
        second.link.send([bytes(3000)])
        first.link.close()
        await _until(lambda: len(second.data) == 3000)
        assert not first.ends


@_simulated
async def test_whoever_goes_away_meanwhile_is_noticed():
    with closing(_End(Throttle(_Budget(10_000)))) as end:
        end.link.send([bytes(1_000_000)])
        end.stand_still()
        end.other.close()
        await _until(lambda: end.ends)
        assert end.link.is_closed
