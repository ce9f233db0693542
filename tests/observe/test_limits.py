"""What displays say about limits."""

import os
import time

import pytest

from asyncstore.model import Limit
from asyncstore.observe.limits import limited, limits, until

_NOW = 1795886000.0
"""A Saturday, 17:13 UTC."""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (None, ""),
        (Limit(2e6, None), "limited to 2.00 MB/s"),
        (Limit(None, 10.0), "limited to 10 stores/s"),
        (Limit(None, 1500.0), "limited to 1 500 stores/s"),
        (Limit(None, 2 / 3600), "limited to 2 stores/h"),
        (Limit(2e6, 10.5), "limited to 2.00 MB/s and 10.5 stores/s"),
        (Limit(2e6, None, until=_NOW + 2800), "limited to 2.00 MB/s (time table, until 18:00)"),
        (Limit(2e6, None, until=_NOW + 2 * 86400), "limited to 2.00 MB/s (time table, until Mon 17:13)"),
        (Limit(None, None, is_paused=True), "nothing begins"),
        (Limit(2e6, 1, is_paused=True, until=_NOW + 2800), "nothing begins (time table, until 18:00)"),
        (
            Limit(None, None, share=0.354, echo_seconds=0.34),
            "limited to 35 % of the speed without the guard (C-ECHO takes 340 ms)",
        ),
        (
            Limit(2e6, None, share=0.5, echo_seconds=1.0),
            "limited to 2.00 MB/s, 50 % of the speed without the guard (C-ECHO takes 1.0 s)",
        ),
    ],
)
def test_limits_are_said_in_one_line(limit, words):
    assert limited(limit, _NOW) == words


def test_without_a_limit_the_time_table_may_bring_one():
    assert until(_NOW + 2800, _NOW) == " (time table, until 18:00)"
    assert until(None, _NOW) == ""


def test_limits_are_listed_one_by_one():
    assert limits(None, _NOW) == []
    assert len(limits(Limit(2e6, 3, share=0.5, echo_seconds=1.0), _NOW)) == 2
