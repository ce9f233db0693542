"""The upper layer as a stream of bytes, which the network cuts anywhere.

An input begins with a state and four sizes of pieces; the stream follows.
"""

from asyncstore.protocol.associate import AssociateAccept, AssociateReject, AssociateRequest, ProposedContext
from asyncstore.protocol.pdu import LAST, RELEASE_RP, RELEASE_RQ, Fragment, Fragmenter, abort
from asyncstore.protocol.upper_layer import UpperLayer

EXPECTED = ()
_SIZES = 4
_REQUEST = AssociateRequest("US", "THEM", (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),), 16384)
_ACCEPT = AssociateAccept("US", "THEM", (), 16384)
_MAXIMUM = 256
_MOST_PIECES = 200


def seeds():
    """Each PDU in each state, cut in several ways."""
    data = b"".join(Fragmenter(64).fragments(1, memoryview(bytes(100)), last=True))
    stream = [_REQUEST.encode(), _ACCEPT.encode(), AssociateReject(1, 1, 7).encode(), data, RELEASE_RQ, RELEASE_RP]
    stream += [abort(2, 1), b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\0\2\2\x28"]
    for state in range(len(_STATES)):
        for pdu in stream:
            yield bytes((state, 1, 7, 50, 255)) + pdu
        yield bytes((state, 255, 255, 3, 9)) + data + RELEASE_RQ + abort(0, 0)


def _requestor():
    layer = UpperLayer(_MAXIMUM)
    layer.associate(_REQUEST)
    return layer


def _acceptor():
    return UpperLayer(_MAXIMUM, is_acceptor=True)


def _asked():
    layer = _acceptor()
    layer.receive(memoryview(_REQUEST.encode()))
    return layer


def _established():
    layer = _requestor()
    layer.receive(memoryview(_ACCEPT.encode()))
    return layer


def _accepted():
    layer = _asked()
    layer.accept(_ACCEPT)
    return layer


def _releasing():
    layer = _established()
    layer.release()
    return layer


def _in_collision():
    layer = _releasing()
    layer.receive(memoryview(RELEASE_RQ))
    return layer


def _aborted():
    layer = _established()
    layer.abort()
    return layer


_STATES = (_requestor, _acceptor, _asked, _established, _accepted, _releasing, _in_collision, _aborted)


def execute(data, _):
    """The pieces have the same effect as the whole."""
    if len(data) <= 1 + _SIZES:
        return
    begin = _STATES[data[0] % len(_STATES)]
    # Pieces of a header are judged later than a whole one, so a whole PDU stands at the end.
    sizes, stream = data[1 : 1 + _SIZES], data[1 + _SIZES :] + abort(0, 0)
    whole, in_pieces = begin(), begin()
    at_once = _joined(whole.receive(memoryview(stream)))
    events, at, turn = [], 0, 0
    while at < len(stream):
        size = max(sizes[turn % _SIZES], len(stream) // _MOST_PIECES, 1)
        # A fragment is valid until its buffer changes.
        events += [_kept(event) for event in in_pieces.receive(memoryview(stream[at : at + size]))]
        at, turn = at + size, turn + 1
    assert at_once == _joined(events)
    assert whole.state is in_pieces.state or (whole.is_over and in_pieces.is_over)
    whole.link_closed()
    assert whole.is_over


def _kept(event):
    return event._replace(data=bytes(event.data)) if isinstance(event, Fragment) else event


def _joined(events):
    """The events, with the fragments of each PDV joined."""
    joined = []
    for event in map(_kept, events):
        last = joined[-1] if joined else None
        if _goes_on(last, event):
            joined[-1] = Fragment(event.context_id, event.control, last.data + event.data)
        else:
            joined.append(event)
    return joined


def _goes_on(last, event):
    """Whether both are pieces of one PDV."""
    if not (isinstance(last, Fragment) and isinstance(event, Fragment)) or last.control & LAST:
        return False
    return (last.context_id, last.control) == (event.context_id, event.control & ~LAST)
