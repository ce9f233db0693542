"""From the options of ``bench`` to what is sent and when: its source and its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options import bench_rows as bench
from asyncstore.errors import UsageError
from asyncstore.load.generator import Synthetic
from asyncstore.load.mix import DEFAULT_MIX, of_size, parse_mix
from asyncstore.load.plan.phases import (
    around,
    closed,
    exams,
    open_rate,
    profile_of_year,
    replayed,
    stages,
)
from asyncstore.load.plan.replay import read_replay
from asyncstore.named_files import refusing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.options.table import Parsed
    from asyncstore.load.plan.phases import Planned
    from asyncstore.load.plan.replay import Replay
    from asyncstore.load.values import Kind


def kinds_of(parsed: Parsed) -> Sequence[Kind]:
    """The kinds of synthetic instances that are asked for."""
    size = parsed[bench.SIZE]
    if size is not None:
        return of_size(size)
    return parsed[bench.MIX] or parse_mix(DEFAULT_MIX)


def check_together(parsed: Parsed) -> None:
    """Check what the table of options cannot: options that need files, or cannot have any.

    Raises:
        UsageError: they do not fit together.
    """
    if parsed[bench.PATHS]:
        for row in (bench.MIX, bench.SIZE, bench.REPLAY):
            if row in parsed:
                raise UsageError(f"{row.long} is not allowed with files: their own instances are sent")
    elif parsed[bench.KEEP_UIDS]:
        raise UsageError(f"{bench.KEEP_UIDS.long} is only allowed with files: synthetic instances have new UIDs")
    if parsed[bench.REPLAY] is None:
        plan_of(parsed, 0, None)  # before the peer is asked


def synthetic(kinds: Sequence[Kind], seed: int | None) -> Synthetic:
    """A source of synthetic instances of these kinds; their shares are made to add up to 1."""
    total = sum(kind.share for kind in kinds)
    return Synthetic([kind._replace(share=kind.share / total) for kind in kinds], seed=seed)


def replay_of(parsed: Parsed) -> Replay | None:
    """The recorded run to repeat, if there is one. Reading it may take long.

    Raises:
        UsageError: it cannot be read.
    """
    name = parsed[bench.REPLAY]
    if name is None:
        return None
    with refusing(f"{bench.REPLAY.long} {name}: cannot read it"), open(name, encoding="utf-8") as lines:
        return read_replay(lines, name, parsed[bench.SPEED])


def most_associations(parsed: Parsed) -> int:
    """The most associations that are open at a time."""
    return max(_steps(parsed), default=_associations(parsed))


def plan_of(parsed: Parsed, seed: int, replay: Replay | None) -> list[Planned]:
    """The phases of the measurement, with their loads.

    Args:
        parsed: the options.
        seed: of random arrivals.
        replay: the run to repeat, if there is one.

    Raises:
        UsageError: a number is not possible.
    """
    return around(
        _measured(parsed, seed, replay),
        repeats=parsed[bench.REPEAT],
        warm_up=parsed[bench.WARM_UP],
        cool_down=parsed[bench.COOL_DOWN],
    )


def _measured(parsed: Parsed, seed: int, replay: Replay | None) -> list[Planned]:
    """The phases that count."""
    associations = _associations(parsed)
    numbers = _steps(parsed)
    if replay is not None:
        return [replayed(replay, associations)]
    if numbers:
        return [closed(number, parsed[bench.DURATION] or bench.SECONDS_OF_STEP) for number in numbers]
    seconds = parsed[bench.DURATION] or bench.SECONDS_OF_LOAD
    return _open(parsed, seconds, associations, seed) or [closed(associations, seconds)]


def _open(parsed: Parsed, seconds: float, associations: int, seed: int) -> list[Planned]:
    """The phases of an open load; none if the load is a closed one."""
    rate, of_exams = parsed[bench.RATE], parsed[bench.EXAMS]
    profile, parts = parsed[bench.PROFILE], parsed[bench.STAGES]
    how = parsed[bench.ARRIVALS]
    if rate is not None:
        return [open_rate(rate, seconds, associations, how=how or "fixed", seed=seed)]
    if of_exams is not None:
        return [exams(of_exams, seconds, associations, how=how or "poisson", seed=seed)]
    if profile is not None:
        return [profile_of_year(profile, seconds, associations, seed=seed)]
    return [] if parts is None else stages(parts, associations, how=how or "fixed", seed=seed)


def _associations(parsed: Parsed) -> int:
    """The associations of a load that has no steps."""
    return parsed[bench.ASSOCIATIONS] or bench.ASSOCIATIONS_AT_ONCE


def _steps(parsed: Parsed) -> tuple[int, ...]:
    """The steps of a closed load; none if the load is another one."""
    others = (bench.ASSOCIATIONS, bench.RATE, bench.EXAMS, bench.PROFILE, bench.STAGES, bench.REPLAY)
    return parsed[bench.STEPS] or (() if any(row in parsed for row in others) else bench.STEPS_OF_DEFAULT)
