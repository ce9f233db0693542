"""How many examples a property test tries."""

from hypothesis import settings

_THOROUGH = 100
"""Examples of the profile that tries all."""


def examples(thorough: int) -> int:
    """Return how many of a test's examples the current profile tries: all, a quarter of them, or few to be quick."""
    return max(1, thorough * settings().max_examples // _THOROUGH)
