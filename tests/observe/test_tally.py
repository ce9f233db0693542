from itertools import product
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Reason as Text
from asyncstore.model import Result
from asyncstore.observe.reasons import Group
from asyncstore.observe.tally import Rate, Tally
from support.samples import failed, not_sent, skipped, stored, unknown, warned, withdrawn

_OUTCOMES = st.sampled_from([*stored(1), failed(), warned(), not_sent(), unknown(), skipped(), failed(status=0xC001)])


def _tally(*outcomes):
    tally = Tally(started=100.0)
    tally.add(outcomes)
    return tally


@given(st.lists(_OUTCOMES), st.integers(1, 7))
def test_every_outcome_is_counted_once_however_they_are_batched(outcomes, size):
    whole, parts = _tally(*outcomes), Tally(100.0)
    for first in range(0, len(outcomes), size):
        parts.add(outcomes[first : first + size])
    for tally in (whole, parts):
        assert tally.done == len(outcomes)
        for result in Result:
            assert tally.count(result) == sum(outcome.result is result for outcome in outcomes)
    assert list(map(whole.reasons, Result)) == list(map(parts.reasons, Result))
    assert whole.bytes == parts.bytes


def test_bytes_are_those_of_the_instances_that_the_scp_has():
    tally = _tally(*stored(2), warned(), failed(), unknown(), not_sent())
    assert tally.bytes == 3000
    assert tally.bytes_settled == 5000


def test_bytes_of_sent_instances_that_are_not_stored_were_sent_in_vain():
    assert _tally(*stored(2), warned(), failed(), unknown(), not_sent(), withdrawn()).bytes_in_vain == 2000


def test_attempts_of_a_file_count_also_if_it_is_withdrawn_before_the_next_one():
    assert _tally(failed("/later")._replace(attempts=3, is_withdrawn=True)).retries == 2


def test_a_withdrawn_file_is_neither_stored_nor_settled():
    tally = _tally(*stored(2), failed("/bad"), *[withdrawn()] * 30)
    assert (tally.done, tally.unstored, tally.withdrawn, tally.settled) == (33, 31, 30, 3)
    assert tally.bytes_settled == 3000
    assert [outcome.path for outcome in tally.last_failures] == ["/bad"]
    assert ("the run was interrupted", 30) in [(reason.text, reason.files) for reason in tally.reasons(Result.NOT_SENT)]


def test_what_an_earlier_run_stored_has_no_reason_and_is_no_failure():
    tally = _tally(skipped())
    assert not any(map(tally.reasons, Result))
    assert list(tally.last_failures) == []


def test_only_a_run_that_left_nothing_out_has_nothing_unstored():
    assert _tally(*stored(2), warned(), skipped()).unstored == 0
    assert _tally(*stored(2), failed(), not_sent(), unknown()).unstored == 3


@pytest.mark.parametrize(
    ("outcome", "attempted"),
    [
        (stored()[0], True),
        (failed(), True),
        (unknown(), True),
        (skipped(), True),
        (not_sent(), False),
        (not_sent()._replace(attempts=1), True),
    ],
)
def test_a_run_attempted_something_once_an_instance_reached_an_association(outcome, attempted):
    assert _tally(outcome).attempted is attempted


def test_nothing_is_attempted_before_the_first_outcome():
    assert not Tally(0.0).attempted


def test_retries_are_the_attempts_beyond_the_first_of_each_instance():
    tally = _tally(*stored(3), stored()[0]._replace(attempts=3), failed()._replace(attempts=4), not_sent(), not_sent())
    assert tally.retries == 5


def test_reasons_say_why_how_often_and_name_the_first_file():
    tally = _tally(failed("/a"), failed("/b"), not_sent("/c"), warned("/d", 0xB007))
    assert tally.reasons(Result.FAILED) == [Group("0xA700 out of resources", 2, "/a", ())]
    assert tally.reasons(Result.NOT_SENT) == [Group("not a DICOM file", 1, "/c", ())]
    assert tally.reasons(Result.WARNING) == [Group("0xB007 data set does not match SOP class", 1, "/d", ())]
    assert tally.statuses == {0xA700: 2, 0xB007: 1}


@pytest.mark.slow
def test_a_million_different_reasons_do_not_fill_the_memory():
    letters = ("".join(three) for three in product(ascii_lowercase, repeat=3))
    tally = _tally(*(not_sent(error=f"odd byte {word}") for word, _ in zip(letters, range(5000), strict=False)))
    reasons = tally.reasons(Result.NOT_SENT)
    assert len(reasons) < 300
    assert sum(reason.files for reason in reasons) == 5000
    assert reasons[0].text == "other reasons"


def test_reasons_are_counted_by_kind_and_within_it_by_what_differs():
    refused = "no presentation context accepted"
    tally = _tally(
        *[not_sent(error=Text("no MR in JPEG", refused, "MR", "user rejection", "in JPEG"))] * 2,
        not_sent(error=Text("no CT in JPEG", refused, "CT", "user rejection", "in JPEG")),
        not_sent(error=Text("no CT in RLE", refused, "CT", "user rejection", "in RLE")),
        not_sent(error=Text("no CT in MPEG", refused, "CT", "user rejection", "in MPEG")),
    )
    (reason,) = tally.reasons(Result.NOT_SENT)
    assert (reason.text, reason.files) == (refused, 5)
    assert [(detail.text, detail.files) for detail in reason.details] == [
        ("CT: user rejection", 3),
        ("MR: user rejection: in JPEG", 2),
    ]


def test_the_last_failures_are_kept_and_only_those():
    tally = _tally(*(failed(f"/{number}") for number in range(9)), *stored(9), warned(), skipped(), not_sent("/last"))
    assert [outcome.path for outcome in tally.last_failures] == ["/5", "/6", "/7", "/8", "/last"]


def test_the_overall_rate_is_what_was_stored_over_the_time_since_the_start():
    tally = _tally(*stored(8), warned(), failed())
    assert tally.seconds(110.0) == 10.0
    assert tally.rate(110.0) == Rate(0.9, 900.0)


def test_there_is_no_rate_before_any_time_has_passed():
    assert _tally(*stored(1)).rate(100.0) == Rate(0.0, 0.0)


def test_failed_files_that_end_anew_are_forgotten_with_all_that_was_counted_of_them():
    others = (*stored(2), warned(), unknown(), not_sent(), skipped(), withdrawn())
    tally, without = _tally(*others, *[failed()] * 3, failed(status=0xC001)), _tally(*others)
    assert tally.take_back_failed() == 4
    for name in ("done", "unstored", "settled", "bytes", "bytes_settled", "statuses"):
        assert getattr(tally, name) == getattr(without, name), name
    assert tally.by_result() == without.by_result()
    assert list(map(tally.reasons, Result)) == list(map(without.reasons, Result))
    assert all(outcome.result is not Result.FAILED for outcome in tally.last_failures)
    tally.add(stored(4))
    assert tally.take_back_failed() == 0
    assert tally.stored == 7, "one of them with a warning"


def test_files_that_earlier_runs_left_failed_are_forgotten_too():
    tally = _tally(failed("/a")._replace(attempt=None, attempts=0, bytes=0, reason="left so", is_earlier=True))
    assert tally.take_back_failed() == 1
    assert (tally.unstored, tally.reasons(Result.FAILED)) == (0, [])
