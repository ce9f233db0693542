"""Regular expressions that run over small elements: some 60 ns each, a tenth of what looking at one by one takes.

They match elements with values of even length up to 64 bytes, one after the other, as many as there are, and end where
anything else stands: other lengths, VRs with 32 bits for the length, delimiters.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from asyncstore.prepare.elements import layout_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.prepare.elements import Layout

_SMALL = (2, 4, 0, *range(6, 66, 2))
"""The lengths, the most frequent first."""
_ITEM = rb"\xfe\xff\0\xe0"
_ITEM_BIG = rb"\xff\xfe\xe0\0"
_SHORT_VRS = rb"(?:A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|PN|S[HLST]|TM|U[ILS])"
"""PS3.5 7.1.2."""


@cache
def plain_elements(layout: Layout) -> Callable[[bytes, int, int], Any]:
    """What matches elements that are no sequences, between two positions; its group 1 is the tag of the last one."""
    if layout.is_implicit:
        element = rb"(?!\0\0\0\0)([^\xfe]...)(?:%b)" % _implicit_lengths()
    else:
        delimiter = rb"\xff" if layout.byte_order == "big" else rb"\xfe"
        element = rb"([^%b]...)%b(?:%b)" % (delimiter, _SHORT_VRS, _explicit_lengths(layout))
    return re.compile(rb"(?:%b)*+" % element, re.DOTALL).match


@cache
def small_elements(transfer_syntax_uid: str) -> tuple[Callable[[bytes, int], Any], Layout, Callable[[bytes, int], Any]]:
    """What matches elements, and sequences of defined length with the first items in them as if they had no length.

    It takes some VRs for known that are not: written out, it takes half as long again. With it come the layout of other
    headers, and what unpacks them.
    """
    layout = layout_of(transfer_syntax_uid)
    item = _ITEM
    if layout.is_implicit:
        element = rb"[^\xfe\xe0]...(?:%b)" % _implicit_lengths()  # no items, and not the image's pixel data
        sequence = rb"[^\xfe]...(?!\xff{4})....(?=%b)" % _ITEM
    else:
        element = rb"....[ACDFILPSTU][ADEHILMNOST](?:%b)" % _explicit_lengths(layout, b"(?<!U[NT]..)")
        sequence = rb"....SQ\0\0(?!\xff{4})...."
        if layout.byte_order == "big":
            item = _ITEM_BIG
    pattern = rb"(?:%b)*+(?:%b(?:%b(?!\xff{4})....)?(?:%b)*+)*+" % (element, sequence, item, element)
    return re.compile(pattern, re.DOTALL).match, layout, layout.explicit.unpack_from


def _implicit_lengths() -> bytes:
    """Lengths with their values, which are no items of a sequence."""
    return b"|".join(_literal(n, 4) + b"(?!%b).{%d}" % (_ITEM, n) for n in _SMALL)


def _explicit_lengths(layout: Layout, if_empty: bytes = b"") -> bytes:
    """Lengths with their values; ``if_empty`` is what must hold besides where the length is 0."""
    return b"|".join(_literal(n, 2, layout.byte_order) + (b".{%d}" % n if n else if_empty) for n in _SMALL)


def _literal(length: int, size: int, order: Literal["little", "big"] = "little") -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in length.to_bytes(size, order))
