"""The live display of a run: its frames at the foot of a terminal (:mod:`asyncstore.observe.frames`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asyncstore.observe.frame import View, frame
from asyncstore.observe.frames import Frames
from asyncstore.observe.rates import Rates

if TYPE_CHECKING:
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally
    from asyncstore.observe.terminal import Terminal


class LiveDisplay(Frames):
    """Shows a run on a terminal while it is under way.

    Args:
        terminal: the terminal; its size is read before each frame.
        title: what is sent where, in one line that stays.
    """

    def __init__(self, terminal: Terminal, title: str) -> None:
        super().__init__(terminal, title)
        self._rates = Rates()

    def refresh(self, tally: Tally, progress: Progress, now: float) -> None:
        """Draw the next frame."""
        self._rates.sample(tally, progress, now)
        view = View(
            tally=tally,
            progress=progress,
            rate=self._rates.rate,
            fraction=self._rates.fraction,
            seconds=tally.seconds(now),
            seconds_left=self._rates.seconds_left,
            notice=self._notice,
        )
        self.draw(partial(frame, view))
