"""The live display of a measurement: its frames at the foot of a terminal (:mod:`asyncstore.observe.frames`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from asyncstore.observe.bench_frame import bench_frame
from asyncstore.observe.fit_width import clip
from asyncstore.observe.formatting import printable
from asyncstore.observe.frames import Frames

if TYPE_CHECKING:
    from asyncstore.observe.bench_view import BenchView


class LiveBenchDisplay(Frames):
    """Shows a measurement on a terminal while it is under way."""

    def status(self, text: str) -> None:
        """Draw a frame of one line."""
        self.draw(lambda width, _height: [Text(f" {clip(printable(text), width - 3)}", "dim")])

    def refresh(self, view: BenchView, now: float) -> None:  # noqa: ARG002 - the lines need the time
        """Draw the next frame."""
        self.draw(partial(bench_frame, view, self._notice))
