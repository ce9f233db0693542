"""Words that several commands print."""

from __future__ import annotations

from asyncstore.observe.readable import format_count, printable


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 file``, ``12 480 files``."""
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


def uid_name(uid: str) -> str:
    """What a UID is called; private ones have no name."""
    from asyncstore.negotiation.names import name_of  # noqa: PLC0415 - sending starts without that table

    return printable(name_of(uid))
