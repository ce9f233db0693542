"""The head of a data set: what it belongs to.

The first byte of an input chooses the transfer syntax; the data set follows.
"""

import os

from asyncstore.prepare.head import HeadReader, head_of
from fuzz.samples import TRANSFER_SYNTAXES, instance, written

EXPECTED = ()


def seeds():
    """A data set in each transfer syntax, and one that goes on behind the bytes that are known."""
    for number, transfer_syntax in enumerate(TRANSFER_SYNTAXES):
        yield bytes((number,)) + instance(transfer_syntax)
    yield b"\1\x08\x00\x05\x00UN\0\0\0\x05\0\0" + bytes(0x500) + instance(TRANSFER_SYNTAXES[1])


def execute(data, folder):
    """The texts can be shown."""
    if not data:
        return
    transfer_syntax, content = TRANSFER_SYNTAXES[data[0] % len(TRANSFER_SYNTAXES)], data[1:]
    head_of(content, transfer_syntax)
    descriptor = os.open(written(folder, content), os.O_RDONLY)
    try:
        reader = HeadReader()
        head = reader.read(descriptor, content[:1024], 0, "1.2.3.4", transfer_syntax)
        assert reader.read(descriptor, content[:1024], 0, "1.2.3.4", transfer_syntax) == head
    finally:
        os.close(descriptor)
    assert all(text.isascii() for text in head if isinstance(text, str))
