"""The counts of a sink."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class SinkTally:
    """What has arrived so far."""

    instances: int = 0
    """Instances answered with success or a warning."""
    bytes: int = 0
    """The bytes of their data sets."""
    replaced: int = 0
    """Instances whose file replaced one with the same SOP instance UID."""
    refused: Counter[int] = field(default_factory=Counter)
    """Instances answered with a failure, by status."""
    echoes: int = 0
    associations: int = 0
    """Open associations."""
    associations_total: int = 0
    rejected: int = 0
    """Associations rejected."""
