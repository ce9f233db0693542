"""Compressed files: gzip, bzip2, xz and Zstandard.

The first byte of an input chooses the compression and the size of the pieces in which it comes.
"""

from asyncstore.discovery.inflating import COMPRESSIONS, inflated
from asyncstore.discovery.limits import TooMuch
from asyncstore.members import Damaged
from fuzz.archives import COMPRESS, check_members, tarred, zipped

EXPECTED = ()
_KINDS = tuple(COMPRESSIONS)
_SIZES = (1 << 20, 1, 7, 100)
_MOST = 4 << 20


def seeds():
    """A tar, a zip and a file in each compression, streams behind one another, and a bomb."""
    for number, kind in enumerate(_KINDS):
        if kind in COMPRESS:
            compress = COMPRESS[kind]
            for data in (tarred(files={"a": b"a" * 300}), zipped(files={"a": b"a"}), b"text" * 99, b"", bytes(1 << 20)):
                yield bytes((number,)) + compress(data)
            yield bytes((number + len(_KINDS),)) + compress(b"one") + compress(b"two") + bytes(9) + compress(b"three")
    yield bytes((_KINDS.index("deflate"),)) + COMPRESS["gzip"](b"text" * 99)[10:-8]


def execute(data, folder):
    """The size of the pieces does not matter, and the bytes are bounded."""
    if not data:
        return
    size = _SIZES[data[0] // len(_KINDS) % len(_SIZES)]
    kind = _KINDS[data[0] % len(_KINDS)]
    content = data[1:]
    whole, in_pieces = _inflated(content, kind, len(content) or 1), _inflated(content, kind, size)
    assert whole == in_pieces or None in (whole, in_pieces)
    if kind != "deflate":
        check_members(content, folder)


def _inflated(data, kind, size):
    """The bytes; ``None``: it is damaged, or has too many."""
    total = 0

    def count(number):
        nonlocal total
        total += number
        if total > _MOST:
            raise TooMuch

    try:
        return b"".join(inflated((data[at : at + size] for at in range(0, len(data), size)), kind, count))
    except (Damaged, TooMuch):
        return None
