"""Warns once of each harmless deviation from the standard, over all associations with a peer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncstore.protocol.deviations import Deviation

_log = logging.getLogger(__name__)


class Deviations:
    """The deviations that one peer has shown so far."""

    def __init__(self) -> None:
        self._warned: set[Deviation] = set()

    def notice(self, peer: str, deviation: Deviation) -> None:
        """Warn of a deviation when it first occurs."""
        if deviation not in self._warned:
            self._warned.add(deviation)
            _log.warning("%s: against the DICOM standard, %s", peer, deviation.value)
