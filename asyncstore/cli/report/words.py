"""The words that the text and the page share: the verdict, states, times.

Rules:

1. The verdict is one sentence and comes first. Each number in it is a number of files.
2. Times are those of UTC, to the minute.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asyncstore.cli.report.facts import NOT_STORED
from asyncstore.journal.values import STATE_AFTER, State
from asyncstore.observe.formatting import (
    counted,
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    printable,
)
from asyncstore.observe.results import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.cli.report.facts import Facts
    from asyncstore.journal.accounts import Run

WORDS = {state: SHOWN[result].word for result, state in STATE_AFTER.items()} | {State.WAITING: "waiting"}
"""For each state."""
_VERBS = {
    State.FAILED: ("failed", "failed"),
    State.NOT_SENT: ("was not sent", "were not sent"),
    State.UNKNOWN: ("is unknown", "are unknown"),
    State.WAITING: ("waits", "wait"),
}


STUDIES_SO_FAR = "Files that have not ended yet are in none of them."


def bytes_words(facts: Facts, state: State) -> str:
    """The bytes of the data sets in a state. Nobody has looked into files that wait without a record."""
    size = format_bytes(facts.account.bytes[state])
    if state is not State.WAITING or not facts.account.without_row:
        return size
    return f"over {size}" if facts.account.bytes[state] else "not known"


def verdict(facts: Facts) -> str:
    """How the migration stands, in one sentence."""
    sums = facts.account
    counts, found = sums.states, sums.found
    if not found:
        return "No file was found."
    files = counted(found, "file")
    if facts.is_catalogue and not sums.stored:
        unsendable = counts[State.NOT_SENT]
        if unsendable:
            return f"{files} found, nothing was sent yet: {format_count(unsendable)} of them cannot be sent."
        return f"{files} found, nothing was sent yet."
    warned = counts[State.WARNING]
    warning = f" ({format_count(warned)} with a warning)" if warned else ""
    if sums.stored == found:
        return f"The only file found is stored{warning}." if found == 1 else f"All {files} found are stored{warning}."
    verb = "is" if sums.stored == 1 else "are"
    parts = [f"{format_count(sums.stored)} {verb} stored{warning}"]
    parts += [
        f"{format_count(counts[state])} {_VERBS[state][counts[state] != 1]}" for state in NOT_STORED if counts[state]
    ]
    *most, last = parts
    return f"Of {files} found, {', '.join(most)} and {last}." if most else f"Of {files} found, {last}."


def remarks(facts: Facts) -> Iterator[str]:
    """What must be known besides the verdict: a run that goes on or was cut short, files that share a UID."""
    if facts.running:
        runs = "A run goes on" if len(facts.running) == 1 else f"{len(facts.running)} runs go on"
        walking = any(not run.is_walked for run in facts.running)
        yield f"{runs}{', and more files may be found' if walking else ''}."
        if facts.speed is not None:
            lately = format_duration(facts.speed.seconds)
            yield f"In the last {lately} files ended at a rate of {format_rate(facts.speed.rate)}."
        yield f"{end_words(facts)}."
    if facts.unfinished_walks:
        yield "The last run ended before it had found all files: there may be more."
    elif facts.sources:
        yield "An earlier run was cut short before it had recorded all files: there may be more."
    sums = facts.account
    if sums.duplicates:
        have = "has" if sums.duplicates == 1 else "have"
        yield f"{counted(sums.duplicates, 'file')} {have} the SOP instance UID and the bytes of another one."
    if sums.conflicts:
        share = "shares its SOP instance UID" if sums.conflicts == 1 else "share their SOP instance UIDs"
        yield f"{counted(sums.conflicts, 'file')} {share} with files that have other bytes."


def instances_words(facts: Facts) -> Iterator[str]:
    """How many instances the peer should hold, if stored files share a SOP instance UID."""
    stored = facts.account.stored
    if facts.instances < stored:
        held = counted(facts.instances, "instance")
        yield f"The peer should hold {held}: some of the {format_count(stored)} stored files share a SOP instance UID."


def end_words(facts: Facts) -> str:
    """The forecast in words, without a full stop."""
    end = facts.forecast
    if end is None:
        return "When it will end cannot be told yet"
    earliest = utc(end.earliest)
    if end.latest is None or end.likely is None:
        return f"It will not end before {earliest}; at the rate of the slowest minutes it never would"
    latest = utc(end.latest)
    if latest == earliest:
        return f"It will end at about {earliest}"
    return f"It will probably end between {earliest} and {latest}, most likely at {utc(end.likely)}"


def how_ended(run: Run, facts: Facts) -> str:
    """How a run ended, what it recorded besides stored files, and what it left as earlier runs had."""
    if run.how is not None:
        words = printable(run.how)
    else:
        words = "goes on" if run in facts.running else "was cut off; its last commit was then"
    others = [f"{format_count(run.states[state])} {WORDS[state]}" for state in NOT_STORED if run.states[state]]
    others += [f"{format_count(run.left[state])} {WORDS[state]} as before" for state in NOT_STORED if run.left[state]]
    return f"{words}; {', '.join(others)}" if others else words


def stored_in(run: Run) -> int:
    """How many files a run stored."""
    return sum(count for state, count in run.states.items() if state.is_stored)


def migration_words(migration: dict[str, str]) -> str:
    """The peer and the AE titles of a migration, and its options."""
    rest = {name: value for name, value in migration.items() if name not in ("host", "port")}
    peer = f"{migration.get('host', '?')} {migration.get('port', '?')}"
    options = (name if value == str(True) else f"{name} {value}" for name, value in rest.items())
    return printable(", ".join([f"To {peer}", *options]))


def utc(seconds: float) -> str:
    """A time: ``2026-11-28 13:40 UTC``."""
    return _written(seconds, "%Y-%m-%d %H:%M UTC")


def rfc3339(seconds: float) -> str | None:
    """A time for programs, with milliseconds; ``None``: a clock was wrong by millennia."""
    text = _written(seconds, "%Y-%m-%dT%H:%M:%S.%f")
    return f"{text[:-3]}Z" if text[:1].isdigit() else None


def _written(seconds: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return "an impossible time"
