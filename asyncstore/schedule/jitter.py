"""Random pauses, so that many who wait do not come back at once."""

from __future__ import annotations


def between(least: float, most: float) -> float:
    """A random number between two others."""
    from random import uniform  # its import takes 3 ms, and most runs never wait

    return uniform(least, most)  # noqa: S311 - nobody gains by guessing it
