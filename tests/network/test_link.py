"""One TCP connection: it is opened or says why not, everything sent arrives in order, each end is told once."""

import asyncio
import random
import socket
import struct
import tracemalloc

import pytest

from asyncstore.errors import ConnectFailed
from asyncstore.network.addresses import connect, listen
from asyncstore.network.link import Link, reason_of
from support.oracle import GUARD, in_both_loops, nothing_left_behind, until


class Seen:
    """A link over one end of a socket pair, and what it reported."""

    def __init__(self, buffer=None):
        listening = listen("127.0.0.1", 0)
        with listening:
            self.other = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        if buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.received = b""
        self.ends = []
        self.drained = 0
        self.link = Link(ours, self._bytes, self.ends.append, self._drained)
        self.other.setblocking(False)

    def _bytes(self, data):
        self.received += data

    def _drained(self):
        self.drained += 1

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.link.close()
        self.other.close()

    async def read(self, size):
        data = bytearray()
        async with asyncio.timeout(GUARD):
            while len(data) < size:
                received = await asyncio.get_running_loop().sock_recv(self.other, 1 << 16)
                if not received:
                    break
                data += received
        return data


# Opening --------------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_a_connection_is_opened():
    async with nothing_left_behind():
        with listen("127.0.0.1", 0) as listening, await connect("127.0.0.1", listening.getsockname()[1], 5) as opened:
            assert opened.getpeername() == listening.getsockname()


@in_both_loops
async def test_a_refused_connection_names_the_peer_and_the_cause(refusing_port):
    async with nothing_left_behind():
        with pytest.raises(ConnectFailed) as failed:
            await connect("127.0.0.1", refusing_port, 5)
    assert failed.value.peer == f"127.0.0.1:{refusing_port}"
    assert failed.value.cause == "connection refused: nothing listens there"
    assert failed.value.is_transient


@pytest.mark.parametrize("host", ["", "no such host", "a\0b", "x" * 300, "x." * 200, "\udcff", "host.invalid"])
@in_both_loops
async def test_what_is_no_host_is_no_connection(host):
    async with nothing_left_behind():
        with pytest.raises(ConnectFailed):
            await connect(host, 104, 2)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused: nothing listens there"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset by the peer"),
        (BrokenPipeError(32, "Broken pipe"), "closed by the peer"),
        (OSError(113, "No route to host"), "no route to host"),
        (TimeoutError(110, "Connection timed out"), "no answer, and the system gave up waiting"),
        (OSError("all went wrong"), "all went wrong"),
        (UnicodeError("label too long"), "that is not a host name"),
    ],
    ids=str,
)
def test_errors_of_the_network_in_plain_words(error, words):
    assert reason_of(error) == words


# Sending and receiving ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_loops
async def test_what_is_sent_arrives_in_order_however_slowly_it_is_taken():
    noise = random.Random(1)  # noqa: S311 - noise, not a secret
    buffers = [noise.randbytes(noise.randrange(0, 800)) for _ in range(3000)]  # more than one gather write takes
    whole = b"".join(buffers)
    async with nothing_left_behind(), Seen(buffer=8192) as seen:
        seen.link.send(buffers[:2000])
        assert seen.link.is_blocked
        seen.link.send(buffers[2000:])
        assert await seen.read(len(whole)) == whole
        await until(lambda: not seen.link.is_blocked)
        assert seen.drained == 1
        assert seen.link.bytes_sent == len(whole)


@pytest.mark.slow
@in_both_loops
async def test_what_waits_for_a_slow_peer_is_not_copied_whenever_it_takes_some(monkeypatch):
    """Each time it takes a little, only the buffers of one gather write may be looked at, however many wait."""
    costs = []

    def gather(connected, batch):
        costs.append(tracemalloc.get_traced_memory()[1] - costs_from[0])
        taken = connected.sendmsg(batch[:100])
        tracemalloc.reset_peak()
        costs_from[0] = tracemalloc.get_traced_memory()[0]
        return taken

    costs_from = [0]
    monkeypatch.setattr("asyncstore.network.link._gather", gather)
    buffers = [bytes((number % 256,)) * 14 for number in range(60_000)]
    async with nothing_left_behind(), Seen(buffer=8192) as seen:
        tracemalloc.start()
        try:
            seen.link.send(buffers)
            assert await seen.read(14 * 60_000) == b"".join(buffers)
            await until(lambda: not seen.link.is_blocked)
        finally:
            tracemalloc.stop()
    assert len(costs) > 500
    assert sum(cost > 60_000 * 8 for cost in costs[1:]) < 10  # the first times, when all are put aside to wait


@pytest.mark.slow
@in_both_loops
async def test_a_single_buffer_arrives_whole_even_if_the_kernel_takes_it_in_parts():
    whole = random.Random(2).randbytes(1_000_000)  # noqa: S311 - noise, not a secret
    async with nothing_left_behind(), Seen(buffer=8192) as seen:
        seen.link.send_one(whole)
        assert seen.link.is_blocked
        assert not seen.link.is_ready
        assert await seen.read(len(whole)) == whole
        await until(lambda: seen.link.is_ready)
        assert (seen.drained, seen.link.bytes_sent) == (1, len(whole))
        seen.link.send_one(b"short")
        assert await seen.read(5) == b"short"
        assert seen.drained == 1


@in_both_loops
async def test_callbacks_are_handed_over():
    others = []
    async with nothing_left_behind(), Seen() as seen:
        seen.link.hand_over(lambda data: others.append(bytes(data)), others.append, lambda: None)
        await asyncio.get_running_loop().sock_sendall(seen.other, b"bytes")
        await until(lambda: others)
        seen.other.close()
        await until(lambda: seen.link.is_closed and len(others) > 1)
        assert others == [b"bytes", None]
        assert (seen.received, seen.ends) == (b"", [])


@in_both_loops
async def test_nothing_waits_when_the_kernel_takes_it_all():
    async with Seen() as seen:
        seen.link.send([b"one", memoryview(b"-two-"), bytearray(b"three")])
        assert not seen.link.is_blocked
        assert await seen.read(13) == b"one-two-three"[:13]
        assert seen.drained == 0


@in_both_loops
async def test_what_is_received_is_handed_over():
    async with Seen() as seen:
        await asyncio.get_running_loop().sock_sendall(seen.other, b"x" * 1_000_000)
        await until(lambda: len(seen.received) == 1_000_000)
        assert seen.received == b"x" * 1_000_000


@in_both_loops
async def test_while_reading_is_paused_nothing_is_handed_over_and_afterwards_everything_is():
    async with nothing_left_behind(), Seen() as seen:
        seen.link.pause_reading()
        await asyncio.get_running_loop().sock_sendall(seen.other, b"x" * 10_000)
        seen.other.close()
        await asyncio.sleep(0.01)
        assert (seen.received, seen.ends) == (b"", [])
        seen.link.resume_reading()
        await until(lambda: seen.ends)
        assert (seen.received, seen.ends) == (b"x" * 10_000, [None])
        seen.link.pause_reading()
        seen.link.resume_reading()  # after the end both are without effect


# Ending ---------------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_a_peer_that_closes_is_told_once():
    async with nothing_left_behind(), Seen() as seen:
        seen.other.close()
        await until(lambda: seen.ends)
        seen.link.close()
        await asyncio.sleep(0.01)
        assert seen.ends == [None]
        assert seen.link.is_closed


@in_both_loops
async def test_a_peer_that_resets_is_told_with_the_reason():
    async with nothing_left_behind(), Seen() as seen:
        seen.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        seen.other.close()
        await until(lambda: seen.ends)
        assert seen.ends == ["reset by the peer"]


@in_both_loops
async def test_a_peer_that_resets_while_it_is_sent_to_is_told_once():
    async with nothing_left_behind(), Seen(buffer=8192) as seen:
        seen.link.send([bytes(5_000_000)])
        seen.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        seen.other.close()
        await until(lambda: seen.ends)
        await asyncio.sleep(0.01)
        assert len(seen.ends) == 1
        assert seen.ends[0]


@in_both_loops
@pytest.mark.parametrize("method", ["send", "send_one"])
async def test_what_came_before_a_send_that_fails_is_handed_over(method):
    """The last answers: without them stores that the peer has answered would be sent again."""
    async with nothing_left_behind(), Seen() as seen:
        seen.other.send(b"answers")
        seen.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        seen.other.close()
        getattr(seen.link, method)([b"one more"] if method == "send" else b"one more")
        assert seen.link.is_closed
        await until(lambda: seen.ends)
        assert (seen.received, seen.ends) == (b"answers", ["reset by the peer"])


@in_both_loops
async def test_once_closed_nothing_is_said_or_called_any_more():
    async with nothing_left_behind(), Seen(buffer=8192) as seen:
        seen.link.send([bytes(5_000_000)])
        await asyncio.get_running_loop().sock_sendall(seen.other, b"too late")
        seen.link.close()
        seen.link.close()
        seen.link.send([b"without effect"])
        await asyncio.sleep(0.01)
        assert (seen.received, seen.ends, seen.drained) == (b"", [], 0)
        assert not seen.link.is_blocked
