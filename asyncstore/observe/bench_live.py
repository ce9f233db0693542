"""The live display of a measurement: its frames at the foot of a terminal (:mod:`asyncstore.observe.frames`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asyncstore.observe.bench_frame import bench_frame
from asyncstore.observe.frames import Frames

if TYPE_CHECKING:
    from asyncstore.observe.bench_view import BenchView


class LiveBenchDisplay(Frames):
    """Shows a measurement on a terminal while it is under way."""

    def refresh(self, view: BenchView, now: float) -> None:  # noqa: ARG002 - the lines need the time
        """Draw the next frame."""
        self.draw(partial(bench_frame, view, self._notice))
