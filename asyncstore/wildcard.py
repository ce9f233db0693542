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
from typing import TYPE_CHECKING

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

_NOTHING = rb"(?!)"
_BYTE = rb"(?:\\.|[^\]\\])"
_MEMBERS = rb"(?>\[:[a-y]*:\]|" + _BYTE + rb"(?:-" + _BYTE + rb")?)"
_TOKEN = (
    rb"(?s)(?P<star>\*)|(?P<one>\?)"
    rb"|\[(?P<negation>[!^]?+)(?P<members>(?:\]|" + _MEMBERS + rb")" + _MEMBERS + rb"*+)\]"
    rb"|\\?+(?P<byte>.)"
)
"""A part of a pattern. None matches a backslash at its end."""
_MEMBER = rb"(?s)\[:([a-y]*):\]|\\?(.)(?:-\\?(.))?"
"""A member of a set: the name of a class, or a byte, or the first and the last byte of a range."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a name matches ``pattern``."""
    translated = _translated(os.fsencode(pattern))
    if translated is None:
        return lambda name: False  # noqa: ARG005 - the type's shape
    match = re.compile(translated, re.DOTALL).fullmatch
    return lambda name: match(os.fsencode(name)) is not None


def _translated(pattern: bytes) -> bytes | None:
    """The regular expression; ``None``: the pattern matches no name.

    Between two stars the first match is as good as any: atomic groups do not try others.
    """
    token_at = re.compile(_TOKEN).match
    segments = [b""]
    position = 0
    while position < len(pattern):
        token = token_at(pattern, position)
        if token is None:
            return None
        position = token.end()
        if token["star"]:
            segments.append(b"")
        elif token["one"]:
            segments[-1] += b"."
        elif token["members"] is None:
            segments[-1] += re.escape(token["byte"])
        else:
            members = _members(token["members"])
            if members is None:
                return None
            if members:
                segments[-1] += b"[" + b"^" * len(token["negation"]) + members + b"]"
            else:  # all its ranges run backwards
                segments[-1] += b"." if token["negation"] else _NOTHING
    first, *others = segments
    if not others:
        return first
    *between, last = others
    return first + b"".join(b"(?>.*?" + segment + b")" for segment in between if segment) + b".*" + last


def _members(text: bytes) -> bytes | None:
    """The members of a set as :mod:`re` writes them; ``None``: there is no such class."""
    members = b""
    for name, low, high in re.findall(_MEMBER, text):
        if not low:
            if name not in _CLASSES:
                return None
            members += _CLASSES[name]
        elif low <= (high or low):
            members += rb"\x%02x-\x%02x" % (ord(low), ord(high or low))
    return members
