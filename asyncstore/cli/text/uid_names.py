"""Names of UIDs, for people."""

from __future__ import annotations

from asyncstore.negotiation.names import name_of
from asyncstore.observe.formatting import printable


def uid_name(uid: str) -> str:
    """The name of a UID; an unknown UID itself, with control characters escaped."""
    return printable(name_of(uid))
