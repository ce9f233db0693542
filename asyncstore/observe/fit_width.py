"""Fit text into a number of terminal cells. A character takes none, one or two of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterable

_CUT = "…"


def pad(text: str, width: int) -> str:
    """Fill text up to ``width`` cells."""
    return text + " " * (width - cell_len(text))


def clip(text: str, width: int) -> str:
    """Cut text at its end to at most ``width`` cells."""
    if cell_len(text) <= width:
        return text
    return f"{_first_cells(text, width - 1)}{_CUT}" if width > 0 else ""


def shorten(path: str, width: int) -> str:
    """Cut a path in its middle to at most ``width`` cells: ``/archive/2019/…/S0012/IM0034.dcm``.

    It drops whole folders first and cuts the file's name only if that is not enough: the name tells files apart.
    """
    if cell_len(path) <= width:
        return path
    *folders, name = path.split(os.sep)  # Path would normalise a path that must be shown unchanged
    room = width - cell_len(f"{_CUT}{os.sep}{name}")
    if room < 0 or not folders:
        return _cut_name(name, width)
    tail = _fitting(folders[-1:], room)
    room -= _cells(tail)
    head = _fitting(folders[: len(folders) - len(tail)], room)
    room -= _cells(head)
    tail += _fitting(reversed(folders[len(head) : len(folders) - len(tail)]), room)
    return os.sep.join([*head, _CUT, *reversed(tail), name])


def _fitting(folders: Iterable[str], room: int) -> list[str]:
    """Take the first of these folders that fit, each with a separator."""
    taken: list[str] = []
    for folder in folders:
        room -= _cells([folder])
        if room < 0:
            break
        taken.append(folder)
    return taken


def _cells(folders: list[str]) -> int:
    return sum(cell_len(folder) + len(os.sep) for folder in folders)


def _cut_name(name: str, width: int) -> str:
    """Cut a file's name in its middle: most names differ from their neighbours at the end."""
    if cell_len(name) <= width:
        return name
    room = width - 1
    if room < 0:
        return ""
    return f"{_first_cells(name, room // 3)}{_CUT}{_last_cells(name, room - room // 3)}"


def _first_cells(text: str, width: int) -> str:
    for index, character in enumerate(text):
        width -= cell_len(character)
        if width < 0:
            return text[:index]
    return text


def _last_cells(text: str, width: int) -> str:
    return _first_cells(text[::-1], width)[::-1]
