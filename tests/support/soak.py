"""Runs to peers and over networks that fail, by seed: ``make soak``.

A schedule is one archive that is sent with ``asyncstore send`` through a relay, which does harm to its connections, to
a sink, to storescp or to an acceptor that misbehaves. If it has a journal, later runs go on with it, the last of them
undisturbed.

After each run:

1. Each file has one outcome, and the exit code agrees with the outcomes. (Without any association: none, and code 1.)
2. The receiver has what the run calls stored, and what the journal calls stored, byte for byte. The two agree.
3. No instance arrived more often than the run says that it tried it, and none that the journal had as stored before.
4. If the network and the peer recover, the run has stored all by itself.
5. No traceback was written, no process is left, and no file in the temporary folder.

After the last run of a journal the receiver has the archive and nothing else, byte for byte.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import secrets
import shutil
import signal
import sys
import tempfile
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from support import crashes
from support.oracle import until
from support.peers.choosing import at, beyond, every, first, first_of_each, refuses_duplicates
from support.peers.dcmtk import running_storescp
from support.peers.hostile import (
    Behaviour,
    HostileSCP,
    aborts,
    answers,
    closes,
    obedient,
    obeys,
    rejects,
    resets,
    running_hostile,
)
from support.peers.relay import drawn, running_relay
from support.trees import instances, read_part10

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from support.peers.relay import Fault, Relay

DEADLINE = 120
"""Seconds that a run may take on a busy machine."""
TIMEOUT = 2
"""Seconds after which the runs give up a silent peer."""
RETRIES, WAIT = 8, 30
"""Retries, and seconds to wait for the peer, that are enough where the peer and the network recover."""
_LITTLE_PATIENCE = ("--retries", 1, "--wait-for-peer", 1)
"""Where they need not, so that runs end soon."""
FEW_DESCRIPTORS = 40
"""So few that not all associations can be opened."""
PARALLEL = 6
"""Schedules at a time: most of them wait."""

_CONGESTED = (2, 3, 1)
_LOCAL_LIMIT = (2, 3, 2)
"""Transient rejections (PS3.8 table 9-21)."""
_OUT_OF_RESOURCES = 0xA700
_DELIVERED = frozenset({"stored", "warning", "skipped"})


def misbehaviours(random: Random, uids: Sequence[str]) -> dict[str, Callable[[], Behaviour]]:
    """The ways in which an acceptor misbehaves."""
    number, uid = random.randint(4, 20), random.choice(uids)
    ends = random.choice((aborts(), closes(), resets()))
    return {
        "ends at every n-th store": lambda: Behaviour(on_store=every(number, ends)),
        "ends amid every n-th store": lambda: Behaviour(amid_data=every(number, ends, obeys())),
        "stores and does not answer": lambda: Behaviour(on_store=refuses_duplicates(every(number, ends, answers()))),
        "aborts twice on one instance": lambda: Behaviour(on_store=at(uid, first(2, aborts()))),
        "is out of resources at first": lambda: Behaviour(on_store=first(number, answers(_OUT_OF_RESOURCES))),
        "refuses each instance at first": lambda: Behaviour(on_store=first_of_each(1, answers(_OUT_OF_RESOURCES))),
        "rejects at first": lambda: Behaviour(on_request=first(number % 4 + 1, rejects(*_CONGESTED))),
        "takes few associations": lambda: Behaviour(on_request=beyond(number % 3 + 1, rejects(*_LOCAL_LIMIT))),
        "ends every n-th connection": lambda: Behaviour(on_connect=every(number % 3 + 2, ends, obeys())),
    }


class Receiver(NamedTuple):
    """The peer of a schedule."""

    port: int
    held: Callable[[], Mapping[str, str]]
    """What it has: the SHA-256 of the data set by SOP instance UID."""
    came: Callable[[], Sequence[str]] | None
    """The SOP instance UIDs of all instances that arrived whole; ``None``: it does not tell."""
    is_idle: Callable[[], bool] = lambda: True
    """Whether all connections are over."""
    behave: Callable[[], object] = lambda: None
    """Stop misbehaving."""


class Schedule(NamedTuple):
    """What a schedule sends, where to, and what happens meanwhile."""

    seed: str
    peer: str
    """``sink``, ``storescp``, or how an acceptor misbehaves."""
    count: int
    data_set_bytes: int
    associations: int
    window: int
    workers: int
    has_journal: bool
    disturbed_connections: int
    """To the first ones the relay does harm; 0: to all."""
    restart: tuple[float, float] | None
    """When the port vanishes, and for how long, in seconds."""
    suspended: tuple[float, float] | None
    """When the run is stopped (SIGSTOP), and for how long, in seconds."""
    has_few_descriptors: bool
    disturbed_runs: int

    @classmethod
    def draw(cls, seed: str, *, storescp: bool) -> Schedule:
        """Draw one at random."""
        random = Random(seed)  # noqa: S311 - not a secret
        count = random.choice((8, 20, 60))
        kinds = [*misbehaviours(random, "?"), *["sink"] * 9, *["storescp"] * (3 if storescp else 0)]
        return cls(
            seed,
            random.choice(kinds),
            count,
            random.choice((2800, 2800, 20_000, 60_000)),
            random.choice((1, 2, 4, 8)),
            random.choice((1, 1, 4, 0)),
            random.choice((1, 1, 2)),
            random.random() < 0.8,
            random.choice((0, 1, 3, 8)),
            (random.uniform(0.2, 0.6), random.uniform(0, 0.5)) if random.random() < 0.25 else None,
            (random.uniform(0.1, 0.6), random.uniform(0, 1.0)) if random.random() < 0.1 else None,
            random.random() < 0.05,
            random.choice((1, 1, 2)),
        )

    @property
    def is_transient(self) -> bool:
        """Whether the run must store all by itself: the network recovers, and every peer does in the end."""
        return self.disturbed_connections > 0

    def faults(self, most_bytes: int, number: int) -> list[Fault]:
        """The faults of a connection."""
        if self.disturbed_connections and number >= self.disturbed_connections:
            return []
        return drawn(Random(f"{self.seed} connection {number}"), most_bytes)  # noqa: S311 - as above

    def words(self, port: int) -> list[str]:
        """Options of the runs."""
        times = [word for option in ("-to", "-ts", "-ta", "-td") for word in (option, str(TIMEOUT))]
        numbers = ["--associations", self.associations, "--async-ops", self.window, "--workers", self.workers]
        patience = ["--retries", RETRIES, "--wait-for-peer", WAIT] if self.is_transient else _LITTLE_PATIENCE
        return [*times, *map(str, [*numbers, *patience]), "-nh", "127.0.0.1", str(port)]


class Ended(NamedTuple):
    """A run that has ended."""

    code: int
    error: str
    outcomes: list[dict[str, object]]


class Case:
    """A schedule under way."""

    def __init__(self, schedule: Schedule, folder: Path) -> None:
        self.schedule = schedule
        self.folder = folder
        self.runs = 0
        self.twice = 0
        """Instances that arrived before."""
        self.faults = 0
        """What the relay did to connections."""
        self.files = instances(folder / "archive", schedule.count, data_set_bytes=schedule.data_set_bytes)
        read = [read_part10(path) for path in self.files]
        self.hashes = {instance.sop_instance_uid: instance.sha256 for instance in read}
        self.uid_of = {str(path): one.sop_instance_uid for path, one in zip(self.files, read, strict=True)}
        self.journal = folder / "run.db"
        self._temporary = folder / "tmp"
        self._temporary.mkdir()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[Receiver]:
        """Run the peer."""
        if self.schedule.peer == "sink":
            async with crashes.Receiver() as sink:
                arrivals = sink.arrivals
                yield Receiver(
                    sink.port,
                    lambda: {arrival.uid: arrival.sha256 for arrival in arrivals},
                    lambda: [arrival.uid for arrival in arrivals],
                    lambda: sink.tally.associations == 0,
                )
        elif self.schedule.peer == "storescp":
            # By default it names files by their instance: a process of it whose association was lost removes the file
            # that another one has stored meanwhile.
            async with running_storescp(self.folder / "received", "+uf") as scp:
                yield Receiver(scp.port, partial(self._held_by, scp.folder), None)
        else:
            ways = misbehaviours(Random(f"{self.schedule.seed} peer"), sorted(self.hashes))  # noqa: S311 - as above
            async with running_hostile(ways[self.schedule.peer]()) as scp:
                yield _of_hostile(scp, keeps_all="does not answer" in self.schedule.peer)
                assert not scp.violations, f"against the standard: {scp.violations}"

    def _held_by(self, folder: Path) -> dict[str, str]:
        """What files have: the whole data set of an instance, if one of them has it."""
        found: dict[str, str] = {}
        for path in folder.iterdir():
            with suppress(ValueError, FileNotFoundError):  # it is still being written, or it was removed
                instance = read_part10(path)
                uid = instance.sop_instance_uid
                if uid not in found or found[uid] != self.hashes.get(uid):
                    found[uid] = instance.sha256
        return found

    async def run(self, relay: Relay, *, is_disturbed: bool) -> Ended:
        """Run the command once."""
        self.runs += 1
        lines = self.folder / f"outcomes.{self.runs}"
        words = ["--json", str(lines), *self.schedule.words(relay.port), str(self.folder / "archive")]
        if self.schedule.has_journal:
            words = ["--journal", str(self.journal), "--retry-failed", "--retry-not-sent", *words]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")}
        few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, FEW_DESCRIPTORS))
        with (self.folder / f"errors.{self.runs}").open("w+b") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "asyncstore", "send", *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                env=inherited | {"TMPDIR": str(self._temporary)},
                preexec_fn=few if is_disturbed and self.schedule.has_few_descriptors else None,
            )
            harm = asyncio.create_task(self._disturb(process, relay)) if is_disturbed else None
            try:
                code = await asyncio.wait_for(process.wait(), DEADLINE)
            except TimeoutError:
                process.kill()
                raise AssertionError("the run hangs") from None
            finally:
                if harm is not None:
                    await harm
            errors.seek(0)
            error = errors.read().decode(errors="replace")
        told = lines.read_text().splitlines() if lines.exists() else []
        return Ended(code, error, [line for line in map(json.loads, told) if line["type"] == "outcome"])

    async def _disturb(self, process: asyncio.subprocess.Process, relay: Relay) -> None:
        """Do what happens at a time."""
        await asyncio.gather(self._suspend(process), self._restart(relay))

    async def _suspend(self, process: asyncio.subprocess.Process) -> None:
        if self.schedule.suspended is None:
            return
        for number, seconds in zip((signal.SIGSTOP, signal.SIGCONT), self.schedule.suspended, strict=True):
            await asyncio.sleep(seconds)
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)  # send_signal would take the exit code of one that has just ended

    async def _restart(self, relay: Relay) -> None:
        if self.schedule.restart is not None:
            await asyncio.sleep(self.schedule.restart[0])
            await relay.listening.restart(self.schedule.restart[1])

    def check(self, ended: Ended, receiver: Receiver, before: dict[str, str], came: Sequence[str]) -> None:
        """Check what a run said and did.

        Args:
            ended: the run.
            receiver: the peer.
            before: what the journal claimed before the run.
            came: what had arrived before the run.
        """
        assert "Traceback" not in ended.error, "a traceback"
        self._check_outcomes(ended)
        stored = {outcome["path"] for outcome in ended.outcomes if outcome["result"] in _DELIVERED}
        claims = (
            crashes.claims(self.journal) if self.schedule.has_journal else {path: self.uid_of[path] for path in stored}
        )
        assert stored <= claims.keys(), f"stored, and not journalled: {_some(stored - claims.keys())}"
        assert before.keys() <= claims.keys() <= stored | before.keys(), "the journal has other files than were stored"
        held = receiver.held()
        for path, uid in claims.items():
            assert uid == self.uid_of[path], f"stored with another SOP instance UID: {path}"
            assert held.get(uid) == self.hashes[uid], f"claimed, but not so at the receiver: {path}"
        if receiver.came is not None:
            self._check_arrivals(ended, before, came, receiver.came()[len(came) :])
        left = [path.name for path in self._temporary.iterdir()]
        assert not left, f"left in the temporary folder: {left}"
        processes = crashes.processes_with(b"TMPDIR=" + os.fsencode(self._temporary))
        assert not processes, f"processes are left: {processes}"

    def _check_outcomes(self, ended: Ended) -> None:
        told = Counter(outcome["path"] for outcome in ended.outcomes)
        wrong = {path for path in told.keys() | self.uid_of.keys() if told[path] != 1}
        assert not told or not wrong, f"not one outcome each: {_some(wrong)}"
        is_whole = bool(told) and all(outcome["result"] in _DELIVERED for outcome in ended.outcomes)
        codes = (0,) if is_whole else (1, 2) if told else (1,)
        assert ended.code in codes, f"exit code {ended.code}, where {codes} is true"

    def _check_arrivals(
        self, ended: Ended, before: dict[str, str], came: Sequence[str], arrived: Sequence[str]
    ) -> None:
        tried = {self.uid_of[outcome["path"]]: outcome["attempts"] or 0 for outcome in ended.outcomes}
        times = Counter(arrived)
        often = {uid: number for uid, number in times.items() if number > tried.get(uid, 0)}
        assert not often, f"arrived more often than they were tried: {_some(often)}"
        again = times.keys() & set(before.values())
        assert not again, f"sent again, though they were journalled: {_some(again)}"
        self.twice += sum(times.values()) - len(times.keys() - set(came))

    def check_end(self, ended: Ended, receiver: Receiver) -> None:
        """Check that all of the archive is there, and nothing else."""
        assert ended.code == 0, f"exit code {ended.code}, where all could be stored: {ended.error}"
        assert dict(receiver.held()) == self.hashes, "the receiver has something else than the archive"


def _some(names: Collection[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(names)}, as {', '.join(sorted(names)[:3])}"


def _of_hostile(scp: HostileSCP, *, keeps_all: bool) -> Receiver:
    def behave() -> None:
        scp.behaviours = (obedient,)

    return Receiver(
        scp.port,
        scp.stored if keeps_all else scp.held,
        lambda: [store.sop_instance_uid for store in scp.stores],
        lambda: all(task.done() for task in scp.serving),
        behave,
    )


async def run_schedule(schedule: Schedule) -> Case:
    """Run a schedule to its end.

    Raises:
        AssertionError: something was lost, sent twice, left behind or not told.
    """
    folder = Path(tempfile.mkdtemp(prefix="asyncstore-soak-"))
    case = Case(schedule, folder)
    most_bytes = schedule.count * schedule.data_set_bytes // schedule.associations
    is_calm = False

    def faults(number: int) -> list[Fault]:
        return [] if is_calm else schedule.faults(most_bytes, number)

    try:
        async with case.receiving() as receiver, running_relay(receiver.port, later=faults) as relay:
            while True:
                before = crashes.claims(case.journal) if schedule.has_journal else {}
                came = receiver.came() if receiver.came else ()
                ended = await case.run(relay, is_disturbed=not is_calm)
                case.faults = len(relay.happened)
                await relay.listening.restart(0)  # so that late bytes do not count as the next run's
                await until(receiver.is_idle)
                case.check(ended, receiver, before, came)
                if is_calm or schedule.is_transient or ended.code == 0:
                    case.check_end(ended, receiver)
                    break
                if not schedule.has_journal:
                    break
                if case.runs == schedule.disturbed_runs:
                    is_calm = True
                    receiver.behave()
    except BaseException as error:
        error.add_note(f"{schedule}, run {case.runs}; what is left of it: {folder}")
        raise
    shutil.rmtree(folder)
    return case


async def soak(
    runs: int, seed: int, say: Callable[[str], object] = print, *, storescp: bool = False, begin: int = 0
) -> None:
    """Run so many schedules.

    Args:
        runs: how many.
        seed: repeats their choices.
        say: takes a line for each of them.
        storescp: whether DCMTK's storescp is among the peers.
        begin: the number of the first one.

    Raises:
        AssertionError: a schedule did not hold.
    """
    say(f"{runs} fault schedules with seed {seed}")
    begun = monotonic()
    slots = asyncio.Semaphore(PARALLEL)
    done: list[Case] = []
    failed: list[Exception] = []

    async def run_one(number: int) -> None:
        async with slots:
            try:
                case = await run_schedule(Schedule.draw(f"{seed} {number}", storescp=storescp))
            except Exception as error:  # noqa: BLE001 - one failure does not end a campaign of hours
                failed.append(error)
                say(f"FAILED: number {number}: {error}; {' '.join(error.__notes__)}")
                return
        done.append(case)
        kept = ", ".join(f"{name} {value}" for name, value in case.schedule._asdict().items() if name != "seed")
        say(f"{len(done):4}: number {number}, {case.runs} runs, {case.faults} faults, {case.twice} sent twice; {kept}")

    await asyncio.gather(*map(run_one, range(begin, begin + runs)))
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {runs} fault schedules with seed {seed} failed", failed)
    files, times = sum(case.schedule.count for case in done), sum(case.runs for case in done)
    say(
        f"nothing was lost or claimed wrongly in {runs} fault schedules: {times} runs, {files} instances,"
        f" {sum(case.faults for case in done)} faults of connections, {sum(case.twice for case in done)} instances sent"
        f" twice; {monotonic() - begun:.0f} s"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="soak", description="Run fault schedules, and kill runs, and check the rest.")
    parser.add_argument("--runs", type=int, default=500, help="how many schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first schedule (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=500, help="how many runs to kill (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1 << 32), help="repeats the choices of a campaign"
    )
    chosen = parser.parse_args(words)
    asyncio.run(soak(chosen.runs, chosen.seed, storescp=shutil.which("storescp") is not None, begin=chosen.first))
    if chosen.kills:
        crashes.crash(chosen.kills, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
