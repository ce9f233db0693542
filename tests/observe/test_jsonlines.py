import io
import json
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Attempt, Identity, Limit, Outcome, Result, SourceFile
from asyncstore.observe.jsonlines import JsonLines
from asyncstore.observe.results import words_of
from asyncstore.observe.tally import Tally
from support import values
from support.samples import failed, not_sent, skipped, stored, unknown, warned

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
"""RFC 3339, in UTC, with milliseconds."""
_TEXT = st.none() | st.text(st.characters(codec=None))
_NUMBER = st.none() | st.integers(0, 0xFFFF)
_OUTCOMES = st.builds(
    Outcome,
    file=st.builds(SourceFile, st.binary(min_size=1).map(os.fsdecode)),
    result=st.sampled_from(Result),
    identity=st.none() | st.builds(Identity, _TEXT, _TEXT, _TEXT),
    attempt=st.none() | st.builds(Attempt, _NUMBER, _TEXT, _TEXT, st.floats(0, 1e6), _NUMBER),
    bytes=st.integers(0, 2**40),
    attempts=st.integers(0, 9),
    reason=_TEXT,
)


class _Memory(io.BytesIO):
    """Keeps the text that was written, also after it was closed."""

    def close(self):
        pass

    @property
    def objects(self):
        """The objects without their times."""
        written = [json.loads(line) for line in self.getvalue().splitlines()]
        assert all(_TIME.fullmatch(one.pop("time")) for one in written)
        return written


class _Full(io.RawIOBase):
    """A disk with room for some bytes only."""

    def __init__(self, room):
        self.room = room
        self.held = b""

    def write(self, data):
        part = bytes(data[: self.room - len(self.held)])
        if not part:
            raise OSError(28, "No space left on device")
        self.held += part
        return len(part)


class _Reading(threading.Thread):
    """Reads slowly, so that the pipe is full most of the time."""

    def __init__(self, pipe):
        super().__init__()
        self._pipe = pipe
        self.lines = []

    def run(self):
        for line in self._pipe:
            self.lines.append(line)
            time.sleep(0.00001)


def _never(sentence):
    raise AssertionError(sentence)


def _written(*outcomes):
    memory = _Memory()
    JsonLines(memory, "results.jsonl", _never).outcomes(outcomes)
    return memory.objects


def test_the_fields_of_an_outcome_are_exactly_these():
    outcome = values.outcome(
        path="/archive/IM1.dcm",
        ordinal=17,
        result=Result.STORED,
        status=0,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sent_transfer_syntax_uid="1.2.840.10008.1.2",
        bytes=526336,
        seconds=0.004,
        attempts=1,
        association=3,
    )
    (written,) = _written(outcome)
    assert list(written.items()) == [
        ("type", "outcome"),
        ("ordinal", 17),
        ("path", "/archive/IM1.dcm"),
        ("result", "stored"),
        ("status", "0x0000"),
        ("sop_class_uid", "1.2.840.10008.5.1.4.1.1.2"),
        ("sop_instance_uid", "1.2.3"),
        ("transfer_syntax_uid", "1.2.840.10008.1.2.1"),
        ("sent_transfer_syntax_uid", "1.2.840.10008.1.2"),
        ("bytes", 526336),
        ("seconds", 0.004),
        ("attempts", 1),
        ("association", 3),
        ("error", None),
    ]


def test_unknown_fields_are_null():
    (written,) = _written(not_sent("/README", "not a DICOM file"))
    assert written["error"] == "not a DICOM file"
    nulls = [name for name, value in written.items() if value is None]
    assert nulls == [
        "status",
        "sop_class_uid",
        "sop_instance_uid",
        "transfer_syntax_uid",
        "sent_transfer_syntax_uid",
        "association",
    ]


@pytest.mark.slow
@given(_OUTCOMES)
def test_every_outcome_comes_back_as_it_was(outcome):
    (written,) = _written(outcome)
    assert os.fsencode(written["path"]) == os.fsencode(outcome.path)
    assert written.pop("type") == "outcome"
    assert written.pop("seconds") == pytest.approx(outcome.seconds, abs=1e-6)
    assert written.pop("status") == (None if outcome.status is None else f"0x{outcome.status:04X}")
    assert written.pop("repairs", []) == words_of(outcome.repairs)
    assert written == {name: getattr(outcome, name) for name in written}


@pytest.mark.slow
@given(st.lists(_OUTCOMES, max_size=5))
def test_there_is_one_ascii_line_for_each_outcome(outcomes):
    memory = _Memory()
    JsonLines(memory, "results.jsonl", _never).outcomes(outcomes)
    text = memory.getvalue().decode("ascii")
    assert text.count("\n") == len(outcomes)
    assert not outcomes or text.endswith("\n")


def test_the_start_says_where_to_and_with_which_version():
    memory = _Memory()
    JsonLines(memory, "results.jsonl", _never).start("pacs.example.org", 11112, "0.1.0")
    assert memory.objects == [{"type": "start", "peer": "pacs.example.org", "port": 11112, "version": "0.1.0"}]


def test_every_object_says_when_it_was_written():
    memory = io.BytesIO()
    memory.close, before = lambda: None, datetime.now(UTC) - timedelta(milliseconds=1)
    lines = JsonLines(memory, "results.jsonl", _never)
    lines.start("pacs.example.org", 11112, "0.1.0")
    lines.outcomes(stored(2))
    lines.summary(Tally(0.0), 1.5, 2)
    times = [datetime.fromisoformat(json.loads(line)["time"]) for line in memory.getvalue().splitlines()]
    assert len(times) == 4
    assert before <= times[0] <= times[1] == times[2] <= times[3] <= datetime.now(UTC)


def test_the_summary_counts_every_result():
    memory, tally = _Memory(), Tally(0.0)
    tally.add([*stored(6), warned(), failed(), failed(), not_sent(), unknown(), skipped(), skipped(), skipped()])
    JsonLines(memory, "results.jsonl", _never).summary(tally, 1.5, 2)
    assert list(memory.objects[0].items()) == [
        ("type", "summary"),
        ("stored", 6),
        ("warning", 1),
        ("failed", 2),
        ("not_sent", 1),
        ("unknown", 1),
        ("skipped", 3),
        ("bytes", 7000),
        ("seconds", 1.5),
        ("exit_code", 2),
        ("retries", 0),
        ("repeated_sop_instance_uids", 0),
        ("withdrawn", 0),
    ]


def test_the_summary_says_how_many_sop_instance_uids_came_again():
    for counts_repeats, count in ((True, 2), (False, None)):
        memory, tally = _Memory(), Tally(0.0, counts_repeats=counts_repeats)
        tally.add(stored(3, sop_instance_uid="1.2.3"))
        JsonLines(memory, "results.jsonl", _never).summary(tally, 1.5, 0)
        assert memory.objects[0]["repeated_sop_instance_uids"] == count


def test_each_batch_is_in_the_file_before_the_next_begins(tmp_path):
    target = tmp_path / "results.jsonl"
    with JsonLines.open(str(target), _never) as lines:
        for count in range(1, 4):
            lines.outcomes(stored(10))
            assert target.read_bytes().count(b"\n") == 10 * count


def test_a_file_of_an_earlier_run_is_replaced(tmp_path):
    target = tmp_path / "results.jsonl"
    target.write_text("old\n" * 100)
    with JsonLines.open(str(target), _never) as lines:
        lines.start("pacs", 104, "0.1.0")
    assert len(target.read_text().splitlines()) == 1


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        JsonLines.open(str(tmp_path / "missing" / "results.jsonl"), _never)


def test_standard_output_is_written_to_and_stays_open(capfdbinary):
    with JsonLines.open(None, _never) as lines:
        lines.start("pacs", 104, "0.1.0")
    os.write(1, b"still open\n")
    assert capfdbinary.readouterr().out.endswith(b'"version":"0.1.0"}\nstill open\n')


@pytest.mark.slow
def test_a_full_disk_is_reported_once_and_the_run_goes_on():
    told, stream = [], _Full(room=400)
    lines = JsonLines(stream, "results.jsonl", told.append)
    for _ in range(10):
        lines.outcomes(stored(1))
    lines.summary(Tally(0.0), 1.0, 0)
    assert len(told) == 1
    assert told[0].startswith("results.jsonl: No space left on device")
    assert lines.failure == told[0]
    assert lines.is_incomplete
    assert len(stream.held) == 400


@pytest.mark.slow
def test_lines_behind_the_end_of_the_file_are_reported_once_and_the_run_goes_on(tmp_path):
    told = []
    lines = JsonLines.open(str(tmp_path / "results.jsonl"), told.append)
    lines.close()
    for _ in range(2):
        lines.outcomes(stored(1))
    assert [sentence.partition(": ")[2].partition(";")[0] for sentence in told] == ["I/O operation on closed file"]
    assert lines.is_incomplete


def test_a_reader_that_goes_away_is_reported_once_and_the_run_goes_on():
    told = []
    reader, writer = os.pipe()
    os.close(reader)
    with JsonLines(io.FileIO(writer, "w"), "standard output", told.append) as lines:
        lines.outcomes(stored(1))
        lines.outcomes(stored(1))
    assert [sentence.partition(";")[0] for sentence in told] == ["standard output: Broken pipe"]
    assert not lines.is_incomplete  # the reader has what it wanted


@pytest.mark.slow
def test_a_pipe_that_somebody_made_non_blocking_loses_nothing():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    batch = stored(1000)
    with os.fdopen(reader, "rb") as pipe, JsonLines(io.FileIO(writer, "w"), "standard output", _never) as lines:
        reading = _Reading(pipe)
        reading.start()
        lines.outcomes(batch)
        lines.close()
        reading.join()
    assert [json.loads(line)["path"] for line in reading.lines] == [outcome.path for outcome in batch]


def test_a_file_that_ends_anew_has_a_line_that_says_what_it_replaces():
    memory = _Memory()
    lines = JsonLines(memory, "results.jsonl", _never)
    ended = values.outcome("/archive/IM1.dcm", Result.STORED, 0)
    lines.outcomes([ended])
    lines.outcomes([ended, ended], Result.FAILED)
    first, *again = memory.objects
    assert "replaces" not in first
    assert again == [{**first, "replaces": "failed"}] * 2


def test_limits_are_lines_with_all_their_fields():
    memory = _Memory()
    lines = JsonLines(memory, "memory", _never)
    lines.rate(Limit(2e6, None, is_paused=False, until=1795890000.5, share=0.35, echo_seconds=0.34))
    lines.rate(None)
    limited, free = memory.objects
    assert limited == {
        "type": "rate", "bytes_per_second": 2e6, "stores_per_second": None, "paused": False,
        "until": "2026-11-28T18:20:00Z", "share": 0.35, "echo_seconds": 0.34,
    }  # fmt: skip
    assert free == limited | {"bytes_per_second": None, "until": None, "share": 1, "echo_seconds": None}
