"""The state machine of the upper layer protocol: PS3.8 table 9-10, as a table.

Rows are events, columns are states, and a cell names the action and the next state, all with the standard's names: the
two tables can be compared line by line. :mod:`asyncstore.protocol.upper_layer` carries out the actions. Only a fault of
this program reaches an empty cell; :func:`step` raises :class:`KeyError` then.

Two cells depend on more than state and event: AE-6 rejects a request with a wrong protocol version, and in a release
collision AR-8 differs between requestor and acceptor.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal


class State(IntEnum):
    """PS3.8 9.2.2."""

    STA1 = 1
    """Idle."""
    STA2 = 2
    """Transport connection open, awaiting A-ASSOCIATE-RQ."""
    STA3 = 3
    """Awaiting the local A-ASSOCIATE response."""
    STA4 = 4
    """Awaiting the transport connection to open."""
    STA5 = 5
    """Awaiting A-ASSOCIATE-AC or -RJ."""
    STA6 = 6
    """Association established, ready for data transfer."""
    STA7 = 7
    """Awaiting A-RELEASE-RP."""
    STA8 = 8
    """Awaiting the local A-RELEASE response."""
    STA9 = 9
    """Release collision, requestor: awaiting the local A-RELEASE response."""
    STA10 = 10
    """Release collision, acceptor: awaiting A-RELEASE-RP."""
    STA11 = 11
    """Release collision, requestor: awaiting A-RELEASE-RP."""
    STA12 = 12
    """Release collision, acceptor: awaiting the local A-RELEASE response."""
    STA13 = 13
    """Awaiting the transport connection to close."""


Event = Literal[
    "A-ASSOCIATE request",
    "transport confirm",
    "A-ASSOCIATE-AC received",
    "A-ASSOCIATE-RJ received",
    "transport indication",
    "A-ASSOCIATE-RQ received",
    "A-ASSOCIATE response: accept",
    "A-ASSOCIATE response: reject",
    "P-DATA request",
    "P-DATA-TF received",
    "A-RELEASE request",
    "A-RELEASE-RQ received",
    "A-RELEASE-RP received",
    "A-RELEASE response",
    "A-ABORT request",
    "A-ABORT received",
    "transport closed",
    "ARTIM expired",
    "invalid PDU",
]
"""PS3.8 table 9-10, first column; ARTIM is the Association Request/Reject/Release Timer (PS3.8 9.1.5)."""

Cell = tuple[str, int]

_ESTABLISHED_AND_AFTER = range(6, 13)


def _row(cells: dict[int, Cell], *, unexpected_from: int | None = None) -> dict[int, Cell]:
    """A row. Missing cells from ``unexpected_from`` to Sta12 become AA-8: abort, then await the close."""
    row = dict(cells)
    if unexpected_from is not None:
        for number in (3, 5, *_ESTABLISHED_AND_AFTER):
            if number >= unexpected_from:
                row.setdefault(number, ("AA-8", 13))
    return row


def _everywhere(cell: Cell, first: int) -> dict[int, Cell]:
    return {number: cell for number in (3, 5, *_ESTABLISHED_AND_AFTER) if number >= first}


TABLE: dict[Event, dict[int, Cell]] = {
    "A-ASSOCIATE request": _row({1: ("AE-1", 4)}),
    "transport confirm": _row({4: ("AE-2", 5)}),
    "A-ASSOCIATE-AC received": _row({2: ("AA-1", 13), 5: ("AE-3", 6), 13: ("AA-6", 13)}, unexpected_from=3),
    "A-ASSOCIATE-RJ received": _row({2: ("AA-1", 13), 5: ("AE-4", 1), 13: ("AA-6", 13)}, unexpected_from=3),
    "transport indication": _row({1: ("AE-5", 2)}),
    "A-ASSOCIATE-RQ received": _row({2: ("AE-6", 3), 13: ("AA-7", 13)}, unexpected_from=3),
    "A-ASSOCIATE response: accept": _row({3: ("AE-7", 6)}),
    "A-ASSOCIATE response: reject": _row({3: ("AE-8", 13)}),
    "P-DATA request": _row({6: ("DT-1", 6), 8: ("AR-7", 8)}),
    "P-DATA-TF received": _row({2: ("AA-1", 13), 6: ("DT-2", 6), 7: ("AR-6", 7), 13: ("AA-6", 13)}, unexpected_from=3),
    "A-RELEASE request": _row({6: ("AR-1", 7)}),
    "A-RELEASE-RQ received": _row(
        {2: ("AA-1", 13), 6: ("AR-2", 8), 7: ("AR-8", 9), 13: ("AA-6", 13)}, unexpected_from=3
    ),
    "A-RELEASE-RP received": _row(
        {2: ("AA-1", 13), 7: ("AR-3", 1), 10: ("AR-10", 12), 11: ("AR-3", 1), 13: ("AA-6", 13)}, unexpected_from=3
    ),
    "A-RELEASE response": _row({8: ("AR-4", 13), 9: ("AR-9", 11), 12: ("AR-4", 13)}),
    "A-ABORT request": _row({3: ("AA-1", 13), 4: ("AA-2", 1)} | _everywhere(("AA-1", 13), 5)),
    "A-ABORT received": _row({2: ("AA-2", 1), 13: ("AA-2", 1)} | _everywhere(("AA-3", 1), 3)),
    "transport closed": _row({2: ("AA-5", 1), 4: ("AA-4", 1), 13: ("AR-5", 1)} | _everywhere(("AA-4", 1), 3)),
    "ARTIM expired": _row({2: ("AA-2", 1), 13: ("AA-2", 1)}),
    "invalid PDU": _row({2: ("AA-1", 13), 13: ("AA-7", 13)}, unexpected_from=3),
}
"""``TABLE[event][state]`` is the action and the number of the next state. The rows have the order of the standard's."""

COLLISION_AS_ACCEPTOR: Cell = ("AR-8", 10)
"""AR-8's other next state: Sta9 is the requestor's, Sta10 the acceptor's."""
REFUSED_VERSION: Cell = ("AE-6", 13)
"""AE-6's other next state, after its A-ASSOCIATE-RJ."""


def step(state: State, event: Event, *, is_acceptor: bool = False, is_refused: bool = False) -> tuple[str, State]:
    """The action and the next state for ``event`` in ``state``.

    Raises:
        KeyError: the standard's cell is empty.
    """
    action, following = TABLE[event][state]
    if action == "AR-8" and is_acceptor:
        action, following = COLLISION_AS_ACCEPTOR
    elif action == "AE-6" and is_refused:
        action, following = REFUSED_VERSION
    return action, State(following)
