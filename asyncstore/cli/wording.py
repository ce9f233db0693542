"""Words that several commands print."""

from __future__ import annotations

from asyncstore.observe.readable import format_count


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 file``, ``12 480 files``."""
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"
