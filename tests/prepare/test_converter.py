"""The converter with real worker processes: its results, and nothing left behind."""

import asyncio
import errno
import gc
import os
import tempfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from asyncstore.errors import PrepareError
from asyncstore.model import Instance, Oddity, Unsendable
from asyncstore.prepare import spool
from asyncstore.prepare.converter import ConversionOptions, Converter
from asyncstore.prepare.edit_syntax import remove_of, set_of
from asyncstore.prepare.editing import edited
from asyncstore.prepare.edits import EditOptions
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.invention import Invent
from asyncstore.prepare.pool import Pool
from asyncstore.prepare.reencode import Changes, reencode
from support import trees, values
from support.oracle import until
from support.values import probe_file

IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
LARGE = 1_200_000
"""The size of a data set that comes back in a file."""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _files(folder, count=2, size=LARGE):
    paths = trees.instances(folder / "instances", count, data_set_bytes=size)
    return [probe_file(str(path)) for path in paths]


def _troublesome(folder, name):
    """A file that kills or stops the worker that converts it, too large to come with the probe."""
    [path] = trees.instances(folder / f"{name} instances", 1, data_set_bytes=12_000)
    return probe_file(str(path.rename(folder / name)))


@contextmanager
def _converter(options=ConversionOptions(), size=1):  # noqa: B008 - it is frozen
    pool = Pool(size)
    converter = Converter(pool, options)
    try:
        yield converter
    finally:
        pool.close()


def _data(instance):
    return instance.data or Path(instance.payload.container).read_bytes()[instance.offset :]


def _as_it_should_be(found, target):
    return b"".join(reencode(_data(found), encoding_of(found.transfer_syntax_uid), encoding_of(target), Changes()))


async def _opened(instance):
    await until(lambda: Path(f"{instance.path}.opened").exists())


# What it makes.


async def test_a_converted_instance_remembers_the_original(tmp_path):
    found = [*_files(tmp_path / "large"), *_files(tmp_path / "small", size=2000)]
    with _converter() as converter:
        async with converter.converted(found, IMPLICIT) as made:
            for there, instance in zip(made, found, strict=True):
                assert there.original == there.found == instance
                assert there.transfer_syntax_uid == IMPLICIT
                assert (
                    (there.payload.container == instance.path) == (there.data is not None) == (instance.length < LARGE)
                )
                assert _data(there) == _as_it_should_be(instance, IMPLICIT)


@pytest.mark.slow
async def test_the_reason_stands_in_the_place_of_an_unconvertible_instance():
    paths = {path.name: path for path in trees.pydicom_test_files()}
    found = [probe_file(str(paths[name])) for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")]
    found[1] = values.changed(found[1], length=found[1].length + 2)  # the file was longer when it was found
    with _converter() as converter:
        async with converter.converted(found, IMPLICIT) as made:
            assert [type(there) for there in made] == [Instance, Unsendable, Instance]
            assert made[1].path == found[1].path


@pytest.mark.parametrize(("ordinals", "passed_over"), [(range(1, 6), []), ([2, 4, 6, 7, 9], [1, 3, 5, 8, 10])])
async def test_an_instance_keeps_its_identity_when_it_is_edited_again(tmp_path, ordinals, passed_over):
    """Files that are no instances do not count: every series has as many instances as were asked for."""
    files = _files(tmp_path, 5, 2000)
    found = [values.changed(one, ordinal=ordinal) for ordinal, one in zip(ordinals, files, strict=True)]
    with _converter(ConversionOptions(Invent(instances=2))) as converter:
        for ordinal in passed_over:
            converter.pass_over(ordinal)
        uids, series = [], []
        for portion in (found[:2], found[2:], found[:1], found[3:4]):
            made = await converter.edited(portion)
            assert [there.in_file for there in made] == [one.identity for one in portion]
            uids += [there.sop_instance_uid for there in made]
            series += [there.data.split(b"\x20\x00\x0e\x00UI")[1][2:20] for there in made]
            assert all(there.sop_instance_uid.encode() in there.data for there in made)
    assert [uids.index(uid) for uid in uids] == [0, 1, 2, 3, 4, 0, 3]
    assert [series.index(uid) for uid in series] == [0, 0, 2, 2, 4, 0, 2]


INVENTING = ConversionOptions(Invent())


def _whole(instance):
    payload = instance.payload
    return payload.data or payload.head + Path(payload.container).read_bytes()[payload.offset :]


@pytest.mark.parametrize("size", [2000, 12_000, LARGE])
async def test_only_the_head_of_an_edited_data_set_is_in_memory_unless_it_is_small(tmp_path, size):
    found = _files(tmp_path, 3, size)
    with _converter(INVENTING) as converter:
        for there, instance in zip(await converter.edited(found), found, strict=True):
            assert there.length == len(_whole(there))
            assert there.found == there
            assert 0 < len(there.payload.head) < 1000 or size == 2000
            assert (there.payload.container, there.payload.version) == (instance.path, instance.payload.version)
            tail = _data(instance)[-1000:]
            assert _whole(there).endswith(tail)
            async with converter.converted([there], IMPLICIT) as [made]:
                expected = reencode(_whole(there), encoding_of(EXPLICIT), encoding_of(IMPLICIT), Changes())
                assert _data(made) == b"".join(expected)
                assert made.sop_instance_uid == there.sop_instance_uid


def _longer(found, end):
    """The same file with more bytes at its end."""
    Path(found.path).write_bytes(Path(found.path).read_bytes() + end)
    return probe_file(found.path)


@pytest.mark.parametrize("padding", [0, 4, 102])
@pytest.mark.parametrize("size", [2000, 12_000])
@pytest.mark.parametrize("last", [{}, {"PatientID": "4711"}], ids=["only removed", "and set"])
async def test_a_data_set_without_its_last_element_is_what_stood_before_it(tmp_path, size, padding, last):
    [found] = _files(tmp_path, 1, size)
    before = _data(found)
    signed = _longer(found, b"\xfa\xff\xfa\xffSQ\0\0" + bytes(4) + bytes(padding))
    edits = (remove_of("DigitalSignaturesSequence"), *(set_of(f"{name}={value}") for name, value in last.items()))
    with _converter(ConversionOptions(edit=EditOptions(edits))) as converter:
        [there] = await converter.edited([signed])
        async with converter.converted([there], EXPLICIT) as [made]:
            assert _data(made) == b"".join(edited(before, EXPLICIT, edits))


async def _edited_as_a_whole(found, options):
    with _converter(options) as converter:
        [there] = await converter.edited([found])
        assert there.oddities & Oddity.EDITED_LATER
        assert there.payload == found.payload
        assert there.sop_instance_uid != found.sop_instance_uid
        async with converter.converted([there], there.transfer_syntax_uid) as [made]:
            assert made.sop_instance_uid == there.sop_instance_uid
            return made, _data(made)


def _in_disorder(found):
    """The same file with an element of a lower tag in the place of its Study Instance UID."""
    content = Path(found.path).read_bytes()
    uid = content.index(b"\x20\x00\x0d\x00UI", found.offset)
    Path(found.path).write_bytes(content[:uid] + b"\x08\x00\x01\x00" + content[uid + 4 :])
    return probe_file(found.path)


@pytest.mark.parametrize("why", ["deflated", "odd values", "no new VRs", "disorder"])
async def test_a_data_set_that_is_not_ordinary_is_edited_when_it_is_converted(tmp_path, why):
    [found] = _files(tmp_path, 1, 12_000)
    if why == "deflated":
        paths = {path.name: path for path in trees.pydicom_test_files()}
        found = probe_file(str(paths["image_dfl.dcm"]))
    if why == "odd values":
        found = found._replace(oddities=int(Oddity.ODD_VALUES))
    if why == "disorder":
        found = _in_disorder(found)
    made, data = await _edited_as_a_whole(found, INVENTING._replace(new_vrs=why != "no new VRs"))
    if why == "deflated":
        data = zlib.decompress(data, -zlib.MAX_WBITS)
    assert data.count(made.sop_instance_uid.encode()) == 1


@pytest.mark.parametrize(
    ("options", "changes_everything"),
    [
        (ConversionOptions(), False),
        (ConversionOptions(deflate_level=9), False),
        (ConversionOptions(new_vrs=False), True),
        (ConversionOptions(Invent()), False),
    ],
)
def test_it_tells_whether_files_can_be_sent_unchanged(options, changes_everything):
    with _converter(options) as converter:
        assert converter.changes_everything == changes_everything


# What it leaves behind: nothing.


async def test_no_conversion_makes_no_files(temporary):
    with _converter():
        assert [*temporary.iterdir()] == []


def _descriptors():
    return len(os.listdir("/proc/self/fd"))


async def test_large_data_sets_lie_in_files_without_a_name_that_only_we_may_read(tmp_path, temporary):
    found = _files(tmp_path)
    before = _descriptors()
    with _converter() as converter:
        async with converter.converted(found, IMPLICIT) as made:
            assert [*temporary.iterdir()] == []
            for there in made:
                status = os.stat(there.payload.container)  # a path is a text here
                assert (status.st_nlink, status.st_mode & 0o777, status.st_size) == (0, 0o600, there.length)
            paths = [there.payload.container for there in made]
        assert not any(map(os.path.exists, paths))
    assert [*temporary.iterdir()] == []
    assert _descriptors() == before


async def test_a_worker_that_is_killed_takes_nothing_with_it(tmp_path):
    pool = Pool(1)
    converter = Converter(pool, ConversionOptions())
    found = _files(tmp_path)
    async with converter.converted(found, IMPLICIT) as made:
        pool.close()
        assert [_data(there) for there in made] == [_as_it_should_be(one, IMPLICIT) for one in found]


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_files_are_closed_after_an_error(tmp_path, temporary, error):
    before = _descriptors()
    with _converter() as converter, suppress(error):
        async with converter.converted(_files(tmp_path), IMPLICIT):
            raise error
    assert _descriptors() == before
    assert [*temporary.iterdir()] == []


async def test_nothing_is_left_of_a_conversion_that_is_cancelled(folder, tmp_path, temporary):
    found = [*_files(tmp_path / "large"), _troublesome(folder, "slow")]
    before = _descriptors()
    with _converter() as converter:
        converting = asyncio.create_task(_convert(converter, found))
        await _opened(found[-1])
        assert [*temporary.iterdir()] == []
        converting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await converting
    assert _descriptors() == before
    assert [*temporary.iterdir()] == []


@pytest.mark.slow
async def test_nothing_is_left_of_one_that_is_cancelled_while_it_is_done_again(folder, tmp_path):
    kills, slow = (_troublesome(folder, name) for name in ("kills-once", "slow"))
    found = [kills, *_files(tmp_path / "large"), slow]
    before = _descriptors()
    with _converter() as converter:
        converting = asyncio.create_task(_convert(converter, found))
        await _opened(found[-1])
        converting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await converting
    assert _descriptors() == before


async def _convert(converter, found):
    async with converter.converted(found, IMPLICIT) as made:
        return [there if isinstance(there, Unsendable) else values.changed(there, data=_data(there)) for there in made]


@pytest.mark.slow
async def test_without_proc_files_have_names_until_they_are_read(tmp_path, temporary, monkeypatch, workers_run):
    workers_run("from asyncstore.prepare import spool; spool._IS_NAMELESS = False")
    monkeypatch.setattr(spool, "_IS_NAMELESS", False)
    found = _files(tmp_path)
    with _converter() as converter:
        async with converter.converted(found, IMPLICIT) as made:
            [own] = temporary.iterdir()
            assert {there.payload.container for there in made} == {str(path) for path in own.glob("asyncstore-*")}
            assert [_data(there) for there in made] == [_as_it_should_be(one, IMPLICIT) for one in found]
        assert not [*own.glob("asyncstore-*")]
        del converter
    gc.collect()
    assert [*temporary.iterdir()] == []


@pytest.mark.slow
async def test_a_large_data_set_without_a_free_descriptor_is_not_sent_for_that_reason(tmp_path, monkeypatch):
    def opened(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(spool, "opened", opened)
    found = [*_files(tmp_path / "large"), *_files(tmp_path / "small", size=2000)]
    with _converter() as converter:
        made = await _convert(converter, found)
    reason = "its converted data set cannot be opened: Too many open files"
    assert made[:2] == [Unsendable(one.file, reason) for one in found[:2]]
    assert [_data(there) for there in made[2:]] == [_as_it_should_be(one, IMPLICIT) for one in found[2:]]


# Workers that die.


@pytest.mark.slow
async def test_a_conversion_whose_worker_was_killed_is_done_again(folder, tmp_path):
    found = [*_files(tmp_path / "small", size=2000), _troublesome(folder, "kills-once")]
    with _converter() as converter:
        made = await _convert(converter, found)
    assert Path(f"{found[2].path}.opened") in Path(found[2].path).parent.iterdir()
    assert [_data(there) for there in made] == [_as_it_should_be(one, IMPLICIT) for one in found]


@pytest.mark.slow
async def test_a_file_that_kills_its_worker_again_is_not_sent_and_the_others_are(folder, tmp_path):
    found = [*_files(tmp_path / "small", size=2000), _troublesome(folder, "kills")]
    with _converter() as converter:
        made = await _convert(converter, found)
        assert [type(there) for there in made] == [Instance, Instance, Unsendable]
        assert made[2].reason == "converting it killed a worker process, twice (SIGKILL)"
        assert [type(there) for there in await _convert(converter, found[:2])] == [Instance, Instance]


async def test_it_says_that_no_process_can_be_run(tmp_path, temporary):
    pool = Pool(1)
    pool.close()
    converter = Converter(pool, ConversionOptions())
    with pytest.raises(PrepareError):
        await _convert(converter, _files(tmp_path))
    assert [*temporary.iterdir()] == []


# Memory.


def _deflated(folder, page, count):
    """A file with this page many times, deflated. Returns its instance and its inflated size."""
    path = folder / "deflated"
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = b"".join(compressor.compress(page) for _ in range(count)) + compressor.flush()
    path.write_bytes(data)
    return values.instance(str(path), "1.2.3", "1.2.4", DEFLATED, 0, len(data)), len(page) * count


def _peak(pid):
    """The peak memory of a process in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def _workers():
    found = set()
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(child) for child in children.read_text().split()}
    return found


_EMPTY_ELEMENTS = b"".join(b"\x11\x00" + number.to_bytes(2, "little") + b"LO\0\0" for number in range(1, 1001))


@pytest.mark.slow
@pytest.mark.usefixtures("real_workers")
async def test_a_worker_takes_four_times_the_size_of_a_data_set_at_most_however_many_elements_it_has(tmp_path):
    found, size = _deflated(tmp_path, _EMPTY_ELEMENTS, 1000)
    assert found.length < 60_000
    before = _workers()
    with _converter() as converter:
        [made] = await _convert(converter, [found])
        assert made.length == size
        (worker,) = _workers() - before
        assert _peak(worker) < (64 << 20) + 4 * size


@pytest.mark.slow
@pytest.mark.usefixtures("real_workers")
async def test_a_data_set_that_takes_more_memory_than_it_may_costs_only_itself(tmp_path, workers_run):
    """Other limits stop inflating far earlier, so this test lowers the memory limit of a worker."""
    small = "from asyncstore.prepare import conversion, worker\n"
    small += "worker._SPARE, conversion._MOST_COPIES = 100 << 20, 0"
    workers_run(small)
    large, size = _deflated(tmp_path, bytes(1 << 20), 200)
    assert size < ConversionOptions().max_inflated
    found = [*_files(tmp_path / "small", size=2000), large, *_files(tmp_path / "others", size=2000)]
    before = _workers()
    with _converter() as converter:
        made = await _convert(converter, found)
        assert [type(one) for one in made] == [Instance, Instance, Unsendable, Instance, Instance]
        assert made[2].reason == "converting it takes more memory than its size explains, or than there is"
        (worker,) = _workers() - before
        assert _peak(worker) < 200 << 20
