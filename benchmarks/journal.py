"""``python -m benchmarks.journal``: make a journal of many rows, resume from it, and print what both cost.

Files are not made: their sizes and times are computed, and ``os.stat`` is replaced while rows are looked up. What a
call of the real one takes is measured beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from asyncstore.cataloguing import FromCatalogue
from asyncstore.journal import lookup
from asyncstore.journal.accounts import account
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.journal import Journal
from asyncstore.journal.reading import Reader
from asyncstore.journal.settings import Migration
from asyncstore.journal.studies import Studies
from asyncstore.journal.values import Outcomes, State
from asyncstore.model import Attempt, Details, Head, Identity, Outcome, Result, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.8.498"
PEER = Migration("pacs.example", 11112, "ASYNCSTORE", "PACS")
BATCH = 200
STUDY, SERIES = 100, 50
"""Instances of a study, which has a directory of its own, and of a series."""
MOST_QUEUED = 20_000


class Status(NamedTuple):
    """What the lookup needs of os.stat_result."""

    st_size: int
    st_mtime_ns: int


def path_of(number: int) -> str:
    """The path of a file."""
    study = number // STUDY
    return f"/data/archive/{study // 10_000:04}/{study:08}/IM{number % STUDY:06}"


def status_of(number: int) -> Status:
    """Its size and time."""
    return Status(526_336 + number % 1000, 1_700_000_000_123_456_789 + number * 1_000_003)


def head_of(number: int) -> Head:
    """Its head: studies of 100 instances in two series."""
    study, series = number // STUDY, number // SERIES
    date = f"20{study % 24:02}0{study % 9 + 1}{study % 27 + 1:02}"
    return Head(f"{ROOT}.{study:020}.1", f"{ROOT}.{series:020}.2", b"PID%d" % (study // 3), date, "CT")


def outcomes(first: int, end: int, state: State) -> Iterator[Outcome]:
    """Outcomes of files: UIDs have 53 to 57 characters. As in a run, the files of a series share one head."""
    head = head_of(first)
    for number in range(first, end):
        if not number % SERIES:
            head = head_of(number)
        size, mtime = status_of(number)
        identity = Identity(CT, f"{ROOT}.{number // SERIES:010}.{number:020}", EXPLICIT)
        file, length, details = SourceFile(path_of(number), number + 1), size - 1350, Details(size, mtime, head)
        if state is State.WAITING:
            yield Outcome(file, Result.NOT_SENT, identity, None, length, is_withdrawn=True, details=details)
        else:
            attempt = Attempt(number % 8 + 1, identity.sop_instance_uid, EXPLICIT, 0.004 + number % 100 * 1e-5, 0)
            yield Outcome(file, Result.STORED, identity, attempt, length, 1, details=details)


def write(path: str, count: int, state: State) -> Journal:
    """Record so many deliveries, and print what that took."""
    journal = Journal.open(path, None if state is State.WAITING else PEER, version="benchmark")
    begun, handing_in = time.monotonic(), 0.0
    for first in range(0, count, BATCH):
        batch = Outcomes(list(outcomes(first, min(first + BATCH, count), state)), time.time(), {})
        before = time.thread_time()
        journal.record(batch)
        handing_in += time.thread_time() - before
        while journal.queued > MOST_QUEUED:
            time.sleep(0.001)
    journal.flush()
    seconds = time.monotonic() - begun
    print(f"  {count / journal.cpu_seconds:10,.0f} rows for each second of the journal's thread")
    print(f"  {count / seconds:10,.0f} rows a second, with making them up")
    print(f"  {handing_in / count * 1e6:10.3f} µs a row in the thread that hands them in")
    return journal


def size_of(path: str, count: int) -> None:
    """Print the bytes of a row."""
    print(f"  {Path(path).stat().st_size / count:10.1f} bytes a row")


def files(count: int) -> Iterator[SourceFile]:
    """The walk."""
    for number in range(count):
        yield SourceFile(path_of(number), number + 1)


def skip(path: str, count: int) -> None:
    """Look up all files, and print what that took besides making them up."""
    begun = time.thread_time()
    for _ in files(count):
        pass
    walking = time.thread_time() - begun
    numbers = iter(range(count))
    with lookup.Lookup(path) as looked_up, patch("os.stat", lambda _: status_of(next(numbers))):
        begun = time.thread_time()
        skipped = sum(earlier is not None for _, _, earlier in looked_up.tell_apart(files(count)))
        seconds = time.thread_time() - begun - walking
    if skipped != count:
        sys.exit(f"{skipped} of {count} files were skipped")
    print(f"  {count / seconds:10,.0f} files skipped for each second of the walk's thread, besides walk and stat")
    begun = time.thread_time()
    for _ in range(100_000):
        os.stat(__file__)
    print(f"  {(time.thread_time() - begun) * 10:10.2f} µs for one os.stat here")


def report(path: str) -> None:
    """Print what the sums of a report take."""
    with Reader(path) as reader:
        begun = time.monotonic()
        found = account([reader]).found
        print(f"  {time.monotonic() - begun:10.2f} s for the account of {found:,} deliveries")
        begun = time.monotonic()
        studies = Studies([reader]).completeness().total()
        print(f"  {time.monotonic() - begun:10.2f} s for the completeness of {studies:,} studies")


def catalogue(path: str, count: int) -> None:
    """The same with a catalogue: first found, then sent."""
    journal = write(path, count, State.WAITING)
    begun = time.monotonic()
    journal.complete_catalogue()
    print(f"  {time.monotonic() - begun:10.2f} s to complete it")
    journal.close()
    size_of(path, count)
    with Catalogue(path) as opened:
        begun = time.thread_time()
        ordered = sum(1 for _ in opened.files(Order.NEWEST))
        print(f"  {ordered / (time.thread_time() - begun):10,.0f} deliveries a second in the order newest")
    print("sending from it")
    write(path, count, State.STORED).close()
    size_of(path, count)
    for order in (Order.WALK, Order.NEWEST):
        skip_from_catalogue(path, count, order)


def skip_from_catalogue(path: str, count: int, order: Order) -> None:
    """Send all files once more from the catalogue, and print what skipping them took besides ``os.stat``."""
    stat = os.stat

    def computed(file: str) -> Status | os.stat_result:
        return stat(file) if file == path else status_of(int(file[-17:-9]) * STUDY + int(file[-6:]))

    begun = time.thread_time()
    for number in range(count):
        computed(path_of(number))
    computing = time.thread_time() - begun
    journal = Journal.open(path, PEER, version="benchmark")
    begun = time.thread_time()
    files = FromCatalogue(journal, Catalogue(path, tuple(State)), order=order).without_settled(iter(()))
    first = next(files)
    with patch("os.stat", computed):
        skipped = sum(isinstance(one, Outcome) for one in chain([first], files))
    seconds = time.thread_time() - begun - computing
    journal.close()
    print(f"  {skipped / seconds:10,.0f} files skipped a second in the order {order}, besides stat")


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("-n", type=int, default=10_000_000, help="rows (default: %(default)s)")
    parser.add_argument("--folder", help="where to make the journal (100 bytes a row)")
    parser.add_argument("--catalogue", action="store_true", help="measure a catalogue as well (200 bytes a row)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncstore-journal-", dir=options.folder) as folder:
        path = str(Path(folder) / "run.db")
        print(f"a journal of {options.n:,} rows")
        write(path, options.n, State.STORED).close()
        size_of(path, options.n)
        print("resuming from it")
        skip(path, options.n)
        report(path)
        print("recording all of it again")
        write(path, options.n, State.STORED).close()
        size_of(path, options.n)
        print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f} MB of memory at most")
        if options.catalogue:
            print("a catalogue of as many")
            catalogue(str(Path(folder) / "catalogue.db"), options.n)
            print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f} MB of memory at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
