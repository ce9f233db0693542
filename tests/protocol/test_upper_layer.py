"""Two upper layers talk to each other without I/O, and one meets hostile peers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.associate import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)
from asyncstore.protocol.pdu import LAST, RELEASE_RP, RELEASE_RQ, Fragment, Fragmenter, PduType, abort
from asyncstore.protocol.state import State
from asyncstore.protocol.upper_layer import (
    Aborted,
    Accepted,
    LinkClosed,
    Rejected,
    Released,
    ReleaseRequested,
    Requested,
    UpperLayer,
    Violated,
)

_REQUEST = AssociateRequest("US", "THEM", (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),), 16384)
_ACCEPT = AssociateAccept("US", "THEM", (ContextResult(1, 0, "1.2.840.10008.1.2"),), 16384)
_REJECT = AssociateReject(1, 1, 7)
_DATA = b"".join(Fragmenter(16384).fragments(1, memoryview(b"abcd"), last=True))


def _outgoing(layer):
    """Take the PDUs that ``layer`` wants to write."""
    outgoing, layer.outgoing = layer.outgoing, []
    return b"".join(outgoing)


def _deliver(sender, receiver):
    """Carry the PDUs of ``sender`` to ``receiver``, and return its events."""
    return receiver.receive(memoryview(_outgoing(sender)))


def _asked():
    requestor, acceptor = UpperLayer(16384), UpperLayer(16384, is_acceptor=True)
    requestor.associate(_REQUEST)
    assert _deliver(requestor, acceptor) == [Requested(_REQUEST)]
    return requestor, acceptor


def _established():
    requestor, acceptor = _asked()
    acceptor.accept(_ACCEPT)
    assert _deliver(acceptor, requestor) == [Accepted(_ACCEPT)]
    return requestor, acceptor


def _in_collision():
    requestor, acceptor = _established()
    requestor.release()
    acceptor.release()
    from_requestor, from_acceptor = _outgoing(requestor), _outgoing(acceptor)
    assert requestor.receive(memoryview(from_acceptor)) == [ReleaseRequested()]
    assert acceptor.receive(memoryview(from_requestor)) == [ReleaseRequested()]
    return requestor, acceptor


def _closed(layer):
    """Close the transport connection of a layer that waits for it."""
    events = layer.link_closed()
    assert not layer.artim_running
    return events


# The normal course.


def test_an_association_is_established_used_and_released():
    requestor, acceptor = _established()
    assert (requestor.state, acceptor.state) == (State.STA6, State.STA6)
    assert requestor.can_send_data
    assert acceptor.can_send_data
    (fragment,) = acceptor.receive(memoryview(_DATA))
    assert (fragment.context_id, fragment.control, bytes(fragment.data)) == (1, LAST, b"abcd")

    requestor.release()
    assert not requestor.can_send_data
    assert _deliver(requestor, acceptor) == [ReleaseRequested()]
    assert acceptor.can_send_data
    acceptor.answer_release()
    assert acceptor.is_over
    assert not acceptor.must_close
    assert _deliver(acceptor, requestor) == [Released()]
    assert requestor.is_over
    assert requestor.must_close
    assert _closed(acceptor) == []
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA1)


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_it_is_established_however_the_network_cuts_the_pdus(size):
    requestor, acceptor = UpperLayer(16384), UpperLayer(16384, is_acceptor=True)
    requestor.associate(_REQUEST)
    stream = _outgoing(requestor)
    events = [
        event for at in range(0, len(stream), size) for event in acceptor.receive(memoryview(stream[at : at + size]))
    ]
    assert events == [Requested(_REQUEST)]


def test_data_is_still_received_after_a_release_request():
    requestor, _ = _established()
    requestor.release()
    (fragment,) = requestor.receive(memoryview(_DATA))
    assert bytes(fragment.data) == b"abcd"
    assert requestor.receive(memoryview(RELEASE_RP)) == [Released()]


def test_an_acceptor_waits_for_the_request_and_then_for_the_end_with_artim():
    acceptor = UpperLayer(16384, is_acceptor=True)
    assert acceptor.artim_running
    requestor = UpperLayer(16384)
    requestor.associate(_REQUEST)
    _deliver(requestor, acceptor)
    assert not acceptor.artim_running
    acceptor.reject(_REJECT)
    assert acceptor.artim_running
    acceptor.artim_expired()
    assert acceptor.must_close
    assert (acceptor.state, acceptor.artim_running) == (State.STA1, False)


def test_artim_has_no_effect_while_it_does_not_run():
    requestor, acceptor = _established()
    for layer in (requestor, acceptor):
        layer.artim_expired()
        assert layer.state is State.STA6


def test_a_rejection_ends_it():
    requestor, acceptor = _asked()
    acceptor.reject(_REJECT)
    assert _deliver(acceptor, requestor) == [Rejected(_REJECT)]
    assert requestor.is_over
    assert requestor.must_close
    assert _closed(acceptor) == []


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_a_request_without_version_1_is_rejected_without_asking(version):
    requestor, acceptor = UpperLayer(16384), UpperLayer(16384, is_acceptor=True)
    requestor.associate(AssociateRequest("US", "THEM", (), 16384, protocol_version=version))
    assert _deliver(requestor, acceptor) == []
    assert acceptor.is_over
    assert acceptor.artim_running
    assert _deliver(acceptor, requestor) == [Rejected(AssociateReject(1, 2, 2))]


def test_only_the_first_bit_of_the_protocol_version_counts():
    requestor, acceptor = UpperLayer(16384), UpperLayer(16384, is_acceptor=True)
    requestor.associate(AssociateRequest("US", "THEM", (), 16384, protocol_version=3))
    (requested,) = _deliver(requestor, acceptor)
    assert isinstance(requested, Requested)


def test_a_release_collision_releases_both():
    requestor, acceptor = _in_collision()
    assert (requestor.state, acceptor.state) == (State.STA9, State.STA10)
    requestor.answer_release()
    assert not requestor.is_over
    assert _deliver(requestor, acceptor) == [Released()]
    assert not acceptor.is_over
    acceptor.answer_release()
    assert _deliver(acceptor, requestor) == [Released()]
    assert requestor.must_close
    assert _closed(acceptor) == []
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA1)


@pytest.mark.parametrize("stage", [_asked, _established, _in_collision])
@pytest.mark.parametrize("who", [0, 1], ids=["requestor", "acceptor"])
def test_an_abort_ends_it_from_anywhere(stage, who):
    layers = stage()
    aborting, other = layers[who], layers[1 - who]
    aborting.abort()
    assert aborting.is_over
    assert aborting.artim_running
    assert _deliver(aborting, other) == [Aborted(0, 0)]
    assert other.is_over
    assert other.must_close
    assert _closed(aborting) == []


def test_an_abort_by_the_provider_says_why():
    requestor, _ = _established()
    assert requestor.receive(memoryview(abort(2, 6))) == [Aborted(2, 6)]


@pytest.mark.parametrize("stage", [_asked, _established, _in_collision])
def test_a_lost_connection_is_indicated_to_both(stage):
    for layer in stage():
        assert layer.link_closed() == [LinkClosed()]
        assert layer.state is State.STA1
        assert layer.link_closed() == []


def test_a_violation_found_by_the_layer_above_aborts_with_its_reason():
    requestor, acceptor = _established()
    requestor.violated(InvalidPdu("an even context id", 6))
    assert requestor.is_over
    assert requestor.artim_running
    assert _deliver(requestor, acceptor) == [Aborted(2, 6)]


def test_repr_shows_the_state():
    requestor, acceptor = _asked()
    assert (repr(requestor), repr(acceptor)) == ("<UpperLayer requestor Sta5>", "<UpperLayer acceptor Sta3>")


# Unexpected PDUs: every PDU in every state.


def _after(layer, action, *arguments):
    getattr(layer, action)(*arguments)
    return layer


def _acceptor_confirmed_in_collision():
    requestor, acceptor = _in_collision()
    requestor.answer_release()
    _deliver(requestor, acceptor)
    return acceptor


_STAGES = {
    State.STA1: lambda: UpperLayer(16384),
    State.STA2: lambda: UpperLayer(16384, is_acceptor=True),
    State.STA3: lambda: _asked()[1],
    State.STA5: lambda: _asked()[0],
    State.STA6: lambda: _established()[0],
    State.STA7: lambda: _after(_established()[0], "release"),
    State.STA8: lambda: _after(_established()[0], "receive", memoryview(RELEASE_RQ)),
    State.STA9: lambda: _in_collision()[0],
    State.STA10: lambda: _in_collision()[1],
    State.STA11: lambda: _after(_in_collision()[0], "answer_release"),
    State.STA12: _acceptor_confirmed_in_collision,
    State.STA13: lambda: _after(_established()[0], "abort"),
}
"""How to get into each state; Sta4 is left within the call that enters it."""

_RECEIVED = {
    3: _ACCEPT.encode(),
    4: _REJECT.encode(),
    6: _REQUEST.encode(),
    10: _DATA,
    12: RELEASE_RQ,
    13: RELEASE_RP,
    16: abort(2, 1),
    19: b"\xff\xff\xff\xff\xff\xff",
}
"""The PDU of each event of PS3.8 table 9-10 that has one."""

_ABORTS = {"AA-1": abort(0, 0), "AA-7": abort(2, 2), "AA-8": abort(2, 2)}


def _in_state(state):
    layer = _STAGES[state]()
    _outgoing(layer)
    assert layer.state is state
    return layer


@pytest.mark.parametrize("event", _RECEIVED, ids=lambda event: f"Evt{event}")
@pytest.mark.parametrize("state", set(_STAGES) - {State.STA1}, ids=lambda state: f"Sta{state.value}")
def test_every_pdu_in_every_state_does_what_the_standard_says(state, event):
    layer = _in_state(state)
    action = TRANSITION_TABLE[f"Evt{event}", f"Sta{state.value}"]
    following = ACTIONS[action][2]
    events = layer.receive(memoryview(_RECEIVED[event]))
    assert f"Sta{layer.state.value}" in (following if isinstance(following, tuple) else (following,))
    if action in _ABORTS:
        unrecognized = event == 19 and action != "AA-1"
        assert _outgoing(layer) == (abort(2, 1) if unrecognized else _ABORTS[action])
        assert layer.artim_running
        assert [type(one) for one in events] == ([Violated] if action == "AA-8" else [])
    else:
        assert _outgoing(layer) == b""
    if action == "AA-6":
        assert events == []


@pytest.mark.parametrize("event", _RECEIVED, ids=lambda event: f"Evt{event}")
def test_no_events_come_after_the_end(event):
    for end in (
        lambda layer: layer.receive(memoryview(abort(0, 0))),
        lambda layer: layer.link_closed(),
        lambda layer: layer.abort(),
        lambda layer: layer.receive(memoryview(b"\xff")),
    ):
        layer = _established()[0]
        end(layer)
        assert layer.is_over
        assert layer.receive(memoryview(_RECEIVED[event])) == []
        assert layer.is_over
        assert layer.link_closed() == []


@pytest.mark.parametrize("state", [State.STA1, State.STA13], ids=lambda state: f"Sta{state.value}")
@pytest.mark.parametrize(
    ("primitive", "arguments"),
    [("accept", (_ACCEPT,)), ("reject", (_REJECT,)), ("release", ()), ("answer_release", ()), ("abort", ())],
)
def test_a_primitive_that_comes_too_late_has_no_effect(state, primitive, arguments):
    layer = _in_state(state)
    getattr(layer, primitive)(*arguments)
    assert layer.state is state
    assert layer.outgoing == []


@pytest.mark.parametrize(
    ("stage", "pdu", "primitive", "arguments"),
    [
        (lambda: UpperLayer(16384, is_acceptor=True), _REQUEST.encode(), "accept", (_ACCEPT,)),
        (lambda: UpperLayer(16384, is_acceptor=True), _REQUEST.encode(), "reject", (_REJECT,)),
        (lambda: _established()[0], RELEASE_RQ, "answer_release", ()),
    ],
)
def test_a_peer_that_sends_a_pdu_twice_is_aborted(stage, pdu, primitive, arguments):
    layer = stage()
    asked, violated = layer.receive(memoryview(pdu * 2))
    assert isinstance(asked, (Requested, ReleaseRequested))
    assert isinstance(violated, Violated)
    getattr(layer, primitive)(*arguments)
    assert _outgoing(layer) == abort(2, 2)


def test_a_violation_is_named():
    (violated,) = _in_state(State.STA6).receive(memoryview(_RECEIVED[3]))
    assert "A-ASSOCIATE-AC received in Sta6" in violated.violation
    (violated,) = _in_state(State.STA5).receive(memoryview(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert "HTTP" in violated.violation


@pytest.mark.parametrize("body", [b"", bytes(10), bytes(68) + b"\x10\0\xff\xff"])
def test_a_bad_answer_to_the_request_is_a_violation(body):
    layer = _in_state(State.STA5)
    (violated,) = layer.receive(memoryview(bytes((PduType.ASSOCIATE_AC, 0)) + len(body).to_bytes(4, "big") + body))
    assert isinstance(violated, Violated)
    assert _outgoing(layer) == abort(2, 6)


def test_a_pdu_longer_than_announced_is_a_violation():
    requestor, _ = _established()
    too_long = b"".join(Fragmenter(32768).fragments(1, memoryview(bytes(20000)), last=True))
    (violated,) = requestor.receive(memoryview(too_long))
    assert "16384" in violated.violation


def _summary(events):
    """The events, with the fragments of each PDV joined."""
    joined = []
    for event in events:
        if (
            isinstance(event, Fragment)
            and joined
            and isinstance(joined[-1], Fragment)
            and not joined[-1].control & LAST
        ):
            joined[-1] = Fragment(event.context_id, event.control, joined[-1].data + bytes(event.data))
        else:
            joined.append(event._replace(data=bytes(event.data)) if isinstance(event, Fragment) else event)
    return joined


_NO_HTTP = st.binary(max_size=12).filter(lambda data: not data.startswith(b"H"))
"""An H alone may begin an answer of HTTP: it is judged when six bytes are there."""


@given(
    st.sampled_from(sorted(_STAGES)),
    st.lists(st.one_of(st.sampled_from(list(_RECEIVED.values())), _NO_HTTP), max_size=6),
    st.lists(st.integers(1, 60), min_size=1),
)
def test_any_pdus_have_the_same_effect_wherever_the_network_cuts_them(state, pdus, sizes):
    stream = b"".join(pdus)
    at_once, in_parts = _in_state(state), _in_state(state)
    events, at, sizes = [], 0, iter(sizes)
    size = 1
    while at < len(stream):
        size = next(sizes, size)
        events += in_parts.receive(memoryview(stream[at : at + size]))
        at += size
    all_at_once = at_once.receive(memoryview(stream))
    assert _summary(all_at_once) == _summary(events)
    assert at_once.state is in_parts.state or (at_once.is_over and in_parts.is_over)
    for layer in (at_once, in_parts):
        ends = [event for event in all_at_once if isinstance(event, (Aborted, Violated, Rejected, LinkClosed))]
        assert len(ends) <= 1
        assert not ends or (layer.is_over and all_at_once[-1] is ends[0])
        assert layer.state is not State.STA13 or layer.artim_running
        assert not (layer.state is State.STA1 and state is not State.STA1) or layer.must_close


def test_an_acceptor_refuses_an_overlong_request_at_its_header():
    acceptor = UpperLayer(16384, is_acceptor=True)
    acceptor.receive(memoryview(b"\x01\0" + (1 << 20).to_bytes(4, "big")))
    assert acceptor.state is State.STA13


def test_an_acceptor_refuses_a_long_second_request_at_its_header():
    _, acceptor = _established()
    [violated] = acceptor.receive(memoryview(b"\x01\0" + (100_000).to_bytes(4, "big")))
    assert isinstance(violated, Violated)
