"""The real storescu and ``asyncstore send``: the same words to both, each to its end, and what came of it.

asyncstore runs in this process, which takes a third of the time: its command line is called as its entry point calls
it. The acceptor is in a thread of its own, so that nothing of the one gets in the way of the other.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from anyio.from_thread import start_blocking_portal

from asyncstore.cli.main import main
from differential.conversation import Association
from peers.dcmtk import WITHOUT_NAGLE
from peers.hostile import Behaviour, HostileSCP, obedient, running_hostile
from peers.programs import find_program

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    from differential.conversation import Proposal, Stored

_PATIENCE = 60
"""Seconds that a program may take on a busy machine."""


class Said(NamedTuple):
    """How a program ended."""

    code: int
    output: str

    @property
    def succeeded(self) -> bool:
        """Whether it says that all went well."""
        return self.code == 0


Program = "Callable[..., Said]"


def storescu(*words: str, port: int) -> Said:
    """Run the real storescu; the words are given without peer and port."""
    command = [find_program("storescu", "dcmtk"), *_addressed(words, port)]
    done = subprocess.run(
        command, env={**os.environ, **WITHOUT_NAGLE}, capture_output=True, timeout=_PATIENCE, check=False
    )
    return Said(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def asyncstore(*words: str, port: int) -> Said:
    """Run ``asyncstore send``; over one association, unless the words say otherwise."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = main(["send", "--associations", "1", "--workers", "1", *_addressed(words, port)])
    return Said(code, output.getvalue())


def _addressed(words: Sequence[str], port: int) -> list[str]:
    """Put the peer before the inputs, which come after the word ``--``."""
    end = words.index("--")
    return [*words[:end], "127.0.0.1", str(port), *words[end + 1 :]]


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
        """What it stored, in its order."""
        return [stored for association in self.associations for stored in association.stored]

    @property
    def ends(self) -> list[str]:
        """How it ended its associations."""
        return [association.end for association in self.associations]


class Recorder:
    """Runs programs, one after the other, against acceptors in a thread of its own."""

    def __init__(self, portal) -> None:
        self._portal = portal

    def run(self, program: Program, *words: str, behaviour: Behaviour = obedient) -> Ran:
        """Run one program against an acceptor of its own."""
        running = running_hostile(replace(behaviour, keeps_data_sets=True))
        with self._portal.wrap_async_context_manager(running) as scp:
            said = program(*words, port=scp.port)
            self._portal.call(_settle, scp)
            return Ran(said, tuple(map(Association.of, scp.associations)))

    def both(self, *words: str, behaviour: Behaviour = obedient) -> tuple[Ran, Ran]:
        """Run storescu and asyncstore."""
        return tuple(self.run(program, *words, behaviour=behaviour) for program in (storescu, asyncstore))


async def _settle(scp: HostileSCP) -> None:
    """Wait until the acceptor has taken in all that the program sent before it ended."""
    if scp.serving:
        await asyncio.wait(scp.serving, timeout=_PATIENCE)


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Provide a recorder."""
    with start_blocking_portal() as portal:
        yield Recorder(portal)
