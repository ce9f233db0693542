"""Journals with wrong values in their tables.

The first byte of an input chooses what is read; changes follow (see :mod:`fuzz.damage`).
"""

from asyncstore.errors import JournalError
from fuzz.damage import values_seeds, with_values
from fuzz.journal_uses import READING

EXPECTED = (JournalError,)


def seeds():
    """Each change, for one use after the other."""
    for number, changes in enumerate(values_seeds()):
        yield bytes((number % len(READING),)) + changes


def execute(data, folder):
    """It is refused, or can be read; nothing else."""
    if data:
        with with_values(data[1:], folder) as path:
            READING[data[0] % len(READING)](path)
