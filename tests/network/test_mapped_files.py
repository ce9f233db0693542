"""Files that are mapped while they are sent: whatever happens to them, the process lives, and the outcome is right."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from asyncstore import Result, Sender, Sink
from asyncstore.errors import AbortedHere
from asyncstore.negotiation import plan
from asyncstore.network.opening import AssociationOptions, open_association
from asyncstore.prepare import reading
from asyncstore.prepare.mapping import WHILE_SENT, Mapping, mapped
from asyncstore.prepare.reading import Reader
from support.commands import asyncstore
from support.oracle import GUARD, in_both_loops, nothing_left_behind, until
from support.peers.certificates import sink_and_requestor
from support.peers.hostile import Behaviour, accepts, running_hostile, stops_reading
from support.trees import data_sets, instances
from support.values import attempted, probe_file

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell what is cached")


@pytest.fixture
def found(tmp_path):
    return [probe_file(str(path)) for path in instances(tmp_path / "ct", 4, data_set_bytes=500_000)]


class _Sending:
    """An association, its reader, and what it reported."""

    def __init__(self):
        self.reader = Reader(may_map=True)
        self.attempts = []
        self.association = None
        self.mapped = 0

    async def open(self, port, **options):
        self.association = await open_association(
            "127.0.0.1",
            port,
            plan([(CT, EXPLICIT)]),
            AssociationOptions(**options),
            on_attempt=lambda *parts: self.attempts.append(attempted(*parts)),
        )

    async def submit(self, found):
        async for pieces in self.reader.read(found):
            self.association.submit(pieces)

    async def store(self, found, change=None, changed=None):
        """Store ``found``; ``change`` one of them when it is mapped and none of it has left."""

        def load(instance):
            piece = self.reader.load(instance)
            self.mapped += isinstance(piece.buffer, Mapping)
            if instance is changed:
                change(Path(instance.path))
            return piece

        async with asyncio.timeout(GUARD):
            await self.submit(found[:1])
            self.association.submit_whole(found[1:], load)
            assert await self.association.taken() == []
            await self.association.settled()

    async def close(self):
        self.reader.close()
        await self.association.close()


def _cut_to(size):
    return lambda path: os.truncate(path, size)


def _grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def _replace(path):
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def _rewrite(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))


@pytest.mark.parametrize("maximum_length", [0, 16384, 1000])
@pytest.mark.parametrize("window", [1, 4])
@in_both_loops
async def test_mapped_files_arrive_as_they_are(tmp_path, found, maximum_length, window):
    behaviour = Behaviour(on_request=accepts(max_length=maximum_length, window=(window, 1)))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        sending = _Sending()
        await sending.open(scp.port, window=window)
        await sending.store(found)
        await sending.association.release()
        await sending.close()
    assert sending.mapped == 3
    assert [attempt.status for attempt in sending.attempts] == [0] * 4
    assert {store.sop_instance_uid: store.sha256 for store in scp.stores} == data_sets(tmp_path / "ct")


@pytest.mark.parametrize(
    "change",
    [_cut_to(0), _cut_to(250_000), _cut_to(500_100), _grow, _replace, _rewrite, Path.unlink],
    ids=["cut to nothing", "cut in half", "cut within the last page", "grown", "replaced", "rewritten", "removed"],
)
@in_both_loops
async def test_a_file_that_changes_while_it_is_sent_is_not_sent_and_ends_the_association(found, change):
    async with nothing_left_behind(), running_hostile() as scp:
        sending = _Sending()
        await sending.open(scp.port)
        await sending.store(found, change, found[1])
        assert isinstance(sending.association.error, AbortedHere)
        assert sending.association.withdraw() == found[2:]
        await sending.close()
    first, second = sending.attempts
    assert (first.instance, first.status) == (found[0], 0)
    assert (second.instance, second.error.file) == (found[1], found[1].file)
    assert second.error.reason.endswith(WHILE_SENT)
    assert all(store.sop_instance_uid != found[2].sop_instance_uid for store in scp.stores)


@pytest.mark.parametrize("is_secured", [False, True], ids=["TCP", "TLS"])
async def test_over_tls_nothing_is_mapped(tmp_path, found, monkeypatch, is_secured):
    """OpenSSL reads what it encrypts, in this process."""
    tls = sink_and_requestor(tmp_path)[0] if is_secured else None
    asked = []
    monkeypatch.setattr(reading, "mapped", lambda *of: asked.append(of) or mapped(*of))
    async with Sink(port=0, tls=tls) as sink, Sender("127.0.0.1", sink.port, tls=tls, associations=1) as sender:
        outcomes = [outcome async for outcome in sender.send([instance.path for instance in found])]
    assert [outcome.result for outcome in outcomes] == [Result.STORED] * len(found)
    assert bool(asked) is not is_secured


def _maps(path):
    return Path("/proc/self/maps").read_text().count(str(path))


@pytest.mark.slow
@in_both_loops
async def test_an_association_that_is_aborted_amid_a_mapped_file_leaves_nothing(tmp_path, found):
    [path] = instances(tmp_path / "large", 1, data_set_bytes=12_000_000)
    behaviour = Behaviour(once_associated=stops_reading())
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        sending = _Sending()
        await sending.open(scp.port)
        async for [piece] in sending.reader.read(found[:1]):
            piece.buffer.release()
        task = asyncio.create_task(sending.submit([probe_file(str(path))]))
        await until(lambda: _maps(path) == 2)
        await asyncio.sleep(0.05)
        assert _maps(path) == 2
        task.cancel()
        await asyncio.wait({task})
        sending.association.abort()
        await sending.close()
    assert _maps(path) == 0
    assert [type(attempt.error) for attempt in sending.attempts] == [AbortedHere]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 6_000_000, 11_999_990])
async def test_a_program_that_sends_a_file_while_it_is_cut_short_lives_and_says_so(tmp_path, size):
    """A process that touched a page beyond the end of the file would die of SIGBUS."""
    paths = instances(tmp_path / "large", 3, data_set_bytes=12_000_000)

    async def cuts(_acceptor):
        for path in paths:
            os.truncate(path, size)

    log = tmp_path / "run.jsonl"
    async with running_hostile(Behaviour(amid_data=cuts), receive_buffer=4096) as scp:
        ended = await asyncstore(
            "send", "127.0.0.1", str(scp.port), tmp_path / "large", "--associations", "1", "--json", log
        )
    assert ended.returncode == 2, ended
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    results = [line["result"] for line in lines if "result" in line]
    assert results == ["not_sent"] * 3
