"""When instances or studies arrive in an open load."""

from __future__ import annotations

from typing import NamedTuple


class Arrival(NamedTuple):
    """Something arrives, and its stores are to begin."""

    at: float
    """Seconds since the phase began."""
    instances: int = 1
    """How many arrive together; 0: a whole study."""
    kind: int | None = None
    """The kind of the instances, in the source; ``None``: whatever comes next."""
