"""Archives are sent as the files in them would be, whatever they look like and however the run ends."""

from __future__ import annotations

import gzip
import os
import threading
import zipfile
from contextlib import aclosing
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from asyncstore import (
    ConversionOptions,
    Instance,
    Invent,
    Result,
    RetryOptions,
    Sender,
    Sink,
    WalkOptions,
    listed,
    survey,
)
from asyncstore.discovery.limits import ArchiveLimits
from asyncstore.journal.journal import Journal
from asyncstore.journal.settings import Migration
from asyncstore.recording import Recording, SecondPass
from support import trees
from support.archives import FORMATS, archive
from support.oracle import finish, nothing_left_behind, send
from support.peers.hostile import Behaviour, answers, running_hostile

OPENED = WalkOptions(archives=ArchiveLimits())
TIGHT = OPENED._replace(ahead=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small instances, some that fill a buffer, and one of several."""
    folder = tmp_path_factory.mktemp("files")
    trees.instances(folder / "small", 40)
    trees.instances(folder / "medium", 2, data_set_bytes=600_000, seed=1)
    trees.instances(folder / "large", 1, data_set_bytes=3_000_000, seed=2)
    return folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory, files):
    """Pack the files in a format, once for all tests that only read the archive."""
    return cache(lambda name: archive(tmp_path_factory.mktemp("in"), name, files))


@pytest.mark.slow
@pytest.mark.parametrize("walk", [OPENED, TIGHT], ids=["with room", "without"])
@pytest.mark.parametrize("name", FORMATS)
async def test_the_peer_gets_the_data_sets_of_the_files(name, walk, files, sent, pack, tmp_path):
    packed = pack(name)
    async with nothing_left_behind(), Sink(port=0, output=tmp_path / "out") as sink:
        ran = await send(sink.port, [packed], walk)
    assert ran.failure is None
    assert ran.results == {Result.STORED: len(files)}
    assert trees.data_sets(tmp_path / "out") == sent
    shown = (
        f"{packed}!{'inner.zip!' if name == 'zip-in.tar.gz' else 'inner.tar!' if name == 'tar-in.zip' else ''}d/0.dcm"
    )
    assert ran.of(shown).result is Result.STORED


@pytest.mark.slow
async def test_members_are_converted_as_files_are(folder, files, pack, tmp_path):
    received = {}
    for place in (folder, *map(pack, ("stored.zip", "deflated.zip", "files.tar", "files.tar.gz"))):
        async with Sink(port=0, output=tmp_path / place.name) as sink:
            ran = await send(sink.port, [place], OPENED, proposal=listed("implicit"))
            assert ran.results == {Result.STORED: len(files)}
        received[place.name] = trees.data_sets(tmp_path / place.name)
    of_files = received.pop(folder.name)
    assert received == dict.fromkeys(received, of_files)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deflated.zip", "files.tar.gz", "tar-in.zip"])
async def test_members_are_sent_while_the_next_path_is_waited_for(name, files, tmp_path):
    packed = archive(tmp_path / "in", name, files[:5])
    stored = threading.Event()

    def paths():
        yield packed
        assert stored.wait(60)
        yield files[5]

    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        results = []
        async for outcome in sender.send(paths(), OPENED):
            results.append(outcome.result)
            if len(results) == 5:
                stored.set()
    assert results == [Result.STORED] * 6


@pytest.mark.slow
async def test_members_get_invented_identities_as_files_do(folder, files, pack, tmp_path):
    received = {}
    for place in (folder, *map(pack, ("stored.zip", "deflated.zip", "files.tar", "files.tar.gz"))):
        async with Sink(port=0, output=tmp_path / place.name) as sink:
            ran = await send(sink.port, [place], OPENED, conversion=ConversionOptions(Invent()))
            assert ran.results == {Result.STORED: len(files)}
        received[place.name] = sorted(path.read_bytes()[-2000:] for path in (tmp_path / place.name).rglob("*.dcm"))
    of_files = received.pop(folder.name)
    assert received == dict.fromkeys(received, of_files)


async def test_a_member_of_a_zip_with_another_crc_is_not_sent(files, tmp_path):
    packed = archive(tmp_path, "stored.zip", files[:3])
    data = bytearray(packed.read_bytes())
    data[data.index(b"PK\1\2") + 16] ^= 1
    packed.write_bytes(data)
    async with Sink(port=0) as sink:
        ran = await send(sink.port, [packed], OPENED)
    assert ran.results == {Result.STORED: 2, Result.NOT_SENT: 1}
    assert "it is damaged: its CRC-32 is another one than the archive says" in ran.errors


async def test_files_that_hold_no_instance_are_named_by_their_archive(files, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(files[0], "a.dcm")
        packed.writestr("README.txt", "read me")
        packed.writestr("cut.dcm", files[0].read_bytes()[:-500])
        packed.writestr("bare", trees.read_part10(files[0]).data_set)
    async with Sink(port=0) as sink:
        ran = await send(sink.port, [tmp_path / "a.zip"], OPENED)
    assert ran.results == {Result.STORED: 2, Result.NOT_SENT: 2}
    assert ran.of(f"{tmp_path}/a.zip!README.txt").reason == "not a DICOM file"
    assert ran.of(f"{tmp_path}/a.zip!bare").result is Result.STORED
    assert ran.of(f"{tmp_path}/a.zip!cut.dcm").result is Result.NOT_SENT


@pytest.mark.slow
async def test_large_bare_data_sets_in_archives_are_sent_and_other_large_files_are_not(folder, tmp_path):
    [large] = (folder / "large").rglob("*.dcm")
    data_set = trees.read_part10(large).data_set
    (tmp_path / "bare.gz").write_bytes(gzip.compress(data_set))
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"read me " * (1 << 18)))
    async with Sink(port=0) as sink:
        ran = await send(sink.port, [tmp_path / "bare.gz", tmp_path / "text.gz"], OPENED)
    assert ran.of(f"{tmp_path}/bare.gz!bare").result is Result.STORED
    assert ran.of(f"{tmp_path}/text.gz!text").reason == "not a DICOM file"


async def test_an_archive_that_is_not_to_be_opened_is_no_dicom_file(files, tmp_path):
    packed = archive(tmp_path, "stored.zip", files[:3])
    async with Sink(port=0) as sink:
        ran = await send(sink.port, [packed, files[0]])
    assert ran.of(packed).reason.startswith("not a DICOM file")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deflated.zip", "files.tar.gz", "zip-in.tar.gz"])
async def test_associations_are_opened_before_all_is_found_if_members_wait_for_room(name, tmp_path):
    files = trees.instances(tmp_path / "files", 5)
    packed = archive(tmp_path / "in", name, files)
    async with Sink(port=0) as sink:
        ran = await send(sink.port, [packed], TIGHT, proposal=listed(required=True))
    assert ran.results == {Result.STORED: len(files)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deflated.zip", "files.tar.gz"])
async def test_a_run_that_halts_while_members_wait_for_room_ends(name, pack):
    packed = pack(name)
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers(0xA900))) as peer:
        ran = await send(peer.port, [packed], TIGHT, halt_on_failure=True)
    assert ran.results[Result.FAILED] >= 1
    assert len(ran.outcomes) == len({outcome.path for outcome in ran.outcomes})


@pytest.mark.slow
async def test_a_run_that_is_aborted_while_members_wait_for_room_ends(pack):
    packed = pack("files.tar.gz")
    async with nothing_left_behind(), Sink(port=0, latency=5) as sink:
        async with Sender("127.0.0.1", sink.port) as sender:
            run = sender.send([packed], TIGHT)
        ran = await finish(run)
    assert Result.STORED not in ran.results


async def test_an_archive_that_changes_while_it_is_sent_is_noticed(files, tmp_path):
    packed = archive(tmp_path / "in", "stored.zip", files)

    def changed():
        yield packed
        os.utime(packed, ns=(0, 0))

    async with Sink(port=0) as sink:
        ran = await send(sink.port, changed(), OPENED)
    reasons = {outcome.reason for outcome in ran.outcomes if outcome.result is Result.NOT_SENT}
    assert len(ran.outcomes) == len(files)
    assert all("changed" in reason for reason in reasons)


@pytest.mark.slow
async def test_stores_are_tried_again_from_the_archive(files, pack):
    packed = pack("files.tar.gz")
    statuses = iter([0xA700] * 2)

    def status(*_):
        return next(statuses, 0)

    async with running_hostile(Behaviour(on_store=answers(status))) as peer:
        ran = await send(peer.port, [packed], TIGHT, retry=RetryOptions(3))
    assert ran.results == {Result.STORED: len(files)}


def _read(payload):
    with Path(payload.container).open("rb") as file:
        file.seek(payload.offset)
        return file.read(payload.length)


async def _surveyed(path, walk=OPENED):
    """What a survey finds, by the last name of each file."""
    found = {}
    async with aclosing(survey([path], walk)) as batches:
        async for batch in batches:
            for one in batch:
                name = one.path.rpartition("!")[2].rpartition("/")[2]
                if isinstance(one, Instance):
                    payload = one.payload
                    data = payload.data
                    if data is None:
                        data = _read(payload)
                    found[name] = one.identity, one.oddities, sha256(data).digest()
                else:
                    found[name] = one.reason
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stored.zip", "files.tar.gz"])
async def test_a_member_is_probed_as_the_file_would_be(name, tmp_path):
    files = [*trees.pydicom_test_files(), *(Path(__file__).parent / "cases").glob("*.dcm")]
    files = [path for path in files if path.suffix != ".gz"]
    folder = tmp_path / "files"
    folder.mkdir()
    for number, path in enumerate(files):
        (folder / f"{number}.dcm").symlink_to(path)
    packed = archive(tmp_path / "in", name, [path.resolve() for path in files])
    assert await _surveyed(packed) == await _surveyed(folder, WalkOptions())


@pytest.mark.slow
async def test_what_a_peer_refused_is_sent_again_in_a_further_pass(files, tmp_path):
    folder = tmp_path / "in"
    archive(folder, "deflated.zip", files[:10])
    archive(folder, "files.tar.gz", files[10:20])
    migration = Migration("h", 1, "A", "B", ())
    journal = Journal.open(str(tmp_path / "run.db"), migration, version="1")
    async with running_hostile(Behaviour(on_store=answers(0xA900))) as peer, Sender("127.0.0.1", peer.port) as sender:
        ran = await finish(sender.send([folder], OPENED, Recording(journal)))
    assert ran.results == {Result.FAILED: 20}
    await journal.recorded()
    async with Sink(port=0) as sink, Sender("127.0.0.1", sink.port) as sender:
        ran = await finish(sender.send((), OPENED, SecondPass(journal, 21)))
    journal.close()
    assert ran.results == {Result.STORED: 20}
