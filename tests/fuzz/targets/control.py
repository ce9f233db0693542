"""Requests at the socket beside a journal (``asyncstore ctl``). An input is one line."""

import json

from asyncstore.control.status import Facts
from asyncstore.control.steering import Steering, request_line
from asyncstore.model import Progress
from asyncstore.observe.tally import Tally

EXPECTED = ()
_KEY = "CANARYID"


class _Run:
    """A run that does what it is asked."""

    def pause(self):
        """Nothing is under way."""

    def resume(self):
        """Nothing waits."""

    def set_associations(self, number):
        """There are none."""
        assert number is None or 1 <= number <= 1024

    def prioritise(self, key):
        """No instance waits."""
        assert isinstance(key, str)
        return 0

    def progress(self):
        """It has found nothing."""
        return Progress(0, False, 0, 0, 0, 0, ())


def seeds():
    """Each request, right and wrong ones."""
    for name, value in (("status", None), ("pause", None), ("resume", None), ("stop", None), ("associations", 4),
                        ("prioritise", _KEY), ("unknown", [1, {"a": None}])):  # fmt: skip
        yield request_line(name, value).rstrip()


def execute(data, _):
    """Each line has one answer, which shows no key."""
    steering = Steering(
        Facts("asyncstore 1", 7, "peer:104", 3, 4),
        Tally(0.0),
        stop=lambda: None,
        clock=lambda: 1.0,
    )
    steering.follow(_Run())
    for line in (data, request_line("status")):
        answer = steering.answer(line)
        assert b"\n" not in answer
        assert _KEY.encode() not in answer
        assert isinstance(json.loads(answer)["ok"], bool)
