"""An association as requestor, from open to close: each store that began is reported once, each buffer comes back."""

import asyncio
import errno
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from asyncstore import Timeouts
from asyncstore.errors import (
    AbortedHere,
    AssociationAborted,
    AssociationReleased,
    EchoRefused,
    IdentityNotConfirmed,
    LinkLost,
    ProtocolViolation,
    TimedOut,
)
from asyncstore.model import Buffer, Piece, Unsendable
from asyncstore.negotiation import plan, verification
from asyncstore.network.link import Link
from asyncstore.network.opening import AssociationOptions, open_association
from asyncstore.prepare.reading import Reader
from asyncstore.protocol.associate import AssociateAccept, ContextResult, IdentityKind, UserIdentity
from asyncstore.protocol.pdu import RELEASE_RQ
from asyncstore.protocol.pdu import abort as pdu_abort
from asyncstore.protocol.requests import Requests
from support import values
from support.oracle import GUARD, in_both_loops, nothing_left_behind, until
from support.peers.acceptor import ABORT, ASSOCIATE_AC, Acceptor, item, pdu
from support.peers.hostile import (
    ACCEPT_WITHOUT_ITEMS,
    UNKNOWN_PDU,
    Behaviour,
    aborts,
    accepts,
    accepts_no_context,
    answers,
    answers_in_reverse,
    asks_for_release,
    closes,
    never_answers,
    obedient,
    running_hostile,
    says,
    stays_silent,
    stops_reading,
    then,
    waits,
)
from support.trees import instances, read_part10
from support.values import probe_file

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CONTEXTS = plan([(CT, EXPLICIT)])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    files = instances(tmp_path_factory.mktemp("files") / "small", 6, data_set_bytes=50_000)
    return [probe_file(str(path)) for path in files]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    files = instances(tmp_path_factory.mktemp("files") / "large", 1, data_set_bytes=12_000_000)
    return probe_file(str(files[0]))


def in_memory(instance):
    """An instance as a single piece in memory."""
    buffer = Buffer(0, lambda _: None)
    buffer.needed = 1
    return Piece(instance, memoryview(Path(instance.path).read_bytes())[instance.offset :], True, True, buffer)


class Observed:
    """An association, and what it reported."""

    def __init__(self):
        self.attempts = []
        self.ends = 0
        self.reader = Reader()
        self.association = None

    def ended(self):
        self.ends += 1

    async def submit(self, found):
        async for pieces in self.reader.read(found):
            self.association.submit(pieces)

    async def store(self, found):
        async with asyncio.timeout(GUARD):
            await self.submit(found)
            await self.association.settled()


@asynccontextmanager
async def opened(port, contexts=CONTEXTS, **options):
    """Open an association with a peer on loopback; it is closed in the end, without a release."""
    observed = Observed()
    observed.association = await open_association(
        "127.0.0.1",
        port,
        contexts,
        AssociationOptions(**options),
        number=7,
        on_attempt=lambda *parts: observed.attempts.append(values.attempted(*parts)),
        on_end=observed.ended,
    )
    try:
        yield observed
    finally:
        observed.reader.close()
        await observed.association.close()


# Negotiation ----------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_it_tells_which_contexts_were_accepted_and_why_others_were_not():
    behaviour = Behaviour(on_request=accepts(sop_classes=lambda uid: uid == CT))
    contexts = plan([(CT, EXPLICIT), (MR, EXPLICIT), (CT, IMPLICIT)])
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port, contexts) as observed:
        association = observed.association
        assert association.accepted == {(CT, EXPLICIT): 1, (CT, IMPLICIT): 3}
        assert association.results == {
            (CT, EXPLICIT): "accepted",
            (MR, EXPLICIT): "abstract syntax not supported",
            (CT, IMPLICIT): "accepted",
            (MR, IMPLICIT): "abstract syntax not supported",
        }
        assert association.peer == f"127.0.0.1:{scp.port}"
        assert association.number == 7
        assert association.is_idle
        assert association.current() is None
        assert repr(association) == f"<Association 127.0.0.1:{scp.port} Sta6 0 outstanding>"


@pytest.mark.slow
@in_both_loops
async def test_cancelled_while_it_opens_it_leaves_nothing_open():
    for behaviour in (Behaviour(on_request=stays_silent()), Behaviour(on_connect=stops_reading())):
        async with nothing_left_behind(), running_hostile(behaviour) as scp:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await open_association("127.0.0.1", scp.port, CONTEXTS, AssociationOptions())


@pytest.mark.slow
@in_both_loops
async def test_cancelled_while_it_opens_it_lets_the_peer_take_the_abort_before_it_closes(monkeypatch):
    """Also in a scope whose cancellation comes again at every wait."""
    monkeypatch.setattr("asyncstore.network.requestor._ABORT_LINGER", GUARD)
    seen = []

    async def serve(reader, writer):
        request = await reader.readexactly(6)
        await reader.readexactly(int.from_bytes(request[2:], "big"))
        scope.cancel()
        seen.append((await reader.readexactly(10))[0])
        await asyncio.sleep(0.1)
        seen.append(reader.at_eof())
        writer.close()

    async with nothing_left_behind(), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        with anyio.CancelScope() as scope:
            await open_association("127.0.0.1", server.sockets[0].getsockname()[1], CONTEXTS, AssociationOptions())
        assert scope.cancelled_caught
        assert seen == [ABORT, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("following", "error"), [(pdu_abort(2, 0), AssociationAborted), (RELEASE_RQ, AssociationReleased)]
)
async def test_bytes_that_come_with_the_acceptance_are_for_the_established_association(following, error):
    async def serve(reader, writer):
        request = await reader.readexactly(6)
        await reader.readexactly(int.from_bytes(request[2:], "big"))
        answer = AssociateAccept("A", "B", (ContextResult(1, 0, EXPLICIT),), 16384)
        writer.write(answer.encode() + following)
        await reader.read()
        writer.close()

    async with (
        nothing_left_behind(),
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        opened(server.sockets[0].getsockname()[1]) as observed,
    ):
        assert observed.association.accepted == {(CT, EXPLICIT): 1}
        assert isinstance(observed.association.error, error)
        assert observed.ends == 1


@pytest.mark.slow
@in_both_loops
async def test_cancelled_when_it_has_just_opened_it_is_closed():
    async def serve(reader, writer):
        request = await reader.readexactly(6)
        await reader.readexactly(int.from_bytes(request[2:], "big"))
        writer.write(AssociateAccept("A", "B", (ContextResult(1, 0, EXPLICIT),), 16384).encode())
        received.append(await reader.read())
        writer.close()

    def handed_over_and_cancelled(link, *callbacks):
        hand_over(link, *callbacks)
        task.cancel()

    received, hand_over = [], Link.hand_over
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "hand_over", handed_over_and_cancelled)
        async with nothing_left_behind(), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            task = asyncio.create_task(open_association("127.0.0.1", port, CONTEXTS, AssociationOptions()))
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: received)
    assert received == [pdu_abort(0, 0)]


@pytest.mark.slow
async def test_the_time_for_the_answer_is_the_acse_timeout():
    async with nothing_left_behind(), running_hostile(Behaviour(on_request=stays_silent())) as scp:
        with pytest.raises(TimedOut) as late:
            await open_association("127.0.0.1", scp.port, CONTEXTS, AssociationOptions(timeouts=Timeouts(acse=0.2)))
        assert late.value.seconds == 0.2
        assert late.value.awaited == "answer to the association request"
        assert late.value.problem == "no answer to the association request within 0.2 s"
        assert late.value.timeout == "acse"
        assert late.value.is_transient


async def test_a_connection_that_takes_no_options_any_more_is_lost(monkeypatch):
    """As one on macOS that was reset just now."""

    def refuse(_connected, *_callbacks):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("asyncstore.network.opening.Link", refuse)
    async with nothing_left_behind(), running_hostile(Behaviour()) as scp:
        with pytest.raises(LinkLost, match="invalid argument"):
            await open_association("127.0.0.1", scp.port, CONTEXTS, AssociationOptions())


async def test_what_the_peer_answered_is_in_the_log_and_nobodys_name(found, caplog):
    caplog.set_level("DEBUG")
    async with running_hostile() as scp, opened(scp.port) as observed:
        await observed.store(found)
    assert "accepted 2 of 2 presentation contexts" in caplog.text
    assert "requesting: context 1: CTImageStorage in LittleEndianExplicit" in caplog.text
    assert "context 1: CTImageStorage: accepted in LittleEndianExplicit" in caplog.text
    assert "SYNTHETIC" not in caplog.text


_IDENTITY = UserIdentity(IdentityKind.USERNAME_AND_PASSCODE, b"jdoe", b"hunter2", wants_response=True)


async def test_an_identity_that_is_not_confirmed_as_wanted_ends_the_association_before_anything_is_sent(caplog):
    caplog.set_level("DEBUG")
    async with nothing_left_behind(), running_hostile() as scp:
        with pytest.raises(IdentityNotConfirmed) as refused:
            await open_association("127.0.0.1", scp.port, CONTEXTS, AssociationOptions(identity=_IDENTITY))
        assert not refused.value.is_transient
        (record,) = scp.associations
        assert record.aborted == (0, 0)
    assert "the user identity is not confirmed" in caplog.text
    assert "user name 'jdoe' and passcode, to be confirmed" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("wants_response", "response"), [(True, b""), (True, b"ticket"), (False, b"ticket"), (False, None)]
)
async def test_an_identity_goes_to_the_peer_and_its_confirmation_is_enough(found, wants_response, response):
    identity = _IDENTITY._replace(wants_response=wants_response)
    behaviour = Behaviour(on_request=accepts(identity_response=response))
    async with running_hostile(behaviour) as scp, opened(scp.port, identity=identity) as observed:
        await observed.store(found)
        (record,) = scp.associations
        (sent,) = [item for item in record.request.user_information if isinstance(item, UserIdentityNegotiation)]
    assert (sent.user_identity_type, sent.primary_field, sent.secondary_field) == (2, b"jdoe", b"hunter2")
    assert sent.positive_response_requested == wants_response


FORGED = b"EVIL\n\x1b[2JI: all is well\xff"


async def test_no_text_of_the_peer_forges_lines_of_a_log_or_drives_a_terminal(caplog):
    contexts = item(0x21, b"\1\0\0\0" + item(0x40, EXPLICIT.encode())) + item(0x21, b"\3\0\0\0" + item(0x40, FORGED))
    of_class = len(FORGED).to_bytes(2, "big") + FORGED
    user = [item(0x51, bytes(4)), item(0x52, FORGED), item(0x55, FORGED)]
    user += [item(0x54, of_class + b"\1\1"), item(0x56, of_class + FORGED)]
    answer = pdu(ASSOCIATE_AC, b"\0\1\0\0" + 4 * FORGED[:16] + contexts + item(0x50, b"".join(user)))
    with caplog.at_level("DEBUG", "asyncstore"):
        async with (
            running_hostile(Behaviour(on_request=says(answer), once_associated=aborts())) as scp,
            opened(scp.port, plan([(CT, EXPLICIT), (CT, IMPLICIT)])) as observed,
        ):
            await until(lambda: observed.ends)
            results = observed.association.results
    assert results[CT, IMPLICIT] == "accepted in EVIL\\n\\x1b[2JI: all is well\\xff, which was not proposed"
    messages = [record.getMessage() for record in caplog.records]
    assert sum("EVIL\\n\\x1b[2JI: all is well\\xff" in message for message in messages) > 3
    assert all(message.isprintable() for message in messages)


@pytest.mark.slow
@in_both_loops
async def test_a_fast_peer_with_a_tiny_maximum_length_does_not_keep_the_event_loop_busy(large, monkeypatch):
    between_turns, most = 0, 0

    def turn():
        nonlocal between_turns
        between_turns = 0
        turning[0] = asyncio.get_running_loop().call_soon(turn)

    def counted(requests):
        nonlocal between_turns, most
        between_turns += 1
        most = max(most, between_turns)
        return gather(requests)

    gather, turning = Requests.gather, [None]
    monkeypatch.setattr(Requests, "gather", counted)
    behaviour = Behaviour(on_request=accepts(max_length=8), amid_data=aborts())
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port) as observed:
        turn()
        await observed.store([large])
        turning[0].cancel()
    assert 1 < most <= 32


@pytest.mark.slow
@in_both_loops
async def test_an_echo_that_answers_another_message_is_named():
    async def answers_the_first_one_again(acceptor, echo, status=0):
        await answer_echo(acceptor, echo._replace(message_id=1), status)

    answer_echo = Acceptor.answer_echo
    words = "no response to message id 2, but another one to message id 1, within"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Acceptor, "answer_echo", answers_the_first_one_again)
        async with (
            nothing_left_behind(),
            running_hostile() as scp,
            opened(scp.port, verification(), timeouts=Timeouts(dimse=0.5)) as observed,
        ):
            await observed.association.echo()
            with pytest.raises(TimedOut, match=words):
                await observed.association.echo()


# Storing --------------------------------------------------------------------------------------------------------------


@in_both_loops
async def test_each_store_is_reported_with_its_status(found, large):
    sent = [*found, large]
    async with nothing_left_behind(), running_hostile() as scp, opened(scp.port) as observed:
        await observed.store(sent)
        assert [attempt.instance for attempt in observed.attempts] == sent
        for attempt in observed.attempts:
            assert attempt.status == 0
            assert attempt.error is None
            assert attempt.association == 7
            assert attempt.sent_transfer_syntax_uid == EXPLICIT
            assert 0 < attempt.seconds < GUARD
        assert observed.association.data_bytes_sent == sum(instance.length for instance in sent)
        assert observed.ends == 0
        await observed.association.release()
        assert scp.associations[0].released
        assert scp.violations == []


async def test_each_short_store_is_sent_with_one_system_call(monkeypatch, found):
    gathers, singles = [], []

    def gather(connected, buffers):
        gathers.append(buffers)
        return connected.sendmsg(buffers)

    def send_one(link, buffer):
        singles.append(buffer)
        send(link, buffer)

    send = Link.send_one
    monkeypatch.setattr(Link, "send_one", send_one)
    monkeypatch.setattr("asyncstore.network.link._gather", gather)
    short = [values.changed(instance, data=bytes(2000), length=2000) for instance in found]
    async with nothing_left_behind(), running_hostile() as scp, opened(scp.port) as observed:
        before = len(gathers)
        for instances in (short[:1], short[1:]):  # the head of the requests is made for the first one
            observed.association.submit_whole(instances, lambda _: None)
            await observed.association.settled()
        assert [attempt.status for attempt in observed.attempts] == [0] * len(short)
        assert (len(gathers) - before, len(singles)) == (1, len(short) - 1)


async def test_stores_begin_as_far_as_the_window_allows(found):
    behaviour = Behaviour(on_request=accepts(window=(3, 1)), on_store=answers_in_reverse(3))
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port, window=10) as observed:
        await observed.store(found)
        assert [attempt.instance for attempt in observed.attempts] == [found[n] for n in (2, 1, 0, 5, 4, 3)]
        assert scp.violations == []


async def test_what_has_not_begun_can_be_withdrawn_and_what_has_goes_on(found):
    answer = asyncio.Event()

    async def waits(acceptor):
        await answer.wait()
        await acceptor.answer(0x0000)

    async with nothing_left_behind(), running_hostile(Behaviour(on_store=waits)) as scp, opened(scp.port) as observed:
        association = observed.association
        await observed.submit(found)
        await until(lambda: scp.stores)
        assert association.current()[0] == found[0]
        assert association.withdraw() == found[1:]
        assert not association.is_idle
        assert association.withdraw() == []
        answer.set()
        await association.settled()
        assert [attempt.instance for attempt in observed.attempts] == [found[0]]
        await observed.store(found[1:2])  # it can be used again
        assert len(observed.attempts) == 2


async def test_a_data_set_that_was_begun_is_sent_to_its_end_after_a_withdrawal(large, found):
    begun = asyncio.Event()

    async def begins(_acceptor):
        begun.set()

    async with nothing_left_behind(), running_hostile(Behaviour(amid_data=begins)) as scp:
        async with opened(scp.port) as observed:
            submitting = asyncio.create_task(observed.submit([large, *found]))
            await begun.wait()
            assert observed.association.withdraw() == []
            assert observed.association.is_taking(large)
            await submitting
            await observed.association.settled()
            assert observed.attempts[0].status == 0
        assert scp.stored()[large.sop_instance_uid] == read_part10(Path(large.path)).sha256


# Ends -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param(Behaviour(amid_data=aborts(2, 5)), AssociationAborted, id="aborts"),
        pytest.param(Behaviour(on_store=asks_for_release()), AssociationReleased, id="releases"),
        pytest.param(Behaviour(on_store=closes()), LinkLost, id="closes"),
        pytest.param(Behaviour(on_store=says(b"what?")), ProtocolViolation, id="garbage"),
        pytest.param(never_answers, TimedOut, id="never answers"),
    ],
)
@in_both_loops
async def test_at_its_end_what_had_begun_is_reported_and_the_rest_given_back(found, behaviour, error):
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        timeouts = Timeouts(dimse=0.3) if error is TimedOut else Timeouts()
        async with opened(scp.port, timeouts=timeouts) as observed:
            await observed.store(found)
            assert type(observed.association.error) is error
            assert [attempt.instance for attempt in observed.attempts] == found[:1]
            assert observed.attempts[0].status is None
            assert observed.attempts[0].error is observed.association.error
            assert observed.ends == 1
            assert observed.association.withdraw() == found[1:]
            await observed.store(found[:2])  # after the end nothing is sent: it is given back
            assert observed.association.withdraw() == found[:2]
            await observed.association.release()
            observed.association.abort()
            assert type(observed.association.error) is error
        assert observed.ends == 1
        assert len(observed.attempts) == 1


async def test_an_abort_of_the_peer_is_told_with_its_source_and_reason(found):
    async with running_hostile(Behaviour(amid_data=aborts(2, 5))) as scp, opened(scp.port) as observed:
        await observed.store(found)
        assert (observed.association.error.source, observed.association.error.reason) == (2, 5)
        assert "unexpected PDU parameter" in str(observed.association.error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "error"),
    [(asks_for_release(), AssociationReleased), (aborts(), AssociationAborted), (closes(), LinkLost)],
    ids=["releases", "aborts", "closes"],
)
async def test_an_idle_association_notices_its_end(found, step, error):
    behaviour = Behaviour(once_associated=then(waits(0.1), step))
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port) as observed:
        await until(lambda: observed.ends)
        assert isinstance(observed.association.error, error)
        await observed.store(found)
        assert observed.association.withdraw() == found
        assert observed.attempts == []


async def test_an_end_that_comes_with_the_acceptance_is_told(found):
    behaviour = Behaviour(once_associated=asks_for_release())
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port) as observed:
        await until(lambda: observed.association.error)
        assert isinstance(observed.association.error, AssociationReleased)
        await observed.store(found)
        assert observed.association.withdraw() == found
        assert observed.ends == 1


@in_both_loops
async def test_no_store_is_begun_over_a_connection_that_was_found_to_have_ended(found):
    """What was begun before the end was found is of unknown outcome; the rest can go over another association."""
    many = found * 20  # three buffers' loads, of which the first finds out
    is_read = asyncio.Event()

    async def ends_just_before_it_is_sent_to(acceptor):
        await is_read.wait()
        try:
            await acceptor.reset()
        finally:
            observed.association.submit(pieces)

    behaviour = Behaviour(on_request=accepts(window=(1000, 1)), once_associated=ends_just_before_it_is_sent_to)
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port, window=1000) as observed:
        reader = Reader(4, 1 << 21)
        pieces = [piece async for load in reader.read(many) for piece in load]
        is_read.set()
        await until(lambda: observed.ends)
        begun = [attempt.instance for attempt in observed.attempts]
        assert len(begun) < 100
        assert begun + observed.association.withdraw() == many
        reader.close()


async def test_a_release_that_is_not_answered_is_logged_once(caplog):
    caplog.set_level("INFO")
    behaviour = Behaviour(on_release=closes())
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port) as observed:
        await observed.association.release()
    assert caplog.text.count("the peer closed it") == 1


@in_both_loops
async def test_our_own_abort_is_called_ours(found):
    async with nothing_left_behind(), running_hostile(never_answers) as scp:
        async with opened(scp.port) as observed:
            await observed.submit(found[:1])
            await until(lambda: scp.stores)
            observed.association.abort("the test wants it")
            assert isinstance(observed.attempts[0].error, AbortedHere)
            assert "the test wants it" in str(observed.attempts[0].error)
            assert "peer" not in observed.attempts[0].error.problem
            await observed.association.close()
            await observed.association.close()
        assert scp.associations[0].aborted == (0, 0)
        assert not scp.associations[0].released


async def test_an_association_that_is_closed_without_a_release_is_aborted():
    async with nothing_left_behind(), running_hostile() as scp:
        async with opened(scp.port):
            pass
        await until(lambda: scp.associations[0].aborted)
        assert scp.associations[0].aborted == (0, 0)


async def test_a_file_that_cannot_be_read_to_its_end_ends_the_association_and_nothing_else(tmp_path, found):
    [path] = instances(tmp_path / "large", 1, data_set_bytes=12_000_000)
    large = probe_file(str(path))

    async def shrinks(_acceptor):
        with path.open("r+b") as file:
            file.truncate(6_000_000)

    behaviour = Behaviour(amid_data=shrinks)
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        async with opened(scp.port) as observed:
            await observed.store([large])
            [attempt] = observed.attempts
            assert isinstance(attempt.error, Unsendable)
            assert isinstance(observed.association.error, AbortedHere)
            await observed.store(found)
            assert observed.association.withdraw() == found
        assert scp.stores == []
        assert scp.associations[0].aborted == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "behaviour",
    [
        obedient,
        Behaviour(amid_data=aborts()),
        Behaviour(on_store=closes()),
        Behaviour(amid_data=answers(0xA700), on_store=closes()),
        Behaviour(once_associated=stops_reading()),
    ],
    ids=["obeys", "aborts", "closes", "answers too early", "reads nothing"],
)
@in_both_loops
async def test_every_buffer_comes_back(found, large, behaviour):
    """The reader has two: had one been lost at the end of an association, the next could not read any more."""
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        reader = Reader(2)
        for _ in range(3):
            async with opened(scp.port, timeouts=Timeouts(socket=0.3)) as observed:
                observed.reader, unused = reader, observed.reader
                await observed.store([large, *found])
                observed.association.withdraw()
                observed.reader = unused
        reader.close()


@in_both_loops
async def test_at_its_end_no_buffer_waits_for_a_peer_that_takes_nothing(found):
    freed, data, parts = [], memoryview(bytes(500_000)), 24
    pieces = [Piece(found[0], data, part == 0, part == parts - 1, Buffer(1, freed.append)) for part in range(parts)]
    for piece in pieces:
        piece.buffer.needed = 1
    behaviour = Behaviour(once_associated=stops_reading())
    async with (
        nothing_left_behind(),
        running_hostile(behaviour, receive_buffer=4096) as scp,
        opened(scp.port) as observed,
    ):
        observed.association.submit(pieces)
        assert len(freed) < parts
        observed.association.abort()
        assert len(freed) == parts
        assert set(freed) == {piece.buffer for piece in pieces}


# C-ECHO ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "refusal"),
    [
        (
            Behaviour(on_request=accepts_no_context()),
            "it did not accept the Verification SOP class (abstract syntax not supported)",
        ),
        (Behaviour(on_request=says(ACCEPT_WITHOUT_ITEMS)), "it did not accept the Verification SOP class (no answer)"),
        (Behaviour(echo_status=0x0122), "its status is 0x0122 SOP class not supported"),
    ],
)
async def test_a_peer_that_answers_no_echo_is_not_blamed_for_breaking_the_protocol(behaviour, refusal):
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port, verification()) as observed:
        with pytest.raises(EchoRefused) as failed:
            await observed.association.echo()
        assert str(failed.value) == f"127.0.0.1:{scp.port}: the peer does not answer C-ECHO with success: {refusal}"
        assert not failed.value.is_transient


async def test_echoes_one_after_the_other_and_at_once():
    async with nothing_left_behind(), running_hostile() as scp, opened(scp.port, verification()) as observed:
        assert await observed.association.echo() > 0
        assert all(await asyncio.gather(*(observed.association.echo() for _ in range(3))))
        assert scp.associations[0].echoes == 4
        await observed.association.release()


async def test_a_peer_that_errs_in_an_association_is_at_the_right_port():
    behaviour = Behaviour(once_associated=says(UNKNOWN_PDU))
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port) as observed:
        await until(lambda: observed.ends)
        assert isinstance(observed.association.error, ProtocolViolation)
        assert observed.association.error.speaks_dicom


async def test_an_echo_on_an_association_that_has_ended_raises_why():
    behaviour = Behaviour(once_associated=closes())
    async with nothing_left_behind(), running_hostile(behaviour) as scp, opened(scp.port, verification()) as observed:
        await until(lambda: observed.ends)
        with pytest.raises(LinkLost):
            await observed.association.echo()


async def test_instances_are_loaded_at_their_turn_and_those_that_cannot_be_come_back(found):
    loads = []

    def load(instance):
        loads.append(instance)
        return None if instance is found[2] else in_memory(instance)

    async with nothing_left_behind(), running_hostile() as scp, opened(scp.port) as observed:
        observed.association.submit_whole(found, load)
        assert await observed.association.taken() == found[2:]
        assert loads == found[:3]
        await observed.association.settled()
        assert [attempt.instance for attempt in observed.attempts] == found[:2]
        assert {attempt.status for attempt in observed.attempts} == {0}
        observed.association.submit_whole(found[3:], load)
        assert await observed.association.taken() == []
        await observed.association.settled()
        await observed.association.release()
        assert scp.violations == []
    assert [attempt.instance for attempt in observed.attempts] == found[:2] + found[3:]


async def test_whoever_waits_for_instances_to_be_taken_learns_that_the_association_has_ended(found):
    silent = Behaviour(on_store=stays_silent())
    async with nothing_left_behind(), running_hostile(silent) as scp, opened(scp.port) as observed:
        observed.association.submit_whole(found, lambda _instance: None)
        assert await observed.association.taken() == found
        observed.association.submit_whole(found, in_memory)
        waiting = asyncio.create_task(observed.association.taken())
        await asyncio.sleep(0)
        observed.association.abort()
        assert await waiting == []
        assert observed.association.withdraw() == found[1:]
