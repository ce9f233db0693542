"""Probe a member of an archive where it lies, in a part of a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from zlib import crc32

from asyncstore.prepare.files import Window, opened, read_at, version_of
from asyncstore.prepare.messages import UNSENDABLE, Unfit
from asyncstore.prepare.probe import answer

if TYPE_CHECKING:
    from asyncstore.prepare.file_format import FileFormat
    from asyncstore.prepare.head import HeadReader
    from asyncstore.prepare.messages import Answer

_PIECE = 1 << 20

_CHANGED = "its archive was changed since it was found"
_WRONG_CRC = "it is damaged: its CRC-32 is another one than the archive says"


def probe_part(part: tuple[Any, ...], file_format: FileFormat, heads: HeadReader | None) -> Answer:
    """Probe a member; as :func:`asyncstore.prepare.probe.probe_file`, with positions from the beginning of the member.

    Args:
        part: the fields of a :class:`asyncstore.members.Part`.
        file_format: which files count as instances.
        heads: reads the head of the data set; ``None``: details are not asked for.
    """
    container, offset, length, version, crc = part
    try:
        descriptor = opened(container)
    except (OSError, ValueError) as error:
        return UNSENDABLE, f"cannot be opened: {error.strerror if isinstance(error, OSError) else error}", None
    unknown = None if heads is None else (length, 0, ())
    try:
        status = os.fstat(descriptor)
        if version and (*version_of(status), status.st_size) != version:
            return UNSENDABLE, _CHANGED, unknown
        window = Window(descriptor, offset, length)
        if crc is not None and _crc_of(window) != crc:
            return UNSENDABLE, _WRONG_CRC, unknown
        return answer(descriptor, file_format, heads, window)
    except Unfit as reason:
        return UNSENDABLE, str(reason), unknown
    except OSError as error:
        return UNSENDABLE, f"cannot be read: {error.strerror}", None
    finally:
        os.close(descriptor)


def _crc_of(window: Window) -> int:
    crc = 0
    for position in range(0, window.length, _PIECE):
        crc = crc32(read_at(window, position, _PIECE), crc)
    return crc
