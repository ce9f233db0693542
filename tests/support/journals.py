"""Journals with rows in them."""

import resource

from asyncstore.errors import JournalDamaged
from asyncstore.journal.catalogue import Order
from asyncstore.journal.journal import Journal
from asyncstore.journal.reading import Reader
from asyncstore.journal.settings import Migration
from asyncstore.journal.values import Delivery, State
from asyncstore.members import path_in
from asyncstore.model import SourceFile

PEER = Migration("pacs", 11112, "US", "THEM")
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def begin(path, migration=PEER, **more):
    """Begin a run."""
    return Journal.open(str(path), migration, version="1", **more)


def delivery(path, state=State.STORED, **more):
    """A delivery of a file with plausible values; those of a real file are its own."""
    path = str(path)
    values = {"size": 1000, "mtime": 7, "sop_class_uid": CT, "sop_instance_uid": "1.2.3", "study": "1.2", "series": "1"}
    values |= {"patient_id": "P", "transfer_syntax_uid": EXPLICIT, "sent_transfer_syntax_uid": EXPLICIT}
    values |= {"attempts": 1, "time": 1.7e9, "seconds": 0.25, "bytes": 900, "association": 2, **more}
    return Delivery(path, state, **values)


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
    journal.record([delivery("/data/first")])
    journal.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    for number in range(20_000):
        journal.record([delivery(f"/data/{number}", sop_instance_uid=f"1.2.{number}")])
    return journal
