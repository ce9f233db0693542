"""The names of phases and statuses for people, and the note that the peer was lost in a phase.

A load that is measured several times has a number for each of its runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.observe.formatting import format_duration
from asyncstore.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.load.results.document import PhaseResult
    from asyncstore.load.values import Phase


_MOST_STATUS = 0xFFFF


def run_name(phase: Phase | PhaseResult, phases: Iterable[Phase | PhaseResult]) -> str:
    """The name of a phase among all of its measurement: ``8 associations``, ``8 associations, run 2``."""
    has_several = any(other.name == phase.name and other.repeat != phase.repeat for other in phases)
    return f"{phase.name}, run {phase.repeat}" if has_several else phase.name


def status_text(status: str) -> str:
    """A status of a document: ``0xA700 out of resources``."""
    try:
        number = int(status, 16)
    except ValueError:
        return status
    return describe(number) if 0 <= number <= _MOST_STATUS else status


def loss_note(phase: PhaseResult) -> str:
    """What a table adds to the name of a phase in which the peer was lost: `` (lost after 5.2 s)``, or nothing."""
    if phase.lost_after is None:
        return ""
    return f" (lost after {format_duration(phase.lost_after)})" if phase.lost_after else " (none open)"
