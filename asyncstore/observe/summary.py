"""The summary at the end of a run, for people.

    Stored 1 499 of 1 500 files in 3.2 s.
    789 MB, 468/s, 246 MB/s, 4 associations, 1 repeated attempt.

      with a warning      12  0xB000 coercion of data elements
        such as /archive/2019/03/IM0001.dcm
      failed               1  0xA700 out of resources
        /archive/2019/03/IM0042.dcm
      not sent            52  no presentation context accepted
        such as /archive/2019/04/IM0007.dcm
                          40  CTImageStorage: abstract syntax not supported
                          12  MRImageStorage: transfer syntaxes not supported

Rules:

1. If all files were stored it has two lines. Other files are grouped by kind of reason (see ``reasons``): their number,
   the path of one, and what differs between them. Each result takes at most ten lines.
2. Paths are never shortened: people copy them. Reasons are wrapped between words, only for a terminal, and cut after
   four lines; ``--json`` has them whole.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from asyncstore.model import Result
from asyncstore.named_tuple import NamedTuple
from asyncstore.observe.formatting import (
    counted,
    format_byte_rate,
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    printable,
)
from asyncstore.observe.output import line_of
from asyncstore.observe.reasons import selection
from asyncstore.observe.repeats import MOST_UIDS
from asyncstore.observe.results import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncstore.observe.output import Line, Output
    from asyncstore.observe.tally import Tally

_MOST_LINES = 10
"""Lines for each result; the other reasons are only counted."""
_MOST_LINES_OF_REASON = 4
"""Lines of one reason."""

_ADVICE = {Result.UNKNOWN: "The peer may hold these or not: send them again."}

_CUT_SHORT = "There may be more files: those not found yet are not counted, and have no outcome."

_INDENT = "  "
_LABEL_CELLS = max(len(shown.word) for shown in SHOWN.values())
_COUNT_CELLS = len("999 999")
_PATH_INDENT = "    "
_REASON_INDENT = " " * (len(_INDENT) + _LABEL_CELLS + 1 + _COUNT_CELLS + 2)
_NARROWEST = 40


class Ending(NamedTuple):
    """What the summary needs beside the tally."""

    seconds: float
    """The duration of the run."""
    associations: int
    """The number that the peer accepted, replacements included."""
    at_a_time: int | None = None
    """The greatest number at a time, if the user gave one."""
    interrupted: bool = False
    """Whether the run was interrupted."""
    is_time_up: bool = False
    """Whether its time was up."""
    is_cut_short: bool = False
    """Whether there may be more files than were found."""
    outages: int = 0
    """How often the peer was down."""
    repeat: int = 1
    """How often each file is sent; it has an outcome, and is counted, each time."""
    details: tuple[str, ...] = ()
    """Lines that say where to find more."""


def print_summary(output: Output, tally: Tally, ending: Ending) -> None:
    """Write the summary, in colours on a terminal."""
    output.print(*summary_lines(tally, ending, output.width))


def summary_lines(tally: Tally, ending: Ending, width: int | None = None) -> list[Line]:
    """The lines of the summary, wrapped to ``width`` cells; ``None``: not wrapped."""
    style = (
        "bold yellow"
        if ending.interrupted or (ending.is_time_up and tally.withdrawn)
        else "bold red"
        if tally.unstored
        else "bold green"
    )
    lines = [line_of(_sentence(tally, ending), style)]
    if tally.done:
        lines.append(line_of(f"{', '.join(_figures(tally, ending))}."))
    reasons = [line for result in SHOWN for line in _reasons_of(result, tally, width)]
    if reasons:
        lines += [(), *reasons]
    repeats = [line_of(printable(line), "yellow") for line in _repeats(tally)]
    if repeats:
        lines += [(), *repeats]
    details = [*([_CUT_SHORT] if ending.is_cut_short else []), *ending.details]
    if details:
        lines += [*([()] if reasons or repeats else []), *(line_of(printable(line)) for line in details)]
    return lines


def _repeats(tally: Tally) -> Iterator[str]:
    """Say that stored instances share SOP instance UIDs, of which the peer keeps one each."""
    repeats = tally.repeats
    count = repeats.count() if repeats is not None else 0
    if repeats is None or not count:
        return
    known = "" if repeats.is_exact else f" among the first {format_count(MOST_UIDS)}"
    have = "instances have" if count > 1 else "instance has"
    yield f"{format_count(count)} stored {have} the SOP instance UID of an earlier one{known}: the peer keeps only one."
    for earlier, path in repeats.examples()[:1]:
        yield f"{_PATH_INDENT}{'such as ' if count > 1 else ''}{path}"
        yield f"{_PATH_INDENT}and {earlier}"


def _sentence(tally: Tally, ending: Ending) -> str:
    if not tally.done:
        if ending.interrupted or ending.is_time_up:
            return f"{'Interrupted' if ending.interrupted else 'The time was up'} before any file was done."
        return "No file was found, nothing was sent."
    stored = tally.done - tally.unstored
    if stored == tally.done and not ending.is_cut_short:
        what = f"all {format_count(stored)} files" if stored > 1 else "1 file"
    else:
        found = " found so far" if ending.is_cut_short else ""
        what = f"{format_count(stored)} of {counted(tally.done, 'file')}{found}"
    is_cut_off = ending.is_time_up and (bool(tally.withdrawn) or ending.is_cut_short)
    earlier = f" ({format_count(tally.earlier)} of them by an earlier run)" if tally.earlier else ""
    times = f", each file counted {format_count(ending.repeat)} times" if ending.repeat > 1 else ""
    begin = "Interrupted: stored" if ending.interrupted else "The time was up: stored" if is_cut_off else "Stored"
    return f"{begin} {what} in {format_duration(ending.seconds)}{earlier}{times}."


def _figures(tally: Tally, ending: Ending) -> Iterator[str]:
    if tally.stored:
        rate = tally.rate(tally.started + ending.seconds)
        yield from (format_bytes(tally.bytes), format_rate(rate.instances), format_byte_rate(rate.bytes))
    yield counted(ending.associations, "association")
    if ending.at_a_time is not None and ending.associations > ending.at_a_time:
        yield f"at most {format_count(ending.at_a_time)} at a time"
    if tally.retries:
        yield counted(tally.retries, "repeated attempt")
    if tally.repaired:
        yield f"{counted(tally.repaired, 'file')} repaired"
    if ending.outages:
        yield f"the peer was down {counted(ending.outages, 'time')}"


def _reasons_of(result: Result, tally: Tally, width: int | None) -> Iterator[Line]:
    """The reasons of one result; if there are several, after a line with their total."""
    reasons = tally.reasons(result)
    if not reasons:
        return
    label, style = SHOWN[result]
    total = tally.count(result)
    left = _MOST_LINES - (len(reasons) > 1) - (result in _ADVICE)
    if len(reasons) > 1:
        yield _row(label, style, total, f"for {format_count(len(reasons))} reasons:")
        label = ""
    such_as = ""
    for row in selection(reasons, left, lambda text: len(_wrapped(text, width, _MOST_LINES_OF_REASON))):
        if row.files is None:
            yield line_of(f"{_PATH_INDENT}{such_as}{printable(row.text)}", "dim")
            continue
        first, *more = _wrapped(row.text, width, 1 if row.is_detail else _MOST_LINES_OF_REASON)
        yield _row(label, "dim" if row.is_detail else style, row.files, first)
        yield from (line_of(f"{_REASON_INDENT}{line}") for line in more)
        label, such_as = "", "such as " if row.files > 1 else ""
    if result in _ADVICE:
        yield line_of(f"{_PATH_INDENT}{_ADVICE[result]}")


def _wrapped(text: str, width: int | None, most: int) -> list[str]:
    """Wrap a reason between words into at most ``most`` lines; long words stay whole."""
    text = printable(text)
    if width is None:
        return [text]
    room = max(width, _NARROWEST) - len(_REASON_INDENT)
    return textwrap.wrap(
        text, room, break_long_words=False, break_on_hyphens=False, max_lines=most, placeholder=" …"
    ) or [""]


def _row(label: str, style: str, files: int, text: str) -> Line:
    count = f"{format_count(files):>{_COUNT_CELLS}}"
    return _INDENT, (f"{label:{_LABEL_CELLS}} {count}", style), f"  {text}"
