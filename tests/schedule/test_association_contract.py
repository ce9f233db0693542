"""What the schedule expects of an association, asked of the fake one and of the real one: the fake must not drift.

The tests use the face in `asyncstore.schedule.ports`, and a peer that answers and ends only as a test says. The real
association talks to an acceptor over a socket; the peer of the fake one is told directly.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncstore.errors import AbortedHere, AssociationAborted, AssociationReleased, LinkLost, TimedOut
from asyncstore.model import Buffer, Piece, Unsendable
from asyncstore.negotiation import plan
from asyncstore.network.opening import AssociationOptions, open_association
from asyncstore.network.timeouts import Timeouts
from support import values
from support.fakes import Conduct, World
from support.oracle import GUARD, nothing_left_behind, until
from support.peers.hostile import Behaviour, aborts, accepts, asks_for_release, closes, running_hostile, stays_silent

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CONTEXTS = plan([(CT, EXPLICIT), (MR, EXPLICIT), (CT, IMPLICIT)])
NUMBER = 7
PIECE = bytes(1000)

ENDS = {
    "aborts": (aborts(), AssociationAborted("peer:104", 2, 0, 1)),
    "releases": (asks_for_release(), AssociationReleased("peer:104")),
    "closes": (closes(), LinkLost("peer:104", "the peer closed it")),
    "stays silent": (stays_silent(), TimedOut("peer:104", "response", 0.3, "-td")),
}
"""How the peer ends it: what the acceptor does, and the error that the fake association gets for it."""


class Observed:
    """An association, and what it reported. Every piece that is submitted lies in a buffer of its own."""

    def __init__(self):
        self.association = None
        self.attempts = []
        self.ends = 0
        self.unreleased = 0
        self.buffers = []
        self.at_attempt = self.at_end = lambda: None

    def attempted(self, *parts):
        self.attempts.append(values.attempted(*parts))
        self.at_attempt()

    def ended(self):
        self.ends += 1
        self.at_end()

    @property
    def reported(self):
        """The instances that were reported, in order."""
        return [attempt.instance for attempt in self.attempts]

    def pieces(self, instance, parts=1, breaks_at=None):
        """The data set of an instance in parts; the file cannot be read from one of them on."""
        pieces = []
        for number in range(parts):
            buffer = Buffer(0, self._freed)
            buffer.needed = 1
            self.buffers.append(buffer)
            problem = Unsendable(instance.file, "cut short") if number == breaks_at else None
            pieces.append(Piece(instance, memoryview(PIECE), number == 0, number == parts - 1, buffer, problem))
            if problem:
                break
        return pieces

    def submit(self, pieces):
        self.unreleased += len(pieces)
        self.association.submit(pieces)

    def _freed(self, _):
        self.unreleased -= 1

    def store(self, instances):
        """Submit instances of one piece each."""
        self.submit([piece for one in instances for piece in self.pieces(one)])

    async def settled(self):
        async with asyncio.timeout(GUARD):
            await self.association.settled()


class FakePeer:
    """Tells the fake association what its peer does."""

    def __init__(self, world, observed, how):
        self._world, self._observed, self._how = world, observed, how

    @property
    def begun(self):
        """How many stores have begun."""
        return len(self._world.begun)

    async def answer(self, instance, status=0):
        self._observed.association.answer(instance, status)

    async def end(self):
        _, error = ENDS[self._how]
        self._observed.association.lose(error)


class RealPeer:
    """An acceptor that holds its answers, and ends the association when it is told to."""

    def __init__(self, window, how, *, amid_data):
        self._window, self._how, self._amid_data = window, how, amid_data
        self._acceptor, self._held = None, {}
        self._is_to_end = asyncio.Event()
        self.begun = 0

    def behaviour(self):
        return Behaviour(
            on_request=accepts(sop_classes=lambda uid: uid == CT, window=(self._window, 1)),
            amid_data=self._data_begins,
            on_store=self._stored,
        )

    async def _data_begins(self, acceptor):
        self._acceptor = acceptor
        self.begun += 1
        if self._amid_data:
            await self._end_when_told(acceptor)

    async def _stored(self, acceptor):
        self._held[acceptor.store.sop_instance_uid] = acceptor.store
        if self._how and self.begun == self._window:
            await self._end_when_told(acceptor)

    async def _end_when_told(self, acceptor):
        await self._is_to_end.wait()
        step, _ = ENDS[self._how]
        await step(acceptor)

    async def answer(self, instance, status=0):
        await until(lambda: instance.sop_instance_uid in self._held)
        await self._acceptor.answer(status, self._held.pop(instance.sop_instance_uid))

    async def end(self):
        self._is_to_end.set()


@asynccontextmanager
async def with_fake(window=1, how=None, *, amid_data=False):  # noqa: ARG001 - its peer ends it at any time
    world, observed = World((Conduct(window=window, refuses=frozenset({MR})),)), Observed()
    world.answering.clear()
    observed.association = await world.open(CONTEXTS, NUMBER, observed.attempted, observed.ended)
    try:
        yield observed, FakePeer(world, observed, how)
    finally:
        if not observed.association.is_closed:
            await observed.association.close()


@asynccontextmanager
async def with_real(window=1, how=None, *, amid_data=False):
    peer, observed = RealPeer(window, how, amid_data=amid_data), Observed()
    options = AssociationOptions(window=window, timeouts=Timeouts(dimse=0.3) if how == "stays silent" else Timeouts())
    async with running_hostile(peer.behaviour()) as scp:
        observed.association = await open_association(
            "127.0.0.1",
            scp.port,
            CONTEXTS,
            options,
            number=NUMBER,
            on_attempt=observed.attempted,
            on_end=observed.ended,
        )
        try:
            yield observed, peer
        finally:
            await observed.association.close()
        assert scp.violations == []


@pytest.fixture(params=[with_fake, with_real], ids=["fake", "real"])
def opened(request):
    """Open an association for a block, as each kind does; at its end all buffers have come back."""

    @asynccontextmanager
    async def opened(*arguments, **named):
        async with nothing_left_behind():
            async with request.param(*arguments, **named) as (observed, peer):
                yield observed, peer
            assert {buffer.needed for buffer in observed.buffers} <= {0}  # below 0: it was released twice
            assert observed.association.in_hand == 0

    return opened


@pytest.fixture
def found():
    return [values.instance(f"/{name}", CT, f"1.2.{number}", EXPLICIT, 0, 1000) for number, name in enumerate("abcdef")]


async def test_it_tells_what_was_accepted_and_begins_idle(opened):
    async with opened() as (observed, _peer):
        association = observed.association
        assert association.accepted == {(CT, EXPLICIT): 1, (CT, IMPLICIT): 3}
        assert association.results == {
            (CT, EXPLICIT): "accepted",
            (CT, IMPLICIT): "accepted",
            (MR, EXPLICIT): "abstract syntax not supported",
            (MR, IMPLICIT): "abstract syntax not supported",
        }
        assert association.is_idle
        assert association.in_hand == 0
        assert association.current() is None
        assert association.error is None
        assert association.data_bytes_sent == 0
        assert association.withdraw() == []
        await observed.settled()


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA700])
async def test_a_store_is_reported_once_with_its_status(opened, found, status):
    async with opened() as (observed, peer):
        observed.store(found[:1])
        assert not observed.association.is_idle
        assert observed.association.in_hand == 1
        assert observed.association.current()[0] is found[0]
        assert observed.attempts == []
        await peer.answer(found[0], status)
        await observed.settled()
        [attempt] = observed.attempts
        assert attempt.instance is found[0]
        assert (attempt.association, attempt.sent_transfer_syntax_uid) == (NUMBER, EXPLICIT)
        assert (attempt.status, attempt.error) == (status, None)
        assert attempt.seconds > 0
        assert observed.association.is_idle
        assert observed.association.in_hand == 0
        assert observed.association.current() is None
        assert observed.association.data_bytes_sent == len(PIECE)
        assert observed.unreleased == 0
        assert observed.association.withdraw() == []


async def test_one_store_follows_the_other_where_the_window_is_one(opened, found):
    async with opened() as (observed, peer):
        observed.store(found)
        for number, one in enumerate(found):
            await until(lambda: peer.begun == number + 1)  # noqa: B023 - it is over before the next turn
            assert observed.association.in_hand == len(found) - number
            assert observed.association.current()[0] is one
            await peer.answer(one)
            await until(lambda: len(observed.attempts) == number + 1)  # noqa: B023 - as above
        await observed.settled()
        assert observed.reported == found
        assert peer.begun == len(found)


async def test_responses_come_in_any_order_within_the_window(opened, found):
    async with opened(3) as (observed, peer):
        observed.store(found)
        await until(lambda: peer.begun == 3)
        for number, (answered, begun, oldest) in enumerate([(2, 4, 0), (0, 5, 1), (4, 6, 1), (5, 6, 1), (1, 6, 3)]):
            await peer.answer(found[answered])
            await until(lambda: (len(observed.attempts), peer.begun) == (number + 1, begun))  # noqa: B023 - as above
            assert observed.association.current()[0] is found[oldest]
            assert observed.association.in_hand == 5 - number
        assert not observed.association.is_idle
        await peer.answer(found[3])
        await observed.settled()
        assert observed.reported == [found[number] for number in (2, 0, 4, 5, 1, 3)]


@pytest.mark.slow
async def test_a_data_set_may_come_in_parts(opened, found):
    async with opened() as (observed, peer):
        first, second, last = observed.pieces(found[0], parts=3)
        observed.submit([first])
        await until(lambda: peer.begun == 1)
        assert observed.association.is_taking(found[0])
        assert not observed.association.is_idle
        observed.submit([second])
        observed.submit([last, *observed.pieces(found[1])])
        assert observed.association.in_hand == 2
        await peer.answer(found[0])
        await peer.answer(found[1])
        await observed.settled()
        assert observed.reported == found[:2]
        assert observed.association.data_bytes_sent == 4 * len(PIECE)


# Taking back ----------------------------------------------------------------------------------------------------------


async def test_what_has_not_begun_is_given_back_once_in_order_and_the_rest_goes_on(opened, found):
    async with opened(2) as (observed, peer):
        observed.store(found)
        await until(lambda: peer.begun == 2)
        assert observed.association.withdraw() == found[2:]
        assert observed.association.withdraw() == []
        assert observed.association.in_hand == 2
        assert not observed.association.is_idle
        for one in found[:2]:
            await peer.answer(one)
        await observed.settled()
        assert observed.reported == found[:2]
        observed.store(found[2:3])  # it can be used again
        await peer.answer(found[2])
        await observed.settled()
        assert observed.reported == found[:3]
        assert peer.begun == 3


async def test_a_store_that_has_begun_is_sent_to_its_end_after_a_withdrawal(opened, found):
    async with opened() as (observed, peer):
        first, *others = observed.pieces(found[0], parts=3)
        observed.submit([first])
        await until(lambda: peer.begun == 1)
        assert observed.association.withdraw() == []
        assert observed.association.is_taking(found[0])
        observed.submit([*others, *observed.pieces(found[1])])
        assert observed.association.withdraw() == [found[1]]
        assert observed.association.in_hand == 1
        await peer.answer(found[0])
        await observed.settled()
        assert observed.reported == [found[0]]
        assert observed.attempts[0].status == 0


async def test_further_parts_of_what_was_given_back_are_dropped(opened, found):
    async with opened() as (observed, peer):
        first, *others = observed.pieces(found[1], parts=3)
        observed.submit([*observed.pieces(found[0]), first])
        assert observed.association.is_taking(found[1])
        assert observed.association.withdraw() == [found[1]]
        assert not observed.association.is_taking(found[1])
        before = observed.unreleased
        observed.submit(others)
        assert observed.unreleased == before
        assert observed.association.data_bytes_sent == len(PIECE)
        assert observed.association.in_hand == 1
        await peer.answer(found[0])
        await observed.settled()
        assert observed.reported == [found[0]]
        assert peer.begun == 1


async def test_what_is_withdrawn_while_a_response_is_reported_never_begins(opened, found):
    """Halting depends on it."""
    async with opened() as (observed, peer):
        returned = []
        observed.at_attempt = lambda: returned.extend(observed.association.withdraw())
        observed.store(found)
        await peer.answer(found[0], 0xA700)
        await observed.settled()
        assert returned == found[1:]
        assert observed.reported == found[:1]
        assert peer.begun == 1


async def test_it_is_settled_when_all_that_was_not_withdrawn_is_answered(opened, found):
    async with opened() as (observed, peer):
        observed.store(found)
        waiting = asyncio.create_task(observed.settled())
        await peer.answer(found[0])
        await until(lambda: peer.begun == 2)
        assert observed.association.withdraw() == found[2:]
        await asyncio.sleep(0)
        assert not waiting.done()
        await peer.answer(found[1])
        await waiting
        assert observed.reported == found[:2]


async def test_all_who_wait_for_it_to_be_settled_are_woken(opened, found):
    async with opened() as (observed, peer):
        observed.store(found[:1])
        waiting = [asyncio.create_task(observed.settled()) for _ in range(3)]
        await asyncio.sleep(0)
        await peer.answer(found[0])
        await asyncio.gather(*waiting)
        assert observed.reported == found[:1]


# Ends -----------------------------------------------------------------------------------------------------------------


async def test_a_release_ends_it_without_an_error(opened, found):
    async with opened() as (observed, peer):
        observed.store(found[:1])
        await peer.answer(found[0])
        await observed.settled()
        await observed.association.release()
        await observed.association.close()
        assert observed.association.error is None
        assert observed.ends == 0
        assert observed.reported == found[:1]


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDS)
async def test_when_the_peer_ends_it_what_had_begun_is_reported_and_the_rest_given_back(opened, found, how):
    async with opened(2, how) as (observed, peer):
        at_end = []
        observed.at_end = lambda: at_end.append((observed.association.error, observed.association.withdraw()))
        observed.store(found[:5])
        await until(lambda: peer.begun == 2)
        await peer.end()
        await observed.settled()
        error = observed.association.error
        _, expected = ENDS[how]
        assert type(error) is type(expected)
        assert at_end == [(error, found[2:5])]
        assert observed.reported == found[:2]
        assert all(attempt.status is None and attempt.error is error for attempt in observed.attempts)
        assert observed.unreleased == 0
        assert observed.association.is_idle
        assert observed.association.current() is None
        observed.store(found[5:])  # after the end nothing is sent: it is given back
        assert observed.association.withdraw() == found[5:]
        await observed.association.release()
        observed.association.abort()
        assert observed.association.error is error
        assert observed.ends == 1
        assert observed.reported == found[:2]


@pytest.mark.parametrize("how", ["aborts", "closes"])
async def test_further_parts_of_a_store_that_its_end_cut_off_are_dropped(opened, found, how):
    async with opened(1, how, amid_data=True) as (observed, peer):
        first, *others = observed.pieces(found[0], parts=3)
        observed.submit([first])
        await until(lambda: peer.begun == 1)
        await peer.end()
        await until(lambda: observed.ends)
        assert observed.reported == [found[0]]
        assert not observed.association.is_taking(found[0])
        observed.submit(others)
        assert observed.unreleased == 0
        assert observed.association.withdraw() == []
        assert observed.reported == [found[0]]


async def test_our_abort_is_called_ours(opened, found):
    async with opened() as (observed, peer):
        observed.store(found[:3])
        await until(lambda: peer.begun == 1)
        observed.association.abort()
        await observed.settled()
        assert isinstance(observed.association.error, AbortedHere)
        assert observed.reported == found[:1]
        assert observed.attempts[0].error is observed.association.error
        assert observed.association.withdraw() == found[1:3]
        assert observed.ends == 1


async def test_closed_without_a_release_it_is_aborted(opened, found):
    async with opened() as (observed, peer):
        observed.store(found[:3])
        await until(lambda: peer.begun == 1)
        await observed.association.close()
        assert isinstance(observed.association.error, AbortedHere)
        assert observed.reported == found[:1]
        assert observed.association.withdraw() == found[1:3]
        assert observed.ends == 1


async def test_a_data_set_that_cannot_be_read_to_its_end_aborts_it(opened, found):
    async with opened() as (observed, peer):
        observed.submit(observed.pieces(found[0], parts=3, breaks_at=1) + observed.pieces(found[1]))
        await observed.settled()
        [attempt] = observed.attempts
        assert attempt.instance is found[0]
        assert (attempt.status, attempt.error) == (None, Unsendable(found[0].file, "cut short"))
        assert isinstance(observed.association.error, AbortedHere)
        assert observed.association.withdraw() == [found[1]]
        assert observed.ends == 1
        assert observed.unreleased == 0
        assert peer.begun <= 1


async def test_what_is_outstanding_is_answered_before_an_unreadable_data_set_aborts_it(opened, found):
    async with opened(3) as (observed, peer):
        observed.store(found[:2])
        observed.submit(observed.pieces(found[2], parts=2, breaks_at=1) + observed.pieces(found[3]))
        await until(lambda: peer.begun == 3)
        assert observed.association.in_hand == 4
        await peer.answer(found[1])
        await until(lambda: observed.attempts)
        assert observed.association.error is None
        await peer.answer(found[0])
        await observed.settled()
        assert [(attempt.instance, attempt.status) for attempt in observed.attempts] == [
            (found[1], 0),
            (found[0], 0),
            (found[2], None),
        ]
        assert isinstance(observed.association.error, AbortedHere)
        assert observed.association.withdraw() == [found[3]]
        assert observed.ends == 1
