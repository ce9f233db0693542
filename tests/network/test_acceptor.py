"""The acceptor over a fake link whose requestor takes nothing any more."""

import asyncio

from asyncstore.network.acceptor import Acceptor
from asyncstore.network.timeouts import ARTIM
from asyncstore.protocol.associate import AssociateRequest
from asyncstore.sink import Sink
from support.oracle import until
from support.peers.hostile import UNKNOWN_PDU
from support.virtual_time import in_virtual_time


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


def accepted(sink, on_closed):
    """An acceptor, and its link."""
    links = []

    def make_link(*callbacks):
        links.append(BlockedLink(*callbacks))
        return links[0]

    return Acceptor(make_link, "a requestor", sink, on_closed), links[0]


async def test_artim_closes_the_connection_of_a_requestor_that_takes_nothing(monkeypatch):
    """ARTIM (PS3.8 9.1.5) ends it, whatever waits to be sent."""
    monkeypatch.setattr("asyncstore.network.acceptor.ARTIM", 0.05)
    closed = []
    acceptor, link = accepted(Sink(port=0), closed.append)
    link.on_bytes(memoryview(UNKNOWN_PDU))
    assert not closed
    await until(lambda: closed)
    assert closed == [acceptor]
    assert link.is_closed


def test_artim_begins_anew_with_a_rejection():
    """However late the request came, the requestor has its time to read the answer (PS3.8 9.2.3, AE-8)."""

    async def run(_loop):
        closed = []
        acceptor, link = accepted(Sink(port=0, ae_title="PACS"), closed.append)
        await asyncio.sleep(ARTIM - 1)
        link.on_bytes(memoryview(AssociateRequest("US", "OTHER", (), 0).encode()))
        await asyncio.sleep(ARTIM - 1)
        assert not closed
        await asyncio.sleep(2)
        assert closed == [acceptor]

    in_virtual_time(run)
