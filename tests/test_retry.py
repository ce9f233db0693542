"""Faults that pass cost attempts, not instances: with real sockets, peers that recover, and the real storescp."""

import asyncio
from collections import Counter
from contextlib import nullcontext
from unittest import mock

import pytest

from asyncstore import AssociationRejected, ConnectFailed, Patience, Result, RetryOptions, Sender, Timeouts
from support.oracle import assert_true, finish, nothing_left_behind, send, until
from support.peers import programs
from support.peers.choosing import at, beyond, every, first, first_of_each, refuses_duplicates
from support.peers.dcmtk import running_storescp
from support.peers.hostile import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    Behaviour,
    aborts,
    accepts,
    answers,
    closes,
    never_answers,
    obeys,
    rejects,
    resets,
    running_hostile,
    then,
)
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow

FILES = 30
PERSISTENT = {"retry": RetryOptions(3), "patience": Patience(0, 60)}


@pytest.fixture(scope="module", autouse=True)
def _short_pauses():
    """Retries and trials follow soon."""
    with (
        mock.patch("asyncstore.schedule.retry._FIRST_DELAY", 0.02),
        mock.patch("asyncstore.schedule.peer_health._FIRST_PAUSE", 0.02),
    ):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("retry") / "files"
    instances(made, FILES, data_set_bytes=3000)
    return made


def _attempts(ran):
    return Counter(outcome.attempts for outcome in ran.outcomes)


@pytest.mark.parametrize("status", [0xA700, 0xA702])
async def test_a_peer_that_is_out_of_resources_for_a_while_gets_everything(files, sent, status):
    behaviour = Behaviour(on_store=first_of_each(2, answers(status)))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=2, **PERSISTENT)
        assert_true(ran, files, scp.held())
        assert scp.held() == sent
    assert ran.results == {Result.STORED: FILES}
    assert _attempts(ran) == {3: FILES}


async def test_after_the_last_retry_the_refusal_is_the_outcome(files):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers(0xA700))) as scp:
        ran = await send(scp.port, files[:5], associations=2, retry=RetryOptions(2))
        assert ran.results == {Result.FAILED: 5}
        assert _attempts(ran) == {3: 5}
        assert len(scp.stores) == 15


@pytest.mark.parametrize("breaks", [aborts(), closes(), resets()], ids=["aborts", "closes", "resets"])
@pytest.mark.parametrize("window", [1, 4])
async def test_a_peer_that_breaks_off_now_and_then_gets_everything(files, sent, breaks, window):
    behaviour = Behaviour(on_store=every(7, breaks))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=2, async_operations=window, retry=RetryOptions(20))
        assert_true(ran, files, scp.held())
        assert scp.held() == sent
    assert ran.results == {Result.STORED: FILES}


async def test_an_instance_that_ends_every_association_is_sent_alone_and_costs_no_other_a_store(files):
    async with nothing_left_behind(), running_hostile() as probe:
        await send(probe.port, files[:1], associations=1)
        poison = probe.stores[0].sop_instance_uid
    behaviour = Behaviour(amid_data=at(poison, aborts(), obeys()))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=2, async_operations=4, **PERSISTENT)
        assert_true(ran, files, scp.held())
    assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
    [lost] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
    assert (lost.path, lost.attempts) == (str(files[0]), 4)
    assert "the content of this file may be the cause" in lost.reason
    assert max(outcome.attempts for outcome in ran.outcomes if outcome is not lost) <= 3
    assert ran.failure is None


async def test_instances_that_end_every_association_do_not_make_the_peer_look_dead(files):
    behaviour = Behaviour(on_store=every(1, aborts()))
    async with nothing_left_behind(), running_hostile(Behaviour(), behaviour) as scp:
        ran = await send(scp.port, files[:1], associations=1, **PERSISTENT)
        assert ran.results == {Result.STORED: 1}
        ran = await send(scp.port, files[:1], associations=1, retry=RetryOptions(3), patience=Patience(0, 0.2))
    assert ran.results == {Result.UNKNOWN: 1}


async def test_an_instance_whose_response_was_lost_and_is_a_duplicate_then_is_stored(files, sent):
    behaviour = Behaviour(on_store=refuses_duplicates(every(5, closes(), answers())))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=2, **PERSISTENT)
        assert scp.stored() == sent
    assert ran.results == {Result.STORED: FILES}
    assert {outcome.status for outcome in ran.outcomes} == {0x0000, 0x0111}
    assert all(outcome.reason is None for outcome in ran.outcomes)


@pytest.mark.parametrize("reason", [(2, 3, 2), (2, 3, 1), (2, 1, 2)], ids=["local limit", "congestion", "dcm4chee"])
async def test_a_peer_that_serves_few_associations_gets_everything_over_those(files, sent, reason):
    behaviour = Behaviour(on_request=beyond(2, rejects(*reason)))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=6, **PERSISTENT)
        assert scp.held() == sent
    assert ran.results == {Result.STORED: FILES}
    assert _attempts(ran) == {1: FILES}


async def test_a_peer_that_restarts_gets_everything(files, sent):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=every(1, answers()))) as scp:
        async with Sender("127.0.0.1", scp.port, associations=3, **PERSISTENT) as sender:
            run = sender.send(files)
            running = asyncio.create_task(finish(run))
            await until(lambda: len(scp.acknowledged) >= 5, every=0)
            await scp.listening.vanish()
            await until(lambda: run.progress().outage is not None)
            outage = run.progress().outage
            scp.listening.appear()
            ran = await running
        assert_true(ran, files, scp.held())
        assert scp.held() == sent
    assert outage.reason.startswith("cannot connect")
    assert 0 < outage.seconds_left <= 60
    assert ran.results == {Result.STORED: FILES}
    assert (run.progress().outages, run.progress().outage) == (1, None)


async def test_a_peer_that_does_not_come_back_is_waited_for_only_so_long(files):
    async with nothing_left_behind(), running_hostile(Behaviour()) as scp:
        async with Sender("127.0.0.1", scp.port, associations=2, patience=Patience(0, 0.3)) as sender:
            running = asyncio.create_task(finish(sender.send(files)))
            await until(lambda: len(scp.acknowledged) >= 5, every=0)
            await scp.listening.vanish()
            ran = await running
        assert_true(ran, files, scp.held())
    assert ran.results[Result.STORED] >= 5
    assert any("cannot connect" in outcome.reason for outcome in ran.outcomes if outcome.is_withdrawn)


async def test_a_peer_that_is_not_there_yet_is_waited_for_when_asked_to(files, sent):
    async with nothing_left_behind(), running_hostile(Behaviour()) as scp:
        await scp.listening.vanish()
        async with Sender("127.0.0.1", scp.port, patience=Patience(60, 60)) as sender:
            run = sender.send(files)
            running = asyncio.create_task(finish(run))
            await until(lambda: run.progress().outage is not None)
            scp.listening.appear()
            ran = await running
        assert scp.held() == sent
    assert ran.results == {Result.STORED: FILES}


async def test_a_peer_that_is_not_there_ends_a_run_at_once_that_has_stored_nothing(files, refusing_port):
    ran = await send(refusing_port, files, **PERSISTENT)
    assert isinstance(ran.failure, ConnectFailed)


async def test_an_ae_title_that_the_peer_does_not_know_any_more_ends_the_wait_at_once(files):
    behaviours = Behaviour(on_store=first(5, answers(), closes())), Behaviour(on_request=rejects(1, 1, 7))
    async with nothing_left_behind(), running_hostile(*behaviours) as scp:
        ran = await send(scp.port, files, associations=1, patience=Patience(0, 600), retry=RetryOptions(3))
    assert ran.results[Result.STORED] == 5
    rejected = [outcome for outcome in ran.outcomes if "called AE title not recognized" in (outcome.reason or "")]
    assert len(rejected) == FILES - 6
    assert isinstance(ran.failure, AssociationRejected | None)


async def test_a_peer_that_goes_mute_is_waited_for_and_tried_with_one_store(files, sent):
    behaviours = [Behaviour(on_store=first(5, answers(), obeys())), *[never_answers] * 3, Behaviour()]
    async with nothing_left_behind(), running_hostile(*behaviours) as scp:
        ran = await send(
            scp.port,
            files,
            associations=1,
            retry=RetryOptions(9),
            patience=Patience(0, 60),
            timeouts=Timeouts(dimse=0.3),
        )
        assert_true(ran, files, scp.held())
        assert scp.held() == sent
    assert ran.results == {Result.STORED: FILES}


async def test_a_stop_ends_the_wait_for_the_peer_and_says_what_may_be_stored(files):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=first(5, answers(), closes()))) as scp:
        async with Sender("127.0.0.1", scp.port, associations=1, **PERSISTENT) as sender:
            run = sender.send(files)
            running = asyncio.create_task(finish(run))
            await until(lambda: len(scp.acknowledged) >= 5, every=0)
            await scp.listening.vanish()
            await until(lambda: run.progress().outage is not None)
            run.stop()
            ran = await running
        assert_true(ran, files, scp.held())
    assert ran.results[Result.STORED] == 5
    assert ran.results[Result.UNKNOWN] == 1


async def test_a_paused_run_sends_nothing_releases_its_associations_and_goes_on(files, sent):
    async with nothing_left_behind(), running_hostile(Behaviour()) as scp:
        async with Sender("127.0.0.1", scp.port, associations=2) as sender:
            run = sender.send(files)
            running = asyncio.create_task(finish(run))
            await until(lambda: len(scp.acknowledged) >= 3, every=0)
            run.pause()
            await until(lambda: all(task.done() for task in scp.serving))
            stores = len(scp.stores)
            await asyncio.sleep(0.05)
            assert len(scp.stores) == stores < FILES
            assert run.progress().is_paused
            run.resume()
            ran = await running
        assert scp.held() == sent
    assert _attempts(ran) == {1: FILES}


# Files that change.


def _changes(path, content):
    """A step of the acceptor: meanwhile another program writes the file."""

    async def step(_acceptor):
        path.write_bytes(content)

    return step


def _other_version(path):
    """The same instance with one pixel changed."""
    return path.read_bytes()[:-1] + b"\x7f"


async def test_a_file_that_changed_since_it_was_found_is_probed_again_and_sent_as_it_is_now(tmp_path):
    [path] = instances(tmp_path / "files", 1, data_set_bytes=40_000)
    behaviour = Behaviour(on_request=first(1, then(_changes(path, _other_version(path)), accepts())))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, [path], **PERSISTENT)
        assert ran.results == {Result.STORED: 1}, ran.errors
        assert scp.held() == data_sets(tmp_path / "files")
        assert _attempts(ran) == {1: 1}


async def test_a_file_that_changed_before_it_was_converted_is_probed_again_and_sent(tmp_path):
    [path] = instances(tmp_path / "files", 1, data_set_bytes=40_000)
    takes = accepts(change=lambda one: one._replace(result=4 * (one.transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN)))
    behaviour = Behaviour(on_request=then(first(1, _changes(path, _other_version(path)), obeys()), takes))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, [path], **PERSISTENT)
        assert ran.results == {Result.STORED: 1}, ran.errors
        assert [store.transfer_syntax_uid for store in scp.stores] == [IMPLICIT_VR_LITTLE_ENDIAN]


async def test_a_file_that_is_no_instance_any_more_is_not_sent(tmp_path):
    [path] = instances(tmp_path / "files", 1, data_set_bytes=40_000)
    behaviour = Behaviour(on_request=then(_changes(path, b"a letter"), accepts()))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, [path], **PERSISTENT)
    assert ran.results == {Result.NOT_SENT: 1}
    assert "not a DICOM file" in ran.outcomes[0].reason


async def test_a_file_that_changes_while_it_is_sent_is_sent_again_whole(tmp_path):
    [path] = instances(tmp_path / "files", 1, data_set_bytes=30_000_000)
    behaviour = Behaviour(amid_data=first(1, _changes(path, _other_version(path)), obeys()))
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        ran = await send(scp.port, [path], **PERSISTENT)
        assert ran.results == {Result.STORED: 1}, ran.errors
        assert scp.held() == data_sets(tmp_path / "files")
    assert _attempts(ran) == {2: 1}


async def test_a_file_that_changes_again_and_again_is_given_up(tmp_path):
    [path] = instances(tmp_path / "files", 1, data_set_bytes=30_000_000)
    behaviour = Behaviour(amid_data=_changes(path, _other_version(path)))
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        ran = await send(scp.port, [path], **PERSISTENT)
    assert ran.results == {Result.NOT_SENT: 1}
    assert _attempts(ran) == {2: 1}


@pytest.mark.peers
async def test_storescp_that_is_killed_and_started_again_has_everything_in_the_end(
    tmp_path, monkeypatch, refusing_port
):
    monkeypatch.setattr(programs, "reserved_port", lambda: nullcontext(refusing_port))
    files = instances(tmp_path / "files", 400, data_set_bytes=3000)
    received = tmp_path / "received"
    async with Sender("127.0.0.1", refusing_port, associations=3, **PERSISTENT) as sender:
        async with running_storescp(received):
            run = sender.send(files)
            running = asyncio.create_task(finish(run))
            await until(lambda: len(list(received.iterdir())) > 20)
        await until(lambda: run.progress().outage is not None)
        async with running_storescp(received) as scp:
            ran = await running
            assert scp.stored() == data_sets(tmp_path / "files")
    assert ran.results == {Result.STORED: 400}
    assert run.progress().outages == 1
