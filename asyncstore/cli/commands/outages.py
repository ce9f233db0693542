"""Outages of the peer, in log lines and JSON lines.

The display is sampled four times a second, and so is this: an outage that is shorter is told afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.observe.formatting import format_duration, printable

if TYPE_CHECKING:
    import logging

    from asyncstore.model import PeerOutage, Progress
    from asyncstore.observe.jsonlines import JsonLines


class Outages:
    """Tells when the peer is down, and when it works again.

    Args:
        logger: for people.
        json_lines: for machines; ``None``: nobody asked for them.
    """

    def __init__(self, logger: logging.Logger, json_lines: JsonLines | None) -> None:
        self._logger = logger
        self._json_lines = json_lines
        self._told = 0
        """How many outages were told."""
        self._down_since: float | None = None

    def look(self, progress: Progress, now: float) -> None:
        """Tell what is new at ``now``, in seconds of any clock."""
        outage = progress.outage
        is_new = progress.outages > self._told
        if self._down_since is not None and (outage is None or is_new):
            self._ended(now - self._down_since)
        if is_new and outage is not None:
            self._began(outage)
            self._down_since = now
        elif is_new:
            self._logger.warning("the peer was down for a moment, and works again")
            self._write("down", None, None)
            self._write("up", None, 0.0)
        self._told = progress.outages

    def _began(self, outage: PeerOutage) -> None:
        left = outage.seconds_left
        if left is not None and left <= 0:
            return  # the run ends, and says why
        patience = "" if left is None else f" for up to {format_duration(left)}"
        self._logger.warning("the peer is down: %s; waiting for it%s", printable(outage.reason), patience)
        self._write("down", outage.reason, left)

    def _ended(self, seconds: float) -> None:
        self._down_since = None
        self._logger.warning("the peer works again after %s; the run goes on", format_duration(seconds))
        self._write("up", None, seconds)

    def _write(self, state: str, reason: str | None, seconds: float | None) -> None:
        if self._json_lines is not None:
            self._json_lines.peer(state, reason, seconds)
