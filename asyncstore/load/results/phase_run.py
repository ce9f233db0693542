"""The counts of one phase while it runs.

Rules:

1. Memory stays flat, however long the phase is. A phase of up to 20 minutes has a point for each second; a longer one
   has 1200 points, each of so many whole seconds. This is known when the phase begins, so every point has exact
   percentiles, and no points are ever merged.
2. A sample belongs to the point in which its response came. A point is closed when its time is over.
3. Latencies are those of stored instances: a peer that fails fast does not get better percentiles.
4. Rates are per second of the time in which stores begin. It ends when the peer is lost for the rest of the phase. A
   store that began in the phase before, or ends later, counts by the share of its time that lies within: leaving it out
   would favour short stores, and counting it whole would favour long ones.
5. The first stores of a closed load find an idle peer, and a queue that still grows. In rates they count as if they had
   begun earlier and taken the usual time. Otherwise the rate of a peer that takes one store at a time would grow with
   the number of associations.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from asyncstore.load.results.document import POINT_COUNTS, Generator, Groups, PhaseResult, Point, Split
from asyncstore.load.results.histogram import Histogram, buckets, total_of, width_at
from asyncstore.load.results.kind_tally import KindTally, groups_of
from asyncstore.load.results.presence import Presence
from asyncstore.load.results.tenths import Tenths
from asyncstore.model import Result
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.status import SUCCESS, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asyncstore.load.values import Kind, Opened, Phase, Sample

MOST_POINTS: Final = 1200
"""As many as a plot has room for."""

_INSTANT: Final = 1e-9
"""Seconds of a phase that has just begun: rates need some."""

_OTHER_ERRORS: Final = "other errors"
_MOST_ERRORS: Final = 50
"""Texts of errors that are told apart: one that holds numbers must not fill the memory."""


class Used(NamedTuple):
    """The CPU time of this process at a time, both in seconds."""

    at: float
    cpu_seconds: float


class _Times(NamedTuple):
    """When the store of an instance that was stored began and ended."""

    kind: int
    begun: float
    ended: float


class Interval(NamedTuple):
    """The stored instances of a point that is closed."""

    phase: Phase
    began: float
    """Seconds after the first phase began."""
    seconds: float
    latency: Histogram
    point: Point


class _Open:
    """A point that is not closed."""

    __slots__ = (*POINT_COUNTS, "latency", "statuses")

    def __init__(self) -> None:
        self.offered = self.stored = self.failed = self.unknown = self.dropped = self.bytes = self.errors = 0
        self.carried = self.carried_bytes = 0
        self.statuses: Counter[int | None] = Counter()
        self.latency = Histogram()


class PhaseRun:
    """Counts one phase.

    Args:
        phase: the phase.
        kinds: the kinds of the instances.
        began: when it began, by the clock of the measurement.
        used: the CPU time when it began.
        on_interval: is called for every point that is closed.
        origin: when the first phase began.
        finds_idle: whether no store was under way.

    Attributes:
        following: the phase that has begun while stores of this one were under way.
    """

    def __init__(
        self,
        phase: Phase,
        kinds: Sequence[Kind],
        began: float,
        used: Used,
        on_interval: Callable[[Interval], None] | None = None,
        *,
        origin: float = 0.0,
        finds_idle: bool = True,
    ) -> None:
        self.phase = phase
        self.began = began
        self.ends = began + phase.seconds
        self.takes_from = began
        """When its first store may begin: timers are late, and until then stores of the phase before begin."""
        self.following: PhaseRun | None = None
        self.presence = Presence(began, self.ends)
        """Whether the peer is there."""
        self.errors: Counter[str] = Counter()
        self.late, self.lag, self.study_latency = Histogram(), Histogram(), Histogram()
        self.split = Split()
        self._kinds = kinds
        self._first = self._used = used
        self._on_interval = on_interval
        self._origin = origin
        self._tallies = [KindTally() for _ in kinds]
        self._service = Histogram()
        self._awaits_first = finds_idle and not phase.is_open
        """Whether no response of a closed load has come that found an idle peer."""
        self._first_answer = -math.inf
        """When the first response came that found an idle peer."""
        self._first_times: list[_Times] = []
        """The stored instances whose stores had begun before that."""
        self._is_over = False
        self._pending = 0
        """Instances that were offered and have not ended."""
        self._studies = self._studies_offered = self._offered_late = 0
        self._studies_in_time = 0.0
        self._step = max(1, math.ceil(phase.seconds / MOST_POINTS))
        self._points: list[Point] = []
        self._open: defaultdict[int, _Open] = defaultdict(_Open)
        self._tenths = Tenths(phase, self._step)

    def point_at(self, at: float) -> _Open:
        """The point of this time."""
        return self._open[self._index(at)]

    def _index(self, at: float) -> int:
        """The number of the point of this time; the first open one for a time before it."""
        return min(max(int((at - self.began) / self._step), len(self._points)), 2 * MOST_POINTS)

    @property
    def is_settled(self) -> bool:
        """Whether all that was offered has ended or was dropped."""
        return not self._pending and self._studies == self._studies_offered

    def offered(self, offers: Sequence[tuple[float, int, int]]) -> None:
        """So many instances and studies were to begin at these times, which are in order."""
        total = sum([instances for _, instances, _ in offers])
        self._pending += total
        if offers[-1][0] >= self.ends:  # the last studies go on
            self._offered_late += sum([instances for at, instances, _ in offers if at >= self.ends])
        self._studies_offered += sum([studies for _, _, studies in offers])
        first, last = self._index(offers[0][0]), self._index(offers[-1][0])
        if first == last:
            self._open[first].offered += total
        else:
            for at, instances, _ in offers:
                self.point_at(at).offered += instances

    def dropped(self, instances: int, at: float) -> None:
        """So many instances will not begin."""
        self._pending -= instances
        self.point_at(at).dropped += instances

    def opened(self, opened: Opened) -> None:
        """An association is open."""
        self.split.connect.record(opened.connect)
        self.split.associate.record(opened.associate)
        if opened.tls:
            self.split.tls.record(opened.tls)
        self.presence.opened(opened.at)

    def failed(self, text: str, at: float) -> None:
        """An association was lost."""
        self.point_at(at).errors += 1
        self.errors[text if text in self.errors or len(self.errors) < _MOST_ERRORS else _OTHER_ERRORS] += 1

    def watched(self, lag: float, used: Used) -> None:
        """The event loop was so late; so much CPU time was used."""
        self.lag.record(lag)
        if not self._first.at:
            self._first = used
        self._used = used

    def study_ended(self, seconds: float, at: float) -> None:
        """A study has ended that came so many seconds ago."""
        self.study_latency.record(seconds)
        self._studies += 1
        for run in self.and_following():
            run.add_study(at - seconds, at)

    def and_following(self) -> Iterator[PhaseRun]:
        """This phase, and those that have begun while stores of it were under way."""
        run: PhaseRun | None = self
        while run is not None:
            yield run
            run = run.following

    def add_study(self, came: float, ended: float) -> None:
        """Count a study of this phase or an earlier one in the rates of this one."""
        self._studies_in_time += self._share_of(came, ended)

    def add(self, times: _Times, *, is_first: bool) -> None:
        """Count a stored instance of this phase or an earlier one in the rates of this one."""
        if is_first:
            self._first_times.append(times)
        else:
            self._tallies[times.kind].in_time += self._share_of(times.begun, times.ended)

    def carry(self, times: _Times) -> None:
        """Show a stored instance of an earlier phase in the point of its response, if that came in this phase."""
        if self.began <= times.ended and (self.following is None or times.ended < self.following.began):
            point = self.point_at(times.ended)
            point.carried += 1
            point.carried_bytes += self._kinds[times.kind].bytes

    def _share_of(self, begun: float, ended: float) -> float:
        """The share of the time from ``begun`` to ``ended`` that lies in this phase."""
        if self.began <= begun and ended <= self.ends:
            return 1.0
        return max(min(ended, self.ends) - max(begun, self.began), 0.0) / max(ended - begun, _INSTANT)

    def take(self, samples: Sequence[Sample]) -> None:
        """Count these stores, which are in the order of their ends."""
        self._pending -= len(samples)
        self.presence.note(samples)
        ends = [sample.ended for sample in samples]
        if self._awaits_first and ends:
            self._awaits_first, self._first_answer = False, ends[0]
        place = 0
        while place < len(samples):
            index = self._index(ends[place])
            after = max(bisect_left(ends, self.began + (index + 1) * self._step, place), place + 1)
            self._count(samples[place:after], index)
            place = after

    def close_until(self, now: float) -> None:
        """Close every point whose time is over. After the phase's time, only stores that end late make points."""
        while self.began + (len(self._points) + 1) * self._step <= now and (
            len(self._points) * self._step < self.phase.seconds or self._has_open()
        ):
            self._close()

    def _has_open(self) -> bool:
        return bool(self._open) and len(self._points) < 2 * MOST_POINTS

    def _count(self, samples: Sequence[Sample], index: int) -> None:
        point = self._open[index]
        tenth = self._tenths.at(index)
        by_kind: defaultdict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_kind[sample.kind].append(sample)
        for kind, group in by_kind.items():
            tally = self._tallies[kind]
            _, intended, begun, sent, ended, statuses = zip(*group, strict=True)
            stored = len(group)
            if statuses.count(SUCCESS) == stored:
                tally.statuses[SUCCESS] += stored
            else:
                others = self._count_statuses(statuses, tally, point)
                stored -= others
                if not stored:
                    continue
                if others:
                    _, intended, begun, sent, ended, _ = zip(*filter(_is_stored, group), strict=True)
            latency = buckets(intended, ended)
            tally.latency.counts.update(latency)
            point.latency.counts.update(latency)
            if tenth is not None:
                tenth.counts.update(latency)
            self.split.send.counts.update(buckets(begun, sent))
            self.split.wait.counts.update(buckets(sent, ended))
            if self.phase.is_open:
                self._service.counts.update(buckets(begun, ended))
            point.stored += stored
            point.bytes += stored * self._kinds[kind].bytes
            if self._first_answer <= min(begun) and max(ended) <= self.ends:
                tally.in_time += stored
            else:
                self._count_in_time(kind, begun, ended)

    def _count_in_time(self, kind: int, begun: Iterable[float], ended: Iterable[float]) -> None:
        """Count stored instances of which some are the first ones, or may end after the phase (rules 4 and 5)."""
        for begin, end in zip(begun, ended, strict=True):
            times = _Times(kind, begin, end)
            for run in self.and_following():
                run.add(times, is_first=begin < self._first_answer)
                if run is not self:
                    run.carry(times)

    @staticmethod
    def _count_statuses(statuses: Iterable[int | None], tally: KindTally, point: _Open) -> int:
        """Count statuses of which some are not success. The number of instances that were not stored."""
        others = 0
        for status, count in Counter(statuses).items():
            tally.statuses[status] += count
            if status is None:
                point.unknown += count
                others += count
            elif status != SUCCESS:
                point.statuses[status] += count
                if result_of(status) is Result.FAILED:
                    point.failed += count
                    others += count
        return others

    def _close(self) -> None:
        number = len(self._points)
        point = self._open.pop(number, None) or _Open()
        second = number * self._step
        p50, p95, p99 = point.latency.percentiles((50.0, 95.0, 99.0)) if point.stored else (None, None, None)
        closed = Point(
            second=second,
            p50=p50,
            p95=p95,
            p99=p99,
            max=point.latency.max if point.stored else None,
            statuses=_named(point.statuses),
            **{name: getattr(point, name) for name in POINT_COUNTS},
        )
        self._points.append(closed)
        if self._on_interval is not None:
            self._on_interval(
                Interval(self.phase, self.began - self._origin + second, self._step, point.latency, closed)
            )

    def end(self, at: float) -> None:
        """Close all points: nothing more will be counted."""
        self._is_over = True
        self.close_until(at)
        while self._open:
            self._close()

    def result(self, at: float, *, is_brief: bool = False) -> PhaseResult:
        """What is known at this time; a brief result has no split, no groups and no series.

        Its histograms go on to grow until the phase has ended.
        """
        seconds = max(min(at, self.ends) - self.began, _INSTANT)
        lost_after = self.presence.lost_after(seconds) if self._is_over else None  # until then it may come back
        loaded = lost_after or seconds
        tallies = list(zip(self._kinds, self._tallies, strict=True))
        statuses: Counter[int | None] = Counter()
        for tally in self._tallies:
            statuses.update(tally.statuses)
        points: list[Point | _Open] = [*self._points, *self._open.values()]
        offered = sum(point.offered for point in points)
        latency = total_of(tally.latency for tally in self._tallies)
        in_time = list(zip(self._kinds, self._in_time(), strict=True))
        studies = self._studies_in_time
        if not studies:
            studies = sum(number / max(kind.instances_per_study, 1) for kind, number in in_time)
        cpu_seconds = self._used.cpu_seconds - self._first.cpu_seconds
        return PhaseResult(
            name=self.phase.name,
            repeat=self.phase.repeat,
            model="open" if self.phase.is_open else "closed",
            associations=self.phase.associations,
            is_counted=self.phase.is_counted,
            planned_seconds=self.phase.seconds,
            seconds=seconds,
            offered=offered,
            offered_per_second=(offered - self._offered_late) / seconds,
            stored=latency.count,
            stored_per_second=sum(number for _, number in in_time) / loaded,
            bytes_per_second=sum(number * kind.bytes for kind, number in in_time) / loaded,
            studies_per_hour=studies / loaded * 3600,
            warnings=sum(tally.count(Result.WARNING) for tally in self._tallies),
            failed=sum(tally.count(Result.FAILED) for tally in self._tallies),
            unknown=statuses[None],
            dropped=sum(point.dropped for point in points),
            bytes=sum(point.bytes for point in points),
            studies=self._studies,
            statuses=_named(statuses),
            errors=dict(self.errors),
            latency=latency,
            service=self._service if self.phase.is_open else latency,
            study_latency=self.study_latency,
            split=Split() if is_brief else self.split,
            by=Groups() if is_brief else groups_of(tallies),
            series=() if is_brief else tuple(self._points),
            generator=Generator(
                cpu_seconds=cpu_seconds,
                cpu_share=cpu_seconds / max(self._used.at - self._first.at, _INSTANT),
                lag=self.lag,
                lateness=self.late,
            ),
            drift=self._tenths.drift(self._points),
            began=self.began - self._origin,
            lost_after=lost_after,
        )

    def _in_time(self) -> list[float]:
        """For each kind, the stored instances that count in rates."""
        in_time = [tally.in_time for tally in self._tallies]
        medians = {
            kind: self._tallies[kind].latency.percentile(50) for kind in {times.kind for times in self._first_times}
        }
        usual = {kind: median - width_at(median) for kind, median in medians.items()}
        for kind, begun, ended in self._first_times:
            in_time[kind] += self._share_of(min(begun, ended - usual[kind]), ended)
        return in_time


def _is_stored(sample: Sample) -> bool:
    return sample.status is not None and result_of(sample.status) is not Result.FAILED


def _named(statuses: Counter[int | None]) -> dict[str, int]:
    """The counts of responses by their status."""
    known = {status: count for status, count in statuses.items() if status is not None}
    return {f"0x{status:04X}": known[status] for status in sorted(known)}
