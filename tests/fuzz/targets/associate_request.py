"""A-ASSOCIATE-RQ: what a stranger sends to the sink."""

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.associate import (
    AssociateRequest,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
)
from asyncstore.protocol.pdu import PDU_HEADER_LENGTH

EXPECTED = (InvalidPdu,)


def seeds():
    """Bodies of PDUs, with and without optional items."""
    contexts = (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),)
    yield AssociateRequest("US", "THEM", contexts, 16384).encode()[PDU_HEADER_LENGTH:]
    roles, extended = (RoleSelection("1.2.3", scu=True, scp=True),), (ExtendedNegotiation("1.2.3", b"\1\2"),)
    more = {"window": (8, 0), "roles": roles, "extended": extended, "identity": UserIdentity(2, b"user", b"word")}
    yield AssociateRequest("US", "THEM", contexts * 3, 0, **more).encode()[PDU_HEADER_LENGTH:]


def execute(data, _):
    """Its texts can be shown, and its identity is not shown."""
    request = AssociateRequest.decode(data)
    texts = [request.called_ae_title, request.calling_ae_title, *(one.abstract_syntax for one in request.contexts)]
    assert all(map(str.isprintable, texts))
    assert repr(request).isprintable()
