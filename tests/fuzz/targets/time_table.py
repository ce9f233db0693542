"""Rates and time tables of rates.

The first bytes of an input choose what is limited, and an instant; the text follows.
"""

import math

from asyncstore.schedule.timetable import BYTES_EXAMPLE, STORES_EXAMPLE, bytes_rate, parse_table, stores_rate

EXPECTED = ()
_INSTANT = 5


def seeds():
    """Rates and tables, right and wrong ones."""
    for text in ("2M", "off", "512Ki/s", "10/s", "600/min", "Mon-Fri 07:00,2M 18:00,off Sat Sun 00:00,off",
                 "07:00,10/s 18:00,pause", "Sun-Tue 2:30,1", "Mon 25:00,1"):  # fmt: skip
        for number in (0, 1):
            yield bytes((number,)) + (1_790_000_000).to_bytes(_INSTANT - 1, "big") + text.encode()


def execute(data, _):
    """A table gives a rate at each instant, and its next change lies ahead."""
    is_stores = bool(data[:1] > b"\x7f" or data[:1] == b"\1")
    instant = float(int.from_bytes(data[1:_INSTANT], "big"))
    read, example = (stores_rate, STORES_EXAMPLE) if is_stores else (bytes_rate, BYTES_EXAMPLE)
    try:
        table = parse_table(data[_INSTANT:].decode(errors="replace"), read, example)
    except ValueError as error:
        if example not in str(error):
            raise AssertionError(f"without an example: {error}") from error
        return
    for _ in range(3):
        rate = table.rate_at(instant)
        assert rate is None or (rate >= 0 and not math.isnan(rate))
        change = table.next_change(instant)
        if change is None:
            return
        assert change > instant
        instant = change
