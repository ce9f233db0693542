"""Command files: ``@file`` stands for the words in that file (rule 3 of grammar.py)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from asyncstore.errors import UsageError
from asyncstore.named_files import read_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_QUOTES = "'\""
_WHITE_SPACE = " \t\r\n"
_PIECES = """'[^']*'|"[^"]*"|[ \t\r\n]+|[^'" \t\r\n]+|['"]"""
"""The parts of a command file. The last one is a quote that is not closed, which is an error."""

_MOST_BYTES_OF_COMMAND_FILE = 1 << 24
"""Room for the names of a hundred thousand files. ``--files-from`` takes more."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""The byte order marks of UTF-16, which Windows PowerShell writes."""


def expand(words: Iterable[str], is_over: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """The words, with every ``@file`` replaced by the words in that file until ``is_over`` says so (rule 8).

    Raises:
        UsageError: a command file cannot be read or a quote in it is not closed.
    """
    for word in words:
        if len(word) > 1 and word.startswith("@") and not is_over():
            yield from _command_file(word[1:])
        else:
            yield word


def _command_file(name: str) -> list[str]:
    content = read_named(name, _MOST_BYTES_OF_COMMAND_FILE, f"@{name}: cannot read the command file")
    if content.startswith(_UTF_16):
        raise UsageError(f"@{name}: the command file is UTF-16: write it in UTF-8")
    text = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))
    words = [""]
    for match in re.finditer(_PIECES, text):
        piece = match[0]
        if piece in _QUOTES:
            raise UsageError(f"@{name}: a quote in the command file is not closed")
        if piece[0] in _QUOTES:
            words[-1] += piece[1:-1]
            words.append("")
        elif piece[0] not in _WHITE_SPACE:
            words[-1] += piece
        elif words[-1]:
            words.append("")
    return words if words[-1] else words[:-1]
