"""The bytes of PDUs: encodes P-DATA-TF fragments, decodes every PDU.

Rules:

1. Payload is never joined or copied. :meth:`Fragmenter.fragments` gives headers and slices of the caller's buffer for
   a gather write. :class:`PduDecoder` gives slices of the buffer it was fed, valid until that buffer changes.
2. A length that a peer claims allocates nothing. P-DATA-TF streams through in the pieces that the network delivers.
   Other PDUs are collected; the header of one above the limit is an :class:`~asyncstore.errors.InvalidPdu`. Each byte
   is looked at once, even if bytes come one by one.
3. Fragments have even length (PS3.5 7.1.1; DCMTK insists).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING

from asyncstore.errors import InvalidPdu
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Octets = bytes | bytearray | memoryview


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


COMMAND = 0x01
"""Message control header, bit 0: the fragment belongs to a command set (PS3.8 E.2)."""
LAST = 0x02
"""Message control header, bit 1: the fragment is the last of its command set or data set."""

PDU_HEADER_LENGTH = 6
PDV_HEADER_LENGTH = 6
"""Length (4 bytes), presentation context id, message control header."""

SMALLEST_MAXIMUM_LENGTH = PDV_HEADER_LENGTH + 2
"""Carries two bytes, the least that even fragments allow. (DCMTK wants 14: it counts the PDU header as well. pynetdicom
has no limit.)"""
UNLIMITED_CAP = 131072
"""The longest PDU for a peer that sets no limit (0, PS3.8 D.1.1): DCMTK's, which every peer has met."""

_FIXED_LENGTH = 4
"""A-RELEASE-RQ, A-RELEASE-RP, A-ABORT and A-ASSOCIATE-RJ are four bytes long after their header (PS3.8 9.3.4, 9.3.6 -
9.3.8)."""
_ASSOCIATE_LIMIT = 1 << 20
"""128 contexts with every known transfer syntax take some 250 kB, a SAML assertion up to 64 kB more."""

_PDU_HEADER = Struct(">BxI")
_PDV_HEADER = Struct(">IBB")
_P_DATA_TF_HEADER = Struct(">BxIIBB")

_P_DATA_TF = int(PduType.P_DATA_TF)

ABORT_UNRECOGNIZED_PDU = 1
ABORT_UNEXPECTED_PDU = 2
ABORT_INVALID_PARAMETER = 6
"""Reasons of A-ABORT by the service-provider (PS3.8 table 9-26)."""

_HTTP = b"HTTP"
_TLS_ALERT = 0x15
"""The type of an alert's record (RFC 8446 5.1): the first byte tells."""

RELEASE_RQ = _PDU_HEADER.pack(PduType.RELEASE_RQ, _FIXED_LENGTH) + bytes(_FIXED_LENGTH)
RELEASE_RP = _PDU_HEADER.pack(PduType.RELEASE_RP, _FIXED_LENGTH) + bytes(_FIXED_LENGTH)


def abort(source: int, reason: int) -> bytes:
    """An A-ABORT PDU (PS3.8 9.3.8)."""
    return _PDU_HEADER.pack(PduType.ABORT, _FIXED_LENGTH) + bytes((0, 0, source, reason))


def with_header(pdu_type: PduType, body: bytes) -> bytes:
    """A PDU of ``pdu_type`` with ``body`` after its header."""
    return _PDU_HEADER.pack(pdu_type, len(body)) + body


def data_header(length: int, context_id: int, control: int) -> bytes:
    """The headers of a P-DATA-TF with one PDV of ``length`` bytes (PS3.8 9.3.5)."""
    return _P_DATA_TF_HEADER.pack(_P_DATA_TF, length + 6, length + 2, context_id, control)


class Fragmenter:
    """Cuts command sets and data sets into P-DATA-TF PDUs of one PDV each.

    ``maximum_length`` is the longest P-DATA-TF that the peer receives, without its six bytes of header (PS3.8 D.1.1);
    0 is unlimited. ``restricted_to`` is a lower limit of our own.

    Raises:
        InvalidPdu: the maximum length is too small for any data.
    """

    def __init__(self, maximum_length: int, restricted_to: int | None = None) -> None:
        if 0 < maximum_length < SMALLEST_MAXIMUM_LENGTH:
            raise InvalidPdu(
                f"it accepts PDUs of at most {maximum_length} bytes: too few for any data", ABORT_INVALID_PARAMETER
            )
        length = min(maximum_length or UNLIMITED_CAP, restricted_to or UNLIMITED_CAP, UNLIMITED_CAP)
        self.fragment_length = (length - PDV_HEADER_LENGTH) & ~1
        self._full_headers: dict[int, bytes] = {}

    def command(self, context_id: int, command_set: bytes) -> list[Octets]:
        """The P-DATA-TFs of one command set."""
        length = len(command_set)
        if length <= self.fragment_length:
            return [data_header(length, context_id, COMMAND | LAST) + command_set]
        return list(self._cut_command(context_id, memoryview(command_set)))

    def fragments(self, context_id: int, data: memoryview, *, last: bool) -> list[Octets]:
        """The P-DATA-TFs of a piece of a data set: headers and slices of ``data`` in turn.

        ``last``: this piece ends the data set.
        """
        size = self.fragment_length
        length = len(data)
        if length <= size:
            return [data_header(length, context_id, LAST if last else 0), data]
        header = self._full_headers.get(context_id)
        if header is None:
            header = self._full_headers[context_id] = data_header(size, context_id, 0)
        starts = range(0, length, size)
        buffers: list[Octets] = [header] * (2 * len(starts))
        buffers[1::2] = [data[start : start + size] for start in starts]
        buffers[-2] = data_header(length - starts[-1], context_id, LAST if last else 0)
        return buffers

    def _cut_command(self, context_id: int, command_set: memoryview) -> Iterator[Octets]:
        size = self.fragment_length
        for start in range(0, len(command_set), size):
            piece = command_set[start : start + size]
            control = COMMAND if start + size < len(command_set) else COMMAND | LAST
            yield data_header(len(piece), context_id, control)
            yield piece


class Pdu(NamedTuple):
    """A whole PDU other than P-DATA-TF; ``body`` comes after the header."""

    type: PduType
    body: bytes


class Fragment(NamedTuple):
    """A piece of a PDV, as large as the network delivered it."""

    context_id: int
    control: int
    """The message control header; only the final piece of a PDV keeps its :data:`LAST` bit."""
    data: memoryview
    """A slice of the buffer that was fed, valid until that buffer changes."""


class PduDecoder:
    """Turns received bytes into PDUs and fragments, wherever the network cuts them.

    Args:
        maximum_length: the maximum length that we announced; a longer P-DATA-TF is a violation. 0: any.
        associate_limit: the longest A-ASSOCIATE-RQ or -AC; the header of a longer one is a violation.
    """

    def __init__(self, maximum_length: int, associate_limit: int = _ASSOCIATE_LIMIT) -> None:
        self.associate_limit = associate_limit
        self._maximum_length = maximum_length
        self._partial = bytearray()
        self._wanted = 0
        """Bytes that ``_partial`` needs before decoding goes on: decoding at each byte would take quadratic time."""
        self._pdu_left = 0
        self._pdv_left = 0
        self._context_id = 0
        self._control = 0

    @property
    def is_between_pdus(self) -> bool:
        """Whether the next byte begins a PDU."""
        return not (self._partial or self._pdu_left)

    def feed(self, data: memoryview, events: list[Pdu | Fragment]) -> None:
        """Decode ``data`` and append its PDUs and fragments to ``events``.

        Raises:
            InvalidPdu: a PDU is wrong. The ones before it have been appended. Do not feed the decoder again.
        """
        if not self._partial and not self._pdu_left and self._is_one_fragment(data):
            events.append(Fragment(data[10], data[11], data[_P_DATA_TF_HEADER.size :]))
            return
        while self._partial and data:
            missing = self._wanted - len(self._partial)
            self._partial += data[:missing]
            data = data[missing:]
            if len(self._partial) < self._wanted:
                return
            whole = memoryview(bytes(self._partial))
            self._partial.clear()
            self._partial += whole[self._scan(whole, events) :]
        self._partial += data[self._scan(data, events) :]

    def _scan(self, data: memoryview, events: list[Pdu | Fragment]) -> int:
        """Decode ``data``. Returns where the incomplete rest begins; it needs ``_wanted`` bytes in all."""
        position, end = 0, len(data)
        while position < end:
            if self._pdv_left:
                taken = min(self._pdv_left, end - position)
                self._pdv_left -= taken
                self._pdu_left -= taken
                control = self._control & ~LAST if self._pdv_left else self._control
                events.append(Fragment(self._context_id, control, data[position : position + taken]))
                position += taken
            elif self._pdu_left:
                if end - position < PDV_HEADER_LENGTH:
                    self._wanted = PDV_HEADER_LENGTH
                    break
                self._begin_pdv(data, position, events)
                position += PDV_HEADER_LENGTH
            else:
                if end - position < PDU_HEADER_LENGTH:
                    self._check_type(data[position], data[position:end])
                    self._wanted = PDU_HEADER_LENGTH
                    break
                pdu_type, length = _PDU_HEADER.unpack_from(data, position)
                if pdu_type == PduType.P_DATA_TF:
                    self._begin_p_data_tf(length)
                    position += PDU_HEADER_LENGTH
                    continue
                self._check_type(pdu_type, data[position:end])
                self._check_length(PduType(pdu_type), length)
                whole = PDU_HEADER_LENGTH + length
                if end - position < whole:
                    self._wanted = whole
                    break
                events.append(Pdu(PduType(pdu_type), bytes(data[position + PDU_HEADER_LENGTH : position + whole])))
                position += whole
        return position

    def _is_one_fragment(self, data: memoryview) -> bool:
        """Whether ``data`` is one whole P-DATA-TF with one PDV, as most responses are."""
        end = len(data)
        if end < _P_DATA_TF_HEADER.size:
            return False
        pdu_type, pdu_length, pdv_length, _, _ = _P_DATA_TF_HEADER.unpack_from(data)
        if pdu_type != PduType.P_DATA_TF or pdu_length != end - PDU_HEADER_LENGTH or pdv_length != pdu_length - 4:
            return False
        return not self._maximum_length or pdu_length <= self._maximum_length

    def _begin_p_data_tf(self, length: int) -> None:
        if length < PDV_HEADER_LENGTH:
            raise InvalidPdu(f"a P-DATA-TF of {length} bytes", ABORT_INVALID_PARAMETER)
        if self._maximum_length and length > self._maximum_length:
            raise InvalidPdu(
                f"a P-DATA-TF of {length} bytes, where at most {self._maximum_length} were agreed",
                ABORT_INVALID_PARAMETER,
            )
        self._pdu_left = length

    def _begin_pdv(self, data: memoryview, position: int, events: list[Pdu | Fragment]) -> None:
        length, self._context_id, self._control = _PDV_HEADER.unpack_from(data, position)
        if not 2 <= length <= self._pdu_left - 4:  # noqa: PLR2004 - the length includes context id and control header
            raise InvalidPdu(
                f"a PDV of {length} bytes in a PDU with {self._pdu_left - 4} left for it", ABORT_INVALID_PARAMETER
            )
        self._pdu_left -= PDV_HEADER_LENGTH
        self._pdv_left = length - 2
        if 0 < self._pdu_left - self._pdv_left < PDV_HEADER_LENGTH:
            raise InvalidPdu("a P-DATA-TF that ends within the header of a PDV", ABORT_INVALID_PARAMETER)
        if not self._pdv_left:
            events.append(Fragment(self._context_id, self._control, data[:0]))

    @staticmethod
    def _check_type(pdu_type: int, data: memoryview) -> None:
        if PduType.ASSOCIATE_RQ <= pdu_type <= PduType.ABORT:
            return
        start = bytes(data[: len(_HTTP)])
        if start == _HTTP:
            raise InvalidPdu("it answered with HTTP, not with a PDU", ABORT_UNRECOGNIZED_PDU, speaks="HTTP")
        if _HTTP.startswith(start):
            return  # more bytes tell
        if pdu_type == _TLS_ALERT:
            raise InvalidPdu("it answered with an alert of TLS, not with a PDU", ABORT_UNRECOGNIZED_PDU, speaks="TLS")
        raise InvalidPdu(f"a PDU of the unknown type 0x{pdu_type:02X}", ABORT_UNRECOGNIZED_PDU)

    def _check_length(self, pdu_type: PduType, length: int) -> None:
        is_association = pdu_type <= PduType.ASSOCIATE_AC
        if length > self.associate_limit if is_association else length != _FIXED_LENGTH:
            raise InvalidPdu(f"an {pdu_type.name} PDU that claims {length} bytes", ABORT_INVALID_PARAMETER)
