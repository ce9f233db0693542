"""Make the sockets of other libraries send and acknowledge without delay.

Nagle's algorithm (RFC 9293 3.7.4) waits for the acknowledgement of small segments, and systems delay that by 40 ms.
DICOM messages are several small writes, so a search of 3 ms takes 90 without this.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


def send_promptly(connected: socket.socket) -> Callable[[], None]:
    """Send without Nagle's algorithm. Returns a function that acknowledges at once; call it after each receive."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def acknowledge() -> None:
        if _QUICKACK is not None:
            with suppress(OSError):  # the connection has ended: the next receive says so
                connected.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    return acknowledge
