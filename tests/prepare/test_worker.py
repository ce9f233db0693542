import io
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.isolated import isolated
from asyncstore.prepare.file_format import FileFormat
from asyncstore.prepare.messages import INSTANCE, UNSENDABLE
from asyncstore.prepare.probe import probe_file
from asyncstore.prepare.worker import DONE, FILES_A_LOOK, HELLO, PROBE, read_message, write_message
from support import trees

_TEXT = st.binary().map(os.fsdecode)
_ITEMS = st.lists(st.one_of(_TEXT, st.tuples(_TEXT, st.integers(0, 2**63), st.none() | st.binary())))
_COMMAND = [*isolated("asyncstore.prepare.worker"), FileFormat.ANY.value, str(os.getpid())]


@given(_ITEMS)
def test_a_message_comes_as_it_was_sent(items):
    stream = io.BytesIO()
    write_message(stream, items)
    stream.seek(0)
    assert read_message(stream) == items
    assert stream.read() == b""


@given(st.lists(_ITEMS, min_size=1, max_size=3))
def test_messages_come_one_after_the_other(messages):
    stream = io.BytesIO()
    for items in messages:
        write_message(stream, items)
    stream.seek(0)
    assert [read_message(stream) for _ in messages] == messages


def test_a_message_cut_off_anywhere_is_the_end():
    stream = io.BytesIO()
    write_message(stream, ["a path", ("another", 5, b"data", None)])
    whole = stream.getvalue()
    for length in range(len(whole)):
        with pytest.raises(EOFError):
            read_message(io.BytesIO(whole[:length]))


def _answers(*requests):
    """The answers of a worker process, which must end well when its input ends."""
    sent = io.BytesIO()
    for paths in requests:
        write_message(sent, [PROBE, paths])
    ended = subprocess.run(_COMMAND, input=sent.getvalue(), capture_output=True, check=True, timeout=60)
    received = io.BytesIO(ended.stdout.removeprefix(HELLO))
    answers = [read_message(received) for _ in requests]
    assert received.read() == b""
    assert {kind for kind, _ in answers} == {DONE}
    return [found for _, found in answers]


def test_a_worker_answers_each_batch_in_order_and_ends_with_its_input(tmp_path):
    files = [str(path) for path in trees.pydicom_test_files()[:30]]
    batches = [files[:10], [], files[10:], [str(tmp_path / "gone")]]
    assert _answers(*batches) == [list(map(probe_file, batch)) for batch in batches]


def test_files_whose_names_are_no_text_are_opened(tmp_path):
    written = trees.oddly_named(tmp_path, trees.pydicom_test_files()[0])
    (found,) = _answers([os.fsdecode(path) for path in written])
    assert {answer[0] for answer in found} == {INSTANCE}


@pytest.mark.parametrize("count", [0, 1, FILES_A_LOOK - 1, FILES_A_LOOK, FILES_A_LOOK + 1, 3 * FILES_A_LOOK])
def test_every_file_of_a_batch_has_one_answer(tmp_path, count):
    paths = [str(tmp_path / str(number)) for number in range(count)]
    (found,) = _answers(paths)
    assert found == [(UNSENDABLE, "cannot be opened: No such file or directory", None)] * count
