"""The values that words mean."""

from __future__ import annotations

import math
import re
from zoneinfo import ZoneInfo

import pytest

from asyncstore.cli.options.kinds import (
    AETitle,
    Choice,
    Duration,
    Host,
    Integer,
    IntegerOrAuto,
    Patience,
    Rate,
    Seconds,
    Status,
    StatusRanges,
    TimeZone,
)
from asyncstore.schedule.timetable import rate_table, stores_table


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (Host("peer"), "pacs.example.org", "pacs.example.org"),
        (Host("peer"), "fe80::1:104", "fe80::1:104"),
        (Host("peer"), "", ""),
        (Integer("N"), "-1", -1),
        (Integer("N", 1), " +5 ", 5),
        (IntegerOrAuto("N", 1, 9), "auto", None),
        (IntegerOrAuto("N", 1, 9), "9", 9),
        (Duration("D", "1s"), "90s", 90),
        (Duration("D", "1s"), "1h30m", 5400),
        (Duration("D", "1s"), "1.5H", 5400),
        (Duration("D", "1s"), "2d", 172800),
        (Duration("D", "1s"), "200ms", 0.2),
        (Duration("D", "1s"), "10min", 600),
        (Rate("R", "bytes"), "2M", rate_table("2M")),
        (Rate("R", "stores"), "07:00,600/min 18:00,off", stores_table("07:00,10 18:00,off")),
        (TimeZone("Z"), "Europe/Berlin", ZoneInfo("Europe/Berlin")),
        (Seconds(), "0.0054", 0.005),
        (Seconds(), "2", 2.0),
        (Choice("X", ("info", "debug")), "DEBUG", "debug"),
        (AETitle(), " STORE SCP ", "STORE SCP"),
        (AETitle(), "SIXTEENCHARACTER", "SIXTEENCHARACTER"),
        (Status({"success": 0}), "Success", 0),
        (Status({"success": 0}), "0xA700", 0xA700),
        (StatusRanges("S"), "0110", (range(0x0110, 0x0111),)),
        (StatusRanges("S"), "0110, 0xc000-C0FF", (range(0x0110, 0x0111), range(0xC000, 0xC100))),
        (Patience("S"), "Forever", math.inf),
        (Patience("S"), "0.5", 0.5),
    ],
)
def test_good_words(kind, word, value):
    assert kind.parse([word]) == value


@pytest.mark.parametrize(
    ("kind", "word", "reason"),
    [
        (Host("peer"), "localhost:4242", "host and port are two words: localhost 4242"),
        (Integer("N"), "1x", "'1x' is not an integer"),
        (Integer("N"), "1.5", "'1.5' is not an integer"),
        (Integer("N"), "1_000", "'1_000' is not an integer"),
        (Integer("N"), "", "'' is not an integer"),
        (Integer("N"), "٣", "'٣' is not an integer"),
        (Integer("N", 1), "0", "0 is out of range (at least 1)"),
        (IntegerOrAuto("N", 1, 9), "all", "'all' is neither an integer nor auto"),
        (IntegerOrAuto("N", 1, 9), "10", "10 is out of range (1..9)"),
        (Seconds(), "-1", "-1.0 is out of range (at least 0)"),
        (Seconds(), "nan", "'nan' is not a number of seconds"),
        (Seconds(), "1e999", "'1e999' is not a number of seconds"),
        (Seconds(), "soon", "'soon' is not a number of seconds"),
        (Duration("D", "90s, or 6h"), "90", "'90' has no unit; write, for example, 90s, or 6h"),
        (Duration("D", "90s"), "6 hours", "'6 hours' is no duration; write, for example, 90s"),
        (Duration("D", "90s"), "h", "'h' is no duration; write, for example, 90s"),
        (Duration("D", "90s"), "0s", "'0s' is no time at all"),
        (
            TimeZone("Z"),
            "Berlin",
            "'Berlin' is no time zone that this machine knows; write, for example, Europe/Berlin",
        ),
        (
            TimeZone("Z"),
            "../UTC",
            "'../UTC' is no time zone that this machine knows; write, for example, Europe/Berlin",
        ),
        (TimeZone("Z"), "", "'' is no time zone that this machine knows; write, for example, Europe/Berlin"),
        (Choice("X", ("info", "debug")), "all", "'all' is none of info, debug"),
        (AETitle(), "  ", "an AE title cannot be empty"),
        (AETitle(), "A\\B", r"'A\\B' is no AE title: only ASCII characters without backslash are allowed"),
        (AETitle(), "MÜLLER", "'MÜLLER' is no AE title: only ASCII characters without backslash are allowed"),
        (AETitle(), "A" * 17, f"'{'A' * 17}' is no AE title: 17 characters, and 16 are allowed"),
        (StatusRanges("S"), "A7", "'A7' is neither a status like A700 nor a range like C000-C0FF"),
        (StatusRanges("S"), "A700-", "'A700-' is neither a status like A700 nor a range like C000-C0FF"),
        (StatusRanges("S"), "A700-A7-1", "'A700-A7-1' is neither a status like A700 nor a range like C000-C0FF"),
        (StatusRanges("S"), "C0FF-C000", "'C0FF-C000' is an empty range"),
        (Patience("S"), "-1", "-1.0 is out of range (at least 0)"),
        (Patience("S"), "ever", "'ever' is neither a number of seconds nor forever"),
        (Status({"success": 0}), "A700", "'A700' is neither a status like 0xA700 nor one of success"),
    ],
)
def test_bad_words(kind, word, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        kind.parse([word])
