"""The timeouts of an association."""

from __future__ import annotations

from asyncstore.named_tuple import NamedTuple


class Timeouts(NamedTuple):
    """Seconds; ``None``: no limit. Names and defaults are storescu's.

    Attributes:
        connect: until the TCP connection is open, with name resolution and all addresses of the peer; and again for
            the TLS handshake. Without limit the system gives up (Linux after some two minutes), and the
            handshake has the time of ``acse``.
        socket: until the peer takes any byte that is being sent. If ``dimse`` has no limit, also until it answers any
            request: storescu's socket timeout ends both waits too.
        acse: until the answer to an A-ASSOCIATE-RQ or A-RELEASE-RQ.
        dimse: while requests are outstanding, until the next response, from the last byte of the oldest request on;
            and, while sending, until the peer takes another PDU.
    """

    connect: float | None = None
    socket: float | None = 60.0
    acse: float | None = 30.0
    dimse: float | None = None


ARTIM = 10.0
"""Seconds until the peer must close the transport connection after the association (PS3.8 9.1.5 sets no value)."""
