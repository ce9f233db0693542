"""Pieces of HTML.

Rules:

1. Every text is made printable and escaped here: names of hosts, AE titles and texts of errors may be hostile.
2. A column whose head begins with ``#`` holds numbers; the last column takes the room that is left.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_IN_NUMBER = re.compile(r"(?<=\d) (?=\d{3}(?!\d)|(?:[kMGTPE]?B|[mµ]?s|%)(?![A-Za-z]))")
"""A space between the digits of a number, or between a number and its unit."""


def safe(text: str) -> str:
    """``text`` for the page. Lines do not break within numbers."""
    return _IN_NUMBER.sub("\N{NO-BREAK SPACE}", escape(printable(text)))


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is its class in the style sheet."""
    return f"<p{_class(kind)}>{safe(text)}</p>"


def section(title: str, *content: str) -> str:
    """A section with a title; nothing if it has no content."""
    shown = "".join(content)
    return f"<section><h2>{safe(title)}</h2>{shown}</section>\n" if shown else ""


def listing(lines: Iterable[str]) -> str:
    """A list of sentences; nothing if there are none."""
    items = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values; nothing if there are none."""
    items = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in rows)
    return f"<dl>{items}</dl>" if items else ""


def tiles(rows: Iterable[tuple[str, str, str]]) -> str:
    """Numbers in large letters: name, number, what else must be known of it."""
    items = "".join(
        f'<div class="tile"><dt>{safe(name)}</dt><dd>{safe(value)}<small>{safe(more)}</small></dd></div>'
        for name, value, more in rows
    )
    return f'<dl class="tiles">{items}</dl>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; nothing if it has no rows. Wide tables are scrolled by themselves."""
    kinds = ["number" if name.startswith("#") else "" for name in head]
    if not kinds[-1]:
        kinds[-1] = "text"
    shown = "".join(f"<tr>{''.join(_cells(row, kinds, 'td'))}</tr>" for row in rows)
    if not shown:
        return ""
    top = "".join(_cells([name.removeprefix("#") for name in head], kinds, "th"))
    return f'<div class="wide" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{shown}</tbody></table></div>'


def details(title: str, content: str) -> str:
    """Content that is hidden until it is asked for; nothing if there is none."""
    return f"<details><summary>{safe(title)}</summary>{content}</details>" if content else ""


def _cells(row: Sequence[str], kinds: Sequence[str], tag: str) -> Iterator[str]:
    for cell, kind in zip(row, kinds, strict=True):
        yield f"<{tag}{_class(kind)}>{safe(cell)}</{tag}>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
