"""What UIDs are called where people read them."""

from __future__ import annotations

from asyncstore.negotiation.names import name_of
from asyncstore.observe.readable import printable


def uid_name(uid: str) -> str:
    """What a UID is called; private ones have no name, and may hold anything."""
    return printable(name_of(uid))
