"""Puts messages together from fragments (PS3.7 6.3.1).

Command sets are short and are collected. Data set fragments are passed on as they arrive.
"""

from __future__ import annotations

from asyncstore.errors import InvalidPdu
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.command import Command, decode
from asyncstore.protocol.deviations import Notice, unnoticed
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, COMMAND, LAST, Fragment

_COMMAND_SET_LIMIT = 1 << 16
"""A C-STORE-RSP takes some 200 bytes; its error comment 64 more (PS3.7 annex C)."""


class CommandReceived(NamedTuple):
    """A whole command set. The pieces of its data set follow, if it has one."""

    context_id: int
    command: Command


class DataSetPiece(NamedTuple):
    """A piece of the data set that the last command announced."""

    data: memoryview
    is_last: bool


class MessageReader:
    """Reads the messages of one association.

    Messages do not interleave in one direction of an association (PS3.8 annex F.1 notes; all implementations comply).

    Args:
        notice: called with each harmless deviation in command sets.
    """

    def __init__(self, notice: Notice = unnoticed) -> None:
        self._notice = notice
        self._collected = bytearray()
        self._context_id: int | None = None
        self._in_data_set = False

    @property
    def is_between_messages(self) -> bool:
        """Whether the next fragment begins a message."""
        return self._context_id is None

    def read(self, fragment: Fragment) -> CommandReceived | DataSetPiece | None:
        """Take the next fragment.

        Returns the command set that it completes, or the piece of a data set; ``None``: the command set goes on.

        Raises:
            InvalidPdu: the fragment is out of place.
        """
        context_id, control, data = fragment
        if self._context_id is None:
            self._context_id = context_id
        elif context_id != self._context_id:
            raise InvalidPdu(
                f"a fragment of context {context_id} within a message of context {self._context_id}",
                ABORT_UNEXPECTED_PDU,
            )
        if bool(control & COMMAND) is self._in_data_set:
            raise InvalidPdu(
                "a data set without its command" if not self._in_data_set else "a command within a data set",
                ABORT_UNEXPECTED_PDU,
            )
        if self._in_data_set:
            is_last = bool(control & LAST)
            if is_last:
                self._end()
            return DataSetPiece(data, is_last)
        if len(self._collected) + len(data) > _COMMAND_SET_LIMIT:
            raise InvalidPdu(f"a command set of more than {_COMMAND_SET_LIMIT} bytes", ABORT_INVALID_PARAMETER)
        if control & LAST and not self._collected:
            return self._command(bytes(data))
        self._collected += data
        if not control & LAST:
            return None
        whole = bytes(self._collected)
        self._collected.clear()
        return self._command(whole)

    def _command(self, data: bytes) -> CommandReceived:
        command = decode(data, self._notice)
        received = CommandReceived(self._context_id or 0, command)
        if command.has_data_set:
            self._in_data_set = True
        else:
            self._end()
        return received

    def _end(self) -> None:
        self._context_id = None
        self._in_data_set = False
