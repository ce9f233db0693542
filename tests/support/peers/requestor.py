"""The other end of a sink: a requestor that says whatever a test wants, in PDUs."""

import asyncio
import struct
from contextlib import asynccontextmanager

from support.oracle import GUARD
from support.peers.acceptor import (
    ASSOCIATE_AC,
    C_STORE_RQ,
    COMMAND,
    LAST,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    command_set,
    item,
    pdu,
    pdv,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


class Scu:
    """A requestor that says whatever a test wants."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.accepted = b""
        """The A-ASSOCIATE-AC, from its seventh byte on."""

    async def write(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def read_pdu(self):
        async with asyncio.timeout(GUARD):
            header = await self._reader.readexactly(6)
            return header[0], await self._reader.readexactly(int.from_bytes(header[2:], "big"))

    async def release(self):
        await self.write(pdu(RELEASE_RQ, bytes(4)))
        assert (await self.read_pdu())[0] == RELEASE_RP
        self.close()

    def close(self):
        self._writer.close()

    def reset(self):
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port, tls=None):
    """Open a connection, over which nothing has been said yet."""
    scu = Scu(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
    try:
        yield scu
    finally:
        scu.reset()


@asynccontextmanager
async def associated(port, tls=None, **request):
    """Open an association; with one presentation context, 1, for CT, unless asked for others."""
    async with connected(port, tls) as scu:
        await scu.write(associate_request(**request))
        kind, scu.accepted = await scu.read_pdu()
        assert kind == ASSOCIATE_AC
        yield scu


def store_request(uid, context_id=1, **elements):
    """Encode a C-STORE-RQ, after which its data set is to follow; elements are more of them, or others."""
    command = {
        "AffectedSOPClassUID": CT,
        "CommandField": C_STORE_RQ,
        "MessageID": 1,
        "Priority": 0,
        "CommandDataSetType": 1,
        "AffectedSOPInstanceUID": uid,
        **elements,
    }
    return pdu(P_DATA, pdv(context_id, COMMAND | LAST, command_set(**command)))


def associate_request(
    *,
    window=None,
    contexts=((1, CT, (EXPLICIT,)),),
    application_context="1.2.840.10008.3.1.1.1",
    maximum_length=16384,
):
    """Encode an A-ASSOCIATE-RQ."""
    items = [item(0x10, application_context.encode())]
    for context_id, abstract, transfer_syntaxes in contexts:
        syntaxes = item(0x30, abstract.encode()) + b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
        items.append(item(0x20, struct.pack(">Bxxx", context_id) + syntaxes))
    user = item(0x51, struct.pack(">L", maximum_length)) + item(0x52, b"2.25.1")
    if window is not None:
        user += item(0x53, struct.pack(">HH", window, 1))
    items.append(item(0x50, user))
    return pdu(1, struct.pack(">Hxx16s16s32x", 1, b"SINK".ljust(16), b"TEST".ljust(16)) + b"".join(items))


ECHO = pdu(P_DATA, pdv(1, COMMAND | LAST, command_set(
    AffectedSOPClassUID="1.2.840.10008.1.1", CommandField=0x30, MessageID=1, CommandDataSetType=0x0101
)))  # fmt: skip


async def last_word(scu):
    try:
        return await scu.read_pdu()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None, b""
