"""How fast the run may go: stores and bytes a second, and whether anything may begin.

Rules:

1. A bucket holds a tenth of a second's worth, or one unit if that is more. So in any second at most that much more than
   the limit begins. What is not used in time is lost.
2. More may be taken than a bucket holds: a lane knows an instance only when it has taken it. Then nothing may be
   taken until the debt has been paid.
3. Stores are counted when a lane takes them. It takes few at a time: otherwise all that wait in lanes would begin at
   once when a peer that stood still goes on.
4. A pause lets stores under way finish, at the rate of bytes that held before.
5. The guard limits *work*: responses and bytes in one number, so that its limit fits small and large instances.

Pure: the clock is given. The network asks for bytes (:attr:`Pacing.bytes`), the dispatcher for stores.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncstore.model import Limit
from asyncstore.named_tuple import NamedTuple
from asyncstore.schedule.lanes import BYTES_AN_INSTANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncstore.model import Instance
    from asyncstore.schedule.timetable import TimeTable

_BURST = 0.1
"""Seconds: longer than the event loop is busy with other work, mostly, and too short to be noticed."""
_BATCH = 0.02
"""Seconds' worth of stores that all lanes together take at a time."""
_LEAST_RATE = 16384
"""Bytes a second that each association should have: a PDU of usual length. Peers give up slower ones."""
_TRIFLE = 1e-6
"""Work that is more than none."""


class Bucket:
    """Units that may be taken, at a rate.

    Args:
        clock: the time in seconds, from any start.

    Attributes:
        rate: units a second; ``None``: no limit.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rate: float | None = None
        self._clock = clock
        self._units = 1.0
        self._at = clock()

    @property
    def capacity(self) -> float:
        """The most units that it holds."""
        return math.inf if self.rate is None else max(1.0, self.rate * _BURST)

    def set_rate(self, rate: float | None) -> None:
        """Go on at another rate, more than 0. A debt is paid in the time that it would have taken."""
        if rate != self.rate:
            self._fill()
            if self.rate is None:
                self._units = 1.0
            elif rate is not None and self._units < 0:
                self._units *= rate / self.rate
            self.rate = rate
            self._units = min(self._units, self.capacity)

    def units(self) -> float:
        """How many may be taken now; negative: a debt."""
        self._fill()
        return math.inf if self.rate is None else self._units

    def take(self, units: float) -> None:
        """Take so many, even if there are fewer."""
        if self.rate is not None:
            self._fill()
            self._units -= units

    def seconds_until(self, units: float) -> float:
        """Seconds until it holds so many; 0: it holds them, or a full load."""
        if self.rate is None:
            return 0.0
        self._fill()
        return max(min(units, self.capacity) - self._units, 0.0) / self.rate

    def _fill(self) -> None:
        now = self._clock()
        if self.rate is not None:
            self._units = min(self._units + (now - self._at) * self.rate, self.capacity)
        self._at = now


class Guarded(NamedTuple):
    """The limit that the guard gives."""

    work: float
    """The most work a second: responses, and bytes of data by :data:`~asyncstore.schedule.lanes.BYTES_AN_INSTANCE`."""
    share: float
    """That, as a share of the speed without a limit."""
    echo_seconds: float
    """How long C-ECHO took."""


class Limits(NamedTuple):
    """The limits of a run. Rates of 0 mean that nothing begins."""

    rate: TimeTable | None = None
    """Bytes a second, as they go to the network."""
    stores: TimeTable | None = None
    """Stores a second."""
    guard_echo: float | None = None
    """Seconds: if the 95th percentile of C-ECHO takes longer, the run slows down."""


UNLIMITED = Limits()


class Pacing:
    """The limits that hold now, and how much of them is left.

    Args:
        limits: the limits of the run.
        clock: the time in seconds, from any start.

    Attributes:
        rate: the limit of bytes; if it is set, :meth:`look` must follow.
        stores: the limit of stores; likewise.
        bytes: the bytes that may go to the network.
        is_limiting: whether lanes may have to wait: there is a limit of stores or work, or a pause.
        is_paused: whether nothing may begin.
        has_limited: whether something had to wait since its reader set this to false.
        on_change: called when a limit has changed.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.bytes = Bucket(clock)
        self.is_limiting = False
        self.is_paused = False
        self.has_limited = False
        self.on_change: list[Callable[[], None]] = []
        self.rate, self.stores, _ = limits
        self._bytes_rate: float | None = None
        self._stores_bucket = Bucket(clock)
        self._work_bucket = Bucket(clock)
        self._until: float | None = None
        self._guarded: Guarded | None = None

    # Limits.

    def look(self, instant: float) -> float | None:
        """Let the rates of ``instant`` hold, in seconds since 1970. Returns the instant of the next change, if any."""
        tables = [table for table in (self.rate, self.stores) if table is not None]
        bytes_rate, stores_rate = (
            None if table is None else table.rate_at(instant) for table in (self.rate, self.stores)
        )
        self._until = min((change for table in tables if (change := table.next_change(instant))), default=None)
        self.is_paused = 0 in {bytes_rate, stores_rate}
        if not self.is_paused:
            self._bytes_rate = bytes_rate
            self._stores_bucket.set_rate(stores_rate)
        self._apply()
        return self._until

    def slow_down(self, guarded: Guarded | None) -> None:
        """Take the limit that the guard gives; ``None``: none."""
        self._guarded = guarded
        self._work_bucket.set_rate(None if guarded is None else guarded.work)
        self._apply()

    def _apply(self) -> None:
        work = self._work_bucket.rate
        rates = [rate for rate in (self._bytes_rate, work and work * BYTES_AN_INSTANCE) if rate is not None]
        self.bytes.set_rate(min(rates, default=None))
        self.is_limiting = self.is_paused or self._stores_bucket.rate is not None or work is not None
        for changed in self.on_change:
            changed()

    def limit(self) -> Limit | None:
        """The limits now, for observers; ``None``: there are none."""
        stores, guarded = self._stores_bucket.rate, self._guarded
        if not self.is_paused and self._bytes_rate is None and stores is None and guarded is None:
            return None
        share, echo_seconds = (1.0, None) if guarded is None else (guarded.share, guarded.echo_seconds)
        return Limit(self._bytes_rate, stores, self.is_paused, self._until, share, echo_seconds)

    # Lanes.

    @property
    def most_associations(self) -> float:
        """The most associations to have: each of them gets a rate that no peer takes for a dead one."""
        rate = self.bytes.rate
        return math.inf if rate is None else max(rate // _LEAST_RATE, 1)

    def note_wait(self) -> None:
        """A link had to wait."""
        self.has_limited = True

    def portion(self, wanted: int, lanes: int) -> int:
        """How many of ``wanted`` instances one of ``lanes`` lanes may take now."""
        if self.is_paused:
            return 0
        if self._work_bucket.units() <= 0:
            return 0
        rate = self._stores_bucket.rate
        if rate is None:
            return wanted
        share = max(int(rate * _BATCH / max(lanes, 1)), 1)
        return min(wanted, share, int(self._stores_bucket.units() + _TRIFLE))

    def took(self, instances: Sequence[Instance]) -> None:
        """A lane took these instances."""
        self._stores_bucket.take(len(instances))
        if self._work_bucket.rate is not None:
            size = sum([instance.payload.length for instance in instances])
            self._work_bucket.take(len(instances) + size / BYTES_AN_INSTANCE)

    def seconds_until_turn(self, ahead: int) -> float:
        """Seconds until a lane may take an instance, if ``ahead`` others take one before; infinite in a pause."""
        if self.is_paused:
            return math.inf
        rate = self._stores_bucket.rate
        by_stores = 0.0 if rate is None else self._stores_bucket.seconds_until(1) + ahead / rate
        return max(by_stores, self._work_bucket.seconds_until(_TRIFLE))
