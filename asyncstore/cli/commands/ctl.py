"""``asyncstore ctl``: one request to a run that is under way, and its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncstore.cli.asking import line_of_standard_input
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED, EXIT_OK
from asyncstore.cli.loop import run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options.grammar import value_of
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import broken, page_width
from asyncstore.control.client import ask
from asyncstore.errors import ControlFailed, UsageError
from asyncstore.model import Result
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_bytes,
    format_count,
    format_duration,
    format_estimate,
    format_rate,
    printable,
)
from asyncstore.observe.results import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asyncstore.cli.options.kinds import Kind
    from asyncstore.cli.options.table import Parsed

_VALUES: Mapping[str, Kind[object]] = {
    "limit-rate": cmd.REQUEST_VALUE.kind,
    "limit-stores": cmd.REQUEST_VALUE.kind,
    "associations": opt.ASSOCIATIONS.kind,
    "prioritise": cmd.REQUEST_VALUE.kind,
}
"""The requests that need a value, and what it is."""


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    journal, request = parsed[cmd.JOURNAL_FILE], parsed[cmd.REQUEST]
    answer = run_loop(ask(journal, request, _value_of(request, parsed[cmd.REQUEST_VALUE])))
    if parsed[cmd.CTL_JSON]:
        put(json.dumps(answer.get("status", answer), separators=(",", ":")))
        return EXIT_OK if answer.get("ok") else EXIT_NOT_ATTEMPTED
    if not answer.get("ok"):
        raise ControlFailed(journal, printable(str(answer.get("error", "the run refused, and did not say why"))))
    if not parsed[opt.QUIET]:
        try:
            lines = list(_lines(printable(journal), answer))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise ControlFailed(journal, "the answer makes no sense: does another version run?") from None
        put(*(part for line in lines for part in broken(line, page_width())))
    return EXIT_OK


def _value_of(request: str, word: str | None) -> object:
    """The value of a request.

    Raises:
        UsageError: it is missing, wrong, or one too many.
    """
    kind = _VALUES.get(request)
    if kind is None:
        if word is not None:
            raise UsageError(f"{request} takes no value, and {printable(word)!r} is given")
        return None
    if word is None:
        raise UsageError(f"{request}: no value is given; see {cmd.CTL.program} {opt.HELP.long}")
    if word == opt.STANDARD_STREAM:
        word = (line_of_standard_input() or "").strip()
        if not word:
            raise UsageError(f"{request} {opt.STANDARD_STREAM}: nothing was typed")
    return value_of(kind, (word,), request)


def _lines(journal: str, answer: Mapping[str, Any]) -> Iterator[str]:
    """What people read."""
    status = answer.get("status")
    if status is None:
        yield printable(str(answer["message"]))
    else:
        yield from _status_lines(journal, status)


def _status_lines(journal: str, status: Mapping[str, Any]) -> Iterator[str]:
    """The state of a run."""
    number = "A run" if status["run"] is None else f"Run {status['run']}"
    since = format_duration(status["seconds"])
    peer = printable(str(status["peer"]))
    yield f"{number} of {journal} (process {status['process']}) has been sending to {peer} for {since}."
    yield _counts(status)
    yield _speed(status)
    yield _lanes(status)
    if status["retries"] or status["retrying"]:
        waiting = counted(status["retrying"], "instance")
        yield f"{counted(status['retries'], 'attempt')} repeated; {waiting} waiting for the next one."
    yield from _held_up(journal, status)


def _counts(status: Mapping[str, Any]) -> str:
    found = f"{format_count(status['found'])}{'+' if status['walking'] else ''}"
    parts = [f"{format_count(status['stored'] + status['warning'])} of {found} files stored"]
    others = ((status[result], shown.word) for result, shown in SHOWN.items() if result is not Result.STORED)
    parts += [f"{format_count(count)} {word}" for count, word in others if count]
    return f"{', '.join([*parts, format_bytes(status['bytes'])])}."


def _speed(status: Mapping[str, Any]) -> str:
    parts = [format_rate(status["instances_per_second"]), format_byte_rate(status["bytes_per_second"])]
    if status["seconds_left"] is not None and status["state"] == "running":
        parts.append(f"{format_estimate(status['seconds_left'])} left")
    return f"{', '.join(parts)}."


def _lanes(status: Mapping[str, Any]) -> str:
    wanted = status["associations"]
    states = ", ".join(f"{count} {printable(state)}" for state, count in status["lane_states"].items())
    asked = "auto" if wanted is None else f"{wanted} wanted"
    return f"{counted(len(status['lanes']), 'association')} ({asked}){f': {states}' if states else ''}."


def _held_up(journal: str, status: Mapping[str, Any]) -> Iterator[str]:
    """What keeps the run from going on as fast as it can, and what to do."""
    paused, waiting = status["paused"], status["waiting"]
    for limit in status.get("limits") or ():
        yield f"Limited: {printable(str(limit))}."
    if waiting is not None:
        left = waiting["seconds_left"]
        until = "for as long as it takes" if left is None else f"for up to {format_duration(left)}"
        yield f"The peer is down, and the run waits for it {until}: {printable(str(waiting['reason']))}."
    if status["state"] == "stopping":
        yield "It is ending: files under way are finished."
        return
    if paused is not None:
        ago = format_duration(paused["seconds"])
        yield f"Paused {ago} ago by {printable(str(paused['by']))}: asyncstore ctl {journal} resume goes on."
    yield f"To end it: asyncstore ctl {journal} stop"
