"""A port that answers no SYN at all, as a firewall that drops has it: its queue is full, and nobody empties it."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILLINGS = 2
"""Linux takes one connection more than the backlog (tcp(7)), and keeps the next one in the queue of those half open."""


@contextmanager
def black_hole(host: str = "127.0.0.1") -> Iterator[int]:
    """Provide the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket(family))
        listening.bind((host, 0))
        listening.listen(0)
        for _ in range(_FILLINGS):
            filling = sockets.enter_context(socket.socket(family))
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
