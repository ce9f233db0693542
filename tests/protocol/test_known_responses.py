"""A response that is recognised says what reading it in full would say."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.command import decode, response, store_request
from asyncstore.protocol.known_responses import KnownResponses, is_lone_head

CT = "1.2.840.10008.5.1.4.1.1.2"


def _element(element, value):
    return struct.pack("<HHI", 0, element, len(value)) + value


def _pdu(command_set, context_id=1, control=3):
    return struct.pack(">BxIIBB", 4, len(command_set) + 6, len(command_set) + 2, context_id, control) + command_set


def _response(message_id, uid, status=0):
    return response(decode(store_request(CT, message_id, uid)), status)


_VALUES = {
    0x0002: st.sampled_from([b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2\0"]),
    0x0100: st.sampled_from([b"\x01\x80"]),
    0x0120: st.binary(min_size=2, max_size=2),
    0x0800: st.sampled_from([b"\x01\x01"]),
    0x0900: st.sampled_from([b"\0\0", b"\0\xa7", b"\0\xff"]),
    0x0902: st.sampled_from([b"", b"a comment "]),
    0x1000: st.sampled_from([b"1.2.3\0", b"1.2.4\0", b"1.2.34", b"", b"\xff\xff"]),
}
_ANY = st.lists(
    st.sampled_from(sorted(_VALUES)).flatmap(lambda number: _VALUES[number].map(lambda value: _element(number, value))),
    max_size=7,
).map(b"".join)
_ORDINARY = st.builds(
    _response, st.integers(1, 65535), st.sampled_from(["1.2.3", "1.2.4", "1.2.3456789"]), st.sampled_from([0, 0xA700])
)
_PDUS = st.builds(_pdu, _ORDINARY | _ANY | st.binary(max_size=40), st.sampled_from([1, 3]), st.sampled_from([3, 3, 1]))


@given(st.lists(_PDUS, max_size=8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 200), st.integers(0, 255))))
def test_what_is_recognised_is_what_reading_in_full_says(pdus, damages):
    for number, position, byte in damages:
        if number < len(pdus) and position < len(pdus[number]):
            damaged = bytearray(pdus[number])
            damaged[position] = byte
            pdus.append(bytes(damaged))
    known = KnownResponses()
    for pdu in (*pdus, *pdus):
        answer = known.answer(pdu)
        try:
            command = decode(pdu[12:])
        except InvalidPdu:
            assert answer is None
            continue
        if answer is not None:
            assert answer == (command.message_id, pdu[10], command.status)
            assert not command.has_data_set
        if command.is_response and command.status is not None and not command.has_data_set:
            known.remember(pdu, command.status)


def test_the_next_response_of_a_peer_is_recognised():
    known = KnownResponses()
    known.remember(_pdu(_response(7, "1.2.3")), 0)
    assert known.answer(_pdu(_response(0x1234, "1.2.9"))) == (0x1234, 1, 0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(_pdu(_response(8, "1.2.3", 0xA700)), id="status"),
        pytest.param(_pdu(_response(8, "1.2.3"), context_id=3), id="context"),
        pytest.param(_pdu(_response(8, "1.2.3456")), id="length"),
        pytest.param(_pdu(_response(8, "1.2.3"), control=1), id="not the last fragment"),
    ],
)
def test_one_that_differs_is_not(other):
    known = KnownResponses()
    known.remember(_pdu(_response(7, "1.2.3")), 0)
    assert known.answer(other) is None


def test_a_peer_with_responses_of_any_length_takes_no_memory():
    known = KnownResponses()
    for length in range(1, 500):
        known.remember(_pdu(_response(7, "1" * length)), 0)
    assert sum(known.answer(_pdu(_response(7, "1" * length))) is not None for length in range(1, 500)) < 200


def test_the_head_that_dcmtk_writes_apart_is_known():
    whole = _pdu(_response(7, "1.2.3"))
    assert is_lone_head(whole[:12])
    assert not any(is_lone_head(data) for data in (whole, whole[:11], whole[:13], _pdu(b""), bytes(12)))
