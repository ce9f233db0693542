"""Peers that refuse the compressed transfer syntaxes of the files store the images all the same."""

import numpy as np
import pytest
from pydicom import dcmread

from asyncstore import ConversionOptions, Result, Transcode, listed
from asyncstore.prepare.converter import transcoding_of
from support.oracle import nothing_left_behind, send
from support.peers.dcmtk import running_storescp
from support.pixels import EXPLICIT, IMPLICIT, JPEG_2000, RLE, pixels
from support.trees import pydicom_test_files

pytestmark = [pytest.mark.peers, pytest.mark.slow]
pytest.importorskip("gdcm")

JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.91"
NAMES = ["JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jpeg_gdcm.dcm", "examples_jpeg2k.dcm"]
NAMES += ["SC_rgb_jpeg_dcmtk.dcm", "examples_ybr_color.dcm", "CT_small.dcm"]


@pytest.fixture(scope="module")
def files():
    return [path for path in pydicom_test_files() if path.name in NAMES]


@pytest.mark.parametrize(("option", "transfer_syntax"), [("+xe", EXPLICIT), ("+xi", IMPLICIT)])
@pytest.mark.parametrize("associations", [1, 3])
async def test_storescp_that_takes_uncompressed_instances_only_stores_their_pixels(
    files, tmp_path, option, transfer_syntax, associations
):
    async with running_storescp(tmp_path / "stored", transfer_syntaxes=option) as scp, nothing_left_behind():
        ran = await send(scp.port, files, associations=associations)
        assert ran.results == {Result.STORED: len(files)}
    for path in files:
        outcome = ran.of(path)
        [stored] = (tmp_path / "stored").glob(f"*{outcome.sop_instance_uid}")
        assert np.array_equal(pixels(stored), pixels(path)), path.name
        assert outcome.sent_transfer_syntax_uid == transfer_syntax


async def test_what_is_accepted_as_it_is_goes_out_as_it_is(files, tmp_path):
    async with running_storescp(tmp_path / "stored") as scp:
        ran = await send(scp.port, files)
        assert ran.results == {Result.STORED: len(files)}
    for path in files:
        assert ran.of(path).sent_transfer_syntax_uid == ran.of(path).transfer_syntax_uid


async def test_without_transcoding_compressed_instances_are_refused(files, tmp_path):
    never = ConversionOptions(transcode=Transcode.NEVER)
    assert transcoding_of(never).decodable == frozenset()
    async with running_storescp(tmp_path / "stored", transfer_syntaxes="+xe") as scp:
        ran = await send(scp.port, files, conversion=never)
        assert ran.results == {Result.STORED: 1, Result.NOT_SENT: len(files) - 1}


@pytest.mark.parametrize(
    ("choice", "option", "transfer_syntax"), [("rle", "+xr", RLE), ("j2k-lossless", "+xv", JPEG_2000)]
)
async def test_where_only_a_compressed_transfer_syntax_is_accepted_images_are_compressed(
    files, tmp_path, choice, option, transfer_syntax
):
    proposal = listed(choice, required=True, combined=True)
    async with running_storescp(tmp_path / "stored", transfer_syntaxes=option) as scp:
        ran = await send(scp.port, files, proposal=proposal)
        assert ran.results == {Result.STORED: len(files)}
    for path in files:
        outcome = ran.of(path)
        [stored] = (tmp_path / "stored").glob(f"*{outcome.sop_instance_uid}")
        assert outcome.sent_transfer_syntax_uid == transfer_syntax
        assert np.array_equal(pixels(stored), pixels(path)), path.name


@pytest.mark.parametrize(
    ("transcode", "proposal", "sent_as"),
    [
        (Transcode.AUTO, listed("j2k-lossy", required=True, combined=True), JPEG_2000_LOSSY),
        (Transcode.LOSSLESS, listed("j2k-lossy", required=True, combined=True), None),
        (Transcode.AUTO, None, EXPLICIT),
    ],
    ids=["named and allowed", "named and not allowed", "allowed and not named"],
)
async def test_losses_need_both_a_name_and_leave(files, tmp_path, transcode, proposal, sent_as):
    [ct] = [path for path in files if path.name == "CT_small.dcm"]
    [lossy] = [path for path in pydicom_test_files() if path.name == "693_J2KI.dcm"]
    async with running_storescp(tmp_path / "stored", transfer_syntaxes="+xw") as scp:
        options = {} if proposal is None else {"proposal": proposal}
        ran = await send(scp.port, [ct, lossy], conversion=ConversionOptions(transcode=transcode), **options)
    assert ran.of(lossy).result is Result.STORED
    assert ran.of(ct).sent_transfer_syntax_uid == sent_as
    assert ran.of(ct).result is (Result.NOT_SENT if sent_as is None else Result.STORED)
    assert (ran.of(ct).sop_instance_uid == dcmread(ct).SOPInstanceUID) is (sent_as != JPEG_2000_LOSSY)
