"""Archives and DICOMDIRs to real archives: they hold the data sets of the files, byte for byte."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pydicom
import pytest

from asyncstore import Result, WalkOptions
from asyncstore.discovery.dicomdir import referenced
from asyncstore.discovery.limits import ArchiveLimits
from support import trees
from support.archives import archive
from support.oracle import send
from support.peers.dcmtk import running_storescp
from support.peers.orthanc import running_orthanc

pytestmark = pytest.mark.peers

OPENED = WalkOptions(archives=ArchiveLimits())
CD = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a CD and a large instance, under names of their own."""
    folder = tmp_path_factory.mktemp("files")
    for number, path in enumerate(referenced(str(CD / "DICOMDIR"))):
        (folder / f"{number:03}").write_bytes(Path(path).read_bytes())
    [large] = trees.instances(folder / "large", 1, data_set_bytes=3_000_000)
    large.rename(folder / "large.dcm")
    return folder


def sources(files, folder):
    """What is sent to each peer: a zip, compressed tars, and a DICOMDIR, which does not name the large one."""
    names = ("stored.zip", "deflated.zip", "files.tar", "files.tar.zst", "zip-in.tar.gz")
    return {name: [archive(folder, name, files)] for name in names} | {
        "dicomdir": [*referenced(str(CD / "DICOMDIR")), files[-1]]
    }


@pytest.mark.parametrize(
    "name", ["stored.zip", "deflated.zip", "files.tar", "files.tar.zst", "zip-in.tar.gz", "dicomdir"]
)
async def test_storescp_stores_the_data_sets_of_the_files(name, folder, files, tmp_path):
    async with running_storescp(tmp_path / "out") as scp:
        ran = await send(scp.port, sources(files, tmp_path / "in")[name], OPENED)
    assert ran.results == {Result.STORED: 32}
    assert scp.stored() == trees.data_sets(folder)


async def test_orthanc_holds_the_same_as_of_the_files(folder, files, tmp_path):
    """It rewrites some data sets, in the same way each time."""
    packed = sources(files, tmp_path / "in")
    held = []
    for name, paths in {
        "files": [folder],
        **{name: packed[name] for name in ("deflated.zip", "files.tar.zst", "dicomdir")},
    }.items():
        async with running_orthanc(tmp_path / f"orthanc {name}") as orthanc:
            ran = await send(orthanc.port, paths, OPENED)
            assert ran.results == {Result.STORED: 32}
            held.append(await _held(orthanc, tmp_path / f"held {name}"))
    assert held[0].keys() == trees.data_sets(folder).keys()
    assert held[1:] == held[:1] * 3


async def _held(orthanc, folder):
    """The data sets that Orthanc holds."""
    folder.mkdir()
    for number in await orthanc.ask("/instances"):
        url = f"http://127.0.0.1:{orthanc.rest_port}/instances/{number}/file"
        await asyncio.to_thread(urllib.request.urlretrieve, url, folder / number)
    return trees.data_sets(folder)
