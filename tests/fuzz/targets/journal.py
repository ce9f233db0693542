"""Journals: opening, looking up, reading and salvaging damaged ones (see :mod:`fuzz.damage`)."""

import os
from contextlib import suppress

from asyncstore.errors import JournalError
from asyncstore.journal import content
from asyncstore.journal.accounts import account, progress
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.lookup import Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from asyncstore.journal.studies import Studies, largest_gap
from fuzz.damage import damaged, seeds
from support.journals import begin, delivery

__all__ = ["EXPECTED", "execute", "seeds"]

EXPECTED = ()


def execute(data, folder):
    """It is refused, or can be read; nothing else."""
    if not data:
        return
    with damaged(data, folder) as path:
        for use in (_look_up, _read, _sum_up, _list_studies, _read_catalogue, _salvage, _go_on):
            with suppress(JournalError):
                use(path)


def _look_up(path):
    with Lookup(path) as lookup:
        for number in range(24):
            lookup.earlier(f"/data/{number % 3}/{number}")


def _read(path):
    with Reader(path) as reader:
        assert reader.migration is not None
        assert reader.command is None or reader.command.words is not None
        for found in reader.deliveries():
            os.fsencode(found.path)


def _sum_up(path):
    with Reader(path) as reader:
        assert account([reader]).found >= 0
        progress([reader], 60)
        content.content(reader)
        content.unsendable(reader)
        for _ in (*content.clashes(reader), *content.studies_of_many_patients(reader)):
            pass


def _list_studies(path):
    with Reader(path) as reader:
        studies = Studies([reader])
        studies.completeness()
        for study in studies:
            assert study.uid.isprintable()
        largest_gap([reader])


def _read_catalogue(path):
    with Catalogue(path) as catalogue:
        for order in Order:
            for _ in catalogue.deliveries(order):
                pass
            for _ in catalogue.files(order):
                pass


def _salvage(path):
    new = f"{path}-new.db"
    salvage(path, new)
    with Reader(new) as reader:
        for _ in reader.deliveries():
            pass


def _go_on(path):
    with begin(path) as journal:
        journal.record([delivery("/data/0/0"), delivery("/data/new")])
