"""Whether a data set is complete.

The first byte of an input chooses the transfer syntax; the data set follows.
"""

import os

from asyncstore.prepare.completeness import judge
from fuzz.samples import TRANSFER_SYNTAXES, files, instance, written

EXPECTED = ()
_HEAD = 256
"""Bytes that are known already: fewer than of a real file, so that more is read."""


def seeds():
    """A data set in each transfer syntax, and the odd cases without their file meta information."""
    for number, transfer_syntax in enumerate(TRANSFER_SYNTAXES):
        yield bytes((number,)) + instance(transfer_syntax)
    for content in files():
        yield b"\1" + content[content.find(b"\x08\0\x16\0") :]


def execute(data, folder):
    """The reason is one line; it hardly matters how many bytes were known."""
    if len(data) < 2:
        return
    transfer_syntax, content = TRANSFER_SYNTAXES[data[0] % len(TRANSFER_SYNTAXES)], data[1:]
    descriptor = os.open(written(folder, content), os.O_RDONLY)
    try:
        for head in (content[:_HEAD], content):
            reason, has_odd_values = judge(descriptor, len(content), head, 0, transfer_syntax)
            assert reason is None or reason.isprintable()
            assert isinstance(has_odd_values, bool)
    finally:
        os.close(descriptor)
