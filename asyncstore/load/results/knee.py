"""The knee: with how many associations the throughput stops growing, from closed phases with different numbers.

Rules:

1. The steps are measured as they were given. Nothing is searched.
2. The knee is the fewest associations that reach 95 % of the best throughput with p99 under the limit.
3. Where this side was the limit, the knee is not the peer's, and none is named.
4. A step in which the peer was lost is left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from asyncstore.load.results.document import Knee, Step
from asyncstore.load.results.histogram import total_of
from asyncstore.load.results.scalability import FEWEST_STEPS, fit
from asyncstore.observe.formatting import counted, format_latency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncstore.load.results.document import Law, PhaseResult

_NEAR: Final = 0.95
"""The share of the best throughput that is as good: repeats differ by a few percent."""
_POOR: Final = 0.1
"""A residual of the law that is worth a warning."""


def knee_of(
    phases: Iterable[PhaseResult],
    p99_limit: float | None = None,
    is_client_bound: Callable[[PhaseResult], bool] = lambda _: False,
    *,
    most_open: int | None = None,
) -> Knee | None:
    """The knee of the counted closed phases.

    Args:
        phases: the phases; repeats with the same number of associations are taken together.
        p99_limit: the longest p99 of the latency that is good enough, in seconds.
        is_client_bound: whether this side was the limit in a phase.
        most_open: how many associations the PACS kept open, if more were wanted.

    Returns ``None`` if there are fewer than two different numbers of associations.
    """
    members: defaultdict[int, list[PhaseResult]] = defaultdict(list)
    lost: set[int] = set()
    for phase in phases:
        if phase.is_counted and phase.model == "closed":
            if phase.lost_after is None:
                members[phase.associations].append(phase)
            else:
                lost.add(phase.associations)
    if len(members) < 2:  # noqa: PLR2004 - a curve needs two points
        return None
    steps = tuple(_step(number, members[number]) for number in sorted(members))
    bound = {number for number, group in members.items() if any(map(is_client_bound, group))}
    law = fit([(step.associations, step.stored_per_second) for step in steps])
    reasons = [*_of_law(steps, law)]
    if lost:
        steps_lost = ", ".join(counted(number, "association") for number in sorted(lost))
        reasons.append(f"steps in which the PACS was lost are left out: {steps_lost}")
    if most_open is not None:
        reasons.append(f"the PACS kept no more than {counted(most_open, 'association')} open, more were wanted")
    best = max(steps, key=lambda step: step.stored_per_second)
    chosen = recommended = None
    if not best.stored_per_second:
        reasons.append("nothing was stored, so there is no knee")
    elif best.associations in bound:
        number = counted(best.associations, "association")
        reasons.append(f"this side was the limit with {number}, so the knee of the peer is not known")
    else:
        chosen, recommended = _choose(steps, best, p99_limit, reasons, is_last_step=most_open is None and not lost)
    return Knee(
        steps=steps,
        best_per_second=best.stored_per_second,
        p99_limit=p99_limit,
        associations=None if chosen is None else chosen.associations,
        recommended=None if recommended is None else recommended.associations,
        law=law,
        reasons=tuple(reasons),
    )


def _step(associations: int, phases: Sequence[PhaseResult]) -> Step:
    p50, p99 = total_of(phase.latency for phase in phases).percentiles((50.0, 99.0))
    return Step(
        associations=associations,
        stored_per_second=sum(phase.stored_per_second for phase in phases) / len(phases),
        p50=p50,
        p99=p99,
        repeats=len(phases),
    )


def _choose(
    steps: Sequence[Step], best: Step, p99_limit: float | None, reasons: list[str], *, is_last_step: bool
) -> tuple[Step | None, Step | None]:
    """The knee and the recommended step; the reasons grow by what limits them."""
    good = [step for step in steps if step.stored_per_second and (p99_limit is None or step.p99 < p99_limit)]
    near = [step for step in good if step.stored_per_second >= _NEAR * best.stored_per_second]
    if near:
        chosen = near[0]
        if chosen is steps[-1] and is_last_step:
            reasons.append(
                f"the throughput still grew with {counted(chosen.associations, 'association')}, the last step: "
                "more may reach more"
            )
        return chosen, chosen
    limit = format_latency(p99_limit or 0.0)
    if not good:
        reasons.append(f"p99 was not under {limit} with any number of associations")
        return None, None
    recommended = max(good, key=lambda step: step.stored_per_second)
    reasons.append(f"within 5 % of the best throughput, p99 was not under {limit}; the recommendation has p99 under it")
    return None, recommended


def _of_law(steps: Sequence[Step], law: Law | None) -> list[str]:
    if law is None:
        if len(steps) < FEWEST_STEPS:
            return [f"the universal scalability law needs {FEWEST_STEPS} steps or more, there are {len(steps)}"]
        return ["the universal scalability law is not fitted, because with some step nothing was stored"]
    worst = max(law.residuals, key=abs)
    if abs(worst) > _POOR:
        number = counted(steps[law.residuals.index(worst)].associations, "association")
        return [f"the universal scalability law fits poorly: with {number} it is {abs(worst) * 100:.0f} % off"]
    return []
