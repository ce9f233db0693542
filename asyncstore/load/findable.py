"""Time to findable: how long after its success response an instance can be found with C-FIND.

Rules:

1. A process of its own searches (:mod:`asyncstore.load.finding`), so searches do not hold up the sender's loop. It ends
   with this process, even if this one is killed.
2. Some instances a second are sampled. Each is searched for at once, and again after a pause, until it is found or its
   deadline is over.
3. Both processes read :func:`time.monotonic`, which is one clock for the whole machine.
4. A peer that cannot be searched never fails a measurement: :meth:`Finder.results` has the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from asyncstore.arguments import PORTS, check, check_ae_title, check_range
from asyncstore.isolated import isolated
from asyncstore.load.child_process import end, start
from asyncstore.load.results.document import Findable
from asyncstore.load.results.histogram import Histogram
from asyncstore.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncstore.network.tls import TlsOptions
    from asyncstore.protocol.associate import UserIdentity

DEADLINE: Final = 60.0
"""Seconds after which an instance counts as not found."""

READY, PROBLEM, FOUND, MISSING, LATE, ERROR = "ready", "problem", "found", "missing", "late", "error"
"""The first word of a line from the process that searches."""

_START_SECONDS: Final = 60.0
"""How long the process may take to start and to open its association."""
_LATE_SECONDS: Final = 30.0
"""How much later than the deadline its last search may end."""
_SKIPPED: Final = "not searched for, because searches took too long"
_WAITED: Final = "searched for late, because other searches took too long"
_PENDING: Final = "not searched for to the end"


class Finder:
    """Searches for samples of the stored instances: an async context manager.

    Args:
        host: the peer's.
        port: the peer's.
        calling_ae_title: ours.
        called_ae_title: the peer's.
        per_second: how many instances a second are searched for.
        identity: user identity with its proof.
        tls: the options of TLS; ``None``: plain TCP. A password that is a function is asked for in this process.
        deadline: seconds after which an instance counts as not found.

    Attributes:
        problem: why the peer is not searched at all, or not any more; ``None``: it is searched.
        next: from when on another instance is searched for.

    Raises:
        UsageError: an argument is out of range.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        calling_ae_title: str = "ASYNCSTORE",
        called_ae_title: str = "ANY-SCP",
        per_second: float = 1.0,
        identity: UserIdentity | None = None,
        tls: TlsOptions | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        check_range("port", port, PORTS)
        check_ae_title("calling_ae_title", calling_ae_title)
        check_ae_title("called_ae_title", called_ae_title)
        check(per_second > 0, f"{per_second} searches a second are not above 0")
        self._settings: dict[str, object] = {
            "host": host,
            "port": port,
            "calling_ae_title": calling_ae_title,
            "called_ae_title": called_ae_title,
            "identity": None
            if identity is None
            else [identity.kind, identity.primary.hex(), identity.secondary.hex(), identity.wants_response],
            "deadline": deadline,
        }
        self._tls = tls
        self._deadline = deadline
        self._interval = 1 / per_second
        self.next = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._offered = 0
        self._skipped = 0
        self._seconds: list[float] = []
        self._missing = 0
        self._late = 0
        self._errors: Counter[str] = Counter()
        self.problem: str | None = None
        self._is_closed = False
        self._news = asyncio.Event()
        """Set when the process has said something."""

    async def __aenter__(self) -> Self:
        """Start the process, and wait until it has opened its association or has failed."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._news.set)

        self._start(tell)
        try:
            async with asyncio.timeout(_START_SECONDS):
                if self.problem is None:
                    await self._news.wait()
        except TimeoutError:
            self.problem = f"the search did not begin within {_START_SECONDS:.0f} seconds"
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process. Instances that were not found yet stay pending."""
        await self._close()

    def offer(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str, at: float) -> None:
        """An instance was stored: search for it, if it is the turn of a sample.

        Args:
            study_instance_uid: its study.
            series_instance_uid: its series.
            sop_instance_uid: the instance.
            at: when its success response came (:func:`time.monotonic`).
        """
        if at < self.next or self.problem is not None:
            return
        self.next = at + self._interval
        pipe = None if self._process is None else self._process.stdin
        if pipe is None:
            return
        line = json.dumps([study_instance_uid, series_instance_uid, sop_instance_uid, at]) + "\n"
        try:
            os.write(pipe.fileno(), line.encode())  # shorter than PIPE_BUF, so all of it or nothing
        except (OSError, ValueError):  # it is full or closed
            self._skipped += 1
        else:
            self._offered += 1

    async def finish(self) -> None:
        """Wait until every instance was found or its deadline is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline + _LATE_SECONDS):
                while self.problem is None and self.pending:
                    self._news.clear()
                    await self._news.wait()

    @property
    def pending(self) -> int:
        """Instances that are still searched for."""
        return self._offered - len(self._seconds) - self._missing

    def results(self) -> Findable:
        """What was found so far, also after the end. The errors name everything that limits it."""
        errors = Counter(self._errors)
        limits = {_SKIPPED: self._skipped, _WAITED: self._late, _PENDING: self.pending}
        errors.update({reason: count for reason, count in limits.items() if count})
        if self.problem is not None:
            errors[self.problem] += 1
        seconds = tuple(self._seconds)
        return Findable(
            asked=self._offered,
            found=len(seconds),
            not_found=self._missing,
            latency=Histogram.of(seconds),
            errors=dict(errors),
        )

    def _start(self, tell: Callable[[], None]) -> None:
        """Start the process, and the thread that reads what it says."""
        try:
            self._process = process = start(isolated("asyncstore.load.finding"), subprocess.DEVNULL)
            if process.stdin is not None:
                process.stdin.write(json.dumps([self._settings, _plain(self._tls)]).encode() + b"\n")
                process.stdin.flush()
                with suppress(OSError):  # a system without pipes that do not block
                    os.set_blocking(process.stdin.fileno(), False)
        except OSError as error:
            self.problem = f"the process that searches cannot be started: {error.strerror}"
            return
        self._reader = threading.Thread(target=self._read, args=(process, tell), name="asyncstore-finder", daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes], tell: Callable[[], None]) -> None:
        """Take what the process says, until it ends."""
        if process.stdout is not None:
            for line in process.stdout:
                self._take(*json.loads(line))
                tell()
        if not self._is_closed and self.problem is None:
            self.problem = "the process that searches has ended"
        tell()

    def _take(self, word: str, value: str | float | None = None) -> None:
        if word == FOUND and isinstance(value, float):
            self._seconds.append(value)
        elif word == MISSING:
            self._missing += 1
        elif word == LATE:
            self._late += 1
        elif word == ERROR:
            self._errors[str(value)] += 1
        elif word == PROBLEM:
            self.problem = str(value)

    async def _close(self) -> None:
        """End the process: it ends with its standard input."""
        self._is_closed = True
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        await finished(asyncio.to_thread(self._end, process))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        end(process)
        if self._reader is not None:
            self._reader.join()
        if process.stdout is not None:
            process.stdout.close()


def _plain(tls: TlsOptions | None) -> dict[str, object] | None:
    """Options of TLS for the other process; it reads no seed, and writes none."""
    if tls is None:
        return None
    password = tls.password() if callable(tls.password) else tls.password
    return tls._replace(password=password, seed=None, new_seed=None)._asdict()
