"""Real peers that are killed and started again in the middle: with a journal no instance is lost."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext, suppress

import pytest

from asyncstore.errors import JournalMissing, NotAJournal
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State
from support import trees
from support.commands import DEADLINE, asyncstore, started
from support.peers import programs
from support.peers.dcmtk import running_storescp
from support.peers.orthanc import running_orthanc

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(300)]

COUNT = 900
BETWEEN_KILLS = 60
"""Instances that are stored between two deaths of the peer."""


@pytest.fixture
def archive(tmp_path):
    trees.instances(tmp_path / "archive", COUNT, data_set_bytes=20_000)
    return tmp_path / "archive"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.db"


@pytest.fixture
def port(monkeypatch, refusing_port):
    """The peer comes back on the same port."""
    monkeypatch.setattr(programs, "reserved_port", lambda: nullcontext(refusing_port))
    return refusing_port


def stored(journal):
    """The SOP instance UIDs that the journal calls stored."""
    with suppress(JournalMissing, NotAJournal), Reader(str(journal)) as reader:
        return {row.sop_instance_uid for row in reader.deliveries([State.STORED])}
    return set()


class Sending:
    """Runs of one journal: a new one is begun when the last one has given up on the peer."""

    def __init__(self, journal, port, archive):
        self.journal = journal
        self._words = ("-nh", "--journal", journal, "--associations", "3", "127.0.0.1", str(port), archive)
        self._run = None

    async def until(self, is_true):
        """Send until this is true, or the run is over."""
        if self._run is None or self._run.returncode is not None:
            discarded = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.DEVNULL)
            self._run = await started("send", *self._words, **discarded)
        async with asyncio.timeout(DEADLINE):
            while not await is_true() and self._run.returncode is None:  # noqa: ASYNC110 - the peer wakes nobody
                await asyncio.sleep(0.001)

    async def until_over(self):
        """Wait for the end of the run."""
        await asyncio.wait_for(self._run.wait(), DEADLINE)


async def assert_lost_nothing(sending, sent, running_peer, held_by, count):
    """Kill the peer several times, and compare what it holds with the journal. Leaving its context kills it.

    ``count`` says quickly how much it holds, before the run is over.
    """
    for _ in range(3):
        async with running_peer() as peer:
            before = await count(peer)
            await sending.until(lambda: _is_fuller(peer, count, before))  # noqa: B023 - awaited within the loop
        assert len(stored(sending.journal)) < len(sent)
    claimed = stored(sending.journal)
    async with running_peer() as peer:
        assert claimed <= await held_by(peer)
        await sending.until_over()
        ended = await asyncstore("resume", sending.journal)
        assert (ended.returncode, "Traceback" in ended.err) == (0, False), ended.err
        assert stored(sending.journal) == set(sent) == await held_by(peer)
        ended = await asyncstore("resume", sending.journal)
        assert (ended.returncode, f"({len(sent)} of them by an earlier run)" in ended.err) == (0, True), ended.err


async def _is_fuller(peer, count, before):
    """Whether the peer has some more instances than before."""
    return await count(peer) > before + BETWEEN_KILLS


async def test_storescp_loses_nothing_when_it_is_killed(archive, journal, port, tmp_path):
    sent = trees.data_sets(archive)

    async def held_by(peer):
        """Without the files that its death has cut off."""
        return {uid for uid, sha256 in peer.stored().items() if sha256 == sent[uid]}

    async def count(_peer):
        return len(os.listdir(tmp_path / "held"))

    sending = Sending(journal, port, archive)
    await assert_lost_nothing(sending, sent, lambda: running_storescp(tmp_path / "held"), held_by, count)


async def test_orthanc_loses_nothing_when_it_is_killed(archive, journal, port, tmp_path):
    sent = trees.data_sets(archive)

    async def count(peer):
        return len(await peer.sop_instance_uids())

    sending = Sending(journal, port, archive)
    await assert_lost_nothing(
        sending, sent, lambda: running_orthanc(tmp_path / "held"), lambda peer: peer.sop_instance_uids(), count
    )
