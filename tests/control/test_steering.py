"""What can be asked of a run, and the answers, without a socket."""

from __future__ import annotations

import json

import pytest

from asyncstore.control.steering import request_line
from asyncstore.model import Outcome, PeerOutage, Result, SourceFile


def ask(world, name, value=None):
    return json.loads(world.steering.answer(request_line(name, value)))


def test_a_run_pauses_once_and_goes_on(world):
    assert ask(world, "pause")["ok"]
    assert "already" in ask(world, "pause")["message"]
    assert world.run.asked == ["pause"]
    assert ask(world, "status")["status"]["state"] == "paused"
    assert ask(world, "resume")["ok"]
    assert "not paused" in ask(world, "resume")["message"]
    assert world.run.asked == ["pause", "resume"]
    assert ask(world, "status")["status"]["state"] == "running"


def test_the_status_says_who_paused_the_run_and_when(world):
    ask(world, "pause")
    world.time += 12
    assert ask(world, "status")["status"]["paused"] == {"by": "asyncstore ctl", "seconds": 12.0}


def test_a_run_that_ends_is_stopped_once_and_cannot_be_paused(world):
    assert ask(world, "stop")["ok"]
    assert ask(world, "stop")["ok"]
    assert world.stops == 1
    assert ask(world, "status")["status"]["state"] == "stopping"
    assert not ask(world, "pause")["ok"]


@pytest.mark.parametrize("number", [1, 1024, None])
def test_the_number_of_associations_changes(world, number):
    assert ask(world, "associations", number)["ok"]
    assert world.run.asked == [number]
    assert ask(world, "status")["status"]["associations"] == number


@pytest.mark.parametrize("value", [0, 1025, -1, 1.5, True, "8", [], {}])
def test_a_wrong_number_of_associations_changes_nothing(world, value):
    answer = ask(world, "associations", value)
    assert not answer["ok"]
    assert "1 to 1024" in answer["error"]
    assert world.run.asked == []
    assert world.said == []


def test_what_was_asked_of_one_pass_holds_for_the_next(world):
    ask(world, "pause")
    ask(world, "associations", 2)
    ask(world, "prioritise", "1.2.3")
    following = type(world.run)()
    world.steering.follow(following)
    assert sorted(following.asked, key=str) == [2, "first: 1.2.3", "pause"]


def test_a_pass_gets_nothing_that_nobody_asked_for(world):
    assert world.run.asked == []


def test_an_action_of_the_owner_gets_the_value_and_its_errors_are_answers(world):
    assert ask(world, "dance", "tango")["message"] == "danced"
    assert world.danced == ["tango"]
    assert ask(world, "dance", 5)["error"] == "a text is needed"


def test_the_status_says_why_the_run_waits(world):
    world.run.now = world.run.now._replace(outages=2, outage=PeerOutage(2, "it\x1b[0m refuses", 1.25, None))
    status = ask(world, "status")["status"]
    assert (status["state"], status["outages"]) == ("waiting", 2)
    assert status["waiting"] == {"reason": "it\\x1b[0m refuses", "next_trial": 1.25, "seconds_left": None}


def test_a_study_or_patient_goes_first(world):
    assert ask(world, "prioritise", "1.2.3")["message"].endswith("first from now on; 2 instances waiting")
    assert world.run.asked == ["first: 1.2.3"]


@pytest.mark.parametrize("value", [None, "", "x" * 257, 5, ["1.2.3"]])
def test_nothing_goes_first_without_a_key(world, value):
    assert "1 to 256 characters" in ask(world, "prioritise", value)["error"]
    assert world.run.asked == []


def test_the_owner_of_the_run_is_told_what_was_done_and_never_the_key(world):
    ask(world, "prioritise", "DOE^JANE")
    ask(world, "status")
    [said] = world.said
    assert said.startswith("asyncstore ctl: this study or patient goes first from now on")
    assert "JANE" not in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "only version 1"),
        (b'{"version":2,"request":"status"}', "only version 1"),
        (b'{"version":1}', "known are status, pause"),
        (b'{"version":1,"request":["pause"]}', "unknown request"),
        (b'{"version":1,"request":"_pause"}', "unknown request"),
    ],
)
def test_a_line_that_is_no_request_gets_an_error(world, line, words):
    answer = json.loads(world.steering.answer(line))
    assert answer["ok"] is False
    assert answer["version"] == 1
    assert words in answer["error"]
    assert world.run.asked == []


def test_nothing_but_the_status_is_answered_before_the_run_begins(world):
    world.steering.follow(None)
    assert ask(world, "status")["status"]["found"] == 0
    assert "not begun" in ask(world, "pause")["error"]


def test_the_status_counts_and_names_no_file(world):
    world.tally.add([Outcome(SourceFile("/a/DOE^JANE.dcm", 1), Result.STORED, bytes=10)])
    world.tally.add([Outcome(SourceFile("/a/ROE^JOHN.dcm", 2), Result.FAILED, reason="ROE^JOHN is refused")])
    line = world.steering.answer(request_line("status"))
    assert b"JANE" not in line
    assert b"JOHN" not in line
    status = json.loads(line)["status"]
    assert (status["run"], status["process"], status["found"], status["walking"]) == (3, 7, 5, False)
    assert (status["stored"], status["failed"], status["bytes"]) == (1, 1, 10)
    assert status["lanes"] == [
        {"number": 1, "state": "sending", "association": 1, "stored": 2, "bytes": 10, "seconds": 0.5}
    ]
