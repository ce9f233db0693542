"""What every test of a run asks in the end, whatever the run was about.

1. Every file that was found has exactly one outcome, and nothing is called stored that the receiver lacks or has
   otherwise: :func:`assert_true`.
2. Nothing is left behind: no socket, thread, process or task: :func:`nothing_left_behind`.
3. All of it holds in asyncio's own event loop and in uvloop: :func:`in_both_loops`.

:func:`nothing_left_by_the_test` is asked after every test, whatever it is about.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import os
import threading
import time
import warnings
from collections import Counter
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pydicom import dcmread

from asyncstore import AsyncstoreError, Patience, Result, RetryOptions, Sender
from support import forked
from support.trees import read_part10

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping

    from asyncstore import Outcome, Run, WalkOptions

_LOOPS = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):  # there is none for Windows
    import uvloop

    _LOOPS["uvloop"] = uvloop.new_event_loop

GUARD = 100
"""Seconds after which a test hangs, on the busiest machine."""
_SETTLING_SECONDS = 30
"""How long what is ending may take to have ended."""

DELIVERED = (Result.STORED, Result.WARNING)


class Ran(NamedTuple):
    """What came of a run."""

    outcomes: list[Outcome]
    failure: AsyncstoreError | None
    """What the run raised after its last outcome."""

    @property
    def results(self) -> Counter[Result]:
        """How many files ended how."""
        return Counter(outcome.result for outcome in self.outcomes)

    @property
    def errors(self) -> set[str | None]:
        """What was said of the files."""
        return {outcome.error for outcome in self.outcomes}

    def of(self, path: str | os.PathLike[str]) -> Outcome:
        """Return the one outcome of a file."""
        [found] = [outcome for outcome in self.outcomes if outcome.path == os.fspath(path)]
        return found


async def finish(run: Run) -> Ran:
    """Take the outcomes of a run to its end."""
    outcomes: list[Outcome] = []
    try:
        async for outcome in run:
            outcomes.append(outcome)  # noqa: PERF401 - a comprehension would lose them when the run raises
    except AsyncstoreError as failure:
        return Ran(outcomes, failure)
    return Ran(outcomes, None)


async def send(
    port: int,
    paths: Iterable[str | os.PathLike[str]],
    walk: WalkOptions | None = None,
    *,
    peer: str = "127.0.0.1",
    **options: object,
) -> Ran:
    """Send to a port of loopback with a sender of its own; the options are the sender's.

    Unless they say otherwise, nothing is tried again: the outcomes show what each fault leads to at once.
    """
    options = {"retry": RetryOptions(0), "patience": Patience(0, 0)} | options
    async with asyncio.timeout(GUARD), Sender(peer, port, **options) as sender:
        return await finish(sender.send(paths, walk))


async def until(is_true: Callable[[], object], every: float = 0.005) -> None:
    """Wait until something has come about; a test that waits for ever is ended by its guard.

    Args:
        is_true: whether it has.
        every: seconds after which it is looked at again; 0: in each step of the loop.
    """
    async with asyncio.timeout(GUARD):
        while not is_true():  # noqa: ASYNC110 - a peer's records and a sink's tally wake nobody
            await asyncio.sleep(every)


def assert_true(
    ran: Ran, found: Collection[str | os.PathLike[str]], received: Mapping[str, str] | Collection[str]
) -> None:
    """Every file found has exactly one outcome, and what is called stored is what the receiver has.

    Args:
        ran: the run.
        found: the files that it found.
        received: SHA-256 of the data set by SOP instance UID at the receiver, or only the UIDs.
    """
    told, expected = Counter(outcome.path for outcome in ran.outcomes), Counter(map(os.fspath, found))
    assert told == expected, f"without an outcome: {expected - told}; with one too many: {told - expected}"
    stored = [outcome for outcome in ran.outcomes if outcome.result in DELIVERED]
    lacking = {outcome.sop_instance_uid for outcome in stored} - set(received)
    assert not lacking, f"called stored, but not at the receiver: {lacking}"
    if isinstance(received, dict):
        assert_same_data_sets([outcome.path for outcome in stored], received)


def assert_same_data_sets(paths: Iterable[str], received: Mapping[str, str]) -> None:
    """The receiver has the data set of each file, byte for byte; of files with the same UID, that of one of them."""
    hashes: dict[str, set[str]] = {}
    for path in paths:
        uid, data_set = data_set_of(Path(path))
        hashes.setdefault(uid, set()).add(hashlib.sha256(data_set).hexdigest())
    changed = [uid for uid, allowed in hashes.items() if received[uid] not in allowed]
    assert not changed, f"not as they were sent: {changed}"


def data_set_of(path: Path) -> tuple[str, bytes]:
    """Return the SOP instance UID and the data set as it goes over the wire: an odd one is padded (PS3.5 A.5).

    It is the data set's own UID, which in some files is not that of the file meta information.
    """
    with path.open("rb") as file:
        has_prefix = file.read(132).endswith(b"DICM")
    uid, data_set = read_part10(path)[1::2] if has_prefix else ("", path.read_bytes())
    if not uid or uid.encode() not in data_set[:4096]:
        with warnings.catch_warnings(action="ignore"):  # of what is wrong in files that are meant to be
            uid = str(dcmread(path, force=True, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID", uid))
    return uid, data_set + b"\0" * (len(data_set) & 1)


class _Census(NamedTuple):
    """What a process has, beside its memory."""

    descriptors: frozenset[str]
    threads: frozenset[str]
    children: frozenset[str]

    @classmethod
    def take(cls) -> _Census:
        # Idle threads of anyio's and asyncio's pools belong to the event loop, which ends them.
        threads = frozenset(
            f"{thread.name} {thread.ident}"
            for thread in threading.enumerate()
            if not thread.name.startswith(("AnyIO worker", "asyncio_"))
        )
        return cls(frozenset(_descriptors()), threads, frozenset(_children()))

    def beyond(self, other: _Census) -> set[str]:
        return {item for mine, theirs in zip(self, other, strict=True) for item in mine - theirs}


def _descriptors() -> Iterator[str]:
    """Sockets, pipes and files that are open; nothing where the system does not tell."""
    for number in _listed("/proc/self/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")  # Path takes socket:[1] for a relative path
            if not target.startswith(("anon_inode:", "/proc/", "/dev/null", "/memfd:asyncstore-warnings")):
                yield f"{number} {target}"


def _children() -> Iterator[str]:
    tasks = [f"/proc/self/task/{task}" for task in _listed("/proc/self/task")]
    if forked.server:  # its children are the test's
        tasks.append(f"/proc/{forked.server.pid}/task/{forked.server.pid}")
    for task in tasks:
        with suppress(OSError), open(f"{task}/children") as children:
            yield from (f"child process {pid}" for pid in children.read().split())


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # the system has no /proc
        return []


def running_children() -> frozenset[str]:
    """The child processes of the tests that run now."""
    return frozenset(_children())


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """What the block opens and starts is closed and over soon after it, also when it raises."""
    before, tasks = _Census.take(), asyncio.all_tasks()
    try:
        yield
    finally:
        deadline = time.monotonic() + _SETTLING_SECONDS
        while (left := _left_since(before, tasks)) and time.monotonic() < deadline:  # noqa: ASYNC110 - /proc wakes nobody
            await asyncio.sleep(0.01)
    assert not left, f"left behind: {left}"


def _left_since(before: _Census, tasks: set[asyncio.Task[object]]) -> set[str]:
    return _Census.take().beyond(before) | {repr(task) for task in asyncio.all_tasks() - tasks}


def warm_up() -> None:
    """Open what stays open until the process ends: uvloop's first loop opens a pipe for signals."""
    for new_loop in _LOOPS.values():
        new_loop().close()


@contextmanager
def nothing_left_by_the_test(temporary: Path) -> Iterator[None]:
    """No socket, file, thread, process or file in the temporary folder outlives the block.

    Exempt are /dev/null, idle threads of pools that their loop has told to end, and files without a name.
    """
    before, files = _Census.take(), _names(temporary)
    yield
    deadline = time.monotonic() + _SETTLING_SECONDS
    while left := _Census.take().beyond(before) | (_names(temporary) - files):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)


def _names(folder: Path) -> set[str]:
    return {f"{folder}/{name}" for name in _listed(str(folder))}


@contextmanager
def _nothing_left_by_the_loop() -> Iterator[None]:
    warm_up()
    before = _Census.take()
    yield
    deadline = time.monotonic() + _SETTLING_SECONDS
    while (left := _Census.take().beyond(before)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"left behind: {left}"


def in_both_loops(test: Callable[..., object]) -> Callable[..., object]:
    """Run an asynchronous test in asyncio's own event loop and, where there is one, in uvloop, each new.

    It is to leave nothing behind.
    """

    @functools.wraps(test)
    def in_a_loop(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: object) -> None:
        with _nothing_left_by_the_loop(), asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test(**arguments))

    parameters = inspect.signature(test).parameters
    new_loop = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    in_a_loop.__signature__ = inspect.Signature([new_loop, *parameters.values()])
    return pytest.mark.parametrize("new_loop", _LOOPS.values(), ids=_LOOPS.keys())(in_a_loop)
