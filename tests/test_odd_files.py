"""Odd files (tests/cases) arrive at real peers with their values, or are not sent."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest
from pydicom import dcmread

from asyncstore import ConversionOptions, Result, Transcode
from support.oracle import DELIVERED, send
from support.peers.dcmtk import running_storescp
from support.peers.programs import find_program
from support.trees import read_part10

pytestmark = pytest.mark.peers

CASES = Path(__file__).parent / "cases"
_EXPLICIT = "1.2.840.10008.1.2.1"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG = "1.2.840.10008.1.2.2"
_JPEG = "1.2.840.10008.1.2.4.50"

_STORED = [
    # file, what it is stored as by a peer that takes all, and by one that takes implicit VR
    ("group2-explicit-says-implicit", _EXPLICIT, _IMPLICIT),
    ("group2-explicit-says-jpeg", _EXPLICIT, _IMPLICIT),
    ("group2-jpeg-says-explicit", _JPEG, None),
    ("meta-big-endian", _BIG, _IMPLICIT),
    ("odd-fragment", _JPEG, None),
    ("odd-native-pixels", _EXPLICIT, _IMPLICIT),
    ("odd-text", _EXPLICIT, _IMPLICIT),
    ("odd-two-values", _EXPLICIT, _IMPLICIT),
    ("sequence-shorter-than-item", _EXPLICIT, _IMPLICIT),
    ("uid-hexadecimal", _EXPLICIT, _IMPLICIT),
    ("uid-tab-behind", _EXPLICIT, _IMPLICIT),
    ("vr-unknown-long", _EXPLICIT, _IMPLICIT),
]
_NOT_SENT = {
    "bytes-behind-pixels": "992 bytes behind its pixel data are no element",
    "delimiter-last-item-open": "the end of an item is missing",
    "delimiter-open-image-long": "the end of an item is missing",
    "delimiter-open-image-short": "the end of an item is missing",
    "fragments-zeros-for-end": "its encapsulated pixel data has no end",
    "odd-trailing-newline": "a byte stands behind its last element",
    "pixels-encapsulated-in-explicit": "it contradicts itself",
}
_ONLY_COMPRESSED = {name: "in JPEGBaseline" for name, _, implicit in _STORED if implicit is None}
_CANNOT_BE_DECODED = {
    "group2-jpeg-says-explicit": "its pixel data is damaged",
    "odd-fragment": "its pixel data is damaged: a codestream is cut off",
}


def _rows(peer):
    for name, at_all, at_implicit in _STORED:
        expected = at_all if peer == "all" else at_implicit
        if expected:
            yield pytest.param(peer, name, expected, id=f"{name}-{peer}")


@pytest.fixture
def peer(tmp_path):
    """Storescp as the peer of that name, and what it prints."""

    def run(name):
        syntaxes = "+xa" if name == "all" else "+xi"
        return running_storescp(tmp_path / "stored", "-d", transfer_syntaxes=syntaxes)

    return run


def _values(path):
    """The values of a file by tag, as DCMTK prints them, without padding and without group 0002."""
    dumped = subprocess.run(
        [find_program("dcmdump", "dcmtk"), "-q", "+L", "+E", path], check=True, capture_output=True
    ).stdout.decode("latin-1")
    lines = []
    for line in dumped.splitlines():
        element = line.partition("#")[0].strip()
        if element.startswith("(") and not element.startswith(("(0002,", "(fffe,")):
            tag, vr, value = element.split(maxsplit=2)
            lines.append((tag, _bytes(value) if vr in ("??", "UN", "SQ", "OB", "OW") else value.rstrip(" \0]")))
    return lines


def _bytes(value):
    """The bytes of a binary value that DCMTK prints; words of OW are in the byte order of the file."""
    if value.startswith("("):
        return ""
    words = value.split("\\")
    return "".join(word if len(word) == len("00") else word[2:] + word[:2] for word in words)


@pytest.mark.parametrize(("name_of_peer", "name", "expected"), [*_rows("all"), *_rows("implicit")])
async def test_sendable_files_arrive_with_their_values(peer, name_of_peer, name, expected):
    path = CASES / f"{name}.dcm"
    async with peer(name_of_peer) as scp:
        ran = await send(scp.port, [path])
        outcome = ran.of(path)
        assert outcome.result in DELIVERED, outcome.error
        [stored] = scp.folder.iterdir()
    arrived = read_part10(stored)
    assert arrived.transfer_syntax_uid == expected == outcome.sent_transfer_syntax_uid
    assert arrived.data_set[:2] != b"\x02\x00"
    assert len(arrived.data_set) % 2 == 0
    assert _values(stored) == _values(path)
    assert arrived.sop_instance_uid == outcome.sop_instance_uid
    with warnings.catch_warnings(action="ignore"):
        data_set = dcmread(stored)
    if name in ("odd-native-pixels", "odd-two-values"):
        assert data_set.PixelData == bytes(range(1, 10)) + b"\0"
    if name == "odd-fragment":
        assert data_set.PixelData.startswith(
            b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x08\0\0\0\xff\xd8\xff\xe0x\xff\xd9\0"
        )


@pytest.mark.parametrize(
    ("name_of_peer", "name", "reason"),
    [
        *(("all", *row) for row in _NOT_SENT.items()),
        *(("implicit", *row) for row in {**_NOT_SENT, **_ONLY_COMPRESSED}.items()),
    ],
)
async def test_unsendable_files_do_not_leave(peer, name_of_peer, name, reason):
    path = CASES / f"{name}.dcm"
    async with peer(name_of_peer) as scp:
        ran = await send(scp.port, [path], conversion=ConversionOptions(transcode=Transcode.NEVER))
        outcome = ran.of(path)
        assert outcome.result is Result.NOT_SENT
        assert reason in outcome.error
        assert "Received Store Request" not in scp.output()
        assert not list(scp.folder.iterdir())


@pytest.mark.parametrize(("name", "reason"), _CANNOT_BE_DECODED.items())
async def test_what_cannot_be_decoded_does_not_leave(peer, name, reason):
    path = CASES / f"{name}.dcm"
    async with peer("implicit") as scp:
        ran = await send(scp.port, [path])
        assert ran.of(path).result is Result.NOT_SENT
        assert reason in ran.of(path).error
        assert not list(scp.folder.iterdir())
