"""Suggestions for unknown words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_OTHER_SIGN = {"-": "+", "+": "-"}
"""Options differ by it: -cs is unknown, and +cs names a cipher suite."""
_TELLING = 4
"""A word of at least so many letters may be the beginning of another one."""
_FEW = 3
"""The most words that are suggested: more would not help."""


def closest(word: str, known: Iterable[str]) -> list[str]:
    """The known words that begin with this one, if they are few; otherwise the most similar one, if there is one.

    The same word with the other sign is the most similar one.
    """
    from difflib import get_close_matches  # only mistakes need it

    known = list(known)
    signed = _OTHER_SIGN.get(word[:1], word[:1]) + word[1:]
    if signed in known:
        return [signed]
    begun = sorted(each for each in known if each.startswith(word)) if len(word) >= _TELLING else []
    return begun if 0 < len(begun) <= _FEW else get_close_matches(word, known, n=1)


def did_you_mean(meant: Iterable[str]) -> str:
    """The end of a complaint: the suggestions, if there are any."""
    names = " or ".join(meant)
    return f", did you mean {names}?" if names else ""
