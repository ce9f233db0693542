"""What has come in at a sink so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class SinkTally:
    """What has come in so far."""

    instances: int = 0
    """Received, and answered with success or a warning."""
    bytes: int = 0
    """Of their data sets."""
    replaced: int = 0
    """Those of them whose file took the place of an earlier one with the same SOP instance UID."""
    refused: Counter[int] = field(default_factory=Counter)
    """Instances answered with a failure, by status."""
    echoes: int = 0
    associations: int = 0
    """Open now."""
    associations_total: int = 0
    rejected: int = 0
    """Associations rejected."""
