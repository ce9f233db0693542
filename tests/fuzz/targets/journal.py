"""Journals with damaged bytes.

The first byte of an input chooses what is done with the journal; changes follow (see :mod:`fuzz.damage`).
"""

from asyncstore.errors import JournalError
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from fuzz.damage import bytes_seeds, overwritten
from fuzz.journal_uses import READING, REPORTS
from support.journals import begin, delivery, full_check

EXPECTED = (JournalError,)


def _salvage(path):
    new = f"{path}-new.db"
    salvage(path, new)
    with Reader(new) as reader:
        for _ in reader.deliveries():
            pass


def _go_on(path):
    with begin(path) as journal:
        journal.write([delivery("/data/0/0"), delivery("/data/new")])


_USES = (*READING, full_check, _salvage, _salvage, _go_on, *REPORTS)


def seeds():
    """Each change, for one use after the other; and each use, with one change."""
    changes = list(bytes_seeds())
    for number in range(max(len(changes), len(_USES))):
        yield bytes((number % len(_USES),)) + changes[number * 7 % len(changes)]


def execute(data, folder):
    """It is refused, or can be used; nothing else."""
    if data:
        with overwritten(data[1:], folder) as path:
            _USES[data[0] % len(_USES)](path)
