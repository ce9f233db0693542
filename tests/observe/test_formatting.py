import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.observe.formatting import (
    format_byte_rate,
    format_bytes,
    format_count,
    format_duration,
    format_estimate,
    format_latency,
    format_rate,
    printable,
)


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (12480, "12 480"), (1234567, "1 234 567")])
def test_counts_are_written_in_groups_of_three_digits(number, text):
    assert format_count(number) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_996, "10.0 kB"),
        (526_336, "526 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (6_570_000_000, "6.57 GB"),
        (5e18, "5.00 EB"),
        (5e21, "5000 EB"),
    ],
)
def test_sizes_have_three_significant_digits_and_decimal_units(size, text):
    assert format_bytes(size) == text


@given(st.floats(0, 9.99e20))
def test_sizes_never_take_more_than_seven_cells(size):
    assert len(format_bytes(size)) <= len("9.99 GB")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "4 ms"),
        (0.9996, "1.0 s"),
        (3.24, "3.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (92, "1 min 32 s"),
        (3720, "1 h 02 min"),
        (183_600, "2 d 03 h"),
    ],
)
def test_durations_are_written_with_two_units_at_most(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a few seconds"),
        (41, "about 50 s"),
        (90, "about 90 s"),
        (91, "about 2 min"),
        (5400, "about 90 min"),
        (6000, "about 2 h"),
        (200_000, "about 3 d"),
    ],
)
def test_estimates_are_round_and_rather_too_long(seconds, text):
    assert format_estimate(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0/s"), (0.25, "0.2/s"), (4.1, "4.1/s"), (9.96, "10/s"), (3800.4, "3 800/s")]
)
def test_slow_rates_have_a_decimal(rate, text):
    assert format_rate(rate) == text


def test_rates_of_bytes_have_the_units_of_bytes():
    assert format_byte_rate(215_000_000) == "215 MB/s"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.dcm", "plain.dcm"),
        ("Müller 病院.dcm", "Müller 病院.dcm"),
        ("Nippon\u3000Hospital", "Nippon\u3000Hospital"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[31mred\x9b2J", "\\x1b[31mred\\x9b2J"),
        ("safe\u202egnp.dcm", "safe\\u202egnp.dcm"),
        (os.fsdecode(b"caf\xe9.dcm"), "caf\\xe9.dcm"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
    ],
)
def test_harmful_characters_in_names_are_escaped(name, text):
    assert printable(name) == text


@given(st.text(st.characters(codec=None)))
def test_every_name_can_be_written_to_a_terminal(name):
    shown = printable(name)
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert not set(shown) & set("\n\r\t\v\f\x1b\x85\u2028\u2029")
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00042, "0.42 ms"),
        (0.000996, "1.0 ms"),
        (0.0041, "4.1 ms"),
        (0.00996, "10 ms"),
        (0.312, "312 ms"),
        (0.9996, "1.00 s"),
        (2.05, "2.05 s"),
        (92, "1 min 32 s"),
    ],
)
def test_latencies_have_two_or_three_digits(seconds, text):
    assert format_latency(seconds) == text
