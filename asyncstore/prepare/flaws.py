"""What keeps a data set from being sent, in words."""

from __future__ import annotations

from asyncstore.prepare.elements import ITEM, PIXEL_DATA, tag_name


class Flaw(Exception):
    """What keeps the data set from being sent: the message says it."""


def cut_off(what: str) -> Flaw:
    """The file ends within something."""
    return Flaw(f"it is cut off within {what}")


def no_end_of(tag: int) -> Flaw:
    """A sequence, an item or encapsulated pixel data of undefined length has no delimiter."""
    if tag == PIXEL_DATA:
        return Flaw("its encapsulated pixel data has no end: something else stands where its next fragment should be")
    if tag == ITEM:
        return Flaw("the end of an item is missing: there are nothing but zeros")
    return Flaw(f"its sequence {tag_name(tag)} has no end: something else stands where its next item should be")


def nothing_but_zeros_in(tag: int) -> Flaw:
    """A sequence of defined length has a hole."""
    return Flaw(f"its sequence {tag_name(tag)} is damaged: zeros stand where its next item should be")


def contradiction(kind: str, transfer_syntax_uid: str) -> Flaw:
    """The pixel data is of the kind that the transfer syntax does not have."""
    from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - few files need it

    return Flaw(
        f"it contradicts itself: its pixel data is {kind}, but it is said to be in {name_of(transfer_syntax_uid)}"
    )
