"""Whether a peer has taken too long: regular looks at the clock, instead of a timer for every store.

Rules:

1. Only whole final responses count as answers. Otherwise repeated pending responses, or single bytes, would hold the
   run for ever.
2. Progress of sending is measured twice: any byte restarts the socket timeout, but only a whole PDU restarts the DIMSE
   timeout.
3. The time for a response begins when the request has left completely: on a slow line sending takes longer than most
   answers. Each response begins it anew: with a window of many requests, the last one waits for all before it.
4. Time in which this program did not run (SIGSTOP, a machine that sleeps) is not the peer's: after it every limit
   begins anew, because what came meanwhile has not been read yet.
5. No time passes while data waits for its turn under our own limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.errors import TimedOut
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from asyncstore.network.link import Link
    from asyncstore.network.timeouts import Timeouts
    from asyncstore.protocol.requests import Requests

_LONGEST_INTERVAL = 1.0
_LOOKS = 4
"""Looks within each limit: none is exceeded by more than a quarter."""
_MOST_INTERVALS = 2
"""Intervals between two looks. If there are more, the program did not run: a busy event loop is not so late."""


class _Mark(NamedTuple):
    """The bytes that the peer had taken at a time."""

    bytes_sent: int
    at: float


class Deadlines:
    """The socket and DIMSE timeouts of one association.

    Args:
        peer: for the error.
        timeouts: the limits.
        noteworthy: bytes that count as progress for the DIMSE timeout, at least a PDU.
        now: the time.
    """

    def __init__(self, peer: str, timeouts: Timeouts, noteworthy: int, now: float) -> None:
        self._peer = peer
        self._socket = timeouts.socket
        self._dimse = timeouts.dimse
        self._noteworthy = noteworthy
        self._any_byte = self._noteworthy_part = _Mark(0, now)
        self._answered_at = now
        self._answered_then: int | None = None
        self._blocked_at = now
        """When a look last found data waiting in the link."""
        self._looked_at = self._resumed_at = now

    @property
    def interval(self) -> float | None:
        """Seconds between two looks; ``None``: there is no limit."""
        limits = [seconds for seconds in (self._socket, self._dimse) if seconds]
        return min(_LONGEST_INTERVAL, *(seconds / _LOOKS for seconds in limits)) if limits else None

    def overdue(self, link: Link, requests: Requests, now: float) -> TimedOut | None:
        """The timeout that the peer has exceeded at ``now``, if any."""
        if requests.last_answered != self._answered_then:
            self._answered_at, self._answered_then = now, requests.last_answered
        if now - self._looked_at > _MOST_INTERVALS * (self.interval or _LONGEST_INTERVAL):
            self._resumed_at = now
            self._any_byte = self._any_byte._replace(at=now)
            self._noteworthy_part = self._noteworthy_part._replace(at=now)
        self._looked_at = now
        if link.is_held:
            self._blocked_at = now
            self._any_byte = self._noteworthy_part = _Mark(link.bytes_sent, now)
            return None
        if link.is_blocked:
            self._blocked_at = now
            return self._blocked(_Mark(link.bytes_sent, now))
        self._any_byte = self._noteworthy_part = _Mark(link.bytes_sent, now)
        oldest = requests.oldest
        if oldest is None or not oldest.is_sent:
            return None
        limit = self._dimse or self._socket
        if limit and now - max(oldest.sent_at, self._answered_at, self._blocked_at, self._resumed_at) > limit:
            return TimedOut(self._peer, _response(oldest.message_id, requests), limit, "dimse")
        return None

    def _blocked(self, reached: _Mark) -> TimedOut | None:
        if reached.bytes_sent > self._any_byte.bytes_sent:
            self._any_byte = reached
        if reached.bytes_sent >= self._noteworthy_part.bytes_sent + self._noteworthy:
            self._noteworthy_part = reached
        if self._socket and reached.at - self._any_byte.at > self._socket:
            return TimedOut(self._peer, "data taken by the peer", self._socket, "socket")
        if self._dimse and reached.at - self._noteworthy_part.at > self._dimse:
            return TimedOut(self._peer, "noteworthy part of a C-STORE-RQ taken by the peer", self._dimse, "dimse")
        return None


def _response(message_id: int, requests: Requests) -> str:
    """The missing response. Some peers repeat one message id in all their responses."""
    if requests.is_repeating:
        return f"response to message id {message_id}, but another one to message id {requests.last_answered},"
    return "response"
