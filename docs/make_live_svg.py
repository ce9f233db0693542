"""Draw docs/live.svg, a frame of the live display in the middle of a run.

    python docs/make_live_svg.py

The display itself draws the frame, so the picture shows what a terminal shows; only the run is invented.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from asyncstore import __version__
from asyncstore.model import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attempt,
    Lane,
    LaneState,
    Outcome,
    Progress,
    Result,
    SourceFile,
)
from asyncstore.observe.frame import View, frame
from asyncstore.observe.tally import Rate, Tally

_TARGET = Path(__file__).with_name("live.svg")
_TITLE = "asyncstore send -nh pacs.example.org 11112 /archive"
_WIDTH, _HEIGHT = 100, 26

_FOUND, _DONE, _BYTES = 31_000, 12_480, 526_336
_STORES_PER_SECOND = 410.0
_ASSOCIATIONS = 8

_FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""rich has the font loaded from a server; a picture in a README loads nothing, and any monospaced font does."""

_KEEP_SPACES = 'xml:space="preserve"'
"""Not every program that shows pictures keeps no-break spaces without being told."""


def _path(number: int) -> str:
    study, series = number // 310, number // 62 % 5 + 1
    return f"/archive/2019/{number // 1100 % 12 + 1:02}/CT-{study:04}/series-{series}/IM{number:06}.dcm"


def _outcome(number: int) -> Outcome:
    if number % 4_100 == 700:  # noqa: PLR2004 - three among all
        return _attempted(number, Result.FAILED, 0xA700, attempts=4)
    if number == 9_031:  # noqa: PLR2004 - any one
        folder = _path(number).rpartition("/")[0]
        return Outcome(SourceFile(f"{folder}/DICOMDIR.bak"), Result.NOT_SENT, reason="not a DICOM file")
    status = 0xB000 if number % 1_040 == 1 else 0
    return _attempted(number, Result.WARNING if status else Result.STORED, status)


def _attempted(number: int, result: Result, status: int, attempts: int = 1) -> Outcome:
    attempt = Attempt(1, f"1.2.{number}", EXPLICIT_VR_LITTLE_ENDIAN, 0.02, status)
    return Outcome(SourceFile(_path(number)), result, attempt=attempt, bytes=_BYTES, attempts=attempts)


def _lane(number: int) -> Lane:
    size, seconds = (38_450_000, 1.4) if number == 5 else (_BYTES, 0.02)  # noqa: PLR2004 - one that takes longer
    stored = _DONE // _ASSOCIATIONS + (7 * number) % 23 - 11
    state = LaneState.WAITING if number == _ASSOCIATIONS else LaneState.SENDING
    path = _path(_DONE + number) if state is LaneState.SENDING else None
    return Lane(number, state, number, stored, path, size, seconds)


def _view() -> View:
    tally = Tally(started=0.0)
    tally.add([_outcome(number) for number in range(_DONE)])
    progress = Progress(
        found=_FOUND,
        walking=True,
        probed=_FOUND,
        bytes_probed=_FOUND * _BYTES,
        bytes_sent=_DONE * _BYTES,
        associations_opened=_ASSOCIATIONS,
        lanes=tuple(_lane(number) for number in range(1, _ASSOCIATIONS + 1)),
    )
    return View(
        tally=tally,
        progress=progress,
        rate=Rate(_STORES_PER_SECOND, _STORES_PER_SECOND * _BYTES),
        fraction=_DONE / _FOUND,
        seconds=_DONE / _STORES_PER_SECOND,
        seconds_left=None,
    )


def main() -> None:
    """Draw the picture."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"asyncstore {__version__}: sending to pacs.example.org:11112 (ANY-SCP)", "bold"))
    for line in frame(_view(), _WIDTH, _HEIGHT):
        console.print(line, highlight=False)
    picture = console.export_svg(title=_TITLE, unique_id="live")
    picture = _FONT_FACES.sub("", picture).replace("<svg ", f"<svg {_KEEP_SPACES} ", 1)
    _TARGET.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
