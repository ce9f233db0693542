"""Data sets that are mended (``--repair``).

The first byte of an input chooses the transfer syntax, and whether the UIDs are known; the data set follows.
"""

from asyncstore.model import Oddity
from asyncstore.prepare.completeness import judge
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.repair import look, with_item_ends
from fuzz.samples import TRANSFER_SYNTAXES, files, instance

EXPECTED = ()
_SYNTAXES = tuple(each for each in TRANSFER_SYNTAXES if not encoding_of(each).is_deflated)
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"


def seeds():
    """A data set in each transfer syntax, with bytes behind it, without ends of items, and the odd cases."""
    for number, transfer_syntax in enumerate(_SYNTAXES):
        data = instance(transfer_syntax)
        for changed in (data, data + b"\n", data + b"tail" * 3, data.replace(_ITEM_END, b""), data[60:]):
            for is_known in (0, 8):
                yield bytes((number | is_known,)) + changed
    for content in files(2000):
        yield b"\1" + content[content.find(b"\x08\0\x16\0") :]


def execute(data, _):
    """A mended data set has no flaw."""
    if len(data) < 2:
        return
    transfer_syntax, content = _SYNTAXES[(data[0] & 7) % len(_SYNTAXES)], data[1:]
    reason, _ = judge(-1, len(content), content, 0, transfer_syntax)
    uids = ("1.2", "1.3") if data[0] & 8 else ("", "")
    mended = look(-1, len(content), content, (*uids, transfer_syntax, 0), reason)
    if mended is None:
        return
    assert 0 <= mended.end <= len(content)
    result = content[: mended.end]
    if mended.oddities & Oddity.ITEMS_ENDED:
        result = with_item_ends(result, transfer_syntax)
    again, _ = judge(-1, len(result), result, 0, transfer_syntax)
    assert again is None, again
