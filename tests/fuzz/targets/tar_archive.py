"""Tar archives.

The first byte of an input tells whether the checksums of headers are made right: a mutation seldom does so.
"""

import tarfile

from asyncstore.discovery.streams import Span, Stream
from asyncstore.discovery.tar import BLOCK, SpanSource, entries
from asyncstore.members import Damaged
from fuzz.archives import COMPRESS, check_members, tarred, zipped
from fuzz.samples import written

EXPECTED = ()
_CHECKSUM = slice(148, 156)
_MARK = slice(257, 262)


def _with_size(text):
    """A tar whose first member has this size."""
    data = tarred(tarfile.USTAR_FORMAT, {"a": b"a" * 600})
    return data[:124] + text.ljust(12, b"\0") + data[136:]


def seeds():
    """Archives in each format, as they are."""
    for form, name in (
        (tarfile.USTAR_FORMAT, "d/b"),
        (tarfile.GNU_FORMAT, "n\u00e4me" * 30),
        (tarfile.PAX_FORMAT, "\u00e4"),
    ):
        for number in (0, 1):
            yield bytes((number,)) + tarred(form, {"a": b"a" * 600, name: b""})
    yield b"\1" + _with_size(b"-1005")
    yield b"\1" + _with_size(b"1_0")
    pax = tarred(tarfile.PAX_FORMAT)
    for text in (b"7 size\n", b"10 size=9\n", b"4411 size=%s\n" % (b"9" * 4400), b"9" * 4400):
        yield b"\1" + pax[:124] + b"%011o\0" % len(text) + pax[136:BLOCK] + text + bytes(-len(text) % BLOCK + 2 * BLOCK)
    yield b"\1" + tarred(files={"a.zip": zipped(files={"a": b"a"}), "b.gz": COMPRESS["gzip"](b"b")})


def _mended(data):
    data = bytearray(data)
    for at in range(0, len(data) - BLOCK + 1, BLOCK):
        block = data[at : at + BLOCK]
        if block[_MARK] == b"ustar":
            block[_CHECKSUM] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(data)


def execute(data, folder):
    """Members are found, and the same in a file as in a stream."""
    if not data:
        return
    content = _mended(data[1:]) if data[0] & 1 else data[1:]
    check_members(content, folder)
    span = Span.of(written(folder, content))
    in_file = _listed(SpanSource(span))
    in_stream = _listed(Stream(span.pieces(0, span.length)))
    assert in_file == in_stream


def _listed(source):
    found = []
    try:
        found.extend(entries(source))
    except Damaged as damage:
        found.append(str(damage))
    return found
