"""The phases of a measurement, each with its load. A number that is not possible raises UsageError."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncstore.arguments import check
from asyncstore.load.plan.arrivals import Rates, Segment
from asyncstore.load.values import Phase
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.load.plan.arrivals import How
    from asyncstore.load.plan.profile import Profile
    from asyncstore.load.plan.replay import Replay

_HOUR = 3600
_SELDOM = 0.1
"""Instances a second, from which down a rate is named by the hour."""
_MOST_PHASES = 10_000
"""Their results stay in memory, and a page or a table of more has no readers."""


class Planned(NamedTuple):
    """A phase and its load."""

    phase: Phase
    arrivals: Rates | Replay | None = None
    """Of an open load, in order; the phase takes those of its time. ``None``: a closed load."""
    is_by_study: bool = False
    """Whether whole studies arrive: each takes an association for itself."""
    follows_on: bool = False
    """Whether it begins at the moment at which the phase before it is over, while stores of that one are under way.
    Both have the same number of associations."""


def closed(associations: int, seconds: float, *, name: str = "", is_counted: bool = True) -> Planned:
    """A closed load: every association begins the next store when it has the response to the last one."""
    _check(associations, seconds)
    name = name or f"{associations} association{'s' if associations > 1 else ''}"
    return Planned(Phase(name, False, associations, seconds, is_counted))


def open_rate(rate: float, seconds: float, associations: int, *, how: How = "fixed", seed: int = 0) -> Planned:
    """An open load: so many instances begin each second, if an association is free."""
    _check(associations, seconds, rate)
    name = f"{_plain(rate)}/s" if rate >= _SELDOM else f"{_plain(rate * _HOUR)}/h"
    phase = Phase(name, True, associations, seconds)
    return Planned(phase, Rates((Segment(seconds, rate, rate),), how, seed))


def exams(rate: float, seconds: float, associations: int, *, how: How = "poisson", seed: int = 0) -> Planned:
    """An open load of exams: so many studies begin each second, if an association is free for each."""
    _check(associations, seconds, rate)
    phase = Phase(f"{_plain(rate * _HOUR)} exams/h", True, associations, seconds)
    return Planned(phase, Rates((Segment(seconds, rate, rate),), how, seed, is_by_study=True), is_by_study=True)


def stages(
    parts: Sequence[tuple[float, float]], associations: int, *, how: How = "fixed", seed: int = 0
) -> list[Planned]:
    """An open load in stages. In each the rate changes evenly, from that of the stage before it, at first 0.

    A stage is a phase, and begins at the moment at which the one before it is over.

    Args:
        parts: seconds, and instances a second at the end, of each stage.
        associations: the most that are open.
        how: at equal distances, or at random.
        seed: of the random numbers.
    """
    check(any(rate > 0 for _, rate in parts), "these stages begin nothing: give one of them a rate above 0")
    planned = []
    for number, ((_, before), (seconds, rate)) in enumerate(pairwise([(0.0, 0.0), *parts])):
        _check(associations, seconds)
        phase = Phase(f"stage {number + 1}", True, associations, seconds)
        arrivals = Rates((Segment(seconds, before, rate),), how, seed + number)
        planned.append(Planned(phase, arrivals, follows_on=number > 0))
    return planned


def profile_of_year(profile: Profile, seconds: float, associations: int, *, seed: int = 0) -> Planned:
    """An open load of exams that arrive at random, as often as at the profile's hour and those after it."""
    _check(associations, seconds)
    arrivals = Rates(profile.segments(seconds), "poisson", seed, is_by_study=True)
    phase = Phase(f"{_plain(profile.exams_per_year)} exams a year", True, associations, seconds)
    return Planned(phase, arrivals, is_by_study=True)


def replayed(replay: Replay, associations: int) -> Planned:
    """An open load that repeats a recorded run. Its source must have the replay's kinds."""
    _check(associations, replay.seconds)
    return Planned(Phase("replay", True, associations, replay.seconds), replay)


def around(
    measured: Sequence[Planned], *, repeats: int = 1, warm_up: float = 0.0, cool_down: float = 0.0
) -> list[Planned]:
    """The measured phases as often as wanted, with a warm-up and a cool-down that do not count.

    Random arrivals differ between repetitions. A load that is in ``measured`` twice is repeated, too: the runs of each
    load are numbered. The warm-up has the load with which the first phase begins, the cool-down that with which the
    last one ends.
    """
    check(
        repeats * len(measured) <= _MOST_PHASES,
        f"{repeats} repetitions are too many: a measurement has at most {_MOST_PHASES} phases",
    )
    phases: list[Planned] = []
    runs: Counter[str] = Counter()
    if warm_up:
        phases.append(_beside(measured[0], warm_up, is_before=True))
    for _ in range(repeats):
        for planned in measured:
            runs[planned.phase.name] += 1
            phases.append(_repeated(planned, runs[planned.phase.name]))
    if warm_up:
        phases[1] = phases[1]._replace(follows_on=True)
    if cool_down:
        phases.append(_beside(measured[-1], cool_down, is_before=False))
    return phases


def _repeated(planned: Planned, repeat: int) -> Planned:
    arrivals = planned.arrivals
    return planned._replace(
        phase=planned.phase._replace(repeat=repeat), arrivals=arrivals and arrivals.repeated(repeat)
    )


def _beside(planned: Planned, seconds: float, *, is_before: bool) -> Planned:
    """A phase before or after another one, with its load."""
    name = "warm-up" if is_before else "cool-down"
    arrivals = planned.arrivals and planned.arrivals.beside(seconds, is_before=is_before)
    phase = planned.phase._replace(name=name, seconds=seconds, is_counted=False)
    return planned._replace(phase=phase, arrivals=arrivals, follows_on=not is_before)


def _plain(number: float) -> str:
    """A number as users write it, without an exponent: ``0.5``, ``200``, ``1.5M``."""
    return f"{number / 1e6:.6g}M" if number >= 999_999.5 else f"{number:.6g}"  # noqa: PLR2004 - from here on, %g has an exponent


def _check(associations: int, seconds: float, rate: float = 1.0) -> None:
    check(rate > 0, f"a rate of {rate:g}/s begins nothing: give more than 0")
    check(associations > 0, f"{associations} associations put no load on a peer")
    check(0 < seconds < math.inf, f"a load cannot last {seconds:g} s: give it more than 0 s and an end")
