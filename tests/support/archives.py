"""Archives of files, in every format that is read."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from functools import partial
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMATS = ("stored.zip", "deflated.zip", "files.tar", "files.tar.gz", "files.tar.zst", "zip-in.tar.gz", "tar-in.zip")


def archive(folder: Path, name: str, files: Iterable[Path]) -> Path:
    """Make an archive whose name says its format; its members are ``d/0.dcm``, ``d/1.dcm`` ..."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    named = [(f"d/{number}.dcm", file) for number, file in enumerate(files)]
    if name in ("zip-in.tar.gz", "tar-in.zip"):
        inner = archive(folder, "inner.zip" if name.startswith("zip") else "inner.tar", files)
        named = [(inner.name, inner)]
    if name.endswith(".zip"):
        method = zipfile.ZIP_STORED if name == "stored.zip" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method, compresslevel=1) as written:
            for member, file in named:
                written.write(file, member)
        return path
    plain = folder / "plain"
    with tarfile.open(plain, "w") as written:
        for member, file in named:
            written.add(file, member)
    compress = {"gz": partial(gzip.compress, compresslevel=1), "zst": zstandard.compress}.get(path.suffix[1:], bytes)
    path.write_bytes(compress(plain.read_bytes()))
    plain.unlink()
    return path
