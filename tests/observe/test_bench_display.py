import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from asyncstore.observe.bench_display import open_bench_display
from asyncstore.observe.bench_frame import bench_frame
from asyncstore.observe.bench_view import BenchView, Percentiles, bench_line
from asyncstore.observe.output import Output
from asyncstore.observe.terminal import Terminal
from support.screen import Screen

VIEW = BenchView(
    phase="rate 500/s",
    number=2,
    phases=3,
    is_counted=True,
    fraction=0.4,
    phase_left=6.0,
    seconds_left=30.0,
    offered=500.0,
    rate=412.0,
    byte_rate=213e6,
    so_far=Percentiles(0.0041, 0.012, 0.031),
    recent=Percentiles(0.004, 0.011, 2.05),
    stored=12_480,
    failed=3,
    unknown=1,
    dropped=12,
    associations=8,
    lost=1,
    rates=(100.0, 200.0, 400.0, 412.0),
    p99s=(0.01, None, 0.02, 0.031),
)
CLOSED = VIEW._replace(phase="4 associations", offered=None, failed=0, unknown=0, dropped=0, lost=0)


def text(view, width=80, height=24, notice=""):
    return "\n".join(line.plain.rstrip() for line in bench_frame(view, notice, width, height))


@settings(deadline=None)
@given(
    st.integers(1, 220),
    st.integers(1, 40),
    st.sampled_from(["", "stopping " * 20]),
    st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=300),
)
def test_a_frame_always_leaves_a_row_and_a_column_free(width, height, notice, values):
    view = VIEW._replace(rates=tuple(value or 0.0 for value in values), p99s=tuple(values), phase="stage " * 20)
    lines = bench_frame(view, notice, width, height)
    assert len(lines) <= height - 1
    assert all(line.cell_len < max(width, 3) for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_it_says_the_phase_the_rates_the_percentiles_and_what_was_lost(width):
    shown = text(VIEW, width)
    for words in (
        "rate 500/s (2 of 3), 6 s left",
        "about 30 s left of all",
        "412/s of 500/s offered   213 MB/s   8 associations (1 lost so far)",
        "p50 4.1 ms   p95  12 ms   p99  31 ms   the phase",
        "p50 4.0 ms   p95  11 ms   p99 2.05 s   last 5 s",
        "12 480   3 failed   1 unknown   12 dropped",
        "412/s   ▂▄██",
        "31 ms   ▃·▆█",
    ):
        assert words in shown
    assert "stopping" in text(VIEW, width, notice="stopping")


def test_a_closed_load_offers_nothing_and_shows_no_losses():
    shown = text(CLOSED)
    assert "offered" not in shown
    assert "failed" not in shown


def test_a_warm_up_says_that_it_does_not_count():
    assert "warm-up (1 of 3), does not count, 6 s left" in text(
        VIEW._replace(phase="warm-up", number=1, is_counted=False)
    )


def test_a_phase_whose_time_is_over_says_what_it_waits_for():
    assert "finishing what is under way" in text(VIEW._replace(phase_left=0.0))


def test_a_phase_that_has_not_begun_says_what_it_waits_for():
    waiting = VIEW._replace(wanted=12)
    shown = text(waiting, width=100)
    assert "rate 500/s (2 of 3), waiting for associations to open, 8 of 12 are open" in shown
    assert "412/s of" not in shown
    assert len(shown.split("\n")) == len(text(VIEW).split("\n"))
    assert bench_line(waiting) == "rate 500/s: waiting for associations to open, 8 of 12 are open"


def test_why_no_association_is_open_is_shown():
    away = VIEW._replace(associations=0, problem="reset by the peer")
    assert "no association is open: reset by the peer" in text(away)
    assert "0 associations (1 lost so far): reset by the peer, about 30 s left" in bench_line(away)
    assert bench_line(away._replace(phase_left=0.0)).endswith("reset by the peer, finishing what is under way")


def test_what_is_done_before_the_first_phase_is_shown_on_a_terminal_only():
    screen = Screen()
    with open_bench_display(Terminal(Console(file=screen, width=40, height=24)), "the title") as display:
        display.log("a warning")
        display.status("asking the PACS what it accepts, in many words")
        assert "a warning" in "\n".join(screen.lines)
        assert "asking the PACS what" in "\n".join(screen.lines)
    assert "asking" not in "\n".join(screen.lines)
    stream = io.StringIO()
    with open_bench_display(Output(stream), "the title") as display:
        display.status("asking")
    assert stream.getvalue() == "the title\n"


def test_lines_do_not_move_when_something_fails():
    assert len(text(VIEW).split("\n")) == len(text(CLOSED).split("\n"))


def test_a_terminal_without_the_characters_gets_plainer_ones():
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal = Terminal(Console(file=screen, force_terminal=True, width=80, height=24))
    terminal.write(text(VIEW))
    screen.seek(0)
    shown = screen.read()
    assert "?" not in shown
    assert "412/s   .-##" in shown


def test_a_line_for_logs_has_the_same_numbers():
    assert bench_line(VIEW) == (
        "rate 500/s: 412/s of 500/s offered, 213 MB/s, p50 4.1 ms, p95 12 ms, p99 31 ms, 3 failed, 1 unknown, "
        "12 dropped, 8 associations (1 lost so far), about 30 s left"
    )


def test_a_file_gets_the_title_and_a_line_every_ten_seconds():
    stream = io.StringIO()
    with open_bench_display(Output(stream), "the title") as display:
        for quarter in range(4 * 25):
            display.refresh(VIEW, 1000 + quarter / 4)
        display.notice("stopping")
    assert stream.getvalue().splitlines() == ["the title", bench_line(VIEW), bench_line(VIEW), "stopping"]


def test_progress_off_shows_only_lines_of_the_log():
    stream = io.StringIO()
    with open_bench_display(Output(stream), "the title", "off") as display:
        for second in range(100):
            display.refresh(VIEW, second)
        display.log("a\nwarning")
    assert stream.getvalue().splitlines() == ["a\\nwarning"]


def test_a_terminal_shows_frames_in_place_and_keeps_only_the_log():
    screen = Screen()
    with open_bench_display(Terminal(Console(file=screen, width=80, height=24)), "the title") as display:
        display.refresh(VIEW, 0)
        display.log("a warning")
        display.refresh(VIEW._replace(stored=13_000), 0.25)
        display.notice("stopping")
        display.refresh(VIEW._replace(stored=14_000), 0.5)
        assert "14 000" in "\n".join(screen.lines)
        assert "13 000" not in "\n".join(screen.lines)
        assert "stopping" in "\n".join(screen.lines)
    assert screen.lines == ["the title", "a warning"]
    assert screen.cursor_visible
