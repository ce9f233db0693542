"""Headers of codestreams: JPEG, JPEG-LS, JPEG 2000, and RLE.

The first byte of an input chooses the reader, and the number of segments of RLE.
"""

from struct import pack

from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels.codestreams import read_jpeg, read_jpeg_2000, rle_segments

EXPECTED = (Unconvertible,)


def _segment(marker, content):
    return bytes((0xFF, marker)) + pack(">H", len(content) + 2) + content


def _jpeg(frame=0xC0, components=3, ids=b"\1\2\3", *more):
    fields = b"".join(bytes((number, 0x11, 0)) for number in ids[:components])
    return b"".join((
        b"\xff\xd8", *more, _segment(0xDB, bytes(65)),
        _segment(frame, pack(">BHHB", 8, 16, 16, components) + fields), _segment(0xC4, bytes(17)), b"\xff\xff\xd0",
        _segment(0xDA, bytes((components,)) + bytes(2 * components) + b"\0\x3f\0"), bytes(40), b"\xff\xd9\0",
    ))  # fmt: skip


def _jpeg_2000(tiles=1, part=None):
    siz = pack(">HIIIIIIIIH", 0, 16, 16, 0, 0, 16 // tiles, 16, 0, 0, 3) + b"\7\1\1" * 3
    cod = b"\0\0\0\1\1\1\4\4\0\1"
    body = b"".join(
        b"\xff\x90" + pack(">HHIBB", 10, number, 24 if part is None else part, 0, 1) + b"\xff\x93" + bytes(10)
        for number in range(tiles)
    )
    return b"\xff\x4f\xff\x51" + pack(">H", len(siz) + 2) + siz + _segment(0x52, cod) + body + b"\xff\xd9"


def seeds():
    """Codestreams of each kind."""
    jfif, adobe = _segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0"), _segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    for data in (
        _jpeg(),
        _jpeg(0xC3, 1),
        _jpeg(0xF7, 1),
        _jpeg(0xC2, 3, b"RGB"),
        _jpeg(0xC0, 3, b"\1\2\3", jfif, adobe),
    ):
        yield b"\0" + data
    for data in (_jpeg_2000(), _jpeg_2000(4), _jpeg_2000(1, 0)):
        yield b"\1" + data
        yield b"\1" + b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30) + data
    for segments in (1, 3, 15):
        offsets = [64 + 4 * number for number in range(segments)] + [0] * (15 - segments)
        yield bytes((2 | segments << 2,)) + pack("<16I", segments, *offsets) + bytes(range(4 * segments))


def execute(data, _):
    """It is refused, or described by plausible numbers."""
    if not data:
        return
    kind, content = data[0] & 3, data[1:]
    if kind > 1:
        segments = rle_segments(content, max(data[0] >> 2, 1))
        assert len(segments) == max(data[0] >> 2, 1)
        assert sum(map(len, segments)) <= len(content)
        return
    found = (read_jpeg, read_jpeg_2000)[kind](content)
    assert found.data in content
    assert min(found.rows, found.columns, found.components) >= 0
    assert found.colour in {None, "RGB", "YBR"}
