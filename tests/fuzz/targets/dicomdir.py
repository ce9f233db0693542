"""DICOMDIRs: the names of files in them."""

from struct import pack

from asyncstore.discovery.dicomdir import referenced
from asyncstore.errors import ReadFailed
from asyncstore.model import Unsendable
from fuzz.samples import TRANSFER_SYNTAXES, part10

EXPECTED = (ReadFailed,)
_EXPLICIT = TRANSFER_SYNTAXES[1]
_CLASS = b"1.2.840.10008.5.1.4.1.1.2\0"
_DIRECTORY = b"1.2.840.10008.1.3.10\0\0\0\0\0\0"
"""As long as the UID of the sample, which it replaces."""


def _element(group, number, vr, value):
    value += b" " * (len(value) & 1)
    return pack("<HH2sH", group, number, vr, len(value)) + value


def _file(data_set, transfer_syntax=_EXPLICIT):
    return part10(transfer_syntax, data_set=data_set).replace(_CLASS, _DIRECTORY, 1)


def _sequence(*items):
    content = b"".join(pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, len(content)) + content


def _record(file_id, *, in_use=0xFFFF):
    return (
        _element(0x0004, 0x1400, b"UL", bytes(4))
        + _element(0x0004, 0x1410, b"US", pack("<H", in_use))
        + _element(0x0004, 0x1430, b"CS", b"IMAGE")
        + _element(0x0004, 0x1500, b"CS", file_id)
    )


def seeds():
    """Usual records, names that lead elsewhere, deep nesting, and other encodings."""
    names = (b"DIR\\FILE", b"INPUT", b"..\\..\\ETC\\PASSWD", b"", b"\\ABS", b"A\\B/C", b"dir\\file.;1", b"\xff\\\xfe")
    records = _sequence(*map(_record, names), _record(b"OTHER", in_use=0))
    start = _element(0x0004, 0x1130, b"CS", b"SET") + _element(0x0004, 0x1200, b"UL", bytes(4))
    yield _file(start + records)
    for transfer_syntax in TRANSFER_SYNTAXES:
        yield _file(start + records, transfer_syntax)
    nested = b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    yield _file(start + nested * 40)
    yield _file(start + nested * 300)


def execute(data, folder):
    """Its files lie in its folder, or are refused with a reason."""
    path = folder / "DICOMDIR"
    path.write_bytes(data)
    for found in referenced(str(path)):
        if isinstance(found, Unsendable):
            assert found.reason
        else:
            assert found.startswith(f"{folder}/")
