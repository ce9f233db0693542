"""The report about a damaged journal (see :mod:`fuzz.damage`)."""

from contextlib import redirect_stdout, suppress
from io import StringIO

from asyncstore.cli.report import lists, machine, plain
from asyncstore.cli.report.facts import gather
from asyncstore.cli.report.page import page
from asyncstore.errors import JournalError
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.reading import Reader
from asyncstore.journal.studies import Completeness
from asyncstore.journal.values import State
from fuzz.damage import damaged, seeds

__all__ = ["EXPECTED", "execute", "seeds"]

EXPECTED = (JournalError,)


def execute(data, folder):
    """It is refused, or there is a report in each form."""
    if not data:
        return
    with damaged(data, folder) as path, Reader(path) as reader, redirect_stdout(StringIO()):
        with suppress(JournalError), diagnosed([reader]):
            facts = gather([reader])
            plain.lines(facts, 100)
            machine.line(facts)
            page(facts, [reader])
        for form in ("text", "csv", "json"):
            for completeness in Completeness:
                with suppress(JournalError), diagnosed([reader]):
                    lists.studies([reader], completeness, form)
            for state in State:
                with suppress(JournalError), diagnosed([reader]):
                    lists.files([reader], state, form)
