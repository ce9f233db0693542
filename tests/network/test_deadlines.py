"""Timeouts of a peer, with a fake clock, link and responses."""

import pytest

from asyncstore.model import Buffer, Piece
from asyncstore.network.deadlines import Deadlines
from asyncstore.network.timeouts import Timeouts
from asyncstore.protocol.command import decode, response, store_request
from asyncstore.protocol.pdu import Fragmenter
from asyncstore.protocol.requests import Requests
from support import values

CLASS, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
PDU = 16384
HOUR = 3600.0
DATA, RESPONSE = "data taken by the peer", "response"
NOTEWORTHY = "noteworthy part of a C-STORE-RQ taken by the peer"


class Peer:
    """A fake link, requests and clock for deadlines; only the test moves them.

    Args:
        window: how many stores may be outstanding.
        timeouts: as in :class:`Timeouts`; missing ones are ``None``.
    """

    def __init__(self, window=1, **timeouts):
        self.now = 5000.0
        self.is_blocked = self.is_held = False
        self.bytes_sent = 0
        self.requests = Requests({(CLASS, SYNTAX): 1}, Fragmenter(PDU), window, lambda: self.now)
        timeouts = Timeouts(**{"connect": None, "socket": None, "acse": None, "dimse": None} | timeouts)
        self.deadlines = Deadlines("pacs:104", timeouts, PDU, self.now)

    def after(self, seconds, *, every=None, takes=0):
        """Let time pass, and look as often as an association does.

        Args:
            seconds: the time.
            every: seconds between two moments at which the peer takes bytes; ``None``: it takes nothing.
            takes: the bytes that it takes each time.

        Returns:
            What was overdue, its limit and the option for it; ``None``: nothing was.
        """
        until, taken_at = self.now + seconds, self.now
        while self.now < until:
            self.now += self.deadlines.interval
            if every is not None and self.now - taken_at >= every:
                self.bytes_sent, taken_at = self.bytes_sent + takes, self.now
            error = self.deadlines.overdue(self, self.requests, self.now)
            if error is not None:
                return error.awaited, error.seconds, error.timeout
        return None

    def begin(self, name, *, is_complete=True):
        """Begin a store; send all of it if it is complete."""
        instance = values.instance(f"/{name}", CLASS, f"1.2.{name}", SYNTAX, 0, 2)
        buffer = Buffer(0, lambda _: None)
        buffer.needed = 1
        self.requests.submit([Piece(instance, memoryview(b"\0\0"), True, is_complete, buffer)])
        self.requests.gather()

    def answer(self, message_id, status=0):
        """Answer a store."""
        request = decode(store_request(CLASS, message_id, "1.2.3"))
        return self.requests.answered(1, decode(response(request, status)))


def blocked(**timeouts):
    """A peer with a store that is stuck halfway."""
    peer = Peer(**timeouts)
    peer.begin("1", is_complete=False)
    peer.is_blocked = True
    return peer


def awaiting(stores=1, **timeouts):
    """A peer that has taken some stores and owes their responses."""
    peer = Peer(window=stores, **timeouts)
    for number in range(stores):
        peer.begin(str(number))
    return peer


# How often to look ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeouts", "interval"),
    [
        ({}, None),
        ({"socket": 0.0, "dimse": 0.0}, None),
        ({"socket": 60.0}, 1.0),
        ({"dimse": 2.0}, 0.5),
        ({"socket": 60.0, "dimse": 2.0}, 0.5),
        ({"socket": 1.0, "dimse": HOUR}, 0.25),
    ],
)
def test_the_interval_is_a_part_of_the_shortest_limit(timeouts, interval):
    assert Peer(**timeouts).deadlines.interval == interval


# Sending --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimse", [None, HOUR, 61.0, 60.0])
def test_a_peer_that_takes_nothing_exceeds_the_socket_timeout(dimse):
    peer = blocked(socket=60.0, dimse=dimse)
    assert peer.after(60) is None
    assert peer.after(1) == (DATA, 60.0, "socket")


@pytest.mark.parametrize("dimse", [None, HOUR])
def test_a_peer_that_stops_taking_exceeds_the_socket_timeout(dimse):
    peer = blocked(socket=60.0, dimse=dimse)
    assert peer.after(100, every=50, takes=100) is None
    assert peer.after(60) is None
    assert peer.after(1) == (DATA, 60.0, "socket")


def test_a_single_byte_is_enough_within_the_socket_timeout():
    assert blocked(socket=60.0).after(HOUR, every=60, takes=1) is None


@pytest.mark.parametrize("socket", [None, 60.0, HOUR])
def test_less_than_a_pdu_is_not_enough_within_the_dimse_timeout(socket):
    peer = blocked(socket=socket, dimse=300.0)
    assert peer.after(300, every=30, takes=PDU // 11) is None
    assert peer.after(1) == (NOTEWORTHY, 300.0, "dimse")


@pytest.mark.parametrize("socket", [None, 60.0])
def test_a_pdu_in_parts_is_enough_within_the_dimse_timeout(socket):
    assert blocked(socket=socket, dimse=300.0).after(HOUR, every=30, takes=PDU // 8) is None


def test_a_peer_that_takes_nothing_exceeds_a_shorter_dimse_timeout():
    peer = blocked(socket=60.0, dimse=10.0)
    assert peer.after(10) is None
    assert peer.after(1) == (NOTEWORTHY, 10.0, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}, {"socket": 60.0, "dimse": 60.0}], ids=str)
def test_the_time_to_take_data_begins_when_the_link_blocks(timeouts):
    peer = blocked(**timeouts)
    for _ in range(3):
        assert peer.after(60) is None
        peer.is_blocked = False
        assert peer.after(1) is None
        peer.is_blocked = True
    assert peer.after(60) is None
    assert peer.after(1) is not None


# Responses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeouts", "limit"),
    [
        ({"socket": 60.0}, 60.0),
        ({"dimse": 300.0}, 300.0),
        ({"socket": 60.0, "dimse": 300.0}, 300.0),
        ({"socket": 60.0, "dimse": 10.0}, 10.0),
    ],
    ids=str,
)
def test_a_response_has_the_dimse_timeout_or_else_the_socket_timeout(timeouts, limit):
    peer = awaiting(**timeouts)
    assert peer.after(limit) is None
    assert peer.after(1) == (RESPONSE, limit, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}], ids=str)
def test_a_store_that_is_pending_is_not_answered(timeouts):
    peer = awaiting(**timeouts)
    for _ in range(6):
        assert peer.after(10) is None
        assert peer.answer(1, 0xFF00) is None
    assert peer.after(1) == (RESPONSE, 60.0, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}], ids=str)
def test_each_response_restarts_the_time_for_the_others(timeouts):
    """In a large window the last store waits for all before it."""
    peer = awaiting(3, **timeouts)
    for message_id in (1, 2):
        assert peer.after(50) is None
        assert peer.answer(message_id)
    assert peer.after(61) is None  # the last response counts from the look on that found it
    assert peer.after(1) == (RESPONSE, 60.0, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}], ids=str)
def test_a_store_that_is_never_answered_ends_the_association_once_the_others_are(timeouts):
    peer = awaiting(3, **timeouts)
    for message_id in (2, 3):
        assert peer.answer(message_id)
        assert peer.after(30) is None
    assert peer.after(30) is None
    assert peer.after(2) == (RESPONSE, 60.0, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}], ids=str)
def test_a_late_store_has_the_whole_timeout(timeouts):
    peer = awaiting(**timeouts)
    assert peer.after(50) is None
    assert peer.answer(1)
    assert peer.after(HOUR) is None
    peer.begin("2")
    assert peer.after(60) is None
    assert peer.after(1) == (RESPONSE, 60.0, "dimse")


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}, {"socket": 60.0, "dimse": 60.0}], ids=str)
def test_nothing_is_overdue_while_the_peer_owes_nothing(timeouts):
    peer = Peer(**timeouts)
    assert peer.after(HOUR) is None
    peer.begin("1", is_complete=False)  # the rest is still being read from a slow disk
    assert peer.after(HOUR) is None


@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}, {"socket": 60.0, "dimse": 60.0}])
def test_the_time_for_a_response_begins_after_a_slow_request(timeouts):
    peer = Peer(**timeouts)
    peer.begin("1")
    peer.is_blocked = True
    assert peer.after(300, every=1, takes=2 * PDU) is None
    peer.is_blocked = False
    assert peer.after(59) is None
    assert peer.after(3) == (RESPONSE, 60.0, "dimse")


# A program that did not run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [blocked, awaiting])
@pytest.mark.parametrize("timeouts", [{"socket": 60.0}, {"dimse": 60.0}], ids=str)
def test_the_peer_has_its_whole_time_after_the_program_was_stopped(made, timeouts):
    peer = made(**timeouts)
    assert peer.after(50) is None
    peer.now += HOUR
    assert peer.after(61) is None
    assert peer.after(1) is not None


def test_a_busy_loop_is_no_program_that_was_stopped():
    peer = awaiting(dimse=60.0)
    for _ in range(30):
        peer.now += peer.deadlines.interval
        assert peer.after(1) is None
    assert peer.after(1) is not None
