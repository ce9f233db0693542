"""A-ASSOCIATE-AC: what an acceptor answers to a request."""

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.associate import AssociateAccept, ContextResult, ExtendedNegotiation, RoleSelection
from asyncstore.protocol.pdu import PDU_HEADER_LENGTH

EXPECTED = (InvalidPdu,)


def seeds():
    """Bodies of PDUs, with and without optional items."""
    contexts = (ContextResult(1, 0, "1.2.840.10008.1.2"), ContextResult(3, 4, ""))
    yield AssociateAccept("US", "THEM", contexts, 16384).encode()[PDU_HEADER_LENGTH:]
    roles, extended = (RoleSelection("1.2.3", scu=True, scp=False),), (ExtendedNegotiation("1.2.3", b"\1\2"),)
    more = {"window": (8, 0), "roles": roles, "extended": extended, "identity": b"response"}
    yield AssociateAccept("US", "THEM", contexts, 0, **more).encode()[PDU_HEADER_LENGTH:]


def execute(data, _):
    """Its texts can be shown."""
    accept = AssociateAccept.decode(data)
    texts = [accept.called_ae_title, accept.calling_ae_title, accept.implementation_class_uid]
    texts += [accept.implementation_version_name or "", *(context.transfer_syntax for context in accept.contexts)]
    assert all(map(str.isprintable, texts))
