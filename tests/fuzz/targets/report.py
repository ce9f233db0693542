"""The report about a journal with wrong values in its tables.

The first byte of an input chooses a form of the report; changes follow (see :mod:`fuzz.damage`).
"""

from asyncstore.errors import JournalError
from fuzz.damage import values_seeds, with_values
from fuzz.journal_uses import REPORTS

EXPECTED = (JournalError,)


def seeds():
    """Each change, for one form after the other."""
    for number, changes in enumerate(values_seeds()):
        yield bytes((number % len(REPORTS),)) + changes


def execute(data, folder):
    """It is refused, or there is a report."""
    if data:
        with with_values(data[1:], folder) as path:
            REPORTS[data[0] % len(REPORTS)](path)
