"""Files that seeds are made of: the odd cases of the suite, and a small instance in several encodings."""

import os
import zlib
from pathlib import Path
from struct import pack

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

CASES = Path(__file__).parents[1] / "cases"
JPEG = "1.2.840.10008.1.2.4.50"
TRANSFER_SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG,
)
_CT = b"1.2.840.10008.5.1.4.1.1.2\0"
_LONG = (b"OB", b"OW", b"SQ", b"UN")
_UNDEFINED = 0xFFFFFFFF
_ITEM = b"\xfe\xff\x00\xe0" + pack("<I", 8)
_ELEMENTS = (
    (0x0008, 0x0016, b"UI", _CT),
    (0x0008, 0x0018, b"UI", b"1.2.3.4\0"),
    (0x0008, 0x0020, b"DA", b"20200101"),
    (0x0008, 0x0060, b"CS", b"CT"),
    (0x0010, 0x0020, b"LO", b"ID12"),
    (0x0020, 0x000D, b"UI", b"1.2.3\0"),
    (0x0020, 0x000E, b"UI", b"1.2.3.5\0"),
    (0x0028, 0x0010, b"US", b"\x02\x00"),
    (0x0028, 0x0103, b"US", b"\x00\x00"),
)


def instance(transfer_syntax):
    """A small data set with a sequence and pixel data, in this transfer syntax."""
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return deflater.compress(instance(EXPLICIT_VR_LITTLE_ENDIAN)) + deflater.flush()
    order = ">" if transfer_syntax == EXPLICIT_VR_BIG_ENDIAN else "<"
    is_implicit = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN

    def element(group, number, vr, value, length=None):
        length = len(value) if length is None else length
        tag = pack(f"{order}HH", group, number)
        if is_implicit:
            return tag + pack(f"{order}I", length) + value
        if vr in _LONG:
            return tag + vr + b"\0\0" + pack(f"{order}I", length) + value
        return tag + vr + pack(f"{order}H", length) + value

    def delimited(number, value, length=None):
        return pack(f"{order}HHI", 0xFFFE, number, len(value) if length is None else length) + value

    inner = element(0x0008, 0x0060, b"CS", b"MR")
    end_of_item, end = delimited(0xE00D, b""), delimited(0xE0DD, b"")
    items = delimited(0xE000, inner) + delimited(0xE000, inner + end_of_item, _UNDEFINED)
    whole = b"".join(element(*fields) for fields in _ELEMENTS[:5])
    whole += element(0x0010, 0x1002, b"SQ", items + end, _UNDEFINED) + b"".join(element(*one) for one in _ELEMENTS[5:])
    if transfer_syntax == JPEG:
        fragments = delimited(0xE000, bytes(4)) + delimited(0xE000, b"\xff\xd8\xff\xd9")
        return whole + element(0x7FE0, 0x0010, b"OB", fragments + end, _UNDEFINED)
    return whole + element(0x7FE0, 0x0010, b"OW", bytes(range(8)))


def part10(transfer_syntax, *, data_set=None):
    """A file with this instance."""

    def element(number, vr, value):
        value += b"\0" * (len(value) & 1)
        return pack("<HH2sH", 2, number, vr, len(value)) + value

    group = pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    uids = ((0x0002, _CT), (0x0003, b"1.2.3.4"), (0x0010, transfer_syntax.encode()), (0x0012, b"1.2.3"))
    group += b"".join(element(number, b"UI", value) for number, value in uids) + element(0x0013, b"SH", b"TEST")
    return (
        bytes(128)
        + b"DICM"
        + element(0, b"UL", pack("<I", len(group)))
        + group
        + (instance(transfer_syntax) if data_set is None else data_set)
    )


def files(longest=1 << 14):
    """The contents of all sample files that have no more bytes."""
    yield from map(part10, TRANSFER_SYNTAXES)
    yield from (path.read_bytes() for path in sorted(CASES.glob("*.dcm")) if path.stat().st_size <= longest)
    yield instance(IMPLICIT_VR_LITTLE_ENDIAN)


def written(folder, content):
    """The path of a file with this content."""
    path, descriptor = _file_in(folder)
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))
    return path


_files = {}
"""The path and the descriptor of the file in each folder. It stays open: most executions take less than to open it."""


def _file_in(folder):
    if folder not in _files:
        path = str(folder / "input")
        _files[folder] = path, os.open(path, os.O_RDWR | os.O_CREAT)
    return _files[folder]


def close_files():
    """Close the files of :func:`written`."""
    for _, descriptor in _files.values():
        os.close(descriptor)
    _files.clear()
