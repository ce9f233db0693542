"""A-ASSOCIATE-RJ and A-ABORT, instead of an answer to a request."""

from asyncstore.errors import AssociationAborted, AssociationRejected
from asyncstore.protocol.associate import AssociateReject, AssociateRequest
from asyncstore.protocol.pdu import abort
from asyncstore.protocol.upper_layer import Aborted, Accepted, Rejected, Released, UpperLayer

EXPECTED = ()
_REQUEST = AssociateRequest("US", "THEM", (), 16384)


def seeds():
    """Both PDUs."""
    yield AssociateReject(1, 1, 7).encode()
    yield AssociateReject(2, 3, 2).encode()
    yield abort(0, 0)
    yield abort(2, 6)


def execute(data, _):
    """It ends the association, in words."""
    layer = UpperLayer(16384)
    layer.associate(_REQUEST)
    for event in layer.receive(memoryview(data)):
        if isinstance(event, Accepted):  # what follows is another target's
            return
        if isinstance(event, Rejected):
            assert str(AssociationRejected("peer", *event.reject)).isprintable()
        elif isinstance(event, Aborted):
            assert str(AssociationAborted("peer", *event)).isprintable()
        assert not isinstance(event, Released)
        assert layer.is_over
