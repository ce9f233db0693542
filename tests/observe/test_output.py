import io

import pytest
from rich.console import Console

from asyncstore.observe.display import open_output
from asyncstore.observe.output import Output, line_of, plain
from asyncstore.observe.terminal import Terminal
from support.screen import Screen


@pytest.fixture(autouse=True)
def _nothing_forced(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def test_a_line_says_the_same_with_styles_and_without():
    assert plain(("  ", ("failed", "red"), "  2")) == "  failed  2"
    assert plain(line_of("done", "green")) == plain(line_of("done")) == "done"


def test_a_pipe_gets_whole_lines_without_colours_whatever_columns_say(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    file = io.StringIO()
    output = open_output(file)
    output.print(line_of("word " * 100, "red"), ())
    assert file.getvalue() == "word " * 100 + "\n\n"
    assert output.width is None


def test_colours_may_be_forced_on_a_pipe_which_still_has_no_width(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    output = open_output(file)
    output.print(("  ", ("failed", "red")))
    assert file.getvalue() == "  \x1b[31mfailed\x1b[0m\n"
    assert (output.width, output.is_redrawable) == (None, False)


def test_a_terminal_has_colours_a_width_and_lines_to_draw_anew():
    terminal = Terminal(Console(file=Screen(), width=90))
    assert terminal.rendered([line_of("failed", "red"), line_of("plain")]) == "\x1b[31mfailed\x1b[0m\nplain\n"
    assert (terminal.width, terminal.is_redrawable) == (90, True)


def test_a_quiet_output_writes_nothing():
    screen = Screen()
    open_output(screen, quiet=True).print(line_of("a line"))
    assert screen.writes == 0


def test_a_stream_that_is_gone_is_tried_once():
    file = io.StringIO()
    output = Output(file)
    file.close()
    output.print(line_of("a line"))
    assert output.error is not None
    output.print(line_of("a line"))
