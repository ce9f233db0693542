"""Outcomes and progress, as short as a test wants to say them."""

from asyncstore.model import Lane, LaneState, Progress, Result
from support import values


def stored(count=1, size=1000, **fields):
    return [
        values.outcome(f"/archive/IM{number:04}.dcm", Result.STORED, 0, bytes=size, attempts=1, **fields)
        for number in range(count)
    ]


def failed(path="/archive/bad.dcm", status=0xA700, **fields):
    return values.outcome(path, Result.FAILED, status, bytes=1000, attempts=1, **fields)


def warned(path="/archive/odd.dcm", status=0xB000, **fields):
    return values.outcome(path, Result.WARNING, status, bytes=1000, attempts=1, **fields)


def not_sent(path="/archive/README", error="not a DICOM file"):
    return values.outcome(path, Result.NOT_SENT, error=error)


def withdrawn(path="/archive/later.dcm", size=1000):
    return values.outcome(path, Result.NOT_SENT, bytes=size, error="the run was interrupted", is_withdrawn=True)


def unknown(path="/archive/lost.dcm", error="the connection was lost"):
    return values.outcome(path, Result.UNKNOWN, error=error, bytes=1000, attempts=1)


def skipped(path="/archive/earlier.dcm"):
    return values.outcome(path, Result.SKIPPED, is_earlier=True)


def lane(number=1, path="/archive/2019/series/IM0001.dcm", state=LaneState.SENDING, seconds=0.0, count=7):
    return Lane(number, state, number, count, path, 526_336, seconds)


def progress(found=100, *, walking=False, lanes=(), sent=0):
    return Progress(found, walking, found, found * 1000, sent, len(lanes), tuple(lanes))
