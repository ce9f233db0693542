"""Command sets of C-STORE and C-ECHO (PS3.7 9.3.1, 9.3.5): Implicit VR Little Endian, group 0000 only (PS3.7 6.3.1).

Received elements of other groups are ignored, as DCMTK and pynetdicom do.

Encoding a C-STORE-RQ is on the hot path: :class:`StoreRequestHead` keeps the bytes that most requests share.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from asyncstore.errors import InvalidPdu
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.deviations import Deviation, Notice, unnoticed
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER
from asyncstore.protocol.text import readable


class CommandField(IntEnum):
    """(0000,0100), PS3.7 E.1: the commands of storage and verification."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030


VERIFICATION = "1.2.840.10008.1.1"
"""The Verification SOP class (PS3.4 A.4)."""

_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_AFFECTED_SOP_INSTANCE_UID = 0x1000

_NEXT_GROUP = 0x0001_0000
"""(0001,0000): the first element beyond group 0000."""

_NO_DATA_SET = 0x0101
_DATA_SET_PRESENT = 0x0001
"""Any value but 0101 announces a data set (PS3.7 E.1)."""
_PRIORITY_MEDIUM = 0x0000

_PDV_CONTEXT_ID = 10
"""The position of the first PDV's presentation context id in a P-DATA-TF (PS3.8 9.3.5)."""
_PDV_DATA = 12
"""The position of the first PDV's data."""
_ELEMENT_HEADER = Struct("<HHI")
_US_LENGTH = 2
_US_ELEMENT = Struct("<HHIH")
_UL_ELEMENT = Struct("<HHII")
_UINT16 = Struct("<H")


def _us(element: int, value: int) -> bytes:
    return _US_ELEMENT.pack(0, element, 2, value)


def _ui(element: int, uid: str) -> bytes:
    return _padded(element, uid.encode("ascii", "replace"))


def _padded(element: int, value: bytes) -> bytes:
    return _ELEMENT_HEADER.pack(0, element, len(value) + (len(value) & 1)) + value + b"\0" * (len(value) & 1)


def _with_group_length(elements: bytes) -> bytes:
    return _UL_ELEMENT.pack(0, 0, 4, len(elements)) + elements


def store_request(sop_class_uid: str, message_id: int, sop_instance_uid: str) -> bytes:
    """A C-STORE-RQ command set (PS3.7 9.3.1.1); the instance's data set follows."""
    return _with_group_length(
        _ui(_AFFECTED_SOP_CLASS_UID, sop_class_uid)
        + _us(_COMMAND_FIELD, CommandField.C_STORE_RQ)
        + _us(_MESSAGE_ID, message_id)
        + _us(_PRIORITY, _PRIORITY_MEDIUM)
        + _us(_COMMAND_DATA_SET_TYPE, _DATA_SET_PRESENT)
        + _ui(_AFFECTED_SOP_INSTANCE_UID, sop_instance_uid)
    )


class StoreRequestHead(NamedTuple):
    """The PDU of a C-STORE-RQ of one presentation context, cut where the requests of an association differ.

    It fits all SOP instance UIDs of one length.
    """

    context_id: int
    before: bytes
    """The bytes before the message id."""
    between: bytes
    """The bytes between the message id and the SOP instance UID."""
    after: bytes
    """The padding of the SOP instance UID."""

    @classmethod
    def of(cls, pdu: bytes) -> StoreRequestHead:
        """Cut a P-DATA-TF that holds a whole C-STORE-RQ."""
        start = len(pdu) - _UL_ELEMENT.unpack_from(pdu, _PDV_DATA)[3] - _UL_ELEMENT.size
        positions = _positions(pdu[start:])
        message_id = start + positions[_MESSAGE_ID]
        instance_uid = start + positions[_AFFECTED_SOP_INSTANCE_UID]
        padding = b"\0" if pdu.endswith(b"\0") else b""
        return cls(pdu[_PDV_CONTEXT_ID], pdu[:message_id], pdu[message_id + _US_LENGTH : instance_uid], padding)

    def pdu(self, message_id: int, sop_instance_uid: str) -> bytes:
        """The PDU for an instance."""
        uid = sop_instance_uid.encode("ascii", "replace")
        return b"".join((self.before, _UINT16.pack(message_id), self.between, uid, self.after))

    def message(self, message_id: int, sop_instance_uid: str, header: bytes, data: bytes | memoryview) -> bytes:
        """The PDU for an instance, and the P-DATA-TF with its whole data set: ``header`` and ``data``."""
        _, before, between, after = self
        uid = sop_instance_uid.encode("ascii", "replace")
        return b"".join((before, _UINT16.pack(message_id), between, uid, after, header, data))


def echo_request(message_id: int) -> bytes:
    """A C-ECHO-RQ command set (PS3.7 9.3.5.1)."""
    return _with_group_length(
        _ui(_AFFECTED_SOP_CLASS_UID, VERIFICATION)
        + _us(_COMMAND_FIELD, CommandField.C_ECHO_RQ)
        + _us(_MESSAGE_ID, message_id)
        + _us(_COMMAND_DATA_SET_TYPE, _NO_DATA_SET)
    )


class Command:
    """A received command set. Missing elements are ``None``.

    Raises:
        InvalidPdu: it has no command field, or an element of a length its VR does not allow.
    """

    __slots__ = ("class_uid_value", "field", "has_data_set", "instance_uid_value", "message_id", "status")

    def __init__(self, values: dict[int, bytes]) -> None:
        field = _integer(values, _COMMAND_FIELD)
        if field is None:
            raise InvalidPdu("a command set without a command field", ABORT_INVALID_PARAMETER)
        self.field = field
        """(0000,0100): a :class:`CommandField` or any other number."""
        self.message_id = _integer(values, _MESSAGE_ID_BEING_RESPONDED_TO if self.is_response else _MESSAGE_ID)
        """A request's Message ID, or a response's Message ID Being Responded To."""
        self.status = _integer(values, _STATUS)
        """Responses have it."""
        self.has_data_set = _integer(values, _COMMAND_DATA_SET_TYPE) not in (_NO_DATA_SET, None)
        """Whether a data set follows."""
        self.class_uid_value = values.get(_AFFECTED_SOP_CLASS_UID)
        self.instance_uid_value = values.get(_AFFECTED_SOP_INSTANCE_UID)

    def __repr__(self) -> str:
        number = "no message id" if self.message_id is None else f"message id {self.message_id}"
        return f"<Command 0x{self.field:04X} {number}>"

    @property
    def is_response(self) -> bool:
        """Whether bit 15 of the command field is set (PS3.7 E.1)."""
        return bool(self.field & 0x8000)

    @property
    def sop_class_uid(self) -> str | None:
        """Affected SOP Class UID."""
        return _uid(self.class_uid_value)

    @property
    def sop_instance_uid(self) -> str | None:
        """Affected SOP Instance UID."""
        return _uid(self.instance_uid_value)


def _integer(values: dict[int, bytes], element: int) -> int | None:
    value = values.get(element)
    if value is None:
        return None
    if len(value) != _US_LENGTH:
        raise InvalidPdu(f"a command set whose (0000,{element:04X}) has {len(value)} bytes", ABORT_INVALID_PARAMETER)
    return value[0] | value[1] << 8


def _uid(value: bytes | None) -> str | None:
    return readable(value) if value else None


def response(request: Command, status: int) -> bytes:
    """The C-STORE-RSP or C-ECHO-RSP (PS3.7 9.3.1.2, 9.3.5.2) to ``request``, with the UIDs it sent."""
    elements = _padded(_AFFECTED_SOP_CLASS_UID, request.class_uid_value) if request.class_uid_value else b""
    elements += _us(_COMMAND_FIELD, request.field | 0x8000) + _us(
        _MESSAGE_ID_BEING_RESPONDED_TO, request.message_id or 0
    )
    elements += _us(_COMMAND_DATA_SET_TYPE, _NO_DATA_SET) + _us(_STATUS, status)
    if request.instance_uid_value:
        elements += _padded(_AFFECTED_SOP_INSTANCE_UID, request.instance_uid_value)
    return _with_group_length(elements)


def decode(data: bytes, notice: Notice = unnoticed) -> Command:
    """Read a whole command set.

    Args:
        data: its bytes.
        notice: takes notice of elements of other groups.

    Raises:
        InvalidPdu: it is no command set.
    """
    values = _elements(data, {})
    command = Command(values)
    if max(values) >= _NEXT_GROUP:
        notice(Deviation.OTHER_GROUP)
    return command


def _elements(data: bytes, positions: dict[int, int]) -> dict[int, bytes]:
    """The elements of a command set by number: ``group << 16 | element``.

    Adds the position of each value to ``positions``.
    """
    values: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < _ELEMENT_HEADER.size:
            raise InvalidPdu("a command set that ends within an element", ABORT_INVALID_PARAMETER)
        group, element, length = _ELEMENT_HEADER.unpack_from(data, position)
        position += _ELEMENT_HEADER.size
        if length > end - position:
            raise InvalidPdu("a command set with an element that is not one", ABORT_INVALID_PARAMETER)
        number = group << 16 | element
        values[number] = data[position : position + length]
        positions[number] = position
        position += length
    return values


def variable_positions(command_set: bytes) -> tuple[int, int] | None:
    """The positions of the Message ID Being Responded To and the Affected SOP Instance UID in a whole command set.

    ``None``: one is missing, or the UID is not its last element (PS3.7 6.3.1).
    """
    positions = _positions(command_set)
    message_id, uid = (positions.get(each) for each in (_MESSAGE_ID_BEING_RESPONDED_TO, _AFFECTED_SOP_INSTANCE_UID))
    return None if message_id is None or uid is None or uid != max(positions.values()) else (message_id, uid)


def _positions(command_set: bytes) -> dict[int, int]:
    positions: dict[int, int] = {}
    _elements(command_set, positions)
    return positions
