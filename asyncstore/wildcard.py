r"""Wildcard patterns with the meaning that they have for storescu's ``+sp``: that of fnmatch(3) in the C locale.

Rules (POSIX.1 XCU 2.13, as in the GNU C library; storescu passes only ``FNM_PATHNAME``):

1. Names are bytes: ``?`` is one byte. Case matters. A leading dot is like any other character.
2. ``*`` matches any number of bytes, ``?`` one, ``[...]`` one of a set with ranges and classes such as ``[:alpha:]``,
   ``[!...]`` and ``[^...]`` one outside of the set. A ``]`` in first place is a member. (``[=a=]`` and ``[.a.]``, which
   fnmatch knows too, are plain members here.)
3. A backslash escapes the next byte, also within brackets; a pattern that ends with it matches nothing. An unclosed
   ``[`` is a plain character.

Python's :mod:`fnmatch` differs in all three.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"!-~",
    b"lower": rb"a-z",
    b"print": rb" -~",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb" \t-\r",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
"""ISO C's character classes in the C locale, as members of a set of :mod:`re`."""

_CLASS = re.compile(rb"\[:([a-y]*):\]")
_NOTHING = rb"(?!)"


class _NeverMatches(Exception):
    """The pattern matches no name."""


class _Member(NamedTuple):
    """A byte within brackets, and the position of the next member."""

    byte: int
    end: int


def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a name matches ``pattern``."""
    try:
        match = re.compile(_translated(os.fsencode(pattern)), re.DOTALL).fullmatch
    except _NeverMatches:
        return lambda name: False  # noqa: ARG005 - the type's shape
    return lambda name: match(os.fsencode(name)) is not None


def _translated(pattern: bytes) -> bytes:
    """The regular expression. Between two stars the first match is as good as any: atomic groups do not try others."""
    first, *others = _segments(pattern)
    if not others:
        return first
    *between, last = others
    return first + b"".join(b"(?>.*?" + segment + b")" for segment in between if segment) + b".*" + last


def _segments(pattern: bytes) -> list[bytes]:
    """Regular expressions for the parts before, between and after the stars."""
    segments = [b""]
    position = 0
    while position < len(pattern):
        byte = pattern[position : position + 1]
        position += 1
        if byte == b"*":
            segments.append(b"")
            continue
        if byte == b"?":
            byte = b"."
        elif byte == b"[" and (bracket := _bracket(pattern, position)) is not None:
            byte, position = bracket
        elif byte == b"\\":
            if position == len(pattern):
                raise _NeverMatches
            byte = re.escape(pattern[position : position + 1])
            position += 1
        else:
            byte = re.escape(byte)
        segments[-1] += byte
    return segments


def _bracket(pattern: bytes, position: int) -> tuple[bytes, int] | None:
    """The set that begins at ``position``, behind its bracket, and its end; ``None`` if it is not closed."""
    is_negated = pattern[position : position + 1] in (b"!", b"^")
    start = position = position + is_negated
    members = b""
    while pattern[position : position + 1] != b"]" or position == start:
        named = _CLASS.match(pattern, position)
        if named is not None:
            if named[1] not in _CLASSES:
                raise _NeverMatches
            members += _CLASSES[named[1]]
            position = named.end()
            continue
        low = _member(pattern, position)
        if low is None:
            return None
        high, position = low.byte, low.end
        if pattern[position : position + 1] == b"-" and pattern[position + 1 : position + 2] not in (b"]", b""):
            until = _member(pattern, position + 1)
            if until is None:
                return None
            high, position = until
        if low.byte <= high:
            members += rb"\x%02x-\x%02x" % (low.byte, high)
    if not members:  # all its ranges run backwards
        return b"." if is_negated else _NOTHING, position + 1
    return b"[" + b"^" * is_negated + members + b"]", position + 1


def _member(pattern: bytes, position: int) -> _Member | None:
    """A byte of a set, plain or after a backslash; ``None`` at the end of the pattern."""
    if position >= len(pattern):
        return None
    if pattern[position] == ord("\\"):
        position += 1
        if position == len(pattern):
            raise _NeverMatches
    return _Member(pattern[position], position + 1)
