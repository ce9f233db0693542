"""The first instances of studies and patients are kept apart: shown with a sink that refuses them otherwise."""

import asyncio
from itertools import count

import pytest
from pydicom import dcmread

from asyncstore import Affinity, ConversionOptions, Invent, Result, Sender, Sink, Timeouts
from support.oracle import GUARD, assert_true, finish, in_both_loops, nothing_left_behind, send, until
from support.peers.hostile import Behaviour, accepts, after, answers, resets, running_hostile, stays_silent, then, waits
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow

LATENCY = 0.01
PROCESSING_FAILURE = 0x0110


def _archive(folder, studies=6, files=6):
    """Two studies a patient, and as many files without a study, or without a patient."""
    paths = instances(folder, (studies + 2) * files)
    for number, path in enumerate(paths):
        dataset = dcmread(path)
        study = number // files
        dataset.StudyInstanceUID = f"1.2.3.{study}" if study < studies else ""
        dataset.PatientID = f"P{study // 2}" if study <= studies else ""
        dataset.save_as(path)
    return paths


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return _archive(tmp_path_factory.mktemp("gate") / "archive")


@in_both_loops
@pytest.mark.parametrize("affinity", [Affinity.FIRST, Affinity.STUDY, Affinity.PATIENT])
@pytest.mark.parametrize(("associations", "window"), [(1, 1), (4, 1), (4, 3), (16, 1)])
async def test_no_study_or_patient_is_created_twice(archive, tmp_path, affinity, associations, window):
    async with (
        nothing_left_behind(),
        Sink(port=0, strict_studies=affinity is Affinity.FIRST, latency=LATENCY, output=tmp_path / "received") as sink,
    ):
        ran = await send(
            sink.port, archive, associations=associations, async_operations=window, affinity=affinity,
            halt_on_failure=True,
        )  # fmt: skip
    assert ran.results == {Result.STORED: len(archive)}, ran.errors
    assert sink.tally.refused == {}
    assert_true(ran, archive, data_sets(tmp_path / "received"))


@in_both_loops
@pytest.mark.parametrize(("associations", "window"), [(4, 1), (1, 4)])
async def test_without_the_gate_some_are_refused(archive, associations, window):
    async with nothing_left_behind(), Sink(port=0, strict_studies=True, latency=0.5) as sink:
        ran = await send(
            sink.port, archive[:8], associations=associations, async_operations=window, affinity=Affinity.NONE
        )
    assert ran.results[Result.FAILED] == sink.tally.refused[PROCESSING_FAILURE] > 0
    assert ran.results[Result.STORED] == sink.tally.instances > 0


async def test_an_affinity_given_as_its_value_opens_a_study_after_its_first_instance(archive):
    under_way, most = 0, 0

    async def counted(acceptor):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(LATENCY)
        under_way -= 1
        await acceptor.answer(0)

    async with running_hostile(Behaviour(on_store=counted)) as scp:
        ran = await send(scp.port, archive[:6], associations=4, affinity=Affinity.FIRST.value)
    assert ran.results == {Result.STORED: 6}
    assert most > 1


async def test_studies_that_exist_are_filled_over_all_associations(archive):
    async with Sink(port=0, strict_studies=True, latency=LATENCY) as sink:
        ran = await send(sink.port, archive, associations=4)
    assert ran.results == {Result.STORED: len(archive)}
    assert len({outcome.association for outcome in ran.outcomes}) == 4


async def test_invented_studies_are_not_kept_apart(archive):
    """The study and patient in the file are not those that are sent."""
    async with Sink(port=0, latency=LATENCY) as sink:
        ran = await send(
            sink.port, archive[:8], associations=4, affinity=Affinity.STUDY,
            conversion=ConversionOptions(Invent(1, 1, 1)),
        )  # fmt: skip
    assert ran.results == {Result.STORED: 8}
    assert all(outcome.details is None for outcome in ran.outcomes)
    assert len({outcome.association for outcome in ran.outcomes}) > 1


@in_both_loops
@pytest.mark.parametrize("halts", [False, True])
@pytest.mark.parametrize("window", [1, 3])
async def test_a_first_instance_that_fails_lets_the_next_one_try(archive, halts, window):
    numbers = count()
    peer = Behaviour(
        on_request=accepts(window=(window, 1)), on_store=answers(lambda _: 0 if next(numbers) % 3 else 0xC000)
    )
    async with nothing_left_behind(), running_hostile(peer) as scp:
        ran = await send(
            scp.port, archive, associations=4, async_operations=window, affinity=Affinity.FIRST, halt_on_failure=halts
        )
    assert len(ran.outcomes) == len(archive)
    if not halts:
        assert ran.results[Result.STORED] + ran.results[Result.FAILED] == len(archive)
        assert ran.results[Result.FAILED] == -(-len(archive) // 3)


@in_both_loops
@pytest.mark.parametrize("affinity", list(Affinity))
@pytest.mark.parametrize("window", [1, 3])
async def test_associations_that_are_lost_amid_first_instances_free_their_studies(archive, affinity, window):
    request = accepts(window=(window, 1))
    dying = Behaviour(on_request=request, on_store=after(2, resets()))
    dying_at_once = Behaviour(on_request=request, on_store=resets())
    async with (
        nothing_left_behind(),
        running_hostile(dying, dying_at_once, dying, Behaviour(on_request=request)) as scp,
    ):
        ran = await send(scp.port, archive, associations=4, async_operations=window, affinity=affinity)
    assert_true(ran, archive, scp.stored())
    assert ran.results[Result.UNKNOWN] <= 3 * window
    assert ran.results[Result.STORED] + ran.results[Result.UNKNOWN] == len(archive)


@in_both_loops
@pytest.mark.parametrize("ends", ["stop", "abort"])
@pytest.mark.parametrize("affinity", [Affinity.FIRST, Affinity.PATIENT])
async def test_interrupted_while_others_wait_for_a_first_instance_it_ends(archive, affinity, ends):
    peer = Behaviour(on_store=then(waits(0.5), answers()) if ends == "stop" else waits(GUARD))
    async with (
        nothing_left_behind(),
        running_hostile(peer) as scp,
        asyncio.timeout(GUARD),
        Sender("127.0.0.1", scp.port, associations=4, affinity=affinity) as sender,
    ):
        run = sender.send(archive)
        await until(lambda: scp.associations and scp.associations[0].stores)
        getattr(run, ends)()
        ran = await finish(run)
    assert len(ran.outcomes) == len(archive)
    assert ran.results[Result.NOT_SENT] >= len(archive) - 8


async def test_a_peer_that_answers_nothing_is_given_up_by_all_lanes_at_once(archive):
    """Lanes that wait for the first instance of a study do not wait for the same time-out one after the other."""
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=stays_silent())) as scp:
        ran = await send(scp.port, archive[:8], associations=8, timeouts=Timeouts(dimse=0.5))
    assert ran.results[Result.UNKNOWN] <= 4, "after three that were not answered, one more may have begun"
    assert ran.results[Result.UNKNOWN] + ran.results[Result.NOT_SENT] == 8
    assert all("no response" in error for error in ran.errors)
