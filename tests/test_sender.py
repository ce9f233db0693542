"""The sender as a library: in anyone's event loop, stopped or cancelled at any moment, read from fast or slowly."""

import asyncio
import copy
import gc
import itertools
import math
import os
import pickle
import signal
import sys
import threading
import weakref
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from asyncstore import (
    Affinity,
    AssociationRejected,
    ConnectFailed,
    ConversionOptions,
    EditOptions,
    Invent,
    LaneState,
    Limits,
    LinkLost,
    Patience,
    Result,
    RetryOptions,
    Sender,
    Sink,
    Timeouts,
    TlsOptions,
    UsageError,
    UserIdentity,
    WalkOptions,
    listed,
    rate_table,
    survey,
)
from asyncstore.errors import JournalInUse, NoThread, TimedOut
from asyncstore.journal.values import State
from asyncstore.model import Oddity
from asyncstore.negotiation.transcoding import Transcode
from asyncstore.prepare.pool import Pool
from asyncstore.recording import Recording
from support import forked, values
from support.journals import begin, read
from support.oracle import GUARD, assert_true, finish, in_both_loops, nothing_left_behind, send, until
from support.peers.hostile import (
    Behaviour,
    aborts,
    accepts,
    answers_late,
    never_answers,
    running_hostile,
    stays_silent,
    stops_reading,
)
from support.peers.programs import reserved_port
from support.peers.pynetdicom_scp import running_pynetdicom_scp
from support.rows import rows
from support.trees import data_sets, instances, text_file

_JPEG = "1.2.840.10008.1.2.4.50"
MANY = 400
HELD_BACK = 30_000
"""More files than all queues of a run hold together."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "files"
    instances(folder, MANY, data_set_bytes=12_000)
    return folder


# In whose loop ever ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_loops
async def test_every_file_of_a_folder_is_stored_and_reported_once(folder, files, sent, tmp_path):
    async with nothing_left_behind(), Sink(port=0, output=tmp_path) as sink:
        ran = await send(sink.port, [folder])
        assert_true(ran, files, data_sets(tmp_path))
        assert ran.results == {Result.STORED: MANY}
        assert data_sets(tmp_path) == sent
        assert sink.tally.associations == 0


@pytest.mark.slow
@in_both_loops
async def test_an_outcome_tells_what_became_of_its_file(files, sent):
    async with Sink(port=0, latency=0.01) as sink:
        ran = await send(sink.port, files[:3], associations=1)
    for path in files[:3]:
        outcome = ran.of(path)
        assert outcome.sop_instance_uid in sent
        assert outcome.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
        assert outcome.transfer_syntax_uid == outcome.sent_transfer_syntax_uid == "1.2.840.10008.1.2.1"
        assert outcome.bytes == 12_000
        assert outcome.status == 0
        assert outcome.error is None
        assert outcome.attempts == 1
        assert outcome.association == 1
        assert 0.005 < outcome.seconds < GUARD  # half of it: uvloop rounds


@pytest.mark.slow
@in_both_loops
async def test_other_tasks_of_the_loop_have_their_turn_while_it_sends(folder):
    turns = []

    async def take_turns():
        while True:
            turns.append(sink.tally.instances)
            await asyncio.sleep(0)

    async with nothing_left_behind(), Sink(port=0) as sink:
        taking = asyncio.create_task(take_turns())
        ran = await send(sink.port, [folder] * 3)
        taking.cancel()
    assert ran.results[Result.STORED] == MANY
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) < MANY / 8


@pytest.mark.slow
@in_both_loops
async def test_no_folder_is_listed_in_the_thread_of_the_event_loop(folder, monkeypatch):
    """It may be on a file server that does not answer."""
    threads, scandir = [], os.scandir

    def recorded(path):
        if path == str(folder):
            threads.append(threading.get_ident())
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    async with nothing_left_behind(), Sink(port=0) as sink:
        await send(sink.port, [folder])
    assert threads
    assert threading.get_ident() not in threads


@in_both_loops
async def test_outcomes_come_one_by_one_or_in_batches_and_are_the_same(folder, files):
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        batches = [batch async for batch in sender.send([folder]).batches()]
        assert all(batches)
        assert Counter(outcome.path for batch in batches for outcome in batch) == Counter(map(str, files))


@pytest.mark.slow
@in_both_loops
async def test_two_senders_at_once_do_not_get_in_each_others_way(folder, files, tmp_path):
    async with (
        nothing_left_behind(),
        Sink(port=0, output=tmp_path / "one") as one,
        Sink(port=0, output=tmp_path / "other") as other,
    ):
        ran = await asyncio.gather(send(one.port, [folder], associations=2), send(other.port, [folder]))
        assert_true(ran[0], files, data_sets(tmp_path / "one"))
        assert_true(ran[1], files, data_sets(tmp_path / "other"))
        assert ran[0].results == ran[1].results == {Result.STORED: MANY}


@pytest.mark.slow
@in_both_loops
async def test_a_sender_sends_again_and_twice_at_the_same_time(files, tmp_path):
    async with (
        nothing_left_behind(),
        Sink(port=0, output=tmp_path) as sink,
        Sender("127.0.0.1", sink.port, associations=2) as sender,
    ):
        assert_true(await finish(sender.send(files[:50])), files[:50], data_sets(tmp_path))
        both = await asyncio.gather(finish(sender.send(files[:200])), finish(sender.send(files[200:])))
        assert_true(both[0], files[:200], data_sets(tmp_path))
        assert_true(both[1], files[200:], data_sets(tmp_path))
        assert sink.tally.instances == 50 + MANY


@pytest.mark.slow
async def test_a_sender_does_not_keep_its_earlier_runs(files):
    """Otherwise one that lives long, as in a router, grows with every run."""
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        runs = weakref.WeakSet()
        for _ in range(5):
            run = sender.send(files[:2])
            runs.add(run)
            assert (await finish(run)).results == {Result.STORED: 2}
        gc.collect()
        assert set(runs) == {run}


async def test_a_run_that_failed_does_not_spoil_the_next_one(files):
    behaviours = [Behaviour(on_connect=aborts()), Behaviour()]
    async with nothing_left_behind(), running_hostile(*behaviours) as scp:
        async with Sender("127.0.0.1", scp.port, associations=1) as sender:
            assert (await finish(sender.send(files[:2]))).failure is not None
            again = await finish(sender.send(files[:2]))
        assert again.failure is None
        assert_true(again, files[:2], scp.stored())


@pytest.mark.slow
async def test_as_many_associations_as_asked_for_are_opened(folder):
    for number in (1, 3):
        async with nothing_left_behind(), Sink(port=0, latency=0.005) as sink:
            ran = await send(sink.port, [folder], associations=number)
            assert ran.results == {Result.STORED: MANY}
            assert sink.tally.associations_total == number


@pytest.mark.slow
async def test_auto_opens_more_associations_while_they_make_it_faster(files):
    """Each response takes its time, so each further association carries more."""
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        ran = await send(sink.port, files, WalkOptions(repeat=3))
        assert ran.results == {Result.STORED: 3 * MANY}
        assert sink.tally.associations_total > 4


async def test_no_more_associations_are_opened_than_there_are_files(files):
    async with nothing_left_behind(), Sink(port=0) as sink:
        await send(sink.port, files[:2], associations=8)
        assert sink.tally.associations_total <= 2


async def test_titles_and_lengths_are_asked_for_as_told(files):
    async with running_hostile() as scp:
        await send(
            scp.port, files[:1], calling_ae_title="US", called_ae_title="THE PEER", max_pdu=32768, async_operations=7
        )
        request = scp.associations[0].request
    assert (request.calling_ae_title, request.called_ae_title) == ("US", "THE PEER")
    assert request.maximum_length_received == 32768
    [window] = [item for item in request.user_information if hasattr(item, "maximum_number_operations_invoked")]
    assert window.maximum_number_operations_invoked == 7


@pytest.mark.slow
async def test_pdus_are_no_longer_than_told_where_the_peer_would_take_longer_ones(files):
    behaviour = Behaviour(on_request=accepts(max_length=0))
    async with running_hostile(behaviour) as scp:
        for limit, longest in ((None, 12_000 + 6), (4096, 4096)):
            ran = await send(scp.port, files[:1], max_send_pdu=limit)
            assert ran.results == {Result.STORED: 1}
            assert scp.associations[-1].longest_pdu == longest


_WRONG = [
    ({"peer": b"pacs"}, "peer"),
    ({"peer": "a\0b"}, "peer"),
    ({"port": 0}, "port"),
    ({"port": 65536}, "port"),
    ({"port": "104"}, "port"),
    ({"port": True}, "port"),
    ({"calling_ae_title": ""}, "calling_ae_title"),
    ({"called_ae_title": "SEVENTEEN LETTERS"}, "called_ae_title"),
    ({"called_ae_title": "back\\slash"}, "called_ae_title"),
    ({"calling_ae_title": "\u00fcmlaut"}, "calling_ae_title"),
    ({"called_ae_title": "   "}, "called_ae_title"),
    ({"called_ae_title": b"PACS"}, "called_ae_title"),
    ({"associations": 0}, "associations"),
    ({"associations": "auto"}, "associations"),
    ({"associations": 2.5}, "associations"),
    ({"workers": 0}, "workers"),
    ({"async_operations": -1}, "async_operations"),
    ({"async_operations": 65536}, "async_operations"),
    ({"max_pdu": 4095}, "max_pdu"),
    ({"max_pdu": 131073}, "max_pdu"),
    ({"max_send_pdu": 1}, "max_send_pdu"),
    ({"max_send_pdu": 0}, "max_send_pdu"),
    ({"affinity": "instance"}, "affinity"),
    ({"file_format": "any"}, "file_format"),
    ({"halt_on_failure": "no"}, "halt_on_failure"),
    ({"timeouts": 30}, "timeouts"),
    ({"timeouts": Timeouts(acse=-5)}, "acse"),
    ({"timeouts": Timeouts(connect=0)}, "connect"),
    ({"timeouts": Timeouts(dimse=math.nan)}, "dimse"),
    ({"timeouts": Timeouts(dimse="30")}, "timeouts.dimse"),
    ({"retry": 3}, "retry"),
    ({"retry": RetryOptions(-1)}, "retries"),
    ({"retry": RetryOptions(statuses=(0xA700,))}, "retry.statuses"),
    ({"patience": 60}, "patience"),
    ({"patience": Patience(later=-1)}, "later"),
    ({"limits": Limits(rate="2M")}, "limits.rate"),
    ({"limits": Limits(guard_echo=0)}, "guard_echo"),
    ({"proposal": "lossless"}, "proposal"),
    ({"identity": UserIdentity(1, "me")}, "identity.primary"),
    ({"identity": UserIdentity(256, b"me")}, "identity.kind"),
    ({"conversion": ConversionOptions(deflate_level=10)}, "deflate_level"),
    ({"conversion": ConversionOptions(max_inflated=0)}, "max_inflated"),
    ({"conversion": ConversionOptions(transcode="never")}, "conversion.transcode"),
    ({"conversion": ConversionOptions(Invent(series=0))}, "series"),
    ({"conversion": ConversionOptions(Invent(series=2.5))}, "conversion.invent.series"),
    ({"conversion": ConversionOptions(edit=EditOptions(("PatientID=1",)))}, "conversion.edit.edits"),
    ({"conversion": ConversionOptions(edit=EditOptions(uid_suffix="x"))}, "uid_suffix"),
    ({"tls": TlsOptions(trusted="ca.pem")}, "tls.trusted"),
    ({"tls": TlsOptions(peer_certificate="never")}, "tls.peer_certificate"),
    ({"ip_version": 5}, "ip_version"),
]
"""Wrong arguments, and the name by which the error calls each."""


def test_a_wrong_argument_is_refused_at_once_by_its_name():
    with rows() as row:
        for options, name in _WRONG:
            with row(options), pytest.raises(UsageError, match=name):
                Sender(**{"peer": "127.0.0.1", "port": 104, **options})


def test_the_error_about_a_wrong_argument_does_not_show_it():
    """It may be a password."""
    for options in ({"identity": UserIdentity(1, b"me", "secret")}, {"tls": TlsOptions(password=b"secret")}):
        with pytest.raises(UsageError) as error:
            Sender("127.0.0.1", 104, **options)
        assert "secret" not in str(error.value)


async def test_a_wrong_argument_of_a_run_is_refused_at_once_by_its_name(files):
    table = rate_table("2M")
    with reserved_port() as port:
        async with Sender("127.0.0.1", port) as sender:
            run = sender.send(files)
            wrong = [
                (lambda: sender.send(5), "paths"),
                (lambda: sender.send(b"/archive"), "paths"),
                (lambda: sender.send(files, "*.dcm"), "options"),
                (lambda: sender.send(files, WalkOptions(pattern=b"*.dcm")), "options.pattern"),
                (lambda: sender.send(files, recording="run.db"), "recording"),
                (lambda: run.limit_rate("2M"), "table"),
                (lambda: run.limit_stores(table.entries), "table"),
                (lambda: run.prioritise(b"4711"), "key"),
            ]
            with rows() as row:
                for call, name in wrong:
                    with row(name), pytest.raises(UsageError, match=f"^{name} must be "):
                        call()
            for pairs in ("12", [("1.2.3",)], [(1, 2)]):
                with pytest.raises(UsageError, match=r"pair|syntax"):
                    await sender.negotiate(pairs)


def test_a_peer_has_a_name():
    with pytest.raises(UsageError, match="no name"):
        Sender(" ", 104)


async def test_files_cannot_be_sent_less_than_once(files):
    async with Sender("127.0.0.1", 104) as sender:
        with pytest.raises(UsageError, match="repeat"):
            sender.send(files, WalkOptions(repeat=0))


async def test_outside_its_block_a_sender_sends_nothing(files):
    sender = Sender("127.0.0.1", 104)
    with pytest.raises(UsageError, match="async with"):
        sender.send(files)
    async with sender:
        with pytest.raises(UsageError, match="only once"):
            await sender.__aenter__()
    with pytest.raises(UsageError, match="async with"):
        sender.send(files)
    with pytest.raises(UsageError, match="only once"):
        await sender.__aenter__()


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, -1, 2.5, "4"])
async def test_a_run_cannot_have_less_than_one_association(files, number):
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files)
        with pytest.raises(UsageError, match="associations"):
            run.set_associations(number)
        assert (await finish(run)).results == {Result.STORED: len(files)}


@pytest.mark.slow
async def test_who_is_cancelled_while_the_journal_has_no_room_loses_no_outcome(files, tmp_path):
    has_room, asked = asyncio.Event(), asyncio.Event()

    class Slow(Recording):
        async def room(self):
            asked.set()
            await has_room.wait()

    journal = begin(tmp_path / "run.db")
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files, recording=Slow(journal))
        taking = asyncio.create_task(anext(run))
        await asked.wait()
        taking.cancel()
        await asyncio.wait({taking})
        has_room.set()
        ran = await finish(run)
    journal.close()
    assert ran.results == {Result.STORED: len(files)}


@pytest.mark.slow
async def test_a_run_without_a_journal_takes_nothing_from_one_that_has_one(files, tmp_path):
    journal = begin(tmp_path / "run.db")
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port, affinity=Affinity.NONE) as sender:
        recorded, other = sender.send(files, recording=Recording(journal)), sender.send(files)
        ran, _ = await asyncio.gather(finish(recorded), finish(other))
    journal.close()
    assert all(outcome.details is not None for outcome in ran.outcomes)


async def test_outcomes_that_nobody_took_are_in_the_journal_even_if_another_run_has_begun(files, tmp_path):
    journal = begin(tmp_path / "run.db")
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files, recording=Recording(journal))
        await until(lambda: run.is_over)
        await finish(sender.send(files[:1]))
    journal.close()
    assert len(read(tmp_path / "run.db", State.STORED)) == len(files)


def test_errors_are_pickled_and_copied_with_their_facts():
    """A process pool of the user's breaks if it cannot hand on an error."""
    rejected, timed_out = AssociationRejected("pacs:104", 2, 3, 1), TimedOut("pacs:104", "answer", 3, "acse")
    for error in (rejected, timed_out, JournalInUse("run.db", 7), UsageError("port")):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - these are ours
            assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.fixture
def without_threads(monkeypatch):
    """Lets the system refuse threads of a name, except the first so many."""

    def refuse(name, but=0):
        def start(thread, real=threading.Thread.start):
            if thread.name == name and next(started) >= but:
                raise RuntimeError("can't start new thread")
            real(thread)

        started = itertools.count()
        monkeypatch.setattr(threading.Thread, "start", start)

    return refuse


@pytest.mark.parametrize("name", ["asyncstore-call", "asyncstore-worker", "asyncstore-reader", "asyncstore-resolver"])
async def test_where_no_thread_can_be_started_the_run_ends_and_says_so(tmp_path, name, without_threads):
    found = instances(tmp_path / "files", 5, data_set_bytes=1_200_000)
    without_threads(name)
    async with nothing_left_behind(), Sink(host="localhost", port=0) as sink:
        ran = await send(sink.port, found, peer="localhost", associations=2)
        assert_true(ran, found, [])
        said = {*ran.errors, str(ran.failure)}
        assert any("no thread can be started" in one for one in said)
        await until(lambda: not sink.tally.associations)


@pytest.mark.slow
async def test_the_lanes_that_have_a_thread_go_on(tmp_path, without_threads, caplog):
    found = instances(tmp_path / "files", 20, data_set_bytes=1_200_000)
    without_threads("asyncstore-reader", but=2)
    async with running_hostile(Behaviour(on_store=answers_late(0.05))) as scp:
        ran = await send(scp.port, found, associations=8, affinity=Affinity.NONE)
        assert_true(ran, found, scp.stored())
        assert ran.results == {Result.STORED: 20}
        assert len(scp.associations) == 8
        assert all(association.released for association in scp.associations)
    assert "no thread can be started" in caplog.text
    assert "other associations go on" in caplog.text


def test_where_the_walk_gets_no_thread_it_says_so_at_once(files, without_threads):
    async def main():
        async with Sender("127.0.0.1", 104) as sender:
            sender.send(files)

    without_threads("asyncstore-walk")
    with pytest.raises(NoThread, match="too many processes and threads"):
        asyncio.run(main())


def test_without_a_loop_of_asyncio_as_in_trio_it_says_so(files):
    begun = [Sender("127.0.0.1", 104).__aenter__(), Sink(port=0).__aenter__(), anext(survey(files))]
    for coroutine in begun:
        with pytest.raises(UsageError, match="asyncio, not in trio"):
            coroutine.send(None)


async def test_a_sender_sends_in_no_other_loop_than_its_own(files):
    async def send_there():
        sender.send(files)

    async with Sender("127.0.0.1", 104) as sender:
        with pytest.raises(UsageError, match="event loop of its"):
            await asyncio.to_thread(asyncio.run, send_there())


# Stop, abort, halt ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_loops
async def test_stop_lets_finish_what_is_under_way_and_releases(folder, files):
    behaviour = Behaviour(on_store=answers_late(0.02))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        async with Sender("127.0.0.1", scp.port, associations=3) as sender:
            run = sender.send([folder])
            finishing = asyncio.create_task(finish(run))
            await until(lambda: len(scp.acknowledged) >= 20)
            run.stop()
            ran = await finishing
        assert_true(ran, files, scp.stored())
        assert ran.failure is None
        assert set(ran.results) == {Result.STORED, Result.NOT_SENT}
        assert len(scp.stores) == len(scp.acknowledged) == ran.results[Result.STORED] < MANY
        assert all(association.released and association.aborted is None for association in scp.associations)
        assert {outcome.error for outcome in ran.outcomes} == {None, "the run was interrupted before it was sent"}
        assert scp.violations == []


@pytest.mark.slow
async def test_stop_lets_a_large_data_set_finish(tmp_path):
    files = instances(tmp_path / "large", 3, data_set_bytes=15_000_000)
    begun = asyncio.Event()

    async def begins(_acceptor):
        begun.set()

    async with nothing_left_behind(), running_hostile(Behaviour(amid_data=begins)) as scp:
        async with Sender("127.0.0.1", scp.port, associations=1) as sender:
            run = sender.send(files)
            finishing = asyncio.create_task(finish(run))
            await begun.wait()
            run.stop()
            ran = await finishing
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: 1, Result.NOT_SENT: 2}
        assert scp.associations[0].released


async def test_stop_says_the_reason_it_is_given(files):
    async with nothing_left_behind(), Sink(port=0, latency=0.05) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files)
        run.stop("the disk is full")
        ran = await finish(run)
        assert ran.errors <= {"the disk is full"}
        assert sink.tally.associations_total == 0


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [Behaviour(on_request=stays_silent()), Behaviour(on_connect=stops_reading())])
async def test_stop_while_associations_are_opened_ends_the_run_soon(files, behaviour):
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        async with Sender("127.0.0.1", scp.port, timeouts=Timeouts(acse=None)) as sender:
            run = sender.send(files)
            finishing = asyncio.create_task(finish(run))
            await until(lambda: scp.associations)
            run.stop()
            ran = await asyncio.wait_for(finishing, GUARD)
        assert ran.results.keys() == {Result.NOT_SENT}
        assert len({outcome.path for outcome in ran.outcomes}) == len(ran.outcomes) == run.progress().found


@pytest.mark.slow
@in_both_loops
async def test_abort_gives_every_file_found_one_outcome(folder):
    for after in (0, 1, 30, 200):
        async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers_late(0.01))) as scp:
            async with Sender("127.0.0.1", scp.port, associations=4) as sender:
                run = sender.send([folder])
                finishing = asyncio.create_task(finish(run))
                await until(lambda: len(scp.acknowledged) >= after)  # noqa: B023 - it is called at once
                run.abort()
                ran = await asyncio.wait_for(finishing, GUARD)
            assert ran.failure is None
            assert Counter(outcome.path for outcome in ran.outcomes).total() == run.progress().found
            assert_true(ran, {outcome.path for outcome in ran.outcomes}, scp.stored())
            assert ran.results[Result.UNKNOWN] <= 4
            for outcome in ran.outcomes:
                assert outcome.result is Result.STORED or "peer" not in outcome.error
            assert not any(association.released for association in scp.associations)


@pytest.mark.slow
async def test_abort_of_a_run_that_the_peer_holds_back_gives_every_file_found_one_outcome(files, tmp_path):
    """What was looked into together with what waits for the peer, and stands behind it, is among them."""
    junk = text_file(tmp_path)
    async with nothing_left_behind(), running_hostile(never_answers) as scp:
        async with Sender("127.0.0.1", scp.port, associations=1) as sender:
            run = sender.send([files[0], files[0], junk] * (HELD_BACK // 3))
            finishing = asyncio.create_task(finish(run))
            assert await steady(run) < HELD_BACK
            run.abort()
            ran = await asyncio.wait_for(finishing, GUARD)
        assert len(ran.outcomes) == run.progress().found


@in_both_loops
async def test_a_run_aborted_at_once_ends(files):
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files)
        run.abort()
        assert (await asyncio.wait_for(finish(run), GUARD)).outcomes == []


async def test_abort_of_a_run_that_is_over_changes_nothing(files):
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files[:5])
        ran = await finish(run)
        run.abort()
        run.stop()
        assert (await finish(run)).outcomes == []
        assert ran.results == {Result.STORED: 5}


@pytest.mark.slow
async def test_abort_gets_away_from_a_peer_that_never_answers(files):
    async with nothing_left_behind(), running_hostile(never_answers) as scp:
        async with Sender("127.0.0.1", scp.port, associations=2, affinity=Affinity.NONE) as sender:
            run = sender.send(files)
            finishing = asyncio.create_task(finish(run))
            await until(lambda: len(scp.stores) == 2)
            run.stop()
            await asyncio.wait({finishing}, timeout=0.3)
            assert not finishing.done()  # a stop waits for what is under way, which may be for ever
            run.abort()
            ran = await asyncio.wait_for(finishing, GUARD)
        assert ran.results[Result.UNKNOWN] == 2
        assert {association.aborted for association in scp.associations} == {(0, 0)}


async def test_halt_on_failure_starts_nothing_after_the_first_failure(files):
    async def fifth_fails(acceptor):
        await acceptor.answer(0xC001 if len(acceptor.record.stores) == 5 else 0x0000)

    async with nothing_left_behind(), running_hostile(Behaviour(on_store=fifth_fails)) as scp:
        ran = await send(scp.port, files, associations=1, halt_on_failure=True)
        assert_true(ran, {outcome.path for outcome in ran.outcomes}, scp.stored())
        assert ran.results[Result.FAILED] == 1
        assert ran.results[Result.STORED] == 4
        assert len(scp.stores) == 5
        assert ran.failure is None
        not_sent = {outcome.error for outcome in ran.outcomes if outcome.result is Result.NOT_SENT}
        assert not_sent == {"the run was halted by an earlier failure (0xC001 cannot understand)"}
        assert scp.associations[0].released


async def test_halt_on_failure_counts_a_file_that_is_no_instance(files, tmp_path):
    async with nothing_left_behind(), Sink(port=0) as sink:
        ran = await send(sink.port, [text_file(tmp_path), *files], associations=1, halt_on_failure=True)
        assert Result.STORED not in ran.results
        assert ran.outcomes[0].error == "not a DICOM file"


async def test_without_halt_a_failure_is_one_outcome_among_others(files):
    async def every_other_fails(acceptor):
        await acceptor.answer(0xA700 if len(acceptor.record.stores) % 2 else 0x0000)

    async with nothing_left_behind(), running_hostile(Behaviour(on_store=every_other_fails)) as scp:
        ran = await send(scp.port, files[:20], associations=1)
        assert ran.results == {Result.STORED: 10, Result.FAILED: 10}


def _stop_workers():
    """Let every child process hang, but for the one that runs the commands of other tests."""
    for children in Path("/proc/self/task").glob("*/children"):
        for worker in map(int, children.read_text().split()):
            if forked.server is None or worker != forked.server.pid:
                os.kill(worker, signal.SIGSTOP)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="what processes there are is known on Linux only")
@pytest.mark.usefixtures("real_workers")
async def test_a_run_that_is_stopped_does_not_wait_for_a_worker_that_hangs(files):
    """As one does that looks into a file on a server which is gone."""
    hangs = threading.Event()

    def paths():
        yield files[0]
        hangs.wait(GUARD)
        yield from files[1:]

    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port, workers=1) as sender:
        run = sender.send(paths())
        outcomes = [await anext(run)]
        _stop_workers()
        hangs.set()
        await until(lambda: run.progress().found > 1)
        run.stop()
        async with asyncio.timeout(GUARD):
            outcomes += [outcome async for outcome in run]
        assert len(outcomes) == run.progress().found
        assert Counter(outcome.result for outcome in outcomes) == {Result.STORED: 1, Result.NOT_SENT: len(outcomes) - 1}
        assert all(outcome.is_withdrawn for outcome in outcomes[1:])


async def test_abort_at_end_aborts_what_it_would_have_released(files):
    async with nothing_left_behind(), running_hostile() as scp:
        ran = await send(scp.port, files[:10], associations=2, abort_at_end=True)
        assert_true(ran, files[:10], scp.stored())
        assert ran.results == {Result.STORED: 10}
        assert all(association.aborted == (0, 0) and not association.released for association in scp.associations)


# Leaving early, and cancellation --------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_loops
async def test_leaving_the_block_early_ends_everything(folder):
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        async with Sender("127.0.0.1", sink.port) as sender:
            async for _ in sender.send([folder]):
                break
        await until(lambda: sink.tally.associations == 0)
        assert sink.tally.instances < MANY


@in_both_loops
async def test_leaving_the_block_without_taking_any_outcome_ends_everything(folder):
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        async with Sender("127.0.0.1", sink.port) as sender:
            sender.send([folder])
        async with Sender("127.0.0.1", sink.port) as sender:
            sender.send([folder])
            await until(lambda: sink.tally.instances)


@in_both_loops
async def test_an_exception_in_the_block_ends_everything_and_is_the_one_that_comes_out(folder):
    async def breaking(port):
        async with Sender("127.0.0.1", port) as sender:
            async for _ in sender.send([folder]):
                raise ZeroDivisionError

    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        with pytest.raises(ZeroDivisionError):
            await breaking(sink.port)
        await until(lambda: sink.tally.associations == 0)


DELAYS = (0.0, 0.003, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
"""Seconds after which a run is cancelled: while its worker starts, while it probes, connects, negotiates, and sends."""
FEW_DELAYS = (0.1, 0.25)
"""For peers whose connections take a second to end: they read no A-ABORT."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "count", "delays"),
    [
        pytest.param(Behaviour(on_store=answers_late(0.005)), MANY, DELAYS, id="while storing"),
        pytest.param(Behaviour(on_request=stays_silent()), MANY, DELAYS, id="while opening"),
        pytest.param(Behaviour(on_release=stays_silent()), 3, DELAYS, id="while releasing"),
        pytest.param(Behaviour(on_connect=stops_reading()), MANY, FEW_DELAYS, id="while the peer reads no request"),
        pytest.param(Behaviour(once_associated=stops_reading()), MANY, FEW_DELAYS, id="while the peer reads no data"),
    ],
)
@in_both_loops
async def test_cancelled_at_any_moment_it_leaves_nothing_behind(files, behaviour, count, delays):
    for delay in delays:
        async with nothing_left_behind(), running_hostile(behaviour) as scp:
            sending = asyncio.create_task(send(scp.port, files[:count], associations=3))
            await asyncio.sleep(delay)
            sending.cancel()
            await asyncio.wait({sending}, timeout=GUARD)
            assert sending.cancelled()


@pytest.mark.slow
@in_both_loops
async def test_cancelled_twice_it_leaves_nothing_behind(folder):
    for delay in (0.05, 0.15):
        async with nothing_left_behind(), Sink(port=0, latency=0.01) as sink:
            sending = asyncio.create_task(send(sink.port, [folder]))
            await asyncio.sleep(delay)
            sending.cancel()
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait({sending}, timeout=GUARD)
            assert sending.cancelled()


@pytest.mark.slow
@in_both_loops
@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Behaviour(on_store=answers_late(0.005)), id="while storing"),
        pytest.param(Behaviour(on_request=stays_silent()), id="while opening"),
        pytest.param(never_answers, id="while nothing is answered"),
    ],
)
async def test_a_cancel_scope_of_anyio_ends_everything(folder, behaviour):
    """Its cancellation comes again at every wait, also while the block is left."""
    for delay in (0.0, 0.03, 0.1, 0.2):
        async with nothing_left_behind(), running_hostile(behaviour) as scp:
            with anyio.move_on_after(delay) as scope:
                await send(scp.port, [folder])
            assert scope.cancelled_caught


@in_both_loops
async def test_a_task_group_of_anyio_that_fails_ends_everything(folder):
    async def fail_later(sink):
        await until(lambda: sink.tally.instances)
        raise ZeroDivisionError

    async def send_and_fail(sink):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, sink.port, [folder])
            tasks.start_soon(fail_later, sink)

    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink:
        with pytest.raises(ExceptionGroup) as failures:
            await send_and_fail(sink)
        assert failures.group_contains(ZeroDivisionError)
        await until(lambda: sink.tally.associations == 0)


@pytest.mark.slow
@in_both_loops
async def test_a_deadline_around_the_run_holds(folder):
    async with nothing_left_behind(), running_hostile(never_answers) as scp:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await send(scp.port, [folder])


# Backpressure ---------------------------------------------------------------------------------------------------------


async def steady(run):
    """Wait until the walk of a run gets no further, and return how far it got."""
    found = -1
    async with asyncio.timeout(GUARD):
        while run.progress().found != found or found == 0:
            found = run.progress().found
            await asyncio.sleep(0.3)
    return found


@pytest.mark.slow
@in_both_loops
async def test_outcomes_that_nobody_takes_hold_the_sending_back(files):
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(files[:1], WalkOptions(repeat=HELD_BACK))
        assert await steady(run) < HELD_BACK
        assert sink.tally.instances < HELD_BACK
        await anext(run)


@pytest.mark.slow
@in_both_loops
async def test_outcomes_that_nobody_takes_hold_the_walk_of_junk_back(tmp_path, refusing_port):
    junk = text_file(tmp_path)
    async with nothing_left_behind(), Sender("127.0.0.1", refusing_port) as sender:
        for paths, walk in ((["/no/such/file"] * HELD_BACK, None), ([junk], WalkOptions(repeat=HELD_BACK))):
            run = sender.send(paths, walk)
            assert await steady(run) < HELD_BACK
            await run.aclose()


@pytest.mark.slow
async def test_outcomes_of_refused_contexts_hold_the_walk_back(files):
    behaviour = Behaviour(on_request=accepts(sop_classes=lambda _uid: False))
    async with nothing_left_behind(), running_hostile(behaviour) as scp, Sender("127.0.0.1", scp.port) as sender:
        run = sender.send(files[:1], WalkOptions(repeat=HELD_BACK))
        assert await steady(run) < HELD_BACK


@pytest.mark.slow
async def test_a_slow_consumer_gets_all_of_it(files):
    count = 12_000  # more than may wait for it
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        taken = 0
        async for batch in sender.send(files[:1], WalkOptions(repeat=count)).batches():
            taken += len(batch)
            await asyncio.sleep(0.05)
        assert taken == count == sink.tally.instances


def _in_two_parts(first, goes_on, rest):
    """Paths of which the rest is found when the event is set."""
    yield from first
    goes_on.wait(GUARD)
    yield from rest


async def test_consumers_that_share_the_outcomes_of_a_run_all_go_on_to_its_end(files):
    has_taken = threading.Event()
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        run = sender.send(_in_two_parts(files[:1], has_taken, files[1:2]))

        async def consume():
            taken = 0
            async for _ in run:
                has_taken.set()
                taken += 1
            return taken, run.is_over

        (one, is_over), (other, is_over_too) = await asyncio.gather(consume(), consume())
        assert one + other == 2
        assert is_over
        assert is_over_too


async def test_consumers_that_share_the_outcomes_of_a_run_lose_none(files):
    has_taken, have_both = threading.Event(), asyncio.Barrier(2)
    async with asyncio.timeout(GUARD), Sink(port=0) as sink, Sender("127.0.0.1", sink.port, associations=1) as sender:
        run = sender.send(_in_two_parts(files[:5], has_taken, files[5:10]))

        async def consume():
            taken = []
            async for outcome in run:
                has_taken.set()
                taken.append(outcome.path)
                if len(taken) == 1:
                    await have_both.wait()
            return taken

        one, other = await asyncio.gather(consume(), consume())
    assert sorted(one + other) == sorted(map(str, files[:10]))


@pytest.mark.slow
async def test_a_slow_peer_holds_the_walk_back(files):
    async with nothing_left_behind(), running_hostile(never_answers) as scp, Sender("127.0.0.1", scp.port) as sender:
        run = sender.send(files[:1], WalkOptions(repeat=HELD_BACK))
        assert await steady(run) < HELD_BACK


# Paths from anywhere --------------------------------------------------------------------------------------------------


@in_both_loops
async def test_paths_may_come_from_a_generator_that_blocks(files):
    """The loop goes on meanwhile, and what came before is sent."""
    goes_on = threading.Event()
    paths = _in_two_parts(files[:1], goes_on, files[1:2])
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        finishing = asyncio.create_task(finish(sender.send(paths)))
        await until(lambda: sink.tally.instances == 1)
        goes_on.set()
        assert (await finishing).results == {Result.STORED: 2}


@in_both_loops
async def test_a_generator_that_blocks_keeps_nobody_from_leaving(files):
    goes_on = threading.Event()

    def slowly():
        yield files[0]
        goes_on.wait(GUARD)

    async with nothing_left_behind(), Sink(port=0) as sink:
        async with Sender("127.0.0.1", sink.port) as sender:
            await anext(sender.send(slowly()))
            run = sender.send(slowly())
            run.stop()
            assert await asyncio.wait_for(finish(run), GUARD)
        goes_on.set()


@in_both_loops
async def test_an_endless_generator_that_leads_to_no_file_ends_with_its_run(tmp_path):
    async with nothing_left_behind():
        with reserved_port() as port:
            async with Sender("127.0.0.1", port) as sender:
                sender.send(itertools.repeat(tmp_path))
        async with aclosing(survey(itertools.repeat(tmp_path))) as batches:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(batches), 0.05)


@in_both_loops
async def test_a_generator_that_raises_is_the_callers_affair_and_what_it_gave_before_has_its_outcomes(files):
    def breaking():
        yield from files[:5]
        raise ZeroDivisionError

    outcomes = []

    async def take(run):
        async for outcome in run:
            outcomes.append(outcome)  # noqa: PERF401 - a comprehension would lose them

    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        with pytest.raises(ZeroDivisionError):
            await take(sender.send(breaking()))
    assert Counter(outcome.path for outcome in outcomes) == Counter(map(str, files[:5]))
    assert len([one for one in outcomes if one.result is Result.STORED]) == sink.tally.instances


async def test_a_generator_that_ends_the_program_ends_only_its_run(files):
    def leaving():
        yield files[0]
        sys.exit("no such list")

    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        with pytest.raises(RuntimeError, match="no such list"):
            await asyncio.wait_for(finish(sender.send(leaving())), GUARD)


@pytest.mark.parametrize("path", [5, None, ["a"]])
async def test_what_is_no_path_is_the_callers_affair(files, path):
    async with nothing_left_behind(), Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        with pytest.raises(TypeError):
            await finish(sender.send([files[0], path]))


@pytest.mark.slow
async def test_a_path_may_be_bytes_and_comes_back_as_text(folder, files):
    async with nothing_left_behind(), Sink(port=0) as sink:
        ran = await send(sink.port, [bytes(folder), bytes(files[0])])
        assert_true(ran, [*files, files[0]], {outcome.sop_instance_uid for outcome in ran.outcomes})
        assert ran.results == {Result.STORED: MANY + 1}


# What an observer sees ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_loops
async def test_progress_begins_with_nothing_and_ends_with_everything(folder):
    seen = []
    async with (
        nothing_left_behind(),
        Sink(port=0, latency=0.002) as sink,
        Sender("127.0.0.1", sink.port, associations=2) as sender,
    ):
        run = sender.send([folder])
        seen.append(run.progress())
        seen += [run.progress() async for _ in run]
        last = run.progress()
    assert seen[0][:1] + seen[0][2:6] == (0, 0, 0, 0, 0)
    assert last.found == last.probed == MANY
    assert last.bytes_probed == last.bytes_sent == MANY * 12_000
    assert not last.walking
    assert last.lanes == ()
    assert last.associations_opened == sink.tally.associations_total
    for earlier, later in itertools.pairwise(seen):
        assert earlier.found <= later.found
        assert earlier.bytes_sent <= later.bytes_sent
    lanes = [lane for progress in seen for lane in progress.lanes]
    assert {lane.number for lane in lanes} <= {1, 2}
    assert {lane.state for lane in lanes} >= {LaneState.SENDING}
    assert any(lane.path for lane in lanes)
    assert max(lane.stored for lane in lanes) > 1


@pytest.mark.slow
async def test_a_lane_tells_for_how_long_its_store_is_under_way(files):
    async with nothing_left_behind(), running_hostile(never_answers) as scp, Sender("127.0.0.1", scp.port) as sender:
        run = sender.send(files[:1])
        await until(lambda: scp.stores)
        await asyncio.sleep(0.1)
        [lane] = run.progress().lanes
        assert lane.path == str(files[0])
        assert lane.bytes == 12_000
        assert 0.05 < lane.seconds < GUARD


# C-ECHO ---------------------------------------------------------------------------------------------------------------


async def echoes(sender, count):
    async with aclosing(sender.echo()) as answers:
        return [await anext(answers) for _ in range(count)]


@pytest.mark.slow
@in_both_loops
async def test_echo_tells_how_long_the_peer_takes(files):
    async with nothing_left_behind(), Sink(port=0, latency=0.02) as sink, Sender("127.0.0.1", sink.port) as sender:
        assert all(0.01 < seconds < GUARD for seconds in await echoes(sender, 3))  # half of it: uvloop rounds
        assert sink.tally.echoes == 3
        assert sink.tally.associations_total == 1
        assert (await finish(sender.send(files[:1]))).results == {Result.STORED: 1}


async def test_echo_is_released():
    async with nothing_left_behind(), running_hostile() as scp, Sender("127.0.0.1", scp.port) as sender:
        await echoes(sender, 2)
        await until(lambda: scp.associations[0].released)
        assert scp.associations[0].echoes == 2
        assert scp.associations[0].aborted is None


@pytest.mark.slow
async def test_pynetdicom_is_verified():
    async with running_pynetdicom_scp() as scp, Sender("127.0.0.1", scp.port) as sender:
        await echoes(sender, 2)
        assert scp.echoes == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Behaviour(on_request=lambda acceptor: acceptor.reject(1, 1, 7)), AssociationRejected),
        (Behaviour(on_request=stays_silent()), TimedOut),
        (Behaviour(once_associated=stays_silent()), TimedOut),
        (Behaviour(once_associated=lambda acceptor: acceptor.close()), LinkLost),
    ],
    ids=["rejects", "silent", "does not answer", "closes"],
)
async def test_an_echo_that_fails_says_why(behaviour, error):
    timeouts = Timeouts(acse=0.5, dimse=0.5) if error is TimedOut else Timeouts()
    async with (
        nothing_left_behind(),
        running_hostile(behaviour) as scp,
        asyncio.timeout(GUARD),
        Sender("127.0.0.1", scp.port, timeouts=timeouts) as sender,
    ):
        with pytest.raises(error):
            await echoes(sender, 1)


async def test_an_echo_to_nobody_is_a_connection_that_failed(refusing_port):
    async with nothing_left_behind(), Sender("127.0.0.1", refusing_port) as sender:
        with pytest.raises(ConnectFailed):
            await echoes(sender, 1)


@pytest.mark.slow
@pytest.mark.parametrize("acse", [None, 30.0])
@in_both_loops
async def test_an_echo_without_an_answer_is_cancelled_soon(acse):
    async with nothing_left_behind(), running_hostile(Behaviour(once_associated=stays_silent())) as scp:
        async with Sender("127.0.0.1", scp.port, timeouts=Timeouts(acse=acse)) as sender:
            asking = asyncio.create_task(echoes(sender, 1))
            await until(lambda: scp.associations and scp.associations[0].results)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert scp.associations[0].aborted == (0, 0)


@pytest.mark.slow
async def test_an_echo_ends_though_nobody_answers_its_release_and_no_limit_is_set(monkeypatch):
    monkeypatch.setattr("asyncstore.network.association._RELEASE_LIMIT", 0.3)  # half a minute
    async with (
        nothing_left_behind(),
        running_hostile(Behaviour(on_release=stays_silent())) as scp,
        asyncio.timeout(GUARD),
        Sender("127.0.0.1", scp.port, timeouts=Timeouts(acse=None)) as sender,
    ):
        assert len(await echoes(sender, 1)) == 1
        assert scp.associations[0].released


async def test_a_peer_is_asked_for_what_the_sender_would_propose_and_nothing_else():
    sop_class, explicit, implicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
    proposal = listed("implicit", required=True)
    as_it_is = ConversionOptions(transcode=Transcode.NEVER)
    async with (
        running_hostile() as scp,
        Sender("127.0.0.1", scp.port, proposal=proposal, conversion=as_it_is) as sender,
    ):
        answers = await sender.negotiate([(sop_class, implicit), (sop_class, explicit), (sop_class, _JPEG)])
        [asked] = [
            [
                str(uid)
                for context in association.request.presentation_context_definition_list
                for uid in context.transfer_syntax
            ]
            for association in scp.associations
        ]
    assert asked == [implicit]
    assert [(answer.is_accepted, answer.answer) for answer in answers] == [
        (True, "accepted"),
        (True, "in LittleEndianImplicit: converted"),
        (False, "not proposed"),
    ]


@pytest.mark.slow
async def test_associations_that_are_not_to_be_had_are_told_of_once_while_others_go_on(files, caplog):
    """Whether they are refused before or after the first one is open."""
    async with nothing_left_behind(), Sink(port=0, max_associations=1) as sink:
        ran = await send(sink.port, files, associations=4)
    assert ran.results == {Result.STORED: len(files)}
    warnings = [record.getMessage() for record in caplog.records if record.name == "asyncstore.schedule.dispatch"]
    assert len(warnings) == 1
    assert warnings[0].endswith("; other associations go on")


@pytest.mark.slow
@in_both_loops
async def test_who_is_cancelled_while_leaving_leaves_no_run_behind(files):
    """With two runs: the second one ends as well."""
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers_late(0.05))) as scp:
        runs = []

        async def leaving():
            async with Sender("127.0.0.1", scp.port, associations=1) as sender:
                for _ in range(2):
                    runs.append(sender.send(files))
                    await anext(runs[-1])

        task = asyncio.create_task(leaving())
        await until(lambda: len(runs) == 2 and sender_is_left(runs), every=0)  # its end takes some steps of the loop
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(run.is_over for run in runs)


def sender_is_left(runs):
    """Whether the first of the runs is being ended."""
    return runs[0]._task.cancelling()  # noqa: SLF001 - it can be seen nowhere else


@in_both_loops
@pytest.mark.parametrize("asks", ["echo", "negotiate"])
async def test_who_is_cancelled_while_the_peer_does_not_answer_a_release_leaves_no_association(asks):
    async with (
        nothing_left_behind(),
        running_hostile(Behaviour(on_release=stays_silent())) as scp,
        Sender("127.0.0.1", scp.port) as sender,
    ):
        asking = echoes(sender, 1) if asks == "echo" else sender.negotiate([("1.2.840.10008.5.1.4.1.1.2", _JPEG)])
        task = asyncio.create_task(asking)
        await until(lambda: scp.associations and scp.associations[0].released)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: scp.associations[0].aborted)


@pytest.mark.slow
async def test_an_unusual_uid_is_warned_of_once_a_run_and_sent_as_it_is(files, monkeypatch, caplog):
    async def probe(self, files, *, of_pool=Pool.probe):
        unusual = {"sop_instance_uid": "1.2.A", "oddities": int(Oddity.UNUSUAL_UID)}
        return [values.changed(found, **unusual) for found in await of_pool(self, files)]

    monkeypatch.setattr(Pool, "probe", probe)
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        for _ in range(2):
            ran = [outcome async for outcome in sender.send(files)]
            assert {(outcome.result, outcome.sop_instance_uid) for outcome in ran} == {(Result.STORED, "1.2.A")}
    warnings = [record.getMessage() for record in caplog.records if record.name == "asyncstore.run"]
    assert len(warnings) == 2
    assert warnings[0].startswith(f"{files[0]}: SOP instance UID 1.2.A: sent as it is")
