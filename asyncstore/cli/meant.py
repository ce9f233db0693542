"""What was probably meant by a word that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> list[str]:
    """The known word that is most like this one, if any is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    return get_close_matches(word, known, n=1)


def did_you_mean(meant: Iterable[str]) -> str:
    """The end of a complaint: what was probably meant, if anything."""
    names = " or ".join(meant)
    return f", did you mean {names}?" if names else ""
