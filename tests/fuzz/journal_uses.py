"""Everything that is done with a journal that is only read, each as a function of its path."""

import os
from contextlib import redirect_stdout
from io import StringIO

from asyncstore.cataloguing import FromCatalogue
from asyncstore.cli.report import lists, machine, plain
from asyncstore.cli.report.facts import gather
from asyncstore.cli.report.page import page
from asyncstore.journal import content
from asyncstore.journal.accounts import account, progress
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.lookup import NOT_ENDED, Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.studies import Completeness, Studies, largest_gap
from asyncstore.journal.values import State
from asyncstore.members import MemberPath
from asyncstore.model import SourceFile
from fuzz.damage import paths
from support.journals import how_ended


def look_up(path):
    """How files ended earlier."""
    with Lookup(path, ()) as lookup:
        for name in (*paths(), "/data/0/other", "/elsewhere/1"):
            how_ended(lookup, name)
        how_ended(lookup, MemberPath("/data/a.zip", "inner/1", 1000, 7))


def read(path):
    """The migration, the command and the deliveries."""
    with Reader(path) as reader:
        assert reader.migration is not None
        assert reader.command is None or reader.command.words is not None
        for found in reader.deliveries():
            os.fsencode(found.path)


def sum_up(path):
    """The sums of an account, and the forecast."""
    with Reader(path) as reader:
        assert account([reader]).found >= 0
        progress([reader], 60)


def sum_up_catalogue(path):
    """The contents in numbers, and what clashes."""
    with Reader(path) as reader:
        content.content(reader)
        content.unsendable(reader)
        content.kinds(reader)
        for _ in (*content.clashes(reader), *content.studies_of_many_patients(reader)):
            pass


def list_studies(path):
    """The studies, and the largest gap between two arrivals."""
    with Reader(path) as reader:
        studies = Studies([reader])
        studies.completeness()
        for study in studies:
            assert study.uid.isprintable()
        largest_gap([reader])


class _Journal:
    """A journal that records nothing."""

    run = 3

    def flush(self):
        """Nothing is to be waited for."""


def _sent_in(order):
    def send_catalogue(path):
        recording = FromCatalogue(_Journal(), Catalogue(path, State), NOT_ENDED, order, holds_conflicts=True)
        recording.prioritise("1.1")
        recording.end()
        for _ in recording.without_settled(iter(()), SourceFile):
            pass

    return send_catalogue


def _listed_in(order):
    def list_catalogue(path):
        with Catalogue(path) as catalogue:
            for found in catalogue.files(order):
                os.fsencode(found.path)

    return list_catalogue


def read_clashes(path):
    """What a catalogue knows about files with one UID."""
    with Catalogue(path) as catalogue:
        assert all(isinstance(each, bool) for each in catalogue.sources.values())
        assert not (catalogue.is_complete and catalogue.has_members and catalogue.conflicts < 0)
        for found in (*catalogue.files(), *catalogue.copies()):
            if found.clash is not None:
                catalogue.state_at_peer(found.clash)
                catalogue.other_than(found.clash)


def choose(path):
    """Some studies, some instances, and series by a key."""
    with Catalogue(path) as catalogue:
        for only, uids in ((catalogue.only_studies, ("1.1", "9")), (catalogue.only_instances, ("1.2.1", "9"))):
            assert "9" in only(uids)
            for _ in catalogue.files(Order.LIST):
                pass
        for key in ("P", "1.1"):
            for series in catalogue.series_of(key):
                for _ in catalogue.of_series(series):
                    pass


READING = (
    look_up, read, sum_up, sum_up_catalogue, list_studies, read_clashes, choose, *map(_sent_in, Order),
    *map(_listed_in, Order),
)  # fmt: skip


def _report(write):
    def report(path):
        with Reader(path) as reader, redirect_stdout(StringIO()), diagnosed([reader]):
            write(reader)

    return report


REPORTS = (
    _report(lambda reader: plain.lines(gather([reader]), 100)),
    _report(lambda reader: machine.line(gather([reader]))),
    _report(lambda reader: page(gather([reader]), [reader])),
    *(
        _report(lambda reader, kind=kind, form=form: lists.studies([reader], kind, form))
        for kind in Completeness
        for form in ("text", "csv", "json")
    ),
    *(
        _report(lambda reader, name=name, form=form: lists.files([reader], lists.wanted_by(name), form))
        for name in (*(state.name.lower() for state in State), "repaired")
        for form in ("text", "csv", "json")
    ),
)
