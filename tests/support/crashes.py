"""Runs that are killed at random instants, and what is asked of their journals: ``make crash-test``.

A case is one archive that is sent with ``asyncstore send --journal FILE`` until a run ends by itself. Its runs are
killed before that, each at another instant: after some time, after some arrival, or while the run ends. A sink in this
process keeps the hash of all that arrives.

After each run:

1. No process of it is left after some seconds, nor a file in its temporary folder, and the journal's lock is free.
2. What the journal calls stored has arrived: the instance of that file, byte for byte.
3. What arrived some seconds before the end is journalled. So few instances are sent twice.
4. The run sent nothing that the journal had as stored before it.

After the last run each file is stored once in the journal, the run has sent exactly what the journal lacked, and the
sink holds what an undisturbed run would have sent it. Invented identities are those of the seed that the journal keeps.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from asyncstore import Invent, Sink
from asyncstore.errors import JournalMissing, NotAJournal
from asyncstore.journal.place import Lock
from asyncstore.journal.reading import Reader
from asyncstore.journal.values import State
from asyncstore.prepare.invention import Inventor
from benchmarks.copies import write_copies
from support.journals import full_check
from support.trees import read_part10

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

_T = TypeVar("_T")

DEADLINE = 100
"""Seconds that a run may take on a busy machine."""
COMMITTED_AFTER = 3.0
"""Seconds after which an arrival must be journalled. A commit is due after half a second, a busy machine is slower."""
ORPHANS_END_AFTER = 10.0
"""Seconds that worker processes may outlive the main process on a busy machine."""
MEMORY = Path("/dev/shm")  # noqa: S108 - journals in memory are fast, which is another timing

_TRIALS = (b"", b"blat")
"""What :func:`tempfile.gettempdir` writes to a file for a moment, to try a folder."""

INTERRUPTED = 130
"""The exit code after SIGTERM."""
_SEED = "SELECT value FROM facts WHERE name = 'kept seed of invented identities'"


_SLOW = 0.01
"""The latency of runs that take longer than :data:`COMMITTED_AFTER`."""


class Arrival(NamedTuple):
    """An instance that the sink answered."""

    uid: str
    sha256: str
    time: float


class _Hashing:
    """Takes one instance for a :class:`Receiver`."""

    def __init__(self, receiver: Receiver, uid: str) -> None:
        self._receiver = receiver
        self._uid = uid
        self._hash = hashlib.sha256()

    def write(self, data: memoryview) -> None:
        self._hash.update(data)

    def finish(self) -> int:
        self._receiver.arrived(Arrival(self._uid, self._hash.hexdigest(), monotonic()))
        return 0

    def discard(self) -> None:
        """Nothing to clean up."""


class Receiver(Sink):
    """A sink that lists what arrives.

    Attributes:
        arrivals: all instances that it answered, in order.
        on_arrival: called with the number of arrivals.
    """

    def __init__(self) -> None:
        super().__init__(port=0)
        self.arrivals: list[Arrival] = []
        self.on_arrival: Callable[[int], None] | None = None

    def store(self, request, transfer_syntax):  # noqa: ARG002 - the sink's signature
        """Begin to receive an instance."""
        return _Hashing(self, request.instance_uid_value.rstrip(b"\0 ").decode())

    def arrived(self, arrival: Arrival) -> None:
        """List an instance, before its response leaves."""
        self.arrivals.append(arrival)
        if self.on_arrival is not None:
            self.on_arrival(len(self.arrivals))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    receiver, listening, over = Receiver(), threading.Event(), asyncio.Event()

    async def listen() -> None:
        async with receiver:
            loops.append(asyncio.get_running_loop())
            listening.set()
            await over.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    listening.wait(DEADLINE)
    try:
        yield receiver
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()


class Scenario(NamedTuple):
    """What a case sends, and how."""

    count: int
    data_set_bytes: int
    per_series: int
    associations: int
    window: int
    latency: float
    """Seconds that the sink waits before each response."""
    workers: int
    converts: bool
    """Whether data sets are re-encoded (``-xi``)."""
    invents: bool
    """Whether identities are invented (``+II``)."""
    is_in_memory: bool
    """Whether the journal lies in memory."""

    @classmethod
    def draw(cls, random: Random) -> Scenario:
        """Draw one at random."""
        is_ct = random.random() < 0.2
        is_slow = random.random() < 0.06  # it takes longer than COMMITTED_AFTER
        return cls(
            random.randrange(20, 80) if is_ct else 500 if is_slow else random.choice((60, 400, 1200, 2500)),
            526_336 if is_ct else random.choice((2800, 20_000)),
            random.choice((7, 40, 150)),
            1 if is_slow else random.choice((1, 2, 4, 8)),
            1 if is_slow else random.choice((1, 1, 4, 0)),
            _SLOW if is_slow else random.choice((0.0, 0.0, 0.0, 0.001)),
            random.choice((1, 2)),
            random.random() < 0.3,
            random.random() < 0.3,
            random.random() < 0.5,
        )


class Ended(NamedTuple):
    """A run that has ended."""

    code: int
    error: str
    time: float
    suspended: float
    """For so many seconds."""


class Case:
    """One archive on its way through the runs of a journal."""

    def __init__(self, scenario: Scenario, receiver: Receiver, folder: Path, random: Random) -> None:
        self.scenario = scenario
        self.folder = folder
        self.receiver = receiver
        self.killed = 0
        self.twice = 0
        """Arrivals of instances that had arrived before."""
        self._random = random
        self._archive = folder / "archive"
        write_copies(
            self._archive,
            count=scenario.count,
            data_set_bytes=scenario.data_set_bytes,
            per_series=scenario.per_series,
            seed=random.randrange(1 << 30),
        )
        self.files = sorted(str(path) for path in self._archive.rglob("*") if path.is_file())
        """In the order of the walk."""
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self._place = Path(tempfile.mkdtemp(dir=MEMORY)) if scenario.is_in_memory and MEMORY.is_dir() else folder
        self.journal = self._place / "run.db"
        receiver.latency = scenario.latency
        receiver.arrivals.clear()
        instances = [read_part10(Path(path)) for path in self.files]
        self._uids = [instance.sop_instance_uid for instance in instances]
        self._hashes = {instance.sop_instance_uid: instance.sha256 for instance in instances}
        if scenario.converts or scenario.invents:
            self._hashes = {} if scenario.invents else self._undisturbed()
        """The hash of what each instance is sent as; none where identities are invented."""

    def close(self) -> None:
        """Remove all files of the case."""
        shutil.rmtree(self.folder)
        if self._place != self.folder:
            shutil.rmtree(self._place)

    def _undisturbed(self) -> dict[str, str]:
        """What a run without a journal sends."""
        run = Running(self, ["send", *self._words()])
        assert run.end().code == 0, run.error()
        hashes = {arrival.uid: arrival.sha256 for arrival in self.receiver.arrivals}
        self.receiver.arrivals.clear()
        return hashes

    def _words(self) -> list[str]:
        scenario = self.scenario
        words = ["--associations", scenario.associations, "--async-ops", scenario.window, "--workers", scenario.workers]
        words += ["-xi"] * scenario.converts + ["+II"] * scenario.invents
        return [*map(str, words), "127.0.0.1", str(self.receiver.port), str(self._archive)]

    def begin(self) -> Running:
        """Begin a run: the same command again, or ``resume`` if the journal has a command."""
        can_resume = self._read(lambda reader: reader.command, None) is not None
        if can_resume and self._random.random() < _RESUMES:
            return Running(self, ["resume", str(self.journal)])
        return Running(self, ["send", "--journal", str(self.journal), *self._words()])

    @property
    def environment(self) -> dict[str, str]:
        """That of the runs."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")}
        return inherited | {"TMPDIR": str(self._temporary)}

    def uid_of(self) -> dict[str, str]:
        """The SOP instance UID that each file is sent with; none if the journal has no seed yet."""
        if not self.scenario.invents:
            return dict(zip(self.files, self._uids, strict=True))
        seeds = self._read(lambda reader: reader.rows(_SEED), [])
        if not seeds:
            return {}
        inventor = Inventor(Invent(), seeds[0][0])
        return {path: inventor.identity(place, path).sop_instance_uid for place, path in enumerate(self.files, 1)}

    def claims(self) -> dict[str, str]:
        """The SOP instance UID of each file that the journal calls stored."""
        return claims(self.journal, {State.STORED, State.WAITING, State.UNKNOWN})

    def _read(self, question: Callable[[Reader], _T], otherwise: _T) -> _T:
        return _read(self.journal, question, otherwise)

    def check(self, before: dict[str, str], first: int, ended: Ended) -> None:
        """Check what a run left behind.

        Args:
            before: what the journal claimed before the run.
            first: how many instances had arrived before the run.
            ended: the run.
        """
        Lock(str(self.journal)).release()
        left = [path.name for path in self._temporary.iterdir() if path.read_bytes() not in _TRIALS]
        assert not left, f"left in the temporary folder: {left}"
        claims = self.claims()
        lost = before.keys() - claims.keys()
        assert not lost, f"no longer in the journal: {_some(lost)}"
        uids = self.uid_of()
        wrong = {path for path, uid in claims.items() if uids[path] != uid}
        assert not wrong, f"journalled with another SOP instance UID: {_some(wrong)}"
        arrivals = self.receiver.arrivals
        received = {arrival.uid: arrival.sha256 for arrival in arrivals}
        lacking = set(claims.values()) - received.keys()
        assert not lacking, f"claimed, but not at the receiver: {_some(lacking)}"
        for arrival in arrivals:
            expected = self._hashes.get(arrival.uid) or received[arrival.uid]
            assert arrival.sha256 == expected, f"not as it was sent: {arrival.uid}"
        if not arrivals[first:]:
            return
        sent = Counter(arrival.uid for arrival in arrivals[first:])
        assert sent.keys() <= set(uids.values())
        assert max(sent.values()) == 1, f"sent twice in one run: {_some({uid for uid in sent if sent[uid] > 1})}"
        again = sent.keys() & set(before.values())
        assert not again, f"sent again, though they were journalled: {_some(again)}"
        self.twice += len(sent.keys() & {arrival.uid for arrival in arrivals[:first]})
        is_killed = ended.code == -signal.SIGKILL
        limit = ended.time - (COMMITTED_AFTER + ended.suspended if is_killed else 0)
        late = {arrival.uid for arrival in arrivals[first:] if arrival.time < limit} - set(claims.values())
        assert not late, f"arrived long ago, and not journalled: {_some(late)}"

    def check_end(self, before: dict[str, str], first: int) -> None:
        """Check what the last run left behind: everything is stored, and it sent what the journal lacked."""
        claims = self.claims()
        assert claims.keys() == set(self.files), f"not stored: {_some(set(self.files) - claims.keys())}"
        lacked = {uid for path, uid in claims.items() if path not in before}
        assert {arrival.uid for arrival in self.receiver.arrivals[first:]} == lacked
        assert {arrival.uid for arrival in self.receiver.arrivals} == set(self.uid_of().values())
        full_check(self.journal)
        self.check_closed("completed")

    def check_closed(self, how: str) -> None:
        """The journal is one file, and says how the last run ended."""
        beside = {path.name for path in self.journal.parent.iterdir() if path.name.startswith("run.db")}
        assert beside == {"run.db"}, f"beside the journal: {beside}"
        with Reader(str(self.journal)) as reader:
            [[ending, *counts]] = reader.rows(
                "SELECT ending, stored, (SELECT count(*) FROM deliveries WHERE run = runs.id AND ending % 8 = 1)"
                " FROM runs ORDER BY id DESC LIMIT 1"
            )
        assert ending == how, f"the run ended {ending!r}, not {how!r}"
        assert counts[0] == counts[1], f"stored by the run: {counts[0]}, rows of the run: {counts[1]}"


def claims(journal: Path, states: Collection[State] = State) -> dict[str, str]:
    """The SOP instance UID of each file that a journal calls stored; it knows no other states than these."""
    found = _read(journal, lambda reader: list(reader.deliveries()), [])
    rows = [(row.path, row.sop_instance_uid, row.state) for row in found]
    assert len({path for path, *_ in rows}) == len(rows)
    assert {state for *_, state in rows} <= set(states)
    return {path: uid for path, uid, state in rows if state is State.STORED}


def _read(journal: Path, question: Callable[[Reader], _T], otherwise: _T) -> _T:
    """Ask a journal; ``otherwise`` if there is none yet."""
    try:
        with Reader(str(journal)) as reader:
            return question(reader)
    except (JournalMissing, NotAJournal):  # a run may be killed before the first commit
        return otherwise


def _some(names: set[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(names)}, as {', '.join(sorted(names)[:3])}"


class Running:
    """One run, as a process with its worker processes."""

    def __init__(self, case: Case, words: Sequence[str]) -> None:
        self._case = case
        self._errors = case.folder / "errors"
        self._suspended = 0.0
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "asyncstore", *words],
                env=case.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill_worker(self, random: Random) -> None:
        """Kill one of the worker processes."""
        workers = [pid for pid in self._processes() if pid != self.process.pid]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)

    def suspend(self, seconds: float) -> None:
        """Stop it, and continue it later."""
        self.signal(signal.SIGSTOP)
        sleep(seconds)
        self._suspended += seconds
        self.signal(signal.SIGCONT)

    def kill_all(self) -> None:
        """Kill it and the worker processes at once."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes(self) -> list[int]:
        """It and the worker processes: no others have the temporary folder of the case."""
        return processes_with(b"TMPDIR=" + os.fsencode(self._case.environment["TMPDIR"]))

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def error(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text(errors="replace")

    def end(self) -> Ended:
        """Wait until it and all its processes have ended."""
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill_all()
            self.process.wait()
            raise AssertionError(f"the run hangs: {self.error()}") from None
        time = monotonic()
        while left := self._processes():
            assert monotonic() - time < ORPHANS_END_AFTER, f"processes outlive the run: {left}"
            sleep(0.01)
        while self._case.receiver.tally.associations:  # bytes of a killed run still arrive, and are not the next one's
            assert monotonic() - time < DEADLINE, "the receiver still has associations"
            sleep(0.01)
        error = self.error()
        assert "Traceback" not in error, error
        return Ended(code, error, time, self._suspended)


def processes_with(mark: bytes) -> list[int]:
    """The processes with these bytes in their environment; processes that have ended have none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


class Instant:
    """An instant in the life of a run: so many seconds after its begin, or at one of its arrivals."""

    def __init__(self, receiver: Receiver, random: Random, lacking: int) -> None:
        self._receiver = receiver
        self._seconds = random.uniform(0, random.choice((0.25, 1.0)))
        self._arrival = 0
        if lacking and random.random() < _AT_ARRIVALS:
            self._arrival = lacking if random.random() < _AT_THE_LAST else random.randint(1, lacking)
        self._after = random.choice((0.0, random.uniform(0, 0.1)))
        self._first = len(receiver.arrivals)

    def wait(self, run: Running, action: Callable[[], object]) -> None:
        """Wait for it, and act: between an arrival and its response, or soon after it."""
        if not self._arrival:
            sleep(self._seconds)
            action()
            return
        happened = threading.Event()

        def arrived(number: int) -> None:
            if number - self._first >= self._arrival and not happened.is_set():
                happened.set()
                if not self._after:
                    action()

        self._receiver.on_arrival = arrived
        while not happened.wait(0.01) and not run.is_over():
            pass
        self._receiver.on_arrival = None
        if self._after:
            sleep(self._after)
            action()


_RESUMES = 0.3
_AT_ARRIVALS = 0.6
_AT_THE_LAST = 0.2
_KILLS_BOTH = 0.7
_FATES = {"kill": 10, "kill at once": 3, "suspend": 2, "kill all": 2, "kill a worker": 2, "terminate": 3, "nothing": 1}
"""What happens to a run, and how often."""


def _meet(fate: str, run: Running, case: Case, random: Random, lacking: int) -> None:
    """Do to a run what was drawn for it."""
    instant = Instant(case.receiver, random, lacking)
    if fate == "kill":
        instant.wait(run, lambda: run.signal(signal.SIGKILL))
    elif fate == "kill at once":  # soon after the last one, or within the start
        sleep(random.uniform(0, 0.15))
        run.signal(signal.SIGKILL)
    elif fate == "kill all":
        instant.wait(run, run.kill_all)
    elif fate == "suspend":
        instant.wait(run, lambda: run.signal(signal.SIGSTOP))
        run.suspend(random.uniform(0.05, 0.7))
        sleep(random.uniform(0, 0.2))
        run.signal(signal.SIGKILL)
    elif fate == "kill a worker":
        instant.wait(run, lambda: run.kill_worker(random))
        if random.random() < _KILLS_BOTH:
            Instant(case.receiver, random, 0).wait(run, lambda: run.signal(signal.SIGKILL))
    elif fate == "terminate":
        instant.wait(run, lambda: run.signal(signal.SIGTERM))


def run_once(case: Case, random: Random, fate: str) -> bool:
    """One run of a case. Returns whether all of the archive is stored."""
    before, first = case.claims(), len(case.receiver.arrivals)
    run = case.begin()
    _meet(fate, run, case, random, len(case.files) - len(before))
    ended = run.end()
    case.check(before, first, ended)
    if ended.code == 0:
        case.check_end(before, first)
        return True
    if ended.code == -signal.SIGKILL:
        case.killed += 1
    elif ended.code == INTERRUPTED:
        case.check_closed("interrupted")
    else:  # a signal that comes before the program takes signals ends it
        assert ended.code == -signal.SIGTERM, f"exit code {ended.code}: {ended.error}"
    return False


def run_case(seed: int, number: int, receiver: Receiver, most_kills: int, most_files: int | None) -> Case:
    """Send one archive through runs that are killed, to its end."""
    random = Random(f"{seed} {number}")  # noqa: S311 - not a secret
    scenario = Scenario.draw(random)
    if most_files is not None and scenario.latency < _SLOW:
        scenario = scenario._replace(count=min(scenario.count, most_files))
    folder = Path(tempfile.mkdtemp(prefix="asyncstore-crashes-"))
    case = Case(scenario, receiver, folder, random)
    wanted = min(most_kills, random.randint(2, 12))
    done: list[str] = []
    try:
        is_stored = False
        while not is_stored:
            [fate] = random.choices(list(_FATES), list(_FATES.values())) if case.killed < wanted else ["nothing"]
            done.append(fate)
            is_stored = run_once(case, random, fate)
    except BaseException as error:
        error.add_note(f"case {number} of seed {seed}: {scenario}")
        error.add_note(f"its runs: {', '.join(done)}; what is left of it: {folder}, {case.journal}")
        raise
    case.close()
    return case


def crash(kills: int, seed: int, say: Callable[[str], object] = print, *, most_files: int | None = None) -> None:
    """Kill so many runs. Archives have at most so many files, unless their runs are to be slow.

    Raises:
        AssertionError: something was lost, sent twice or left behind.
    """
    say(f"{kills} kills with --seed {seed}")
    killed = number = 0
    begun = monotonic()
    with receiving() as receiver:
        while killed < kills:
            case = run_case(seed, number, receiver, kills - killed, most_files)
            killed += case.killed
            number += 1
            kept = ", ".join(f"{name} {value}" for name, value in case.scenario._asdict().items())
            say(f"{killed:4} kills: {len(case.files)} stored, {case.twice} sent twice; {kept}")
    say(f"nothing was lost in {killed} kills of {number} migrations; {monotonic() - begun:.0f} s")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="crashes", description="Kill runs at random instants and check their journals."
    )
    parser.add_argument("--kills", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="repeats the choices of a run")
    chosen = parser.parse_args(words)
    crash(chosen.kills, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
