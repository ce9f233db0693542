"""What asyncstore itself decodes of a journal: rows of any values, packed UIDs, and pages of a damaged file.

The first byte of an input chooses which; bytes follow, or the numbers of values.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from asyncstore.errors import JournalDamaged
from asyncstore.journal import schema
from asyncstore.journal.ids import path_of
from asyncstore.journal.opening import translated
from asyncstore.journal.pages import of_page
from asyncstore.journal.reading import recorded
from asyncstore.journal.salvage import _in_pages, _is_delivery, _is_fact
from asyncstore.journal.uids import pack, unpack
from fuzz.damage import VALUES, content
from fuzz.samples import written

EXPECTED = (JournalDamaged,)
_PAGE = 512
_COLUMNS = 22
"""Of a delivery as it is read, with what other tables say about it."""


def seeds():
    """Each page of a journal, two in a file, UIDs, and rows."""
    with TemporaryDirectory() as folder:
        whole = content(Path(folder))
    for at in range(0, len(whole), _PAGE):
        yield b"\0" + whole[at : at + _PAGE]
    yield b"\1" + whole[: 2 * _PAGE]
    yield b"\0\x0d\0\0\0\1\0\0\0\0\x0a\2" + b"\xff" * 9 + b"\2\x08" + bytes(_PAGE)
    yield b"\2" + pack("1.2.840.10008.5.1.4.1.1.2")
    yield b"\2\xff" + "no \u00fcid".encode()
    for number in range(len(VALUES)):
        yield bytes((3, *((number * 7 + place) % 256 for place in range(_COLUMNS))))
    # what the columns of a delivery hold
    yield bytes((3, 3, 12, 1, 12, 3, 3, 3, 3, 10, 10, 12, 12, 12, 10, 10, 3, 3, 3, 3, 3, 3, 1))


def execute(data, folder):
    """A row is a delivery, or damage; the numbers and texts of a page can be stored."""
    if not data:
        return
    kind, rest = data[0] & 3, data[1:]
    if kind == 0:
        _check(of_page(rest[1:], rest[0] % len(rest[1:])) if len(rest) > 1 else ())
        _check(of_page(rest, 0) if len(rest) > _PAGE - 1 else ())
    elif kind == 1:
        for table, values in _in_pages(written(folder, rest)):
            assert table in schema.TABLES
            _check([(None, values)])
    elif kind == 2:
        with translated("run.db"):
            uid = unpack(rest)
        assert unpack(pack(uid)) == uid
        path_of(rest, rest)
    elif len(rest) >= _COLUMNS:
        row = tuple(VALUES[number % len(VALUES)] for number in rest[:_COLUMNS])
        _is_fact(row[:2])
        if _is_delivery(row[: schema.WIDTH]):
            assert isinstance(row[1], bytes)
        with translated("run.db"):
            recorded(row, 7).path.encode(errors="surrogateescape")


def _check(found):
    for number, values in found:
        assert len(values) < _PAGE
        for value in (number, *values):
            assert not isinstance(value, int) or -(1 << 63) <= value < 1 << 63
