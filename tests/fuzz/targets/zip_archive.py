"""Zip archives: the central directory and the members."""

import zipfile
from zlib import crc32

from fuzz.archives import COMPRESS, FILES, check_members, tarred, zipped, zipped_as

EXPECTED = ()


def seeds():
    """Archives with each method, with 64 bits, a comment, bytes before them, and archives in them."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        yield zipped(method)
    for kind, method in (("Zstandard", 93), ("xz", 95)):
        data = b"some text" * 9
        yield zipped_as(method, COMPRESS[kind](data), len(data), crc32(data))
    yield zipped(is_64=True, comment=b"a comment", before=b"some bytes")
    yield zipped(zipfile.ZIP_DEFLATED, {"inner.zip": zipped(), "inner.tar": tarred(files={"a": FILES["a.dcm"]})})
    yield zipped(files={"x": zipped(files={"y": zipped(files={"z": b"z"})})})
    yield zipped(files={})


def execute(data, folder):
    """Every member is found, with its bytes or a reason."""
    check_members(data, folder)
