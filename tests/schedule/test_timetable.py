"""Time tables: what they mean, at every hour of two changes of the clock, and what is said of wrong ones."""

import os
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.schedule.timetable import (
    BYTES_EXAMPLE,
    STORES_EXAMPLE,
    bytes_rate,
    parse_table,
    stores_rate,
)
from support.examples import examples

_UTC = ZoneInfo("UTC")
_BERLIN = ZoneInfo("Europe/Berlin")
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _of_bytes(text, zone=_UTC):
    return parse_table(text, bytes_rate, BYTES_EXAMPLE, zone)


def _at(words, zone=_UTC, fold=0):
    return datetime.fromisoformat(words).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("word", "rate"),
    [
        ("2M", 2e6), ("2m", 2e6), ("2M/s", 2e6), ("2MB/s", 2e6), ("1.5K", 1500), ("1Ki", 1024), ("3MiB", 3 << 20),
        ("1G", 1e9), ("1Gi/s", 1 << 30), ("1500", 1500), ("off", None), ("OFF", None), ("0", 0), ("pause", 0),
    ],
)  # fmt: skip
def test_rates_of_bytes(word, rate):
    assert bytes_rate(word) == rate


@pytest.mark.parametrize(
    ("word", "rate"),
    [("10", 10), ("10/s", 10), ("600/min", 10), ("1800/h", 0.5), ("0.5", 0.5), ("off", None), ("0", 0), ("pause", 0)],
)
def test_rates_of_stores(word, rate):
    assert stores_rate(word) == rate


def test_one_rate_holds_always():
    table = _of_bytes("2M")
    assert table.rate_at(0) == table.rate_at(_at("2026-03-29 02:30")) == 2e6
    assert table.next_change(0) is None


def test_the_entry_that_began_last_rules_even_days_later():
    table = _of_bytes("Mon-Fri 07:00,2M 18:00,off")
    assert table.rate_at(_at("2026-11-27 06:59")) is None  # a Friday
    assert table.rate_at(_at("2026-11-27 07:00")) == 2e6
    assert table.rate_at(_at("2026-11-27 18:00")) is None
    assert table.rate_at(_at("2026-11-29 12:00")) is None
    assert table.next_change(_at("2026-11-27 18:00")) == _at("2026-11-30 07:00")
    assert table.next_change(_at("2026-11-30 07:00")) == _at("2026-11-30 18:00")


def test_days_hold_until_other_days_come_and_may_go_round_the_week():
    table = _of_bytes("Sat-Mon 10:00,1K Tue Thu 10:00,2K 12:00,3K")
    monday = _at("2026-11-30 11:00")
    rates = [table.rate_at(monday + days * 86400) for days in range(7)]
    assert rates == [1000, 2000, 3000, 2000, 3000, 1000, 1000]


def test_entries_without_days_hold_every_day_in_any_order():
    table = _of_bytes("18:00,off 07:00,2M")
    assert [table.rate_at(_at(f"2026-11-29 {hour}:00")) for hour in ("06", "07", "17", "18")] == [None, 2e6, 2e6, None]


def test_an_entry_in_the_hour_that_comes_twice_begins_once():
    table = _of_bytes("02:15,1K 02:30,2K 12:00,off", _BERLIN)
    first, second = (_at("2026-10-25 02:20", _BERLIN, fold) for fold in (0, 1))
    assert second - first == 3600
    assert (table.rate_at(first), table.rate_at(second)) == (1000, 2000)
    assert table.next_change(_at("2026-10-25 02:30", _BERLIN)) == _at("2026-10-25 12:00", _BERLIN)


def test_an_entry_in_the_hour_that_is_missing_begins_when_the_clock_is_set_forward():
    table = _of_bytes("01:00,off 02:15,1K 02:45,2K", _BERLIN)
    forward = _at("2026-03-29 03:00", _BERLIN)
    assert table.rate_at(forward - 1) is None
    assert table.rate_at(forward) == 2000
    assert table.next_change(forward - 1800) == forward


def test_the_time_zone_is_the_machines_unless_one_is_given(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "America/New_York")
    time.tzset()
    try:
        table = _of_bytes("07:00,1K 18:00,off", zone=None)
        new_york = ZoneInfo("America/New_York")
        for day in ("2026-03-07", "2026-03-08", "2026-11-01", "2026-11-02"):
            seven = _at(f"{day} 07:00", new_york)
            assert (table.rate_at(seven - 1), table.rate_at(seven)) == (None, 1000)
            assert table.next_change(seven - 1) == seven
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("fast", "'fast' is no rate of bytes"),
        ("2T", "'2T' is no rate of bytes"),
        ("-2M", "'-2M' is no rate of bytes"),
        ("9" * 400, f"'{'9' * 400}' is no rate of bytes"),
        ("Mun 07:00,2M", "'Mun' is none of Mon, Tue"),
        ("Mon-Fry 07:00,2M", "'Fry' in 'Mon-Fry' is none of"),
        ("Mon", "'Mon' is no rate of bytes"),
        ("Mon Tue", "'Mon Tue' has no rate"),
        ("Mon 07:00,2M Tue", "nothing stands behind 'Tue'"),
        ("25:00,2M", "25:00 in '25:00,2M' is no time of the day"),
        ("07:60,2M", "07:60 in '07:60,2M' is no time of the day"),
        ("07:00 2M", "'07:00' is no entry of a time table"),
        ("07:00,2X 18:00,off", "'2X' is no rate of bytes"),
        ("Mon-Fri 07:00,2M Fri 07:00,1M", "07:00 stands twice for Fri"),
    ],
)
def test_wrong_tables_are_refused_with_their_word_and_an_example(text, problem):
    with pytest.raises(ValueError, match="write, for example") as refused:
        _of_bytes(text)
    assert str(refused.value).startswith(problem)
    assert str(refused.value).endswith(BYTES_EXAMPLE)
    assert "\n" not in str(refused.value)


def test_the_examples_of_messages_are_right():
    for example, read in ((BYTES_EXAMPLE, bytes_rate), (STORES_EXAMPLE, stores_rate)):
        for text in example.replace(", or ", ", ").split(", "):
            assert parse_table(text.strip("'"), read, "").entries


# A slow clock on the wall, as a reference.

_STEP = 900
"""Seconds between two looks; all entries and all changes of the clock lie on one."""
_DAY = 86400

_TIMES = st.tuples(st.sets(st.sampled_from(range(7)), min_size=1), st.sampled_from(range(0, 24 * 60, 15)))
_TABLES = st.dictionaries(
    st.sampled_from(range(0, 24 * 60, 15)), st.sets(st.sampled_from(range(7)), min_size=1), min_size=1, max_size=5
)
_NIGHT = st.dictionaries(
    st.sampled_from(range(45, 4 * 60, 15)), st.sets(st.sampled_from(range(7)), min_size=1), min_size=1, max_size=5
)
_CHANGES = st.sampled_from(
    [
        ("Europe/Berlin", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-10-25 01:00"),
        ("America/New_York", "2026-03-08 07:00"),
        ("America/New_York", "2026-11-01 06:00"),
    ]
)


def _slow_rates(entries, zone, begin, end):
    """The rate at each look: an entry begins when the wall first shows its time or a later one, and once a day."""
    begun, rate, rates = set(), "none yet", {}
    for instant in range(begin, end, _STEP):
        wall = datetime.fromtimestamp(instant, zone)
        for minutes, days in sorted(entries.items()):
            here = wall.date(), minutes
            if wall.weekday() in days and wall.hour * 60 + wall.minute >= minutes and here not in begun:
                begun.add(here)
                rate = minutes
        rates[instant] = rate
    return rates


@settings(max_examples=examples(30), deadline=None)
@given(_CHANGES, st.one_of(_TABLES, _NIGHT))
def test_around_changes_of_the_clock_it_is_as_a_slow_clock_on_the_wall(change, entries):
    name, utc = change
    zone = ZoneInfo(name)
    text = " ".join(
        f"{' '.join(_WEEK[day] for day in sorted(days))} {minutes // 60:02}:{minutes % 60:02},{minutes}"
        for minutes, days in entries.items()
    )
    table = _of_bytes(text, zone)
    middle = int(_at(utc))
    begin, end = middle - 10 * _DAY, middle + 2 * _DAY
    rates = _slow_rates(entries, zone, begin, end)
    looked = [instant for instant in rates if instant >= middle - _DAY]
    assert [table.rate_at(instant) for instant in looked] == [rates[instant] for instant in looked]
    for instant in (middle - 7200, middle - _STEP, middle, middle + 1800):
        change_at = table.next_change(instant)
        later = [other for other in looked if other > instant and rates[other] != rates[instant]]
        if later:
            assert change_at == later[0]
        else:
            assert change_at is None or change_at >= end
