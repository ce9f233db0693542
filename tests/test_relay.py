"""The relay and the acceptor that misbehave for other tests do what a test asks for."""

import asyncio
from contextlib import asynccontextmanager, suppress
from random import Random
from time import monotonic
from types import SimpleNamespace

import pytest

from asyncstore import Result
from support.oracle import nothing_left_behind, send
from support.peers.choosing import at, beyond, every, first, first_of_each, refuses_duplicates
from support.peers.hostile import running_hostile
from support.peers.relay import Fault, Kind, Way, drawn, running_relay
from support.trees import data_sets, instances

TEXT = bytes(range(256)) * 40


@asynccontextmanager
async def echoing():
    """A port that sends back what it gets, and then FIN."""
    over = []

    async def echo(reader, writer):
        try:
            while data := await reader.read(1000):
                writer.write(data)
            writer.write_eof()
            over.append("FIN")
        except ConnectionError:
            over.append("RST")
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], over


async def returned(*faults):
    """What comes back of the text, how the connection ended for the requestor, and how for the peer."""
    async with nothing_left_behind(), echoing() as (port, over), running_relay(port, faults) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        came, end = b"", "silence"
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3 if any(fault.kind is Kind.SILENCE for fault in faults) else 30):
                try:
                    writer.write(TEXT)
                    writer.write_eof()
                    while data := await reader.read(1000):
                        came += data
                    end = "FIN"
                except ConnectionError:
                    end = "RST"
        writer.close()
        assert relay.happened == [(0, fault) for fault in faults]
    return came, end, *over


async def test_without_a_fault_it_passes_on_all_bytes_and_the_end():
    assert await returned() == (TEXT, "FIN", "FIN")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "end"), [(Kind.CUT, "FIN"), (Kind.SILENCE, "silence")])
async def test_a_connection_ends_after_the_bytes_before_the_fault(kind, end):
    assert (await returned(Fault(kind, Way.BACK, at=5000)))[:2] == (TEXT[:5000], end)


async def test_a_reset_reaches_both_ends():
    came, *ends = await returned(Fault(Kind.RESET, Way.OUT, at=5000))
    assert TEXT.startswith(came)
    assert ends == ["RST", "RST"]


async def test_half_closed_the_other_direction_goes_on():
    assert await returned(Fault(Kind.HALF_CLOSE, Way.OUT, at=3333)) == (TEXT[:3333], "FIN", "FIN")


async def test_corrupt_bytes_are_those_of_the_fault():
    came, *_ = await returned(Fault(Kind.CORRUPT, Way.OUT, at=1999, amount=0x81, length=2))
    assert [place for place in range(len(TEXT)) if came[place] != TEXT[place]] == [1999, 2000]
    assert came[1999] == TEXT[1999] ^ 0x81


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(Kind.DELAY, amount=0.05), 0.05),
        (Fault(Kind.THROTTLE, at=240, amount=100_000.0), 0.09),
        (Fault(Kind.DRIP, Way.BACK, at=7, amount=0.001, length=40), 0.04),
    ],
)
async def test_slow_bytes_arrive_late_and_as_they_were(fault, seconds):
    begun = monotonic()
    assert (await returned(fault))[:2] == (TEXT, "FIN")
    assert monotonic() - begun >= seconds


def test_the_faults_of_a_seed_are_the_same_each_time_and_of_every_kind():
    schedules = [drawn(Random(seed), 50_000) for seed in range(200)]  # noqa: S311 - not a secret
    assert schedules == [drawn(Random(seed), 50_000) for seed in range(200)]  # noqa: S311 - not a secret
    assert {fault.kind for faults in schedules for fault in faults} == set(Kind) - {Kind.CORRUPT}


async def test_a_peer_that_does_not_listen_resets(refusing_port):
    async with running_relay(refusing_port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        with pytest.raises(ConnectionError):
            await reader.read()
        writer.close()


async def test_what_vanishes_ends_its_connections_and_refuses_others_until_it_is_back():
    async with nothing_left_behind(), echoing() as (port, _), running_relay(port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        await relay.listening.vanish()
        with pytest.raises(ConnectionError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", relay.port)
        relay.listening.appear()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()


# The steps of an acceptor that choose -----------------------------------------------------------------------------


class Coming:
    """Instances that come to an acceptor, and what it does with each."""

    def __init__(self):
        self.done = []
        self.store = SimpleNamespace(sop_instance_uid="")
        self.is_open = True

    def does(self, what):
        async def step(_acceptor):
            self.done.append(what)

        return step

    async def answer(self, status):
        self.done.append(f"{status:04x}")


@pytest.mark.parametrize(
    ("choose", "done"),
    [
        (lambda bad, good: every(3, bad, good), "good good bad good good bad"),
        (lambda bad, good: first(2, bad, good), "bad bad good good good good"),
        (lambda bad, good: first_of_each(1, bad, good), "bad bad good bad good good"),
        (lambda bad, good: at("2", bad, good), "good bad good good bad good"),
        (lambda bad, good: refuses_duplicates(every(2, bad, good)), "good bad 0111 good 0111 0111"),
    ],
)
async def test_a_step_misbehaves_when_it_was_told_to(choose, done):
    coming = Coming()
    step = choose(coming.does("bad"), coming.does("good"))
    for uid in "121321":
        coming.store.sop_instance_uid = uid
        await step(coming)
    assert coming.done == done.split()


async def test_associations_beyond_a_limit_are_rejected_until_one_has_ended():
    acceptors = [Coming() for _ in range(4)]
    did = []

    def does(what):
        async def step(_acceptor):
            did.append(what)

        return step

    step = beyond(2, does("rejected"), does("accepted"))
    for acceptor in acceptors[:3]:
        await step(acceptor)
    acceptors[0].is_open = False
    await step(acceptors[3])
    assert did == ["accepted", "accepted", "rejected", "accepted"]


@pytest.mark.slow
async def test_an_acceptor_that_restarts_has_its_port_again(tmp_path):
    files = instances(tmp_path / "files", 2)
    async with nothing_left_behind(), running_hostile() as scp:
        assert (await send(scp.port, files[:1])).results == {Result.STORED: 1}
        port = scp.port
        await scp.listening.restart(0.01)
        assert scp.port == port
        assert (await send(scp.port, files[1:])).results == {Result.STORED: 1}
        assert scp.held() == data_sets(tmp_path / "files")
