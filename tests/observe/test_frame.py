import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.model import LaneState
from asyncstore.observe.frame import View, frame
from asyncstore.observe.tally import Rate, Tally
from support.samples import failed, lane, not_sent, progress, skipped, stored, unknown, warned, withdrawn


def _view(*outcomes, lanes=(), walking=False, **fields):
    tally = Tally(0.0)
    tally.add(outcomes)
    now = progress(31_000, walking=walking, lanes=lanes, sent=6_570_000_000)
    fields = {"fraction": 0.4, "seconds": 31.0, "seconds_left": 50.0, **fields}
    return View(tally, now, Rate(410.0, 215_000_000.0), **fields)


def _lines(view, width=80, height=24):
    return [line.plain.rstrip() for line in frame(view, width, height)]


def _text(view, width=80, height=24):
    return "\n".join(_lines(view, width, height))


def _lanes(count, **fields):
    return [lane(number, f"/archive/2019/series/IM{number:04}.dcm", **fields) for number in range(1, count + 1)]


_OUTCOMES = [failed(), warned(), not_sent("/文書/\x1b[2J\n.dcm"), unknown(), skipped(), *stored(3), *[failed()] * 4]
_STATES = st.sampled_from(LaneState)
_LANES = st.lists(_STATES, max_size=140).map(
    lambda states: [
        lane(number, None if state is LaneState.WAITING else f"/archive/検査/IM{number}.dcm", state, number * 1.7)
        for number, state in enumerate(states, start=1)
    ]
)


@settings(deadline=None)
@given(_LANES, st.integers(1, 220), st.integers(1, 60), st.booleans(), st.sampled_from(["", "stopping " * 20]))
def test_a_frame_always_leaves_a_row_and_a_column_free(lanes, width, height, walking, notice):
    """A frame as high or as wide as the terminal would make it scroll."""
    lines = frame(_view(*_OUTCOMES, lanes=lanes, walking=walking, notice=notice), width, height)
    assert len(lines) <= height - 1
    assert all(line.cell_len < max(width, 3) for line in lines)
    assert all(character.isprintable() for line in lines for character in line.plain)


def test_it_says_how_much_is_done_how_fast_and_how_long_it_will_take():
    numbers = _lines(_view(*stored(480, size=13_687_500)))[2]
    assert numbers == "    480 of 31 000 files   6.57 GB    215 MB/s      410/s        about 50 s left"


def test_during_the_walk_it_says_that_the_total_grows():
    text = _text(_view(*stored(480), walking=True))
    assert "480 of 31 000+ found" in text
    assert "walking" in text
    assert "%" not in text


def test_once_the_walk_is_over_the_share_done_is_a_number():
    assert "40 %" in _lines(_view(fraction=0.4))[1]


@pytest.mark.parametrize("width", [80, 200])
def test_the_bar_is_as_long_as_the_share_done(width):
    bar = _lines(_view(fraction=0.5), width)[1].split()[0]
    assert bar.count("━") == pytest.approx(len(bar) / 2, abs=1)
    assert set(_lines(_view(fraction=1.0), width)[1].split()[0]) == {"━"}


def test_no_time_left_is_shown_while_nobody_can_tell():
    assert "left" not in _text(_view(seconds_left=None))


def test_a_wide_terminal_also_shows_the_time_gone():
    assert "0:00:31 elapsed, about 50 s left" in _text(_view(), width=120)


def test_a_narrow_terminal_keeps_the_count_and_the_time_left():
    assert _lines(_view(*stored(480)), width=45)[2] == "    480 of 31 000 files      about 50 s left"


def test_each_association_has_a_row_with_its_file_size_and_count():
    lines = _lines(_view(lanes=_lanes(8)))
    rows = [line for line in lines if "sending" in line]
    assert len(rows) == 8
    assert rows[2].split() == ["3", "sending", "/archive/2019/series/IM0003.dcm", "526", "kB", "7"]


def test_columns_stand_under_their_heads():
    head, row = _lines(_view(lanes=[lane(seconds=12.0)]))[4:6]
    assert head.index("file") == row.index("/archive")
    assert head.index("age") + len("age") == row.index("12 s") + len("12 s")
    assert len(head) == len(row)


def test_a_store_that_takes_less_than_a_second_has_no_age():
    assert " s " not in _lines(_view(lanes=[lane(seconds=0.9)]))[5]


@pytest.mark.parametrize(("seconds", "age"), [(1.2, "1 s"), (75, "1 min"), (7300, "2 h")])
def test_a_store_that_takes_longer_shows_its_age(seconds, age):
    assert age in _lines(_view(lanes=[lane(seconds=seconds)]))[5]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 24), (200, 50)])
def test_32_associations_fit_with_their_files(width, height):
    text = _text(_view(*_OUTCOMES, lanes=_lanes(32)), width, height)
    for number in range(1, 33):
        assert f"IM{number:04}.dcm" in text


def test_an_old_store_is_noted_also_where_lanes_stand_side_by_side():
    lanes = [*_lanes(31), lane(32, "/archive/large.dcm", seconds=75.0)]
    assert "1 min" in _text(_view(lanes=lanes))


def test_associations_without_room_are_added_up():
    assert "78 more associations: 78 sending, 546 stored" in _text(_view(*_OUTCOMES, lanes=_lanes(128)))


def test_results_are_counted_and_only_those_that_occur():
    assert "8 stored" in _text(_view(*stored(8)))
    assert "failed" not in _text(_view(*stored(8)))
    text = _text(_view(*stored(8), failed(), warned(), not_sent(), unknown(), skipped()), width=100)
    assert "8 stored   1 with a warning   1 failed   1 not sent   1 unknown   1 skipped" in text


def test_statuses_are_counted_in_words_failures_first():
    text = _text(_view(warned(), warned(), failed(status=0xC000), failed(), failed()), width=120)
    assert "2 x 0xA700 out of resources   0xC000 cannot understand   2 x 0xB000" in text


def test_the_last_failures_are_named_with_their_reason():
    lines = _lines(_view(failed("/archive/a.dcm"), not_sent("/archive/b.txt")))
    assert lines[-2:] == [
        " 0xA700 out of resources   /archive/a.dcm",
        " not a DICOM file          /archive/b.txt",
    ]


def test_names_are_neither_markup_nor_control_sequences():
    name = "/archive/[red]x[/red]\x1b[31m\n.dcm"
    text = _text(_view(not_sent(name), lanes=[lane(path=name)]), width=120)
    assert text.count("/archive/[red]x[/red]\\x1b[31m\\n.dcm") == 2


@pytest.mark.parametrize("walking", [True, False])
def test_a_run_that_is_to_end_says_so_and_counts_no_file_that_was_withdrawn(walking):
    text = _text(_view(*stored(480), *[withdrawn()] * 900, walking=walking, seconds_left=None))
    assert "─ stopping" in text.replace("┄", "─")
    assert "walking" not in text
    assert "%" not in text
    assert " 480 of 31 000" in text
    assert "480 stored   900 not sent" in text


def test_bytes_are_those_stored():
    assert "  3.00 kB  " in _lines(_view(*stored(3), *[failed()] * 5))[2]


def test_a_notice_stays_in_view_and_moves_nothing():
    before, after = (_lines(_view(lanes=_lanes(4), notice=notice)) for notice in ("", "stopping: Ctrl-C again aborts"))
    assert [line for line in after if line not in before] == [" stopping: Ctrl-C again aborts"]
    assert len(before) == len(after)


def test_failures_do_not_make_the_lanes_move():
    before, after = (_lines(_view(*outcomes, lanes=_lanes(32))) for outcomes in ([], _OUTCOMES))
    assert [line for line in before if "IM00" in line] == [line for line in after if "●" in line]


@pytest.mark.parametrize("height", range(2, 12))
def test_even_the_lowest_terminal_shows_the_numbers(height):
    assert "480 of 31 000 files" in _text(_view(*stored(480), lanes=_lanes(32)), height=height)
