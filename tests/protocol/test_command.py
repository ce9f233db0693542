"""Command sets are compared with pynetdicom's, in both directions."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as read_data_set

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.command import (
    VERIFICATION,
    CommandField,
    decode,
    echo_request,
    response,
    store_request,
)
from asyncstore.protocol.deviations import Deviation

_CT = "1.2.840.10008.5.1.4.1.1.2"
_MESSAGE_IDS = st.integers(0, 0xFFFF)
_UIDS = st.lists(st.integers(0, 10**9), min_size=1, max_size=5).map(
    lambda numbers: ".".join(map(str, (1, 2, *numbers)))
)


def _written_by_pynetdicom(message_class, primitive, **values):
    """The command set of pynetdicom's message with these values."""
    for name, value in values.items():
        setattr(primitive, name, value)
    message = message_class()
    message.primitive_to_message(primitive)
    (_, pdv) = next(iter(message.encode_msg(1, 16384))).presentation_data_value_list[0]
    return pdv[1:]


def _store_request_of_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, priority):
    return _written_by_pynetdicom(
        C_STORE_RQ,
        C_STORE(),
        MessageID=message_id,
        AffectedSOPClassUID=sop_class_uid,
        AffectedSOPInstanceUID=sop_instance_uid,
        Priority=priority,
        DataSet=BytesIO(b"something"),
    )


def _store_response_of_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, status):
    return _written_by_pynetdicom(
        C_STORE_RSP,
        C_STORE(),
        MessageIDBeingRespondedTo=message_id,
        AffectedSOPClassUID=sop_class_uid,
        AffectedSOPInstanceUID=sop_instance_uid,
        Status=status,
    )


def _element(element, value, group=0):
    return (
        b"".join(number.to_bytes(2, "little") for number in (group, element)) + len(value).to_bytes(4, "little") + value
    )


# Out.


@given(_UIDS, _UIDS, _MESSAGE_IDS)
def test_a_store_request_is_byte_for_byte_pynetdicoms(sop_class_uid, sop_instance_uid, message_id):
    theirs = _store_request_of_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, priority=0)
    assert store_request(sop_class_uid, message_id, sop_instance_uid) == theirs


@given(_UIDS, _UIDS, _MESSAGE_IDS)
def test_pydicom_reads_a_store_request(sop_class_uid, sop_instance_uid, message_id):
    command_set = store_request(sop_class_uid, message_id, sop_instance_uid)
    read = read_data_set(BytesIO(command_set), is_implicit_vr=True, is_little_endian=True)
    assert read.CommandGroupLength == len(command_set) - 12
    assert (read.CommandField, read.MessageID, read.Priority) == (CommandField.C_STORE_RQ, message_id, 0)
    assert (read.AffectedSOPClassUID, read.AffectedSOPInstanceUID) == (sop_class_uid, sop_instance_uid)
    assert read.CommandDataSetType != 0x0101


@given(_MESSAGE_IDS)
def test_an_echo_request_is_byte_for_byte_pynetdicoms(message_id):
    theirs = _written_by_pynetdicom(C_ECHO_RQ, C_ECHO(), MessageID=message_id, AffectedSOPClassUID=VERIFICATION)
    assert echo_request(message_id) == theirs


@given(_UIDS, _UIDS, _MESSAGE_IDS, st.sampled_from([0x0000, 0x0111, 0xA700, 0xB000, 0xC123]))
def test_a_response_to_a_store_is_byte_for_byte_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, status):
    request = decode(store_request(sop_class_uid, message_id, sop_instance_uid))
    assert response(request, status) == _store_response_of_pynetdicoms(
        sop_class_uid, sop_instance_uid, message_id, status
    )


@given(_MESSAGE_IDS)
def test_a_response_to_an_echo_is_byte_for_byte_pynetdicoms(message_id):
    theirs = _written_by_pynetdicom(
        C_ECHO_RSP, C_ECHO(), MessageIDBeingRespondedTo=message_id, AffectedSOPClassUID=VERIFICATION, Status=0
    )
    assert response(decode(echo_request(message_id)), 0) == theirs


def test_a_request_with_binary_uids_is_answered_or_invalid():
    uids = _element(0x0002, b"\xff\xfe") + _element(0x1000, b"\xe4\0")
    request = uids + _element(0x0100, b"\1\0") + _element(0x0110, b"\7\0")
    try:
        answer = decode(response(decode(request), 0xC000))
    except InvalidPdu:
        return
    assert (answer.message_id, answer.status) == (7, 0xC000)


# In.


@given(_UIDS, _UIDS, _MESSAGE_IDS, st.integers(0, 0xFFFF))
def test_a_response_from_pynetdicom_is_read(sop_class_uid, sop_instance_uid, message_id, status):
    read = decode(_store_response_of_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, status))
    assert (read.field, read.message_id, read.status) == (CommandField.C_STORE_RSP, message_id, status)
    assert (read.sop_class_uid, read.sop_instance_uid) == (sop_class_uid, sop_instance_uid)
    assert not read.has_data_set


@given(_UIDS, _UIDS, _MESSAGE_IDS)
def test_a_request_from_pynetdicom_is_read(sop_class_uid, sop_instance_uid, message_id):
    read = decode(_store_request_of_pynetdicoms(sop_class_uid, sop_instance_uid, message_id, priority=2))
    assert (read.field, read.message_id, read.status) == (CommandField.C_STORE_RQ, message_id, None)
    assert (read.sop_class_uid, read.sop_instance_uid) == (sop_class_uid, sop_instance_uid)
    assert read.has_data_set


def test_elements_may_be_missing_unknown_or_superfluous():
    read = decode(_element(0x0100, b"\x01\x80") + _element(0x0902, b"an error comment") + _element(0x5555, b""))
    assert (read.field, read.message_id, read.status) == (CommandField.C_STORE_RSP, None, None)
    assert (read.sop_class_uid, read.sop_instance_uid, read.has_data_set) == (None, None, False)
    assert decode(_element(0x0100, b"\x20\x00")).field == 0x0020


def test_error_comments_are_not_shown():
    read = decode(_element(0x0100, b"\x01\x80") + _element(0x0120, b"\1\0") + _element(0x0902, b"DOE^JOHN"))
    assert "DOE" not in repr(read)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\0\0\1\2\0\0", id="cut off in a header"),
        pytest.param(b"\0\0\0\1\2\0\0\0\1", id="cut off in a value"),
        pytest.param(b"\0\0\0\1\xff\xff\xff\xff\1\0", id="4 GiB"),
        pytest.param(_element(0x0016, b"1.2.3\0", group=8), id="a data set"),
        pytest.param(_element(0x0110, b"\1\0"), id="no command field"),
        pytest.param(_element(0x0100, b"\1\0\0\0"), id="command field of four bytes"),
        pytest.param(_element(0x0100, b""), id="command field of none"),
    ],
)
def test_other_bytes_than_a_command_set_are_invalid(data):
    with pytest.raises(InvalidPdu):
        decode(data)


@pytest.mark.parametrize("element", [0x0120, 0x0900, 0x0800])
def test_a_value_of_the_wrong_length_is_invalid(element):
    with pytest.raises(InvalidPdu, match=f"{element:04X}"):
        decode(_element(0x0100, b"\x01\x80") + _element(element, b"\1\0\0\0"))


_READ = ("field", "message_id", "status", "has_data_set", "sop_class_uid", "sop_instance_uid")


def _is_read_or_invalid(data):
    with suppress(InvalidPdu):
        command = decode(data)
        assert all(hasattr(command, name) for name in _READ)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_invalid(data):
    _is_read_or_invalid(data)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1000]),
            st.binary(max_size=6),
        ),
        max_size=6,
    )
)
def test_any_elements_are_read_or_invalid(elements):
    _is_read_or_invalid(b"".join(_element(element, value) for element, value in elements))


def test_a_damaged_response_is_read_or_invalid():
    whole = response(decode(store_request(_CT, 5, "1.2.3")), 0)
    for position in range(len(whole)):
        _is_read_or_invalid(whole[:position])
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            _is_read_or_invalid(bytes(damaged))


@pytest.mark.parametrize("is_first", [True, False])
def test_elements_of_other_groups_are_noticed_and_ignored(is_first):
    elements = _element(0x0100, b"\1\x80") + _element(0x0120, b"\7\0") + _element(0x0900, b"\0\0")
    uid, others = _element(0x1000, b"1.2.3\0"), _element(0x1000, b"9.9", group=9) + _element(0x0900, b"\0\xa7", group=8)
    noticed = []
    command = decode(others + elements + uid if is_first else elements + uid + others, noticed.append)
    assert (command.message_id, command.status, command.sop_instance_uid) == (7, 0, "1.2.3")
    assert noticed == [Deviation.OTHER_GROUP]


def test_repr_says_that_the_message_id_is_missing():
    assert repr(decode(_element(0x0100, b"\1\x80"))) == "<Command 0x8001 no message id>"


def test_binary_uids_are_escaped_when_shown_and_sent_back_unchanged():
    elements = [(0x0002, b"1.2\x1b[2J\xff"), (0x0100, b"\1\0"), (0x0110, b"\7\0"), (0x1000, b"1\n2\xfe")]
    request = decode(b"".join(_element(element, value) for element, value in elements))
    assert (request.sop_class_uid, request.sop_instance_uid) == ("1.2\\x1b[2J\\xff", "1\\n2\\xfe")
    answered = decode(response(request, 0))
    assert (answered.class_uid_value, answered.instance_uid_value) == (elements[0][1], elements[3][1])
