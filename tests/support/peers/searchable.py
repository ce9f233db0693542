"""pynetdicom's acceptor for C-FIND, in threads of its own: it answers searches as a test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

    from pynetdicom.events import Event

FOUND, NOT_FOUND, UNREADABLE = True, False, -1
Answer = bool | int | None
"""Of a search: found or not, or a match whose UID cannot be read; a status other than success; ``None``: the
association is aborted."""


@dataclass
class SearchableSCP:
    """A running acceptor, and what was searched for."""

    port: int = 0
    searches: Counter[str] = field(default_factory=Counter)
    """By SOP instance UID."""
    identifiers: list[Dataset] = field(default_factory=list)
    users: list[UserIdentityNegotiation] = field(default_factory=list)


@asynccontextmanager
async def running_searchable_scp(
    answer: Callable[[str, int], Answer], *, context: ssl.SSLContext | None = None
) -> AsyncIterator[SearchableSCP]:
    """Run it.

    Args:
        answer: the answer to a search for a SOP instance UID; the number of searches for it so far, from 1.
        context: for TLS.
    """
    scp = SearchableSCP()

    def on_find(event: Event) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        uid = str(identifier.SOPInstanceUID)
        scp.identifiers.append(identifier)
        scp.searches[uid] += 1
        said = answer(uid, scp.searches[uid])
        if said is None:
            event.assoc.abort()
            return
        if said is FOUND:
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, match
        elif said == UNREADABLE:
            match = Dataset()
            match.set_original_encoding(False, True, "iso8859")  # raw elements are written as they are
            match[Tag("SOPInstanceUID")] = RawDataElement(Tag("SOPInstanceUID"), "US", 3, b"odd", 0, False, True)
            yield 0xFF00, match
        elif said is not NOT_FOUND:
            yield said, None

    def on_identity(event: Event) -> tuple[bool, None]:
        scp.users += [
            item
            for item in event.assoc.requestor.primitive.user_information
            if isinstance(item, UserIdentityNegotiation)
        ]
        return True, None

    ae = AE("SEARCHABLE")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind, ExplicitVRLittleEndian)
    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_USER_ID, on_identity)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context)
    scp.port = server.socket.getsockname()[1]
    try:
        yield scp
    finally:
        await asyncio.to_thread(ae.shutdown)
