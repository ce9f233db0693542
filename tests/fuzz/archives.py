"""Small archives that seeds are made of, and what holds for every archive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from contextlib import suppress
from itertools import count

import zstandard

from asyncstore.discovery.archives import files_in
from asyncstore.discovery.limits import ArchiveLimits, TooMuch
from asyncstore.discovery.spool import Spool
from asyncstore.discovery.tar import BLOCK
from asyncstore.members import Damaged, MemberPath
from asyncstore.model import SourceFile
from fuzz.samples import TRANSFER_SYNTAXES, part10, written

FILES = {"a.dcm": part10(TRANSFER_SYNTAXES[1]), "d/b": b"second" * 7, "d/empty": b"", "d/": b"", "n\u00e4me" * 30: b"x"}
COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "Zstandard": zstandard.compress}
_LIMITS = ArchiveLimits(total=4 << 20, file=1 << 20, members=2000)
"""Of all archives: an input has few bytes, and may inflate to a second's work."""


def zipped(method=zipfile.ZIP_STORED, files=FILES, **more):
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.comment = more.get("comment", b"")
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=more.get("is_64", False)) as member:
                member.write(data)
    return more.get("before", b"") + stream.getvalue()


def zipped_as(method, compressed, size, crc):
    """A zip archive whose only member is compressed by a method that Python does not know."""
    data = bytearray(zipped(files={"a": compressed}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 10 : at + 12] = method.to_bytes(2, "little")
    data[at + 16 : at + 20] = crc.to_bytes(4, "little")
    data[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(data)


def tarred(form=tarfile.GNU_FORMAT, files=FILES):
    """A tar archive with a link and a directory, too."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1.5
            archive.addfile(entry, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE):
            entry = tarfile.TarInfo("other")
            entry.type, entry.linkname = kind, "a.dcm"
            archive.addfile(entry)
    data = stream.getvalue().rstrip(b"\0")
    return data + bytes(-len(data) % BLOCK + 2 * BLOCK)  # tarfile writes more zeros


def check_members(data, folder):
    """Take every member of an archive: each is a part of a file, can be unpacked, or has a reason."""
    path, spool = written(folder, data), Spool()
    size, ordinals = len(data), count(1)
    try:
        for number, found in enumerate(files_in(path, _LIMITS, spool, ordinals), 1):
            if not isinstance(found, SourceFile):
                assert found.reason.isprintable()
                found = found.file  # noqa: PLW2901 - both have an ordinal
            assert found.ordinal == number
            member = found.path
            if not isinstance(member, MemberPath):
                continue
            assert member.size >= 0
            if member.part is not None:
                part = member.part
                assert 0 <= part.offset <= part.offset + part.length <= (size if part.container == path else 1 << 30)
            elif member.unpack is not None:
                with suppress(Damaged, TooMuch):
                    for piece in member.unpack():
                        assert piece
    finally:
        spool.close()
