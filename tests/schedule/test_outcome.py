import pytest

from asyncstore.errors import AbortedHere, AssociationAborted, AssociationReleased, LinkLost, TimedOut
from asyncstore.model import Attempt, Outcome, Result, SourceFile
from asyncstore.schedule.outcome import not_sent, of_attempt, of_unsendable, withdrawn
from support import values

_INSTANCE = values.instance("/a/1.dcm", "1.1", "1.2", "1.3", 300, 5000, b"data")


def _ended(status=None, error=None):
    return of_attempt(_INSTANCE, Attempt(7, "1.2", "1.3", 0.25, status), error)


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (0x0000, Result.STORED, None),
        (0x0001, Result.WARNING, "0x0001"),
        (0x0107, Result.WARNING, "0x0107 attribute list error"),
        (0x0116, Result.WARNING, "0x0116"),
        (0xB000, Result.WARNING, "0xB000 coercion of data elements"),
        (0xBFFF, Result.WARNING, "0xBFFF"),
        (0x0110, Result.FAILED, "0x0110 processing failure"),
        (0x0111, Result.FAILED, "0x0111 duplicate SOP instance"),
        (0x0122, Result.FAILED, "0x0122 SOP class not supported"),
        (0xA700, Result.FAILED, "0xA700 out of resources"),
        (0xA900, Result.FAILED, "0xA900"),
        (0xC001, Result.FAILED, "0xC001 cannot understand"),
        (0xFE00, Result.FAILED, "0xFE00"),
    ],
)
def test_a_response_decides(status, result, words):
    outcome = _ended(status)
    assert outcome == Outcome(
        SourceFile("/a/1.dcm"),
        result,
        _INSTANCE.identity,
        Attempt(7, "1.2", "1.3", 0.25, status),
        bytes=5000,
        attempts=1,
        reason=outcome.error,
    )
    assert outcome.error is None if words is None else outcome.error.startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        LinkLost("peer:104", "reset by peer"),
        AssociationAborted("peer:104", 2, 6),
        AssociationReleased("peer:104"),
        AbortedHere("peer:104", "it was asked for"),
        TimedOut("peer:104", "response", 5, "dimse"),
    ],
)
def test_without_a_response_nobody_knows(error):
    outcome = _ended(error=error)
    assert (outcome.result, outcome.status, outcome.attempts, outcome.association) == (Result.UNKNOWN, None, 1, 7)
    assert outcome.error.startswith("no response")
    assert error.problem in outcome.error


def test_a_file_that_could_not_be_read_to_its_end_was_not_sent():
    outcome = _ended(error=values.unsendable("/a/1.dcm", "it was cut short"))
    assert (outcome.result, outcome.error, outcome.attempts) == (Result.NOT_SENT, "it was cut short", 1)


def test_what_no_association_began_to_store_was_not_attempted():
    outcome = not_sent(_INSTANCE, "the run ended")
    assert outcome == Outcome(
        SourceFile("/a/1.dcm"), Result.NOT_SENT, _INSTANCE.identity, bytes=5000, reason="the run ended"
    )
    assert (outcome.attempts, outcome.association) == (0, None)


def test_what_the_end_of_the_run_kept_from_being_sent_says_so():
    assert withdrawn(_INSTANCE, "the run ended") == not_sent(_INSTANCE, "the run ended")._replace(is_withdrawn=True)
    assert not not_sent(_INSTANCE, "no presentation context accepted").is_withdrawn


def test_a_file_that_is_no_instance_has_a_reason_and_nothing_else():
    assert of_unsendable(values.unsendable("/a/2", "empty")) == values.outcome("/a/2", Result.NOT_SENT, error="empty")
