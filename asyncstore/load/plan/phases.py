"""The phases of a measurement, each with its load."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncstore.load.values import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.load.plan.arrivals import Arrival


class Planned(NamedTuple):
    """A phase and its load."""

    phase: Phase
    arrivals: Iterator[Arrival] | None = None
    """Of an open load; ``None``: a closed load."""
    is_by_study: bool = False
    """Whether whole studies arrive: each takes an association for itself."""
    follows_on: bool = False
    """Whether it begins at the moment at which the phase before it is over, while stores of that one are under way.
    Both have the same number of associations."""


def closed(associations: int, seconds: float, *, name: str = "", is_counted: bool = True) -> Planned:
    """A closed load: every association begins the next store when it has the response to the last one."""
    return Planned(Phase(name or f"{associations} associations", False, associations, seconds, is_counted))
