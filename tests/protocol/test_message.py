from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.command import CommandField, decode, echo_request, response, store_request
from asyncstore.protocol.message import CommandReceived, DataSetPiece, MessageReader
from asyncstore.protocol.pdu import COMMAND, LAST, Fragment, Fragmenter, PduDecoder

_STORE = store_request("1.2.840.10008.5.1.4.1.1.2", 5, "1.2.3")
_STORED = response(decode(_STORE), 0)
_CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)


def _command(data, context_id=1, *, last=True):
    return Fragment(context_id, COMMAND | (LAST if last else 0), memoryview(data))


def _data(data, context_id=1, *, last=True):
    return Fragment(context_id, LAST if last else 0, memoryview(data))


def _read_all(*fragments):
    reader = MessageReader()
    return [reader.read(fragment) for fragment in fragments]


@given(
    st.lists(st.tuples(_CONTEXT_IDS, st.none() | st.binary(max_size=200)), max_size=4),
    st.integers(8, 64),
    st.integers(1, 100),
)
def test_messages_are_put_together_from_any_fragments(messages, maximum_length, received_at_once):
    fragmenter, decoder, reader = Fragmenter(maximum_length), PduDecoder(0), MessageReader()
    stream = b""
    for context_id, data_set in messages:
        stream += b"".join(fragmenter.command(context_id, _STORED if data_set is None else _STORE))
        if data_set is not None:
            stream += b"".join(fragmenter.fragments(context_id, memoryview(data_set), last=True))
    read = []
    for at in range(0, len(stream), received_at_once):
        fragments = []
        decoder.feed(memoryview(stream[at : at + received_at_once]), fragments)
        for fragment in fragments:
            received = reader.read(fragment)
            if isinstance(received, CommandReceived):
                read.append([received.context_id, received.command, None])
            elif received is not None:
                read[-1][2] = (read[-1][2] or b"") + bytes(received.data)
    assert [(context_id, data_set) for context_id, _, data_set in read] == messages
    fields = [CommandField.C_STORE_RSP if data_set is None else CommandField.C_STORE_RQ for _, data_set in messages]
    assert [command.field for _, command, _ in read] == fields


def test_data_set_fragments_are_passed_on_as_they_arrive():
    first, second = _data(b"abcd", last=False), _data(b"ef")
    assert _read_all(_command(_STORE), first, second)[1:] == [
        DataSetPiece(first.data, is_last=False),
        DataSetPiece(second.data, is_last=True),
    ]


def test_an_empty_fragment_may_end_a_message():
    _, middle, end = _read_all(_command(_STORE), _data(b"ab", last=False), _data(b""))
    assert (bytes(middle.data), middle.is_last, bytes(end.data), end.is_last) == (b"ab", False, b"", True)
    nothing, received = _read_all(_command(_STORED, last=False), _command(b""))
    assert nothing is None
    assert received.command.status == 0


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([_data(b"ab")], id="a data set without a command"),
        pytest.param([_command(_STORED), _data(b"ab")], id="a data set that was not announced"),
        pytest.param([_command(_STORE), _command(_STORED)], id="a command instead of the data set"),
        pytest.param([_command(_STORE), _data(b"ab", last=False), _command(_STORED)], id="a command within a data set"),
        pytest.param([_command(_STORED[:20], last=False), _data(b"ab")], id="a data set within a command"),
        pytest.param(
            [_command(_STORED[:20], 1, last=False), _command(_STORED[20:], 3)], id="two contexts in a command"
        ),
        pytest.param([_command(_STORE, 1), _data(b"ab", 3)], id="the data set in another context"),
        pytest.param([_command(b"")], id="an empty command"),
        pytest.param([_command(b"nonsense")], id="no command set"),
        pytest.param([_command(bytes(40000), last=False)] * 2, id="a command without an end"),
    ],
)
def test_a_fragment_out_of_place_is_invalid(fragments):
    with pytest.raises(InvalidPdu):
        _read_all(*fragments)


@pytest.mark.parametrize("sizes", [[70_000], [40_000, 30_000], [65_530, 7]])
def test_a_command_set_that_is_too_long_is_invalid_also_in_one_piece(sizes):
    fragments = [_command(bytes(size), last=number == len(sizes)) for number, size in enumerate(sizes, 1)]
    with pytest.raises(InvalidPdu, match="a command set of more than 65536 bytes"):
        _read_all(*fragments)


def test_each_message_may_use_another_context():
    read = _read_all(_command(_STORED, 1), _command(_STORE, 3), _data(b"ab", 3), _command(echo_request(9), 5))
    assert [received.context_id for received in read if isinstance(received, CommandReceived)] == [1, 3, 5]


@given(st.lists(st.builds(Fragment, _CONTEXT_IDS, st.integers(0, 3), st.binary(max_size=30).map(memoryview))))
def test_any_fragments_are_messages_or_invalid(fragments):
    reader = MessageReader()
    with suppress(InvalidPdu):
        for fragment in fragments:
            reader.read(fragment)
