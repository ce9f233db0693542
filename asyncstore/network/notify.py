"""Tells the service manager how a service is (sd_notify(3)): one datagram of lines to the socket that it names.

Rules:

1. Nothing blocks and nothing is raised once the address is known to be one: a service works without its manager too.
2. An address begins with ``/``, or with ``@`` for a socket in the abstract namespace (unix(7)).
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Self

from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS = "NOTIFY_SOCKET"
_INTERVAL = "WATCHDOG_USEC"
_PROCESS = "WATCHDOG_PID"
_MICROSECONDS = 1_000_000


class Notifier:
    """Sends notifications to the service manager at this address.

    Args:
        address: as ``NOTIFY_SOCKET`` holds it.

    Attributes:
        watchdog: within how many seconds the manager wants to hear ``WATCHDOG=1`` again and again; ``None``: never.

    Raises:
        UsageError: the address is that of no Unix socket.
    """

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
            raise UsageError(f"{_ADDRESS} holds no address of a Unix socket: {address}")
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """The notifier that a service manager's variables ask for; ``None``: none does.

        Raises:
            UsageError: the address is that of no Unix socket.
        """
        address = environment.get(_ADDRESS)
        return cls(address, _watchdog_of(environment)) if address else None

    def send(self, *lines: str) -> bool:
        """Send these lines, such as ``READY=1``; whether the manager got them."""
        try:
            self._socket.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _watchdog_of(environment: Mapping[str, str]) -> float | None:
    """The interval of the watchdog, if it is meant for this process (sd_watchdog_enabled(3))."""
    interval, process = environment.get(_INTERVAL, ""), environment.get(_PROCESS, "")
    if not interval.isdecimal() or int(interval) == 0 or (process and process != str(os.getpid())):
        return None
    return int(interval) / _MICROSECONDS
