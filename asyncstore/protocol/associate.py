"""A-ASSOCIATE-RQ, -AC and -RJ (PS3.8 9.3.2 - 9.3.4, annex D; PS3.7 D.3.3).

pynetdicom could do this part, but its import costs 0.4 s and 30 MB: more than the rest of a short run. The tests
compare every PDU with pynetdicom's, in both directions.

Decoding trusts no length: an item longer than its container is an :class:`~asyncstore.errors.InvalidPdu`. Unknown items
are skipped (PS3.8 9.3.1).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asyncstore.errors import InvalidPdu
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER, PduType, with_header
from asyncstore.protocol.text import is_plain, readable
from asyncstore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The DICOM application context (PS3.7 annex A)."""

IMPLEMENTATION_CLASS_UID = "2.25.173208194012853463262041985466427013277"
"""Made once for this program from a UUID (PS3.5 B.2)."""
IMPLEMENTATION_VERSION_NAME = f"ASYNCSTORE_{__version__.replace('.', '')}"[:16]
"""At most 16 characters (PS3.7 D.3.3.2.3)."""

MOST_CONTEXTS = 128
"""Context ids are the odd numbers of one byte (PS3.8 9.3.2.2)."""
MOST_BYTES_OF_ITEM = 0xFFFF
"""Lengths of items, and of the fields of a user identity, are 16 bits (PS3.8 9.3.1, PS3.7 D.3.3.7.1)."""

_APPLICATION_CONTEXT = 0x10
_PRESENTATION_CONTEXT_RQ = 0x20
_PRESENTATION_CONTEXT_AC = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ASYNCHRONOUS_OPERATIONS_WINDOW = 0x53
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED_NEGOTIATION = 0x56
_USER_IDENTITY_RQ = 0x58
_USER_IDENTITY_AC = 0x59

_PROTOCOL_VERSION = 1
_FIXED = Struct(">H2x16s16s32x")
"""Protocol version, called and calling AE title, 32 reserved bytes (PS3.8 9.3.2)."""
_ECHOED = slice(4, _FIXED.size)
"""AE titles and reserved bytes: the A-ASSOCIATE-AC repeats them byte for byte (PS3.8 9.3.3)."""
_ITEM = Struct(">BxH")
_WINDOW = Struct(">HH")
_UINT16 = Struct(">H")
_UINT32 = Struct(">I")
_AE_TITLE_LENGTH = 16

_Context = TypeVar("_Context")
_Identity = TypeVar("_Identity")


class ProposedContext(NamedTuple):
    """A presentation context as the requestor proposes it (PS3.8 9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class ContextResult(NamedTuple):
    """The acceptor's answer to a proposed context (PS3.8 9.3.3.2).

    ``transfer_syntax`` counts only with result 0. It is empty if the answer holds none, or more than one.
    """

    id: int
    result: int
    transfer_syntax: str


ACCEPTANCE = 0
_RESULT_WORDS = {
    0: "accepted",
    1: "rejected by the user",
    2: "rejected without a reason",
    3: "abstract syntax not supported",
    4: "transfer syntaxes not supported",
}
"""PS3.8 table 9-18."""


def describe_result(result: int) -> str:
    """The result/reason of a context in words."""
    return _RESULT_WORDS.get(result, f"result {result}")


class RoleSelection(NamedTuple):
    """The roles that the requestor proposes for a SOP class, or that the acceptor agrees to (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


class ExtendedNegotiation(NamedTuple):
    """Service class application information; the SOP class defines its meaning (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    information: bytes


class IdentityKind(IntEnum):
    """User identity types (PS3.7 table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


class UserIdentity(NamedTuple):
    """The user who asks for the association, and the proof (PS3.7 D.3.3.7.1). Its ``repr`` shows none of its bytes.

    ``kind`` is an :class:`IdentityKind`, or a number that only the peer knows. It says what ``primary`` holds: user
    name in UTF-8, Kerberos service ticket, SAML assertion or JSON web token. ``secondary`` holds the passcode, if the
    kind has one. ``wants_response`` asks the acceptor to confirm the identity.
    """

    kind: int
    primary: bytes
    secondary: bytes = b""
    wants_response: bool = False

    def __repr__(self) -> str:
        sizes = f"{len(self.primary)} bytes, {len(self.secondary)} bytes"
        return f"UserIdentity(kind={self.kind}, {sizes}, wants_response={self.wants_response})"


class _Associate(NamedTuple, Generic[_Context, _Identity]):
    """The fields that an A-ASSOCIATE-RQ and an A-ASSOCIATE-AC share.

    ``maximum_length`` is the longest P-DATA-TF that the PDU's sender receives (0: any). ``window`` is the asynchronous
    operations window (invoked, performed; 0: unlimited); ``None``: the item is absent, which means (1, 1).
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: tuple[_Context, ...]
    maximum_length: int
    window: tuple[int, int] | None = None
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str | None = IMPLEMENTATION_VERSION_NAME
    protocol_version: int = _PROTOCOL_VERSION
    application_context: str = APPLICATION_CONTEXT
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    identity: _Identity | None = None


class AssociateRequest(_Associate[ProposedContext, UserIdentity]):
    """An A-ASSOCIATE-RQ."""

    __slots__ = ()

    def encode(self) -> bytes:
        """The whole PDU.

        Raises:
            ValueError: roles, extended negotiation and identity do not fit into one item (see :func:`excess`).
        """
        contexts = (
            _item(
                _PRESENTATION_CONTEXT_RQ,
                bytes((context.id, 0, 0, 0))
                + _text_item(_ABSTRACT_SYNTAX, context.abstract_syntax)
                + b"".join(_text_item(_TRANSFER_SYNTAX, uid) for uid in context.transfer_syntaxes),
            )
            for context in self.contexts
        )
        identity = b"" if self.identity is None else _identity_item(self.identity)
        return with_header(PduType.ASSOCIATE_RQ, _encoded(self, contexts, identity))

    @classmethod
    def decode(cls, body: bytes) -> AssociateRequest:
        """Read the PDU's body. Transfer syntaxes that cannot be UIDs are left out: nobody can choose them.

        Raises:
            InvalidPdu: it is no A-ASSOCIATE-RQ.
        """
        return cls._make(
            _decoded(body, _PRESENTATION_CONTEXT_RQ, _proposed_context, _USER_IDENTITY_RQ, _decoded_identity)
        )


class AssociateAccept(_Associate[ContextResult, bytes]):
    """An A-ASSOCIATE-AC. The requestor does not test its AE titles (PS3.8 9.3.3).

    ``identity`` confirms the user identity: the Kerberos server ticket, the SAML response or nothing (PS3.7 D.3.3.7.2).
    Without the item it is ``None``: the identity is not confirmed.
    """

    __slots__ = ()

    def encode(self, echoed: bytes | None = None) -> bytes:
        """The whole PDU.

        Args:
            echoed: the bytes to repeat from the request (see :func:`echoed_part`); ``None``: use the AE titles.

        Raises:
            ValueError: a transfer syntax does not fit into its item.
        """
        contexts = (
            _item(
                _PRESENTATION_CONTEXT_AC,
                bytes((context.id, 0, context.result, 0)) + _text_item(_TRANSFER_SYNTAX, context.transfer_syntax),
            )
            for context in self.contexts
        )
        response = b"" if self.identity is None else _item(_USER_IDENTITY_AC, _field(self.identity))
        body = _encoded(self, contexts, response)
        if echoed is not None:
            body = body[: _ECHOED.start] + echoed + body[_ECHOED.stop :]
        return with_header(PduType.ASSOCIATE_AC, body)

    @classmethod
    def decode(cls, body: bytes) -> AssociateAccept:
        """Read the PDU's body. Its application context is taken for DICOM's.

        Raises:
            InvalidPdu: it is no A-ASSOCIATE-AC.
        """
        accept = cls._make(
            _decoded(body, _PRESENTATION_CONTEXT_AC, _context_result, _USER_IDENTITY_AC, _identity_response)
        )
        return accept._replace(application_context=APPLICATION_CONTEXT)


class AssociateReject(NamedTuple):
    """An A-ASSOCIATE-RJ: result, source and reason/diag. as in PS3.8 table 9-21."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        """The whole PDU."""
        return with_header(PduType.ASSOCIATE_RJ, bytes((0, self.result, self.source, self.reason)))

    @classmethod
    def decode(cls, body: bytes) -> AssociateReject:
        """Read the PDU's body. The PDU decoder has checked its length."""
        return cls(body[1], body[2], body[3])


def _decoded(
    body: bytes,
    context_item: int,
    context: Callable[[bytes], _Context],
    identity_item: int,
    identity: Callable[[bytes], _Identity],
) -> _Associate[_Context, _Identity]:
    """Read the body of an A-ASSOCIATE-RQ or -AC. If a single item is repeated, the last one counts."""
    if len(body) < _FIXED.size:
        raise InvalidPdu(f"an A-ASSOCIATE PDU of only {len(body)} bytes", ABORT_INVALID_PARAMETER)
    version, called, calling = _FIXED.unpack_from(body)
    items = _grouped(_items(body, _FIXED.size))
    user = _grouped(item for data in items.get(_USER_INFORMATION, ()) for item in _items(data, 0))
    last = {kind: values[-1] for kind, values in user.items()}
    return _Associate(
        readable(calling),
        readable(called),
        tuple(map(context, items.get(context_item, ()))),
        int.from_bytes(_exactly(last.get(_MAXIMUM_LENGTH, bytes(4)), 4), "big"),
        _decoded_window(last.get(_ASYNCHRONOUS_OPERATIONS_WINDOW)),
        readable(last.get(_IMPLEMENTATION_CLASS_UID, b"")),
        readable(last[_IMPLEMENTATION_VERSION_NAME]) if _IMPLEMENTATION_VERSION_NAME in last else None,
        version,
        readable(items.get(_APPLICATION_CONTEXT, [b""])[0]),
        tuple(map(_decoded_role, user.get(_ROLE_SELECTION, ()))),
        tuple(map(_decoded_extension, user.get(_EXTENDED_NEGOTIATION, ()))),
        identity(last[identity_item]) if identity_item in last else None,
    )


def _proposed_context(data: bytes) -> ProposedContext:
    items = _grouped(_items(data, 4))
    abstract = items.get(_ABSTRACT_SYNTAX, [])
    if len(abstract) != 1:
        raise InvalidPdu("a presentation context without one abstract syntax", ABORT_INVALID_PARAMETER)
    transfer = tuple(readable(uid) for uid in items.get(_TRANSFER_SYNTAX, ()) if is_plain(uid))
    return ProposedContext(data[0], readable(abstract[0]), transfer)


def _context_result(data: bytes) -> ContextResult:
    transfer = [readable(value) for kind, value in _items(data, 4) if kind == _TRANSFER_SYNTAX]
    return ContextResult(data[0], data[2], transfer[0] if len(transfer) == 1 else "")


def echoed_part(body: bytes) -> bytes:
    """The bytes of a decoded A-ASSOCIATE-RQ's body that the A-ASSOCIATE-AC must repeat."""
    return body[_ECHOED]


def excess(request: AssociateRequest) -> int:
    """The bytes by which this request's user information is too long for an item; 0: it fits."""
    identity = b"" if request.identity is None else bytes(10) + request.identity.primary + request.identity.secondary
    return max(0, len(_user_items(request)) + len(identity) - MOST_BYTES_OF_ITEM)


def _decoded_window(value: bytes | None) -> tuple[int, int] | None:
    """The window; ``None`` (the smallest) also if the item has a wrong length, as DCMTK ignores it."""
    if value is None or len(value) != _WINDOW.size:
        return None
    invoked, performed = _WINDOW.unpack(value)
    return invoked, performed


def _decoded_role(value: bytes) -> RoleSelection:
    uid, roles = _split_field(value)
    scu, scp = _exactly(roles, 2)
    return RoleSelection(readable(uid), scu == 1, scp == 1)


def _decoded_extension(value: bytes) -> ExtendedNegotiation:
    uid, information = _split_field(value)
    return ExtendedNegotiation(readable(uid), information)


def _decoded_identity(value: bytes) -> UserIdentity:
    primary, rest = _split_field(value, 2)
    return UserIdentity(value[0], primary, _split_field(rest)[0], value[1] == 1)


def _identity_response(value: bytes) -> bytes:
    return _split_field(value)[0]


def _identity_item(identity: UserIdentity) -> bytes:
    beginning = bytes((identity.kind, identity.wants_response))
    return _item(_USER_IDENTITY_RQ, beginning + _field(identity.primary) + _field(identity.secondary))


def _field(value: bytes) -> bytes:
    """A field of a user information sub-item: two bytes of length, then the value."""
    return _UINT16.pack(_fitting(len(value))) + value


def _split_field(data: bytes, start: int = 0) -> tuple[bytes, bytes]:
    """The field that begins at ``start``, and the bytes after it."""
    begin = start + _UINT16.size
    length = int.from_bytes(data[start:begin], "big")
    if len(data) < begin + length:
        raise InvalidPdu("a user information sub-item that is cut off", ABORT_INVALID_PARAMETER)
    return data[begin : begin + length], data[begin + length :]


def _fitting(length: int) -> int:
    if length > MOST_BYTES_OF_ITEM:
        raise ValueError(f"{length} bytes do not fit into an item of an association request")
    return length


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, _fitting(len(value))) + value


def _text_item(kind: int, text: str) -> bytes:
    return _item(kind, text.encode("ascii"))


def _encoded(pdu: _Associate[Any, Any], contexts: Iterable[bytes], identity: bytes) -> bytes:
    """The body, from encoded contexts and an encoded user identity."""
    called, calling = (
        title.encode("ascii").ljust(_AE_TITLE_LENGTH) for title in (pdu.called_ae_title, pdu.calling_ae_title)
    )
    return (
        _FIXED.pack(pdu.protocol_version, called, calling)
        + _text_item(_APPLICATION_CONTEXT, pdu.application_context)
        + b"".join(contexts)
        + _item(_USER_INFORMATION, _user_items(pdu) + identity)
    )


def _user_items(pdu: _Associate[Any, Any]) -> bytes:
    """The sub-items without the user identity, by ascending type: the order that all implementations send."""
    items = [
        _item(_MAXIMUM_LENGTH, _UINT32.pack(pdu.maximum_length)),
        _text_item(_IMPLEMENTATION_CLASS_UID, pdu.implementation_class_uid),
    ]
    if pdu.window is not None:
        items.append(_item(_ASYNCHRONOUS_OPERATIONS_WINDOW, _WINDOW.pack(*pdu.window)))
    for uid, scu, scp in pdu.roles:
        items.append(_item(_ROLE_SELECTION, _field(uid.encode("ascii")) + bytes((scu, scp))))
    if pdu.implementation_version_name:
        items.append(_text_item(_IMPLEMENTATION_VERSION_NAME, pdu.implementation_version_name))
    for uid, information in pdu.extended:
        items.append(_item(_EXTENDED_NEGOTIATION, _field(uid.encode("ascii")) + information))
    return b"".join(items)


def _grouped(items: Iterable[tuple[int, bytes]]) -> dict[int, list[bytes]]:
    """The values of each type of item, in order."""
    groups: dict[int, list[bytes]] = {}
    for kind, value in items:
        groups.setdefault(kind, []).append(value)
    return groups


def _items(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    if len(data) < start:
        raise InvalidPdu("an item shorter than its fixed part", ABORT_INVALID_PARAMETER)
    position, end = start, len(data)
    while position < end:
        if end - position < _ITEM.size:
            raise InvalidPdu("an item cut off within its header", ABORT_INVALID_PARAMETER)
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if length > end - position:
            raise InvalidPdu(f"an item of {length} bytes where {end - position} are left", ABORT_INVALID_PARAMETER)
        yield kind, data[position : position + length]
        position += length


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise InvalidPdu(
            f"a user information sub-item of {len(value)} bytes instead of {length}", ABORT_INVALID_PARAMETER
        )
    return value
