"""Transcoding in real worker processes: nothing waits behind it, and a poisonous file costs only itself."""

import asyncio
import shutil
import subprocess
import sys

import pytest

from asyncstore.model import Instance, SourceFile, Unsendable
from asyncstore.prepare import converter as of_converter
from asyncstore.prepare import process
from asyncstore.prepare.conversion import Settings
from asyncstore.prepare.converter import ConversionOptions, Converter
from asyncstore.prepare.messages import Order
from asyncstore.prepare.pool import Pool
from asyncstore.prepare.spool import drop
from support import values
from support.oracle import until
from support.pixels import EXPLICIT, RLE
from support.trees import instances, pydicom_test_files

pytest.importorskip("_openjpeg")


@pytest.fixture
def compressed():
    """The compressed instance of this name, which tells what happens to the worker that opens it."""
    [source] = [path for path in pydicom_test_files() if path.name == "J2K_pixelrep_mismatch.dcm"]

    def make(folder, name):
        return values.probe_file(str(shutil.copy(source, folder / name)))

    return make


def _orders(found):
    return [Order(one, EXPLICIT, one.sop_instance_uid) for one in found]


async def test_what_is_probed_does_not_wait_behind_what_is_transcoded(folder, tmp_path, compressed):
    pool = Pool(1)
    plain = [SourceFile(str(path)) for path in instances(tmp_path / "plain", 3)]
    try:
        found = [compressed(folder, "slow"), compressed(folder, "other")]
        converting = asyncio.create_task(pool.convert(_orders(found), Settings(str(tmp_path), transcodes=True)))
        await until((folder / "slow.opened").exists)
        assert all(isinstance(one, Instance) for one in await pool.probe(plain))
        assert not converting.done()
        converting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await converting
    finally:
        pool.close()


@pytest.mark.slow
async def test_all_processes_share_what_is_transcoded_and_a_poisonous_file_costs_only_itself(
    folder, tmp_path, compressed
):
    pool = Pool(2)
    names = ["0", "kills", "2", "kills-once", "4"]
    try:
        found = [compressed(folder, name) for name in names]
        made = await pool.convert(_orders(found), Settings(str(tmp_path), transcodes=True))
        reasons = [one.reason if isinstance(one, Unsendable) else None for one in made]
        assert reasons == [None, "converting it killed a worker process, twice (SIGKILL)", None, None, None]
        assert {one.length for one in made if isinstance(one, Instance)} == {529_924}
        drop(one.payload.container for one in made if isinstance(one, Instance) and one.payload.data is None)
    finally:
        pool.close()


@pytest.mark.slow
async def test_bytes_that_nobody_has_read_are_bounded(monkeypatch):
    monkeypatch.setattr(of_converter, "_MOST_HELD", 1)
    [ultrasound] = [path for path in pydicom_test_files() if path.name == "examples_ybr_color.dcm"]
    found = [values.probe_file(str(ultrasound))]
    pool = Pool(1)
    converter = Converter(pool, ConversionOptions())

    async def second():
        async with converter.converted(found, RLE) as made:
            assert isinstance(made[0], Instance)

    try:
        async with converter.converted(found, EXPLICIT) as made:
            assert made[0].length == 6_946_694
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.1)
            assert not waiting.done()
            assert converter._held == made[0].length  # noqa: SLF001 - what the second one would add to
        await waiting
        assert converter._held == 0  # noqa: SLF001
    finally:
        pool.close()


@pytest.mark.slow
async def test_a_process_shows_that_it_lives_while_it_transcodes_many_frames(workers_run, tmp_path):
    workers_run("from asyncstore.prepare import worker; worker.PART_SECONDS = -1.0")
    pool = Pool(1)
    parts = []
    try:
        [ultrasound] = [path for path in pydicom_test_files() if path.name == "examples_ybr_color.dcm"]
        found = values.probe_file(str(ultrasound))
        before = process.read_message
        process.read_message = lambda stream: parts.append(before(stream)) or parts[-1]
        try:
            [made] = await pool.convert(_orders([found]), Settings(str(tmp_path), transcodes=True))
        finally:
            process.read_message = before
        drop([made.payload.container])
    finally:
        pool.close()
    assert len([part for part in parts if part == ["part", []]]) >= 30


@pytest.mark.slow
def test_neither_probes_nor_re_encoding_import_a_codec(tmp_path):
    [path] = instances(tmp_path, 1)
    code = (
        "import sys\n"
        "from asyncstore.prepare import conversion, converter, pool, worker\n"
        "from asyncstore.prepare.file_format import FileFormat\n"
        "from asyncstore.prepare.messages import Order, found\n"
        "from asyncstore.model import SourceFile\n"
        "path = sys.argv[1]\n"
        "[one] = found([SourceFile(path)], [worker.probe_file(path, FileFormat.ANY)])\n"
        "settings = conversion.Settings('/tmp', transcodes=True)\n"
        "[made] = conversion.convert([Order(one, '1.2.840.10008.1.2', one.sop_instance_uid)], settings)\n"
        "converter.transcoding_of(converter.ConversionOptions())\n"
        "print(made[0], sorted({'numpy', 'pydicom', 'gdcm', 'rle', '_openjpeg', '_CharLS'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    assert done.stdout == "converted []\n"
