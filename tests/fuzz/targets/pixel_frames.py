"""From a data set to the frames of its pixel data, without decoding them.

The first byte of an input chooses the encoding, and whether codestreams have markers; the data set follows.
"""

from struct import pack

from asyncstore.prepare.encoding import DamagedDataSet, Unconvertible, encoding_of
from asyncstore.prepare.pixels.attributes import WANTED, image_of
from asyncstore.prepare.pixels.frames import frames_of
from asyncstore.prepare.reencode import Changes
from asyncstore.prepare.splitting import native_end, split
from fuzz.samples import JPEG, TRANSFER_SYNTAXES, files, instance

EXPECTED = (DamagedDataSet, Unconvertible)
_SYNTAXES = tuple(each for each in TRANSFER_SYNTAXES if not encoding_of(each).is_deflated)
_CHANGES = Changes(max_inflated=1 << 20)


def _element(group, number, vr, value):
    value += b"\0" * (len(value) & 1)
    return pack("<HH2sH", group, number, vr, len(value)) + value


def _image(frames, fragments, basic=(), extended=()):
    text = _element(0x0028, 2, b"US", b"\1\0") + _element(0x0028, 4, b"CS", b"MONOCHROME2")
    text += _element(0x0028, 8, b"IS", str(frames).encode())
    for number, value in ((0x10, 2), (0x11, 2), (0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0)):
        text += _element(0x0028, number, b"US", pack("<H", value))
    if extended:
        table = pack(f"<{len(extended)}Q", *extended)
        text += pack("<HH2sHI", 0x7FE0, 1, b"OV", 0, len(table)) + table
    items = (pack(f"<{len(basic)}I", *basic), *fragments)
    text += pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    return (
        text + b"".join(pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )


def seeds():
    """Frames that are told apart in each way, and the odd cases."""
    jpeg = number = _SYNTAXES.index(JPEG)
    one = b"\xff\xd8\xff\xe0" + bytes(6) + b"\xff\xd9"
    for data in (
        _image(2, [one, one]), _image(1, [one[:6], one[6:]]), _image(2, [one[:6], one[6:], one]),
        _image(2, [bytes(8)] * 3, (0, 16)), _image(2, [bytes(8)] * 3, (), (0, 32)), _image("", [bytes(8)]),
        _image("9" * 40, [bytes(8)]),
    ):  # fmt: skip
        yield bytes((jpeg,)) + data
        yield bytes((jpeg | 8,)) + data
    for number, transfer_syntax in enumerate(_SYNTAXES):
        yield bytes((number,)) + instance(transfer_syntax)
    for content in files(2000):
        yield b"\1" + content[content.find(b"\x08\0\x16\0") :]


def execute(data, _):
    """Each fragment belongs to one frame."""
    if not data:
        return
    encoding, content = encoding_of(_SYNTAXES[(data[0] & 7) % len(_SYNTAXES)]), memoryview(data)[1:]
    native_end(data[1:1025], encoding)
    parts = split(content, encoding, _CHANGES, lambda _: b"")
    if parts is None:
        return
    image = image_of(parts.head.small_values(WANTED))
    assert image.native_bytes > 0
    if parts.fragments is not None:
        frames = frames_of(parts.fragments, image.frames, has_markers=bool(data[0] & 8))
        assert len(frames) == image.frames
        numbers = [number for frame in frames for number in frame]
        assert numbers == list(range(numbers[0], len(parts.fragments.places)))
        for frame in frames:
            parts.fragments.joined(frame)
