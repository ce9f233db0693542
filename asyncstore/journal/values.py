"""The values that go into a journal and come out of it.

Times are Unix times. Paths are ``str`` with undecodable bytes as surrogates, as everywhere.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncstore.journal.schema import MOST_STATES, STATE
from asyncstore.model import Head, Result
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncstore.model import Outcome

COMPLETED = "completed"
"""The ending of a run that nothing stopped."""


class State(IntEnum):
    """How far a delivery is. The numbers are part of the journal's format."""

    WAITING = 0
    """Found and not ended: the catalogue knows it, or its run ended first."""
    STORED = 1
    WARNING = 2
    FAILED = 3
    NOT_SENT = 4
    UNKNOWN = 5

    @property
    def is_stored(self) -> bool:
        """Whether the peer said that it holds the instance."""
        return self in (State.STORED, State.WARNING)

    @classmethod
    def of(cls, ending: int) -> State:
        """The state of the ending with this number."""
        return cls(ending % MOST_STATES)


IS_STORED = f"{STATE} IN ({State.STORED:d}, {State.WARNING:d})"
"""Which deliveries are stored, in a query; the name of a table and a dot may stand before it."""
IS_WAITING = f"{STATE} = {State.WAITING:d}"
IS_UNKNOWN = f"{STATE} = {State.UNKNOWN:d}"
IS_NOT_SENT = f"{STATE} = {State.NOT_SENT:d}"

STATE_AFTER = {
    Result.STORED: State.STORED,
    Result.WARNING: State.WARNING,
    Result.FAILED: State.FAILED,
    Result.NOT_SENT: State.NOT_SENT,
    Result.UNKNOWN: State.UNKNOWN,
}
"""The state after each result. Skipped files have none: their row stays as it is."""


class Walk(NamedTuple):
    """How far the walk of a run is."""

    found: int = 0
    skipped: int = 0
    """How many of these files are not sent, because of an earlier run."""
    known: int = 0
    """How many of the others have a row (:attr:`asyncstore.journal.lookup.Lookup.known`)."""
    left_failed: int = 0
    """How many of the skipped ones had failed, and are left so."""
    left_not_sent: int = 0
    """How many of the skipped ones could not be sent, and are left so."""
    is_ended: bool = False


NOT_MEASURED: Mapping[int, int] = MappingProxyType({})
"""No data set of a batch was measured."""
NOT_READ = Head()
"""The head of a file that was not read anew: its row keeps its series."""


class Outcomes(NamedTuple):
    """Outcomes of a run that ended at the same time."""

    outcomes: Sequence[Outcome]
    time: float
    """When they ended, in seconds."""
    occurrences: Mapping[int, int]
    """How often a file was found before in the same walk, by ordinal; none stands for 0."""
    decompressed: Mapping[int, int] = NOT_MEASURED
    """Bytes of data sets after decompression, by ordinal, as far as they were measured."""
