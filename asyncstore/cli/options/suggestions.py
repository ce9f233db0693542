"""What was probably meant by a word that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_TELLING = 4
"""Letters with which a word may be taken for the beginning of another one."""
_FEW = 3
"""Words that may be offered: more are no help."""


def closest(word: str, known: Iterable[str]) -> list[str]:
    """The few known words that begin with this one, or else the one that is most like it, if any is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    known = list(known)
    begun = sorted(each for each in known if each.startswith(word)) if len(word) >= _TELLING else []
    return begun if 0 < len(begun) <= _FEW else get_close_matches(word, known, n=1)


def did_you_mean(meant: Iterable[str]) -> str:
    """The end of a complaint: what was probably meant, if anything."""
    names = " or ".join(meant)
    return f", did you mean {names}?" if names else ""
