"""Command sets of responses, and the short cut that recognises them.

An input begins with the size of a fragment, a message id and a byte for the UID; a command set follows.
"""

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.command import CommandField, decode, response, store_request
from asyncstore.protocol.known_responses import KnownResponses
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import COMMAND, LAST, Fragment, Fragmenter

EXPECTED = (InvalidPdu,)
_BEGINNING = 4


def seeds():
    """Responses with several statuses, and what else may come."""
    request = decode(store_request("1.2.840.10008.5.1.4.1.1.2", 7, "1.2.3.4"))
    for status in (0, 0xB000, 0xA700, 0xC123, 0xFF00, 0x0111):
        yield b"\x40\x09\x00\x31" + response(request, status)
    comment = b"\0\0\x02\x09\x0a\0\0\0no\x1b[31mroom"
    yield b"\x07\x09\x00\x31" + response(request, 0xA700) + comment
    yield b"\x07\xff\xff\x31" + store_request("1.2", 1, "1.2.3")


def execute(data, _):
    """Fragments and the whole say the same, and so does the short cut."""
    size, command_set = max(1, data[0]) if data else 1, data[_BEGINNING:]
    reader, received = MessageReader(), None
    for at in range(0, len(command_set), size):
        control = COMMAND | (LAST if at + size >= len(command_set) else 0)
        received = reader.read(Fragment(1, control, memoryview(command_set[at : at + size])))
    if not isinstance(received, CommandReceived):
        return
    command = received.command
    assert repr(command).isprintable()
    assert all((uid or "").isprintable() for uid in (command.sop_class_uid, command.sop_instance_uid))
    if command.field == CommandField.C_STORE_RSP and command.status is not None and not command.has_data_set:
        _check_short_cut(command_set, command, data[1:_BEGINNING])


def _check_short_cut(command_set, command, change):
    known = KnownResponses()
    [pdu] = Fragmenter(0).command(1, command_set)
    known.remember(pdu, command.status)
    assert known.answer(pdu) in (None, (command.message_id, 1, command.status))
    uid = command.instance_uid_value
    if not uid:
        return
    number = int.from_bytes(change[:2], "little")
    before, after = (value.to_bytes(2, "little") for value in (command.message_id or 0, number))
    other = pdu.replace(b"\0\0\x20\x01\2\0\0\0" + before, b"\0\0\x20\x01\2\0\0\0" + after)
    if other.endswith(uid):
        other = other[: -len(uid)] + bytes(change[2:3] * len(uid))
    answer = known.answer(other)
    if answer is not None:
        again = decode(other[len(pdu) - len(command_set) :])
        assert (again.message_id, again.status) == (answer[0], answer[2])
