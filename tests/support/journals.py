"""Journals with rows in them."""

import resource
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from asyncstore.errors import JournalDamaged
from asyncstore.journal.catalogue import Order
from asyncstore.journal.journal import Journal
from asyncstore.journal.reading import Reader
from asyncstore.journal.settings import Migration
from asyncstore.journal.values import NOT_READ, Outcomes, State
from asyncstore.members import path_in
from asyncstore.model import Attempt, Details, Head, Identity, Outcome, SourceFile
from asyncstore.recording import RESULT_OF

PEER = Migration("pacs", 11112, "US", "THEM")
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class Delivery(NamedTuple):
    """A row as tests say it: an outcome, and what its batch says about it.

    Without study, series and patient its head was not read.
    """

    path: str
    state: State
    occurrence: int = 0
    member: str | None = None
    size: int | None = 1000
    mtime: int | None = 7
    sop_class_uid: str | None = CT
    sop_instance_uid: str | None = "1.2.3"
    study: str | None = "1.2"
    series: str | None = "1"
    patient_id: str | None = "P"
    study_date: str | None = None
    modality: str | None = None
    transfer_syntax_uid: str | None = EXPLICIT
    sent_transfer_syntax_uid: str | None = EXPLICIT
    status: int | None = None
    attempts: int = 1
    time: float = 1.7e9
    seconds: float = 0.25
    bytes: int = 900
    association: int | None = 2
    reason: str | None = None
    repairs: int = 0
    decompressed: int | None = None

    def outcome(self, ordinal):
        """The outcome that leaves this row."""
        is_read = (self.study, self.series, self.patient_id) != (None, None, None)
        patient = (self.patient_id or "").encode("latin-1")
        head = Head(self.study or "", self.series or "", patient, self.study_date or "", self.modality or "")
        attempt = (self.association, self.sop_instance_uid, self.sent_transfer_syntax_uid, self.seconds, self.status)
        return Outcome(
            SourceFile(path_in(self.path, self.member), ordinal), RESULT_OF[self.state],
            Identity(self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid), Attempt(*attempt),
            self.bytes, self.attempts, self.reason, self.state is State.WAITING,
            None if self.size is None else Details(self.size, self.mtime, head if is_read else NOT_READ),
            repairs=self.repairs,
        )  # fmt: skip


class JournalOfRows(Journal):
    """A journal that takes rows as tests say them."""

    def write(self, deliveries):
        """Record the outcomes that leave these rows, a batch for each time."""
        number = 0
        for time, batch in groupby(deliveries, attrgetter("time")):
            rows = dict(enumerate(batch, 1))
            occurrences = {ordinal: row.occurrence for ordinal, row in rows.items()}
            decompressed = {ordinal: row.decompressed for ordinal, row in rows.items()}
            outcomes = [row.outcome(ordinal) for ordinal, row in rows.items()]
            number = self.record(Outcomes(outcomes, time, occurrences, decompressed))
        return number


def begin(path, migration=PEER, **more):
    """Begin a run."""
    return JournalOfRows.open(str(path), migration, version="1", **more)


def delivery(path, state=State.STORED, **more):
    """A delivery of a file with plausible values; those of a real file are its own."""
    return Delivery(str(path), state, **more)


def as_found(path, state=State.STORED, **more):
    """The same with the size and the time of the file."""
    status = path.stat()
    return delivery(path, state, size=status.st_size, mtime=status.st_mtime_ns, **more)


def read(path, *states):
    """All that the journal holds."""
    with Reader(str(path)) as reader:
        return list(reader.deliveries(*([states] if states else [])))


def how_ended(lookup, path):
    """How a file ended in an earlier run."""
    [(_, _, ended)] = lookup.tell_apart([SourceFile(path)])
    return ended


def in_order(catalogue, path, order=Order.WALK):
    """The deliveries of a catalogue in this order, as the journal has them."""
    rows = {(path_in(row.path, row.member), row.occurrence): row for row in read(path)}
    return [rows[file.path, file.occurrence] for file in catalogue.files(order)]


def full_check(path):
    """Read every page of a journal."""
    with Reader(str(path)) as reader:
        [[answer]] = reader.rows("PRAGMA quick_check(1)")
    if answer != "ok":
        raise JournalDamaged(str(path), answer)


def until_full(path, failures):
    """A run after its files may not grow any more. It changes this process, which ends afterwards."""
    journal = begin(path, on_failure=failures.append)
    journal.write([delivery("/data/first")])
    journal.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    for number in range(20_000):
        journal.write([delivery(f"/data/{number}", sop_instance_uid=f"1.2.{number}")])
    return journal
