"""The real storescu and ``asyncstore send``: the same words to both, each to its end, and what came of it.

asyncstore runs in this process, which takes a third of the time: its command line is called as its entry point calls
it. The acceptor is in a thread of its own, so that nothing of the one gets in the way of the other.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from anyio.from_thread import start_blocking_portal

from asyncstore.cli.main import main
from support.differential.conversation import Association
from support.peers.dcmtk import WITHOUT_NAGLE
from support.peers.hostile import Behaviour, HostileSCP, obedient, running_hostile
from support.peers.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyio.from_thread import BlockingPortal

    from support.differential.conversation import Proposal, Stored

_PATIENCE = 60
"""Seconds that a program may take on a busy machine."""

INPUTS = "--"
"""Stands between the options and the inputs, where peer and port go."""


class Said(NamedTuple):
    """How a program ended."""

    code: int
    output: str

    @property
    def succeeded(self) -> bool:
        """Whether it says that all went well."""
        return self.code == 0


def storescu(*words: str, port: int, host: str = "127.0.0.1") -> Said:
    """Run the real storescu."""
    command = [find_program("storescu", "dcmtk"), *_addressed(words, host, port)]
    done = subprocess.run(
        command,
        env={**os.environ, **WITHOUT_NAGLE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    return Said(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def asyncstore(*words: str, port: int, host: str = "127.0.0.1", associations: int = 1) -> Said:
    """Run ``asyncstore send`` in the order of its words, without retries and transcoding, which storescu has not."""
    ours = ["--associations", str(associations), "--workers", "1", "--retries", "0", "--affinity", "none"]
    ours += ["--transcode", "never"]
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = main(["send", *ours, *_addressed(words, host, port)])
    return Said(code, output.getvalue())


def transcoding(*words: str, port: int) -> Said:
    """Run ``asyncstore send`` with transcoding."""
    return asyncstore("--transcode", "lossless", *words, port=port)


def over_four_associations(*words: str, port: int) -> Said:
    """Run ``asyncstore send``."""
    return asyncstore(*words, port=port, associations=4)


def _addressed(words: Sequence[str], host: str, port: int) -> list[str]:
    """Put the peer in its place."""
    at = words.index(INPUTS)
    return [*words[:at], host, str(port), *words[at + 1 :]]


class Ran(NamedTuple):
    """What came of running one program."""

    said: Said
    associations: tuple[Association, ...]

    @property
    def succeeded(self) -> bool:
        """Whether it says that all went well."""
        return self.said.succeeded

    @property
    def proposals(self) -> list[Proposal | None]:
        """What it proposed."""
        return [association.proposal for association in self.associations]

    @property
    def stored(self) -> list[Stored]:
        """What it sent, in its order."""
        return [stored for association in self.associations for stored in association.stored]

    @property
    def accepted(self) -> int:
        """How much of that was answered with success or a warning."""
        return sum(association.accepted for association in self.associations)

    @property
    def ends(self) -> list[str]:
        """How it ended its associations."""
        return [association.end for association in self.associations]


class Recorder:
    """Runs programs, each against an acceptor of its own in a thread of its own."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal

    def run(self, program: Callable[..., Said], *words: str, behaviour: Behaviour = obedient) -> Ran:
        """Run one program against an acceptor of its own."""
        running = running_hostile(replace(behaviour, keeps_data_sets=True))
        with self._portal.wrap_async_context_manager(running) as scp:
            said = program(*words, port=scp.port)
            self._portal.call(_settle, scp)
            assert scp.violations == []
            return Ran(said, tuple(map(Association.of, scp.associations)))

    def both(self, *words: str, behaviour: Behaviour = obedient) -> tuple[Ran, Ran]:
        """Run storescu and asyncstore, at the same time: asyncstore here, since signals are for the main thread."""
        with ThreadPoolExecutor(1) as executor:
            theirs = executor.submit(self.run, storescu, *words, behaviour=behaviour)
            ours = self.run(asyncstore, *words, behaviour=behaviour)
            return theirs.result(), ours


async def _settle(scp: HostileSCP) -> None:
    """Wait until the acceptor has taken in all that the program sent before it ended."""
    if scp.serving:
        await asyncio.wait(scp.serving, timeout=_PATIENCE)


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Provide a recorder."""
    with start_blocking_portal() as portal:
        yield Recorder(portal)
