"""Recognises responses by comparing whole PDUs: one peer's responses differ in message id and SOP instance UID only.

Each response that was read in full is remembered, one for each length. If the next one differs in these two values
only, it has the same status. A comparison takes a tenth of the time that reading takes.
"""

from __future__ import annotations

from struct import Struct

from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.command import variable_positions
from asyncstore.protocol.pdu import COMMAND, LAST, PDU_HEADER_LENGTH, PduType
from asyncstore.protocol.status import PENDING

Answer = tuple[int, int, int]
"""Message id, presentation context id and status of a recognised response. A plain tuple: each store needs one."""

_HEADER = Struct(">BxIIBB")
"""The headers of a P-DATA-TF with one PDV (PS3.8 9.3.5)."""
HEAD_LENGTH = _HEADER.size

_MOST_LENGTHS = 64
"""UIDs have some 30 lengths. Error comments can have many more: responses beyond the limit are read in full."""


class _Known(NamedTuple):
    """A response that was read in full."""

    before: bytes
    """The bytes before its message id."""
    message_id: int
    """The position of its message id."""
    between: bytes
    """The bytes between its message id and its SOP instance UID, its last element."""
    context_id: int
    status: int


class KnownResponses:
    """The responses of one association that were read in full, one for each length."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def answer(self, pdu: bytes) -> Answer | None:
        """The contents of a PDU that equals a known response but for message id and UID; ``None`` for any other."""
        known = self._known.get(len(pdu))
        if known is None:
            return None
        before, at, between, context_id, status = known
        if pdu.startswith(before) and pdu.startswith(between, at + 2):
            return pdu[at] | pdu[at + 1] << 8, context_id, status
        return None

    def remember(self, pdu: bytes, status: int) -> None:
        """Remember a final C-STORE-RSP if ``pdu`` is one P-DATA-TF with the whole command set."""
        if len(pdu) < HEAD_LENGTH or (len(pdu) not in self._known and len(self._known) >= _MOST_LENGTHS):
            return
        if status in PENDING:
            return
        kind, length, pdv_length, context_id, control = _HEADER.unpack_from(pdu)
        is_whole = length == len(pdu) - PDU_HEADER_LENGTH and pdv_length == length - 4
        if kind != PduType.P_DATA_TF or not is_whole or control != COMMAND | LAST:
            return
        positions = variable_positions(pdu[HEAD_LENGTH:])
        if positions is not None:
            at, uid = (HEAD_LENGTH + position for position in positions)
            self._known[len(pdu)] = _Known(pdu[:at], at, pdu[at + 2 : uid], context_id, status)


def is_lone_head(data: bytes | memoryview) -> bool:
    """Whether ``data`` is exactly the headers of a P-DATA-TF: DCMTK sends them apart from the command set."""
    if len(data) != HEAD_LENGTH or data[0] != PduType.P_DATA_TF:
        return False
    length = int.from_bytes(data[2:PDU_HEADER_LENGTH], "big")
    return length > HEAD_LENGTH - PDU_HEADER_LENGTH
