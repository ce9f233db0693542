"""Re-encoding of data sets.

The first byte of an input chooses both encodings; the data set follows.
"""

from asyncstore.prepare.encoding import DamagedDataSet, Unconvertible, encoding_of
from asyncstore.prepare.reencode import Changes, NotCompressed, reencode
from fuzz.samples import TRANSFER_SYNTAXES, files, instance

EXPECTED = (DamagedDataSet, NotCompressed, Unconvertible)
_ENCODINGS = tuple(map(encoding_of, TRANSFER_SYNTAXES))
_PLAIN = Changes(max_inflated=1 << 20)
_OLD = Changes(new_vrs=False, max_inflated=1 << 20)


def seeds():
    """A data set in each encoding, to each other one."""
    for source, transfer_syntax in enumerate(TRANSFER_SYNTAXES):
        for target in range(len(TRANSFER_SYNTAXES)):
            yield bytes((source << 4 | target,)) + instance(transfer_syntax)
    for content in files():
        yield b"\x10" + content[content.find(b"\x08\0\x16\0") :]


def execute(data, _):
    """The result has an even length, and is a data set."""
    if not data:
        return
    source, target = (_ENCODINGS[number % len(_ENCODINGS)] for number in (data[0] >> 4, data[0] & 15))
    for changes in (_PLAIN, _OLD):
        result = b"".join(reencode(data[1:], source, target, changes))
        assert not len(result) & 1
        again = b"".join(reencode(result, target, target, _PLAIN))
        assert target.is_deflated or len(again) <= len(result)
