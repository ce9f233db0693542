"""A run that remembers what was asked of it, and its steering."""

from __future__ import annotations

import pytest

from asyncstore.control.status import Facts
from asyncstore.control.steering import Steering
from asyncstore.errors import UsageError
from asyncstore.model import Lane, LaneState, Progress
from asyncstore.observe.tally import Tally


class Run:
    """A run without files."""

    def __init__(self):
        self.asked = []
        self.now = Progress(5, False, 5, 50, 20, 1, (Lane(1, LaneState.SENDING, 1, 2, "/a/DOE^JANE.dcm", 10, 0.5),))

    def pause(self):
        self.asked.append("pause")

    def resume(self):
        self.asked.append("resume")

    def set_associations(self, number):
        self.asked.append(number)

    def prioritise(self, key):
        self.asked.append(f"first: {key}")
        return 2

    def progress(self):
        return self.now


class World:
    """A run, its steering, and what became of requests."""

    def __init__(self):
        self.run = Run()
        self.said = []
        self.danced = []
        self.stops = 0
        self.time = 100.0
        self.tally = Tally(self.time)
        self.steering = Steering(
            Facts("asyncstore 1", 7, "peer:104", 3, 4),
            self.tally,
            stop=self._stop,
            actions={"dance": self._dance},
            on_action=self.said.append,
            clock=lambda: self.time,
        )
        self.steering.follow(self.run)

    def _stop(self):
        self.stops += 1

    def _dance(self, value):
        if not isinstance(value, str):
            raise UsageError("a text is needed")
        self.danced.append(value)
        return "danced"


@pytest.fixture
def world():
    return World()
