import io
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from rich.console import Console

from asyncstore.observe.display import LogLines, open_display, open_output
from asyncstore.observe.live import LiveDisplay
from asyncstore.observe.output import Output
from asyncstore.observe.plain import PlainDisplay
from asyncstore.observe.tally import Tally
from asyncstore.observe.terminal import Terminal
from support.samples import failed, lane, progress, stored
from support.screen import Screen

_TITLE = "sending to pacs.example.org:11112 (ANY-SCP)"


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    """An ordinary terminal, independent of the one that the tests run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def _terminal_of(screen, width=80, height=24):
    return Terminal(Console(file=screen, width=width, height=height))


def _live(width=80, height=24):
    screen = Screen(width, height)
    terminal = _terminal_of(screen, width, height)
    return screen, terminal.console, LiveDisplay(terminal, _TITLE)


def _tally(*outcomes):
    tally = Tally(0.0)
    tally.add(outcomes)
    return tally


def _sample(lanes=4):
    return progress(31_000, walking=True, lanes=[lane(number) for number in range(1, lanes + 1)])


class _Broken(io.TextIOBase):
    """A standard error whose reader has gone."""

    encoding = "utf-8"

    def __init__(self, terminal):
        self._terminal = terminal
        self.tries = 0

    def isatty(self):
        return self._terminal

    def write(self, _text):
        self.tries += 1
        raise BrokenPipeError(32, "Broken pipe")


def test_a_terminal_gets_the_live_display():
    assert isinstance(open_display(open_output(Screen()), _TITLE), LiveDisplay)


def test_a_pipe_gets_lines_even_if_colours_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(open_display(open_output(io.StringIO()), _TITLE), PlainDisplay)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display(open_output(Screen()), _TITLE), PlainDisplay)


@pytest.mark.slow
def test_a_display_for_a_pipe_does_not_import_rich():
    """Its import takes 25 to 50 ms."""
    program = """
import io, sys
import asyncstore.cli.commands.send
from asyncstore.observe.display import open_display, open_output
from asyncstore.observe.summary import Ending, print_summary
from asyncstore.observe.tally import Tally
output = open_output(io.StringIO())
with open_display(output, "sending") as display:
    display.log("a line")
print_summary(output, Tally(0.0), Ending(1.0, 0))
print("rich" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_off_shows_nothing_but_the_log():
    screen = Screen()
    with open_display(_terminal_of(screen), _TITLE, "off") as display:
        display.refresh(_tally(*stored(5)), _sample(), 60.0)
        display.log("a line")
        display.notice("stopping")
    assert screen.lines == ["a line", "stopping"]


def test_each_frame_takes_the_place_of_the_one_before():
    screen, _, display = _live()
    with display:
        for tick in range(1, 30):
            display.refresh(_tally(*stored(tick)), _sample(), tick / 4)
        assert screen.lines[0] == _TITLE
        assert sum("of 31 000+ found" in line for line in screen.lines) == 1
        assert "29 of 31 000+ found" in screen.lines[3]
        assert not screen.history


def test_a_frame_is_written_at_once():
    """Nobody sees half a frame."""
    screen, _, display = _live()
    with display:
        before = screen.writes
        display.log("a line")
        display.refresh(_tally(), _sample(), 1.0)
        assert screen.writes == before + 1


def test_a_shorter_frame_leaves_nothing_of_the_longer_one():
    screen, _, display = _live()
    with display:
        display.refresh(_tally(), _sample(lanes=9), 1.0)
        display.refresh(_tally(), _sample(lanes=1), 2.0)
        assert sum("sending" in line for line in screen.lines[1:]) == 1


def test_log_lines_scroll_above_the_frame_and_stay():
    screen, _, display = _live(height=24)
    with display:
        for tick in range(1, 41):
            display.log(f"line {tick}")
            display.refresh(_tally(*stored(tick)), _sample(), tick / 4)
        assert "40 of 31 000+ found" in "\n".join(screen.lines)
    seen = [line.rstrip() for line in [*screen.history, *screen.lines]]
    assert seen == [_TITLE, *(f"line {tick}" for tick in range(1, 41))]


def test_a_line_wider_than_the_terminal_is_shown_whole():
    screen, _, display = _live(width=40)
    with display:
        display.log("#" * 100)
        display.refresh(_tally(), _sample(), 1.0)
        display.refresh(_tally(), _sample(), 2.0)
    assert "".join(screen.lines).count("#") == 100


def test_lines_logged_before_and_after_the_run_are_shown_at_once():
    screen, _, display = _live()
    display.log("before")
    assert screen.lines == ["before"]
    with display:
        pass
    display.log("after")
    assert screen.lines == ["before", _TITLE, "after"]


def test_lines_logged_since_the_last_frame_are_not_lost_at_the_end():
    screen, _, display = _live()
    with display:
        display.refresh(_tally(), _sample(), 1.0)
        display.log("the last")
    assert screen.lines == [_TITLE, "the last"]


def test_lines_may_come_from_other_threads():
    screen, _, display = _live(height=200)
    with display:
        threads = [
            threading.Thread(target=lambda: [display.log(f"line {number}") for number in range(20)]) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        display.refresh(_tally(), _sample(), 1.0)
        for thread in threads:
            thread.join()
    assert sum(line.startswith("line") for line in screen.lines) == 100


def test_the_frame_is_gone_when_the_run_is_over_and_the_cursor_is_there_even_if_it_is_killed():
    screen, _, display = _live()
    with display:
        display.refresh(_tally(*stored(3)), _sample(), 1.0)
        assert screen.cursor_visible
    assert screen.lines == [_TITLE]
    assert screen.cursor_visible
    assert screen.wraps


def test_an_exception_leaves_the_terminal_clean_too():
    screen, _, display = _live()
    with suppress(KeyboardInterrupt), display:
        display.refresh(_tally(*stored(3)), _sample(), 1.0)
        raise KeyboardInterrupt
    assert screen.lines == [_TITLE]
    assert screen.cursor_visible


@pytest.mark.parametrize("width", [50, 79, 81, 160])
def test_a_terminal_made_narrower_or_wider_shows_one_whole_frame(width):
    screen, console, display = _live(width=120, height=60)
    with display:
        display.log("a line")
        display.refresh(_tally(*stored(3), failed()), _sample(), 1.0)
        screen.resize(width)
        console.size = (width, 60)
        for now in (2.0, 2.25):
            display.refresh(_tally(*stored(4), failed()), _sample(), now)
        assert screen.lines[:2] == [_TITLE, "a line"]
        assert sum("of 31 000+ found" in line for line in screen.lines) == 1
        assert max(map(len, screen.lines)) < width
    assert screen.lines == [_TITLE, "a line"]


def test_nothing_is_drawn_until_the_size_of_the_terminal_stays():
    """While somebody drags its corner, the terminal may have another size than it says."""
    screen, console, display = _live()
    with display:
        display.refresh(_tally(), _sample(), 1.0)
        writes = screen.writes
        for width in (70, 60, 50):
            console.size = (width, 24)
            display.refresh(_tally(), _sample(), 2.0)
        assert screen.writes == writes
        display.refresh(_tally(), _sample(), 2.25)
        assert screen.writes == writes + 1


@pytest.mark.parametrize("heights", [(10, 24), (10, 9, 17, 24), (5, 60), (23, 24), (3, 1, 24)])
@pytest.mark.parametrize("logged", [1, 40])
def test_a_terminal_made_lower_and_higher_again_has_no_rows_of_earlier_frames(heights, logged):
    screen, console, display = _live(width=80, height=24)
    lines = [_TITLE, *(f"line {number}" for number in range(logged))]
    with display:
        for line in lines[1:]:
            display.log(line)
        display.refresh(_tally(*stored(3), failed()), _sample(), 1.0)
        for height in heights:
            screen.resize(80, height)
            console.size = (80, height)
            for now in (2.0, 2.25):
                display.refresh(_tally(*stored(4), failed()), _sample(), now)
        assert sum("of 31 000+ found" in line for line in [*screen.history, *screen.lines]) == 1
    assert [line.rstrip() for line in [*screen.history, *screen.lines]] == lines


def test_hostile_names_reach_the_terminal_escaped():
    screen, _, display = _live(width=120)
    with display:
        display.log("\x1b]0;owned\x07 and \x1b[2J")
        display.refresh(_tally(failed("/a\n\x1b[1A\udce9[blink].dcm")), _sample(), 1.0)
        assert "\\x1b]0;owned\\x07 and \\x1b[2J" in screen.lines
        assert any("/a\\n\\x1b[1A\\xe9[blink].dcm" in line for line in screen.lines)


def test_a_terminal_that_knows_only_ascii_gets_ascii():
    screen, _, display = _live()
    screen.encoding = "ascii"
    with display:
        display.refresh(_tally(failed("/検査/IM1.dcm")), _sample(), 1.0)
        assert all(line.isascii() for line in screen.lines)
        assert any("/????/IM1.dcm" in line for line in screen.lines)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_closed_standard_error_ends_the_display_but_not_the_run(terminal):
    file = _Broken(terminal)
    with open_display(open_output(file), _TITLE) as display:
        for tick in range(200):
            display.refresh(_tally(*stored(3)), _sample(), float(tick))
            display.log("a line")
    assert file.tries == 1


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_a_terminal_that_is_stopped_is_not_waited_for():
    """Ctrl-S stops it. Lines logged meanwhile are shown when it goes on."""
    import pty  # Windows has none
    import termios

    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as shown, os.fdopen(theirs, "w") as file:
        display = open_display(open_output(file), _TITLE)
        with display:
            os.read(shown.fileno(), 1 << 16)
            termios.tcflow(theirs, termios.TCOOFF)
            display.log("a line")
            for tick in range(200):
                display.refresh(_tally(*stored(3)), _sample(), float(tick))
            termios.tcflow(theirs, termios.TCOON)
            display.refresh(_tally(*stored(3)), _sample(), 200.0)
            assert b"a line" in os.read(shown.fileno(), 1 << 16)


def test_a_quiet_console_stays_quiet():
    screen = Screen()
    with open_display(open_output(screen, quiet=True), _TITLE) as display:
        display.refresh(_tally(*stored(3)), _sample(), 1.0)
        display.log("a line")
    assert screen.lines == [""]


@pytest.mark.slow
def test_elsewhere_a_line_is_shown_at_the_start_and_every_30_seconds():
    file = io.StringIO()
    tally = Tally(0.0)
    with open_display(open_output(file), _TITLE) as display:
        for tick in range(1, 4 * 70):
            tally.add(stored(100))
            if tick == 100:
                tally.add([failed()] * 3)
            display.refresh(tally, progress(31_000, walking=tick < 200, sent=tally.bytes), tick / 4)
    assert file.getvalue().splitlines() == [
        _TITLE,
        "12 000 of 31 000+ stored, 3 failed, 400/s, 400 kB/s",
        "24 000 of 31 000 stored, 3 failed, 400/s, 400 kB/s, about 20 s left",
    ]


def test_a_notice_elsewhere_is_a_line():
    file = io.StringIO()
    with open_display(open_output(file), _TITLE) as display:
        display.notice("stopping")
    assert file.getvalue().splitlines() == [_TITLE, "stopping"]


def test_log_records_become_lines_in_the_colour_of_their_level():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=80)
    lines = LogLines(open_display(Terminal(console), _TITLE, "off"))
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        lines.handle(logging.LogRecord("asyncstore", level, "", 0, "of %s", (logging.getLevelName(level),), None))
    assert file.getvalue() == "of INFO\n\x1b[33mof WARNING\x1b[0m\n\x1b[31mof ERROR\x1b[0m\n"


def test_a_record_of_several_lines_becomes_several_lines():
    file = io.StringIO()
    lines = LogLines(open_display(Output(file), _TITLE, "off"))
    lines.handle(logging.LogRecord("asyncstore", logging.INFO, "", 0, "one\ntwo", (), None))
    assert file.getvalue() == "one\ntwo\n"
