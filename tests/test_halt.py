"""Without ``-nh`` nothing begins after the first failure, and what stands before it is sent: counted at a peer.

The peer keeps the other stores waiting. The failed association asks for its release only when it has taken in the
failure. Until then the peer answers none of the other associations: what each of them has sent by then is what had
begun before, and what comes later began after.
"""

import asyncio

import pytest

from asyncstore import Affinity, Result
from support.oracle import assert_true, data_set_of, in_both_loops, nothing_left_behind, send
from support.peers.hostile import Behaviour, accepts, after, answers, releases, running_hostile, then, waits
from support.trees import instances

pytestmark = pytest.mark.slow

FILES = 80
ASSOCIATIONS = 4
CANNOT_UNDERSTAND = 0xC000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return instances(tmp_path_factory.mktemp("halt") / "files", FILES, data_set_bytes=4000)


class _Peer:
    """Fails the first store of its first association when every association has one, and holds those of the others."""

    def __init__(self, window):
        self._window = window
        self._busy = 0
        self._all_busy = asyncio.Event()
        self._failure_received = asyncio.Event()

    @property
    def failing(self):
        return Behaviour(
            on_request=accepts(window=(self._window, 1)),
            on_store=self._fail_the_first,
            on_release=then(self._released, releases()),
        )

    @property
    def holding(self):
        return Behaviour(on_request=accepts(window=(self._window, 1)), on_store=self._hold)

    def _met(self, acceptor):
        self._busy += len(acceptor.record.stores) == 1
        if self._busy == ASSOCIATIONS:
            self._all_busy.set()

    async def _fail_the_first(self, acceptor):
        self._met(acceptor)
        await self._all_busy.wait()
        await acceptor.answer(CANNOT_UNDERSTAND if len(acceptor.record.stores) == 1 else 0x0000)

    async def _hold(self, acceptor):
        self._met(acceptor)
        acceptor.meanwhile(self._answer_after_the_failure(acceptor, acceptor.store))

    async def _answer_after_the_failure(self, acceptor, store):
        await self._failure_received.wait()
        await acceptor.answer(0x0000, store)

    async def _released(self, _acceptor):
        self._failure_received.set()


@in_both_loops
@pytest.mark.parametrize("window", [1, 4])
async def test_after_the_first_failure_no_association_begins_another_store(files, window):
    peer = _Peer(window)
    async with nothing_left_behind(), running_hostile(peer.failing, peer.holding) as scp:
        ran = await send(
            scp.port, files, associations=ASSOCIATIONS, async_operations=window, halt_on_failure=True,
            affinity=Affinity.NONE,
        )  # fmt: skip
        assert_true(ran, files, scp.stored())
        begun = [len(association.stores) for association in scp.associations]
        assert len(begun) == ASSOCIATIONS
        assert all(1 <= stores <= window for stores in begun)
        assert all(association.released for association in scp.associations)
        assert ran.results[Result.FAILED] == 1
        assert ran.results[Result.STORED] == sum(begun) - 1
        assert ran.results[Result.NOT_SENT] == FILES - sum(begun)
        reasons = {outcome.error for outcome in ran.outcomes if outcome.result is Result.NOT_SENT}
        assert reasons == {"the run was halted by an earlier failure (0xC000 cannot understand)"}
        assert all(outcome.is_withdrawn == (outcome.result is Result.NOT_SENT) for outcome in ran.outcomes)


@in_both_loops
@pytest.mark.parametrize("halts", [True, False])
async def test_aborting_at_the_end_aborts_when_nothing_is_under_way_any_more(files, halts):
    behaviour = Behaviour(on_store=after(2, answers(CANNOT_UNDERSTAND)))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files[:4], associations=1, halt_on_failure=halts, abort_at_end=True)
        assert_true(ran, files[:4], scp.stored())
        refused, not_sent = (1, 1) if halts else (2, 0)
        assert [ran.results[result] for result in (Result.STORED, Result.FAILED, Result.NOT_SENT)] == [
            2,
            refused,
            not_sent,
        ]
        [association] = scp.associations
        assert not association.released
        assert association.aborted == (0, 0)  # by the service-user (PS3.8 9.3.8)


@in_both_loops
@pytest.mark.parametrize("window", [1, 4])
async def test_what_stands_before_the_first_failure_is_stored_whatever_association_it_is_on(files, window):
    """One association is fast and soon at the files that fail, the others still have files from before them."""
    failing = {data_set_of(path)[0] for path in files[30:33]}

    def served_in(seconds):
        status = answers(lambda store: CANNOT_UNDERSTAND if store.sop_instance_uid in failing else 0x0000)
        return Behaviour(on_request=accepts(window=(window, 1)), on_store=then(waits(seconds), status))

    behaviours = [served_in(seconds) for seconds in (0.0, 0.02, 0.05, 0.1)]
    async with nothing_left_behind(), running_hostile(*behaviours) as scp:
        ran = await send(scp.port, files, associations=ASSOCIATIONS, async_operations=window, halt_on_failure=True)
    assert_true(ran, files, scp.stored())
    outcomes = {outcome.path: outcome for outcome in ran.outcomes}
    before, first, behind = files[:30], files[30], files[31:]
    assert {outcomes[str(path)].result for path in before} == {Result.STORED}
    assert outcomes[str(first)].result is Result.FAILED
    begun = {store.sop_instance_uid for store in scp.stores}
    for path in behind:
        assert outcomes[str(path)].is_withdrawn == (data_set_of(path)[0] not in begun)
