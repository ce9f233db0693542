"""The plot of the knee: throughput and p99 over the number of associations, and the law that fits them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import (
    Plot,
    axis,
    count_axis,
    dots,
    for_log,
    level,
    line,
    seconds_axis,
    seconds_text,
)
from asyncstore.cli.bench_page.style import DIM, GREEN, LINE, RED
from asyncstore.load.results.scalability import throughput
from asyncstore.observe.formatting import counted, format_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.cli.bench_page.figures import Fields, Json
    from asyncstore.load.results.document import Document, Knee, Law, Step

_CURVE_POINTS = 80
_RATES, _TIMES, _RESIDUALS = [0.52, 1.0], [0.2, 0.45], [0.0, 0.12]
"""The heights of the three panels; without a law, the third gives its room to the others."""
_WITHOUT_LAW = [0.5, 1.0], [0.0, 0.4]


def knee_plot(document: Document) -> Plot | None:
    """The plot; ``None`` without steps."""
    knee = document.knee
    if knee is None or not knee.steps:
        return None
    numbers = [float(step.associations) for step in knee.steps]
    rates, times = (_RATES, _TIMES) if knee.law else _WITHOUT_LAW
    p99s = [*(for_log(step.p99) for step in knee.steps), knee.p99_limit]
    bottom = "y3" if knee.law else "y2"
    layout: Fields = {
        "xaxis": _numbers_axis(numbers, bottom),
        "yaxis": count_axis("instances a second", _rates(document, knee), domain=list(rates)),
        "yaxis2": seconds_axis("p99", p99s, domain=list(times)),
        "shapes": _marks(document, knee),
    }
    traces = [*_fit(knee, numbers), *_measured(document, knee, numbers), _latency(knee, numbers)]
    if knee.law:
        traces.append(_residuals(knee, numbers, knee.law))
        most = max(5.0, *(abs(100 * share) * 1.15 for share in knee.law.residuals))
        layout["yaxis3"] = axis("residual %", domain=list(_RESIDUALS), range=[-most, most], nticks=3)
    return Plot("knee", "The knee", _reading(knee), traces, layout, height=40.0)


def recommended_step(document: Document) -> Step | None:
    """The step of the knee whose number of associations is recommended."""
    knee = document.knee
    if knee is None or knee.recommended is None or document.verdict.client_bound:
        return None
    return next((step for step in knee.steps if step.associations == knee.recommended), None)


def law_at(law: Law, number: float) -> float:
    """The throughput of the universal scalability law at a number of associations."""
    return throughput(number, law.per_association, law.contention, law.coherency)


def _reading(knee: Knee) -> str:
    reading = (
        "Above, more associations help until the line turns level; below it, what the slowest of a hundred stores pay."
    )
    if knee.law:
        reading += (
            " At the bottom, how far each step is from the fitted law: a pattern there means that it does not fit."
        )
    return reading


def _numbers_axis(numbers: Sequence[float], anchor: str) -> Fields:
    low, high = math.log10(min(numbers)), math.log10(max(numbers))
    room = max((high - low) * 0.05, 0.1)
    return axis(
        "associations",
        type="log",
        anchor=anchor,
        range=[low - room, high + room],
        tickvals=list(numbers),
        ticktext=[f"{number:.0f}" for number in numbers],
    )


def _fit(knee: Knee, numbers: Sequence[float]) -> list[Fields]:
    law = knee.law
    if law is None:
        return []
    low, high = math.log10(min(numbers)), math.log10(max(numbers))
    x = [10 ** (low + (high - low) * place / (_CURVE_POINTS - 1)) for place in range(_CURVE_POINTS)]
    return [line("scalability law", x, [law_at(law, number) for number in x], 1, hoverinfo="skip")]


def _measured(document: Document, knee: Knee, numbers: Sequence[float]) -> list[Fields]:
    texts = [f"{format_rate(step.stored_per_second)} with {_associations(step.associations)}" for step in knee.steps]
    steps = [step.stored_per_second for step in knee.steps]
    traces = [line("measured", numbers, steps, 0, texts=texts, mode="lines+markers")]
    single = [phase for phase in document.phases if phase.is_counted]
    if any(step.repeats > 1 for step in knee.steps):
        texts = [f"{format_rate(phase.stored_per_second)}, run {phase.repeat}" for phase in single]
        x: list[Json] = [float(phase.associations) for phase in single]
        y: list[Json] = [phase.stored_per_second for phase in single]
        runs = dots("single runs", x, y, 0, texts=texts)
        traces.insert(0, runs | {"marker": {"color": DIM.light, "symbol": "line-ew-open", "size": 12}})
    return traces


def _rates(document: Document, knee: Knee) -> list[float]:
    return [
        *(step.stored_per_second for step in knee.steps),
        *(phase.stored_per_second for phase in document.phases if phase.is_counted),
        *(law_at(knee.law, step.associations) for step in knee.steps if knee.law),
    ]


def _latency(knee: Knee, numbers: Sequence[float]) -> Fields:
    texts = [f"{seconds_text(step.p99)} with {_associations(step.associations)}" for step in knee.steps]
    values = [for_log(step.p99) for step in knee.steps]
    return line("p99", numbers, values, 2, texts=texts, mode="lines+markers", yaxis="y2")


def _residuals(knee: Knee, numbers: Sequence[float], law: Law) -> Fields:
    shares = [100 * share for share in law.residuals]
    texts = [
        f"{share:+.1f} % at {_associations(step.associations)}" for share, step in zip(shares, knee.steps, strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "residuals",
        "x": list(numbers),
        "y": list(shares),
        "marker": {"color": DIM.light, "symbol": "diamond", "size": 8},
        "error_y": {"type": "data", "array": [0.0] * len(shares), "visible": False},
        "hovertext": list(texts),
        "hoverinfo": "text",
        "yaxis": "y3",
        "showlegend": False,
    }


def _marks(document: Document, knee: Knee) -> list[Json]:
    marks: list[Json] = []
    step = recommended_step(document)
    if step is not None:
        text, is_left = (
            f"recommended: {step.associations}",
            step.associations > knee.steps[len(knee.steps) // 2].associations,
        )
        marks.append(level(step.associations, text, GREEN, is_vertical=True, is_left=is_left))
    if knee.p99_limit is not None:
        limit = level(knee.p99_limit, f"limit {seconds_text(knee.p99_limit)}", RED)
        marks.append(limit | {"yref": "y2"})
    if knee.law:
        zero = level(0.0, "", LINE)
        marks.append(zero | {"yref": "y3", "line": {"color": DIM.light, "width": 1}})
    return marks


def _associations(number: int) -> str:
    return counted(number, "association")
