"""pynetdicom's acceptor, in threads of its own: an implementation in Python that answers as a test says."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pydicom import Dataset
    from pynetdicom.events import Event
    from pynetdicom.pdu_primitives import A_ASSOCIATE


class Received(NamedTuple):
    """A C-STORE request that came in whole."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    """Of the data set, exactly as it was received."""


@dataclass
class PynetdicomSCP:
    """A running acceptor, and what came to it. Its threads append; a test reads when the sending is over."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    requests: list[A_ASSOCIATE] = field(default_factory=list)
    echoes: int = 0

    def stored(self) -> dict[str, str]:
        """Return what it received: the SHA-256 of the data set by SOP instance UID."""
        return {store.sop_instance_uid: store.sha256 for store in self.received}


@asynccontextmanager
async def running_pynetdicom_scp(
    status: int | Dataset | Callable[[Received], int | Dataset] = 0x0000,
    *,
    ae_title: str = "PYNETDICOM",
    max_length: int = 16382,
    require_called_ae_title: bool = False,
    host: str = "127.0.0.1",
) -> AsyncIterator[PynetdicomSCP]:
    """Run pynetdicom's acceptor, which takes every storage SOP class it knows in every transfer syntax.

    Args:
        status: what each C-STORE is answered with: a status, a data set with status and error comment, or a choice by
            what was received.
        ae_title: its own.
        max_length: the maximum length of a PDU that it announces; 0 is unlimited.
        require_called_ae_title: it rejects who calls it by another AE title.
        host: the address it listens at.
    """
    scp = PynetdicomSCP()

    def on_store(event: Event) -> int | Dataset:
        data_set = event.request.DataSet.getvalue()
        store = Received(
            str(event.request.AffectedSOPClassUID),
            str(event.request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
            hashlib.sha256(data_set).hexdigest(),
        )
        scp.received.append(store)
        return status(store) if callable(status) else status

    def on_echo(_event: Event) -> int:
        scp.echoes += 1
        return 0x0000

    def on_request(event: Event) -> None:
        scp.requests.append(event.assoc.requestor.primitive)

    ae = AE(ae_title)
    ae.maximum_pdu_size = max_length
    ae.maximum_associations = 100
    ae.require_called_aet = require_called_ae_title
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    server = ae.start_server(
        (host, 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, on_store), (evt.EVT_C_ECHO, on_echo), (evt.EVT_REQUESTED, on_request)],
    )
    scp.port = server.socket.getsockname()[1]
    try:
        yield scp
    finally:
        await asyncio.to_thread(ae.shutdown)
