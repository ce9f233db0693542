"""How long a peer may take for what."""

from __future__ import annotations

from typing import NamedTuple


class Timeouts(NamedTuple):
    """Seconds; ``None`` is without limit. Names and defaults are storescu's.

    Attributes:
        connect: for the TCP connection to open, name resolution and all of the peer's addresses included (``-to``), and
            once more for a TLS handshake, which has the time of ``acse`` where this is without limit. Then the system
            gives up: Linux after some two minutes.
        socket: for the peer to take any byte of what is being sent and, where ``dimse`` is without limit, to answer any
            request while responses are awaited (``-ts``: for storescu it is the socket's timeout in both directions,
            and ends its waiting after a minute unless ``-td`` says otherwise).
        acse: for the answer to an A-ASSOCIATE-RQ or A-RELEASE-RQ (``-ta``).
        dimse: for the response to a C-STORE-RQ or C-ECHO-RQ, from its last byte on, and for the peer to take at least
            one PDU of it meanwhile (``-td``).
    """

    connect: float | None = None
    socket: float | None = 60.0
    acse: float | None = 30.0
    dimse: float | None = None


ARTIM = 10.0
"""Seconds a peer has for closing the transport connection after the association's end (PS3.8 9.1.5 leaves the value
open)."""
