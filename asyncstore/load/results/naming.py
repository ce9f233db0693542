"""The names of phases for people, and what must be known with them.

A load that is measured several times has a number for each of its runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from asyncstore.observe.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.load.results.document import PhaseResult


class Named(Protocol):
    """A phase, or its results."""

    @property
    def name(self) -> str:
        """Its load."""

    @property
    def repeat(self) -> int:
        """Which run of this load it is, from 1."""


def run_name(phase: Named, phases: Iterable[Named]) -> str:
    """The name of a phase among all of its measurement: ``8 associations``, ``8 associations, run 2``."""
    has_several = any(other.name == phase.name and other.repeat != phase.repeat for other in phases)
    return f"{phase.name}, run {phase.repeat}" if has_several else phase.name


def loss_note(phase: PhaseResult) -> str:
    """What a table adds to the name of a phase in which the peer was lost: `` (lost after 5.2 s)``, or nothing."""
    if phase.lost_after is None:
        return ""
    return f" (lost after {format_duration(phase.lost_after)})" if phase.lost_after else " (none open)"
