"""Peers that take one encoding only store every instance in it, with the same elements as dcmconv writes."""

import subprocess
from pathlib import Path

import pytest

from asyncstore import ConversionOptions, Result, Transcode, listed
from asyncstore.prepare.conversion import Settings
from asyncstore.prepare.messages import Order
from support import values
from support.differential.conversation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, plain
from support.oracle import nothing_left_behind, send
from support.peers.dcmtk import running_storescp
from support.peers.programs import find_program
from support.trees import pydicom_test_files, read_part10

pytestmark = pytest.mark.peers

NAMES = ["CT_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"]
NAMES += ["examples_overlay.dcm", "test-SR.dcm"]
OPTIONS = {IMPLICIT_LITTLE: "+ti", EXPLICIT_BIG: "+tb"}
"""Those of dcmconv."""
BIG_ONLY = """
[[TransferSyntaxes]]
[Only]
TransferSyntax1 = BigEndianExplicit
[[PresentationContexts]]
[All]
{contexts}
[[Profiles]]
[Big]
PresentationContexts = All
"""


@pytest.fixture(scope="module")
def files():
    return [path for path in pydicom_test_files() if path.name in NAMES]


@pytest.fixture(scope="module")
def accepting(tmp_path_factory, files):
    """Options of storescp by the transfer syntax that it takes."""
    classes = sorted({read_part10(path).sop_class_uid for path in files})
    contexts = "\n".join(f"PresentationContext{number} = {uid}\\Only" for number, uid in enumerate(classes, 1))
    configuration = tmp_path_factory.mktemp("storescp") / "big.cfg"
    configuration.write_text(BIG_ONLY.format(contexts=contexts))
    return {IMPLICIT_LITTLE: ["+xi"], EXPLICIT_BIG: ["-xf", str(configuration), "Big"]}


def _by_dcmconv(path, option, folder):
    converted = folder / f"{path.stem}{option}"
    subprocess.run([find_program("dcmconv", "dcmtk"), "-q", option, path, converted], check=True)
    return read_part10(converted)


@pytest.mark.parametrize("associations", [1, 3])
@pytest.mark.parametrize(
    ("transfer_syntax", "proposal"),
    [
        (IMPLICIT_LITTLE, {}),
        (IMPLICIT_LITTLE, {"proposal": listed("big")}),
        (EXPLICIT_BIG, {"proposal": listed("uncompr")}),
    ],
    ids=["implicit VR, planned", "implicit VR, big endian proposed", "big endian"],
)
async def test_storescp_holds_what_dcmconv_makes(accepting, files, tmp_path, transfer_syntax, proposal, associations):
    options = accepting[transfer_syntax]
    async with (
        running_storescp(tmp_path / "stored", *options, transfer_syntaxes=None) as scp,
        nothing_left_behind(),
    ):
        ran = await send(scp.port, files, associations=associations, **proposal)
        assert ran.results == {Result.STORED: len(files)}
        stored = [read_part10(path) for path in (tmp_path / "stored").iterdir()]
    by_uid = {one.sop_instance_uid: one for one in stored}
    assert {one.transfer_syntax_uid for one in stored} == {transfer_syntax}
    for path in files:
        expected = _by_dcmconv(path, OPTIONS[transfer_syntax], tmp_path)
        held = by_uid[ran.of(path).sop_instance_uid]
        assert plain(held.data_set, transfer_syntax) == plain(expected.data_set, transfer_syntax), path.name
        assert ran.of(path).sent_transfer_syntax_uid == transfer_syntax
        assert Path(ran.of(path).path) == path


NEVER = ConversionOptions(transcode=Transcode.NEVER)


async def test_compressed_instances_are_refused_by_name_and_the_rest_is_stored(accepting, files, tmp_path):
    [compressed] = [path for path in pydicom_test_files() if path.name == "JPEG-lossy.dcm"]
    async with running_storescp(tmp_path, *accepting[IMPLICIT_LITTLE], transfer_syntaxes=None) as scp:
        ran = await send(scp.port, [compressed, *files], conversion=NEVER)
        assert ran.results == {Result.STORED: len(files), Result.NOT_SENT: 1}
        assert "the peer takes it in LittleEndianImplicit, into which it is not converted" in ran.of(compressed).error


CASES = Path(__file__).parent / "cases"
CONVERTED = ["odd-native-pixels", "odd-text", "odd-two-values", "vr-unknown-long", "sequence-shorter-than-item"]


@pytest.mark.parametrize(("transfer_syntax", "option"), [*OPTIONS.items(), (EXPLICIT_LITTLE, "+te")])
@pytest.mark.parametrize("name", CONVERTED)
def test_odd_files_are_converted_as_dcmconv_converts_them(tmp_path, name, transfer_syntax, option):
    path = CASES / f"{name}.dcm"
    source = read_part10(path)
    found = values.instance(str(path), *source[:3], path.stat().st_size - len(source.data_set), len(source.data_set))
    [made] = values.converted([Order(found, transfer_syntax, found.sop_instance_uid)], Settings(str(tmp_path)))
    expected = _by_dcmconv(path, option, tmp_path)
    assert len(made.data) % 2 == 0
    assert plain(made.data, transfer_syntax) == plain(expected.data_set, transfer_syntax)


@pytest.mark.parametrize("option", ["+ti", "+te", "+tb"])
@pytest.mark.parametrize("name", ["pixels-encapsulated-in-explicit", "odd-fragment"])
def test_fragments_are_not_converted_nor_are_they_by_dcmconv(tmp_path, name, option):
    path = CASES / f"{name}.dcm"
    source = read_part10(path)
    found = values.instance(str(path), *source[:3], path.stat().st_size - len(source.data_set), len(source.data_set))
    [target] = [uid for uid, of_dcmconv in {**OPTIONS, EXPLICIT_LITTLE: "+te"}.items() if of_dcmconv == option]
    [made] = values.converted([Order(found, target, found.sop_instance_uid)], Settings(str(tmp_path)))
    assert "its pixel data is encapsulated" in made.reason
    with pytest.raises(subprocess.CalledProcessError):
        _by_dcmconv(path, option, tmp_path)
