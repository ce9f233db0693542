"""Which stores are tried again, when, and what their outcomes say: no loop, and a clock that the test moves."""

import pytest

from asyncstore.errors import (
    AbortedHere,
    AssociationAborted,
    AssociationReleased,
    LinkLost,
    ProtocolViolation,
    TimedOut,
)
from asyncstore.model import Attempt, Result, Unsendable
from asyncstore.schedule import outcome
from asyncstore.schedule.retry import NO_RETRIES, Retries, RetryOptions
from support.fakes import instance

LOST, ABORTED = LinkLost("peer:104", "reset"), AssociationAborted("peer:104", 0, 0, 1)


class _Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


def _retries(retries=3, clock=None, jitter=lambda _, most: most, **options):
    return Retries(RetryOptions(retries, **options), clock or _Clock(), jitter)


def _ended(one, status=None, error=None):
    return outcome.of_attempt(one, Attempt(1, "1.2.3", "1.2", 0.1, status), error)


def _again(retries, one, status=None, error=None):
    return retries.again(one, _ended(one, status, error), error)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA76F])
def test_a_peer_that_is_out_of_resources_is_asked_again(status):
    assert _again(_retries(), instance(1), status)


@pytest.mark.parametrize("status", [0xA770, 0xA777, 0xA7FF, 0xA900, 0xC000, 0x0122, 0x0110, 0x0124, 0x0111, 0xB000])
def test_other_statuses_are_final(status):
    retries = _retries()
    assert not _again(retries, instance(1), status)
    assert not retries.tried


def test_statuses_that_a_peer_means_otherwise_can_be_added():
    retries = _retries(statuses=(range(0x0110, 0x0111), range(0xC000, 0xC100)))
    assert [_again(retries, instance(1), status) for status in (0x0110, 0xC0FF, 0xC100, 0xA700)] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [LOST, ABORTED, AssociationReleased("peer:104"), TimedOut("peer:104", "response", 30), AbortedHere("p", "other")],
)
def test_a_store_whose_association_ended_is_tried_again(error):
    assert _again(_retries(), instance(1), None, error)


def test_a_peer_that_broke_the_protocol_is_not_asked_again():
    assert not _again(_retries(), instance(1), None, ProtocolViolation("peer:104", "garbage"))


def test_a_file_that_cannot_be_read_to_its_end_is_not_tried_again():
    one = instance(1)
    assert not _again(_retries(), one, None, Unsendable(one.file, "cut short"))


def test_without_retries_every_attempt_is_final():
    retries = Retries(NO_RETRIES, _Clock())
    assert not _again(retries, instance(1), 0xA700)
    assert not _again(retries, instance(1), None, LOST)


def test_an_instance_is_tried_so_often_and_its_outcome_counts_all_attempts():
    retries, one = _retries(3), instance(1)
    assert [_again(retries, one, 0xA700) for _ in range(4)] == [True, True, True, False]
    final = retries.final(_ended(one, 0xA700))
    assert (final.result, final.attempts, final.reason) == (Result.FAILED, 4, "0xA700 out of resources")
    assert not retries.tried


def test_an_attempt_counts_as_repeated_when_it_has_ended():
    retries, one, withdrawn, changed = _retries(), instance(1), instance(2), instance(3)
    assert all(_again(retries, each, 0xA700) for each in (one, withdrawn))
    retries.withdraw()
    retries.final(outcome.withdrawn(withdrawn, "the run was interrupted"))
    assert retries.repeated == 0
    assert _again(retries, one, 0xA700)
    assert retries.repeated == 1
    retries.final(_ended(one, 0))
    assert retries.repeated == 2
    problem = Unsendable(changed.file, "changed", has_changed=True)
    assert retries.probes_again(problem, _ended(changed, None, problem))
    assert retries.repeated == 2
    retries.final(_ended(changed, 0))
    assert retries.repeated == 3


def test_pauses_double_up_to_a_minute():
    clock = _Clock()
    retries, one, pauses = _retries(9, clock), instance(1), []
    for _ in range(9):
        assert _again(retries, one, 0xA700)
        pauses.append(retries.next_due - clock.seconds)
        clock.seconds = retries.next_due
        assert retries.due() == [one]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_pauses_are_random_from_nothing_on():
    asked = []
    retries = _retries(jitter=lambda least, most: asked.append((least, most)) or 0.0)
    assert _again(retries, instance(1), 0xA700)
    assert asked == [(0.0, 1.0)]


def test_what_waits_comes_back_in_its_time_and_blocks_nothing_else():
    clock, pauses = _Clock(), iter([5.0, 1.0, 3.0])
    retries = _retries(clock=clock, jitter=lambda _, __: next(pauses))
    late, soon, later = instance(1), instance(2), instance(3)
    for one in (late, soon, later):
        assert _again(retries, one, None, LOST)
    assert len(retries) == 3
    assert retries.due() == []
    clock.seconds += 1.0
    assert retries.due() == [soon]
    clock.seconds += 10.0
    assert retries.due() == [later, late]
    assert retries.next_due is None


def test_success_after_all_is_stored_with_all_attempts():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, None, LOST)
    assert _again(retries, one, 0xA700)
    final = retries.final(outcome.stored(one, Attempt(2, "1.2.3", "1.2", 0.1, 0)))
    assert (final.result, final.attempts, final.reason) == (Result.STORED, 3, None)


def test_a_duplicate_after_a_lost_response_is_stored():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, None, LOST)
    final = retries.final(_ended(one, 0x0111))
    assert (final.result, final.status, final.reason, final.attempts) == (Result.STORED, 0x0111, None, 2)


@pytest.mark.parametrize(
    ("before", "is_under_way", "is_stored"),
    [(None, False, True), (LOST, False, False), (None, True, False), (LOST, True, False)],
)
def test_a_duplicate_of_a_file_that_changed_since_it_was_sent_may_be_what_it_was_before(
    before, is_under_way, is_stored
):
    retries, one = _retries(4), instance(1)
    assert _again(retries, one, 0xA700)
    if before is not None:
        assert _again(retries, one, None, before)
    problem = Unsendable(one.file, "changed", has_changed=True)
    assert retries.probes_again(problem, _ended(one, None, problem) if is_under_way else None)
    assert _again(retries, one, None, LOST)
    final = retries.final(_ended(one, 0x0111))
    assert final.result is (Result.STORED if is_stored else Result.FAILED)


def test_a_duplicate_after_a_refusal_is_a_failure_for_the_peer_had_its_say():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, 0xA700)
    assert retries.final(_ended(one, 0x0111)).result is Result.FAILED


def test_an_instance_that_may_be_stored_stays_unknown_if_it_is_not_sent_again():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, None, LOST)
    final = retries.final(outcome.not_sent(one, "it was changed"))
    assert (final.result, final.attempts) == (Result.UNKNOWN, 1)
    assert "reset" in final.reason
    assert "it was changed" in final.reason


def test_an_instance_without_response_stays_unknown_when_the_run_ends():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, None, LOST)
    assert _again(retries, one, 0xA700)
    assert retries.withdraw() == [one, one]
    final = retries.final(outcome.withdrawn(one, "the run was interrupted"))
    assert (final.result, final.attempts, final.is_withdrawn) == (Result.UNKNOWN, 2, False)


def test_a_refusal_that_may_pass_is_withdrawn_when_the_run_ends_so_that_the_next_run_tries_again():
    retries, one = _retries(), instance(1)
    assert _again(retries, one, 0xA700)
    final = retries.final(outcome.withdrawn(one, "the run was interrupted"))
    assert (final.result, final.is_withdrawn, final.status) == (Result.FAILED, True, 0xA700)


def test_an_instance_that_lost_two_associations_is_a_suspect():
    retries, poison, other = _retries(), instance(1), instance(2)
    assert _again(retries, poison, None, ABORTED)
    assert retries.apart([other, poison]) == ([other, poison], [])
    assert _again(retries, poison, None, ABORTED)
    assert retries.is_suspect(poison)
    assert retries.apart([other, poison]) == ([other], [poison])
    retries.final(_ended(poison, 0))
    assert not retries.is_suspect(poison)


def test_our_own_aborts_and_refusals_make_no_suspect():
    retries, one = _retries(9), instance(1)
    for _ in range(3):
        assert _again(retries, one, None, AbortedHere("peer:104", "a file could not be read to its end"))
        assert _again(retries, one, 0xA700)
    assert not retries.is_suspect(one)
