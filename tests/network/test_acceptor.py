"""The acceptor over a fake link whose requestor takes nothing any more."""

from asyncstore.network.acceptor import Acceptor
from asyncstore.sink import Sink
from support.oracle import until
from support.peers.hostile import UNKNOWN_PDU


class BlockedLink:
    """A link that sends nothing any more."""

    is_blocked = True

    def __init__(self, on_bytes, _on_end, _on_drained):
        self.on_bytes = on_bytes
        self.is_closed = False

    def send(self, _buffers):
        pass

    def pause_reading(self):
        pass

    def close(self):
        self.is_closed = True


async def test_artim_closes_the_connection_of_a_requestor_that_takes_nothing(monkeypatch):
    """ARTIM (PS3.8 9.1.5) ends it, whatever waits to be sent."""
    monkeypatch.setattr("asyncstore.network.acceptor.ARTIM", 0.05)
    closed, links = [], []

    def make_link(*callbacks):
        links.append(BlockedLink(*callbacks))
        return links[0]

    acceptor = Acceptor(make_link, "a requestor", Sink(port=0), closed.append)
    links[0].on_bytes(memoryview(UNKNOWN_PDU))
    assert not closed
    await until(lambda: closed)
    assert closed == [acceptor]
    assert links[0].is_closed
