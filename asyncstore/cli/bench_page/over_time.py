"""Plots over time: throughput, percentiles of the latency, what went wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from asyncstore.cli.bench_page.figures import (
    Plot,
    bars,
    count_axis,
    dots,
    for_log,
    line,
    seconds_axis,
    seconds_text,
    shaded,
)
from asyncstore.cli.bench_page.style import GOLD, INK, PURPLE, RED, SERIES
from asyncstore.load.results.naming import status_text
from asyncstore.observe.formatting import counted, format_byte_rate, format_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncstore.cli.bench_page.figures import Fields, Json
    from asyncstore.cli.bench_page.style import Colour
    from asyncstore.cli.bench_page.timeline import Step, Timeline
    from asyncstore.load.results.document import Point

_FEW = 60
"""Up to so many steps have marks."""
_MANY = 400
"""From so many steps on, lines are thin and without dashes, which would run into each other."""
_PERCENTILES = {"p50": "p50", "p95": "p95", "p99": "p99", "max": "largest"}
_TWO_SECONDS = 1.5
"""The last point of a phase may be a little longer than a second."""
_MOST_STATUSES = 5
"""That are told apart in a plot."""
_TOP = 0.95
_LOW = 15.0
"""Height in rem."""


def throughput(times: Timeline, *, is_open: bool) -> Plot:
    """Offered and achieved rates."""

    def stored(step: Step) -> float:
        return step.rate(lambda point: point.taken)

    def offered(step: Step) -> float:
        return step.rate(lambda point: point.offered)

    def text(step: Step) -> str:
        return f"{format_rate(stored(step))}, {format_byte_rate(step.rate(lambda point: point.taken_bytes))}"

    traces = [_line(times, "stored", 0, stored, text)]
    reading = "The line is the rate at which the peer stored instances."
    if is_open:
        traces.insert(0, _line(times, "offered", 1, offered, lambda step: format_rate(offered(step))))
        reading = "Where the line of stored instances stays below the offered ones, the peer did not keep up."
    most = [stored(step) for step in times.steps] + [offered(step) for step in times.steps if is_open]
    layout = _layout(times, count_axis("instances a second", most))
    return Plot("throughput", "Throughput", _with_phases(reading, times), traces, layout)


def percentiles(times: Timeline) -> Plot | None:
    """Percentiles of the latency."""
    traces: list[Fields] = []
    values: list[float | None] = []
    for place, (field, name) in enumerate(_PERCENTILES.items()):
        worst = _worst(field)
        shown = [worst(step) for step in times.steps]
        if any(shown):
            values += shown
            traces.append(_line(times, name, place, worst, _in_seconds(worst)))
    if not traces:
        return None
    if len(traces) == len(_PERCENTILES):
        reading = f"In each {_step(times)}, half of the stores took at most p50, and one in a hundred longer than p99."
    else:
        reason = "; the percentiles of several machines cannot be added" if times.is_sum else ""
        reading = f"The largest latency of each {_step(times)}{reason}."
    reading += " Lines that rise while the throughput stays level show a queue that grows."
    layout = _layout(times, seconds_axis("latency", values))
    return Plot("percentiles", "Latency over time", reading, traces, layout)


def troubles(times: Timeline) -> Plot | None:
    """Statuses other than success, instances without a response, associations that were lost."""
    statuses = _frequent(point for step in times.steps for point in step.points)
    shown: list[tuple[str, Colour, Callable[[Point], float]]] = [
        (status_text(status), SERIES[(place + 1) % len(SERIES)], _status(status))
        for place, status in enumerate(statuses)
    ]
    shown += [
        ("other statuses", PURPLE, lambda point: _others(point, statuses)),
        ("no response", RED, lambda point: point.unknown),
    ]
    traces = [_bars(times, name, of, colour) for name, colour, of in shown if any(map(of, times.points))]
    errors = [(step, round(step.total(lambda point: point.errors))) for step in times.steps]
    lost = [step for step, number in errors if number]
    if lost:
        texts = [counted(number, "association") for _, number in errors if number]
        above = dots(
            "associations lost", [step.middle for step in lost], [_TOP] * len(lost), 6, texts=texts, yaxis="y2"
        )
        traces.append(above | {"marker": {"color": INK.light, "symbol": "x", "size": 8}})
    if not traces:
        return None
    most = [step.total(lambda point: sum(point.statuses.values()) + point.unknown) for step in times.steps]
    layout = _layout(times, count_axis("instances", most)) | {"barmode": "stack"}
    layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    reading = f"Bars count the instances of each {_step(times)} that got a status other than success, or no response."
    if lost:
        reading += " Crosses mark where associations were lost or could not be opened."
    return Plot("troubles", "Statuses and errors over time", reading, traces, layout, height=_LOW)


def dropped(times: Timeline) -> Plot | None:
    """Instances that were to begin and did not."""
    if not any(point.dropped for point in times.points):
        return None
    reading = (
        f"Bars count the instances that were given up in each {_step(times)}, because the peer was too slow for the "
        "offered load. Those that still waited when their phase was over stand at its end."
    )
    traces = [_bars(times, "dropped", lambda point: point.dropped, GOLD)]
    layout = _layout(times, count_axis("instances", [step.total(lambda point: point.dropped) for step in times.steps]))
    return Plot("dropped", "Dropped over time", reading, traces, layout, height=_LOW)


def _bars(times: Timeline, name: str, of: Callable[[Point], float], colour: Colour) -> Fields:
    """A bar for each step."""
    return bars(
        name,
        [step.middle for step in times.steps],
        [step.total(of) for step in times.steps],
        colour,
        texts=[counted(round(step.total(of)), "instance") for step in times.steps],
        width=[step.end - step.begin for step in times.steps],
    )


def _worst(field: str) -> Callable[[Step], float | None]:
    """The greatest of a percentile of the points of a step. The few stores of a tail have a maximum only."""

    def of(step: Step) -> float | None:
        value = step.worst(lambda point: getattr(point, field), with_tail=field == "max")
        return value if value is None else for_log(value)

    return of


def _in_seconds(of: Callable[[Step], float | None]) -> Callable[[Step], str]:
    return lambda step: seconds_text(of(step) or 0.0)


def _status(status: str) -> Callable[[Point], float]:
    return lambda point: point.statuses.get(status, 0)


def _line(
    times: Timeline,
    name: str,
    place: int,
    of: Callable[[Step], float | None],
    text: Callable[[Step], str],
) -> Fields:
    """A line over time, with a gap between phases."""
    x: list[float] = []
    y: list[float | None] = []
    texts: list[str] = []
    for run, band in zip(times.runs, times.bands, strict=True):
        for step in run:
            x.append(step.middle)
            y.append(of(step))
            texts.append(f"{text(step)} ({band.text})")
        x.append(band.end)
        y.append(None)
        texts.append("")
    more: Fields = {"mode": "lines+markers"} if len(times.steps) <= _FEW else {}
    drawn = line(name, x, y, place, texts=texts, **more)
    if len(times.steps) > _MANY:
        drawn["line"] = {"color": SERIES[place % len(SERIES)].light, "width": 1}
    return drawn


def _layout(times: Timeline, y_axis: Fields) -> Fields:
    shapes: list[Json] = shaded(times.bands) if len(times.bands) > 1 else []
    return {"xaxis": times.axis(), "yaxis": y_axis, "shapes": shapes}


def _with_phases(reading: str, times: Timeline) -> str:
    if len(times.bands) == 1:
        return reading
    dim = any(band.is_dim for band in times.bands)
    return f"{reading} Shades part the phases{'; those in italics do not count' if dim else ''}."


def _step(times: Timeline) -> str:
    return "second" if times.step_seconds < _TWO_SECONDS else f"step of {times.step_seconds:.0f} s"


def _frequent(points: Iterable[Point]) -> list[str]:
    counts: Counter[str] = Counter()
    for point in points:
        counts.update(point.statuses)
    return [status for status, _ in counts.most_common(_MOST_STATUSES)]


def _others(point: Point, statuses: Sequence[str]) -> int:
    return sum(count for status, count in point.statuses.items() if status not in statuses)
