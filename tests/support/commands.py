"""asyncstore's commands as processes of their own, as their users have them.

They run in forks of a process that has imported asyncstore, which saves 0.1 s each. A test of the start of a process
asks for a new interpreter.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support import forked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Word = "str | bytes | os.PathLike[str]"
DEADLINE = 100
"""Seconds any of these commands may take on a busy machine."""
needs_a_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a device that is always full is Linux's"
)


class Finished(NamedTuple):
    """A command that ran to its end."""

    returncode: int
    out: str
    err: str


async def started(
    *words: Word,
    environment: Mapping[str, str] | None = None,
    anew: bool = False,
    start_new_session: bool = False,
    **streams: int,
) -> asyncio.subprocess.Process | forked.Forked:
    """Start a command; the variables that its options read are not inherited.

    Args:
        words: the command and its words.
        environment: variables besides the test's own.
        anew: in a new interpreter, not in a fork.
        start_new_session: whether it leads a session of its own.
        streams: standard streams that are not pipes.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSTORE_")}
    variables = inherited | dict(environment or {})
    chosen = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE) | streams
    if forked.server and forked.server.fits(variables) and not anew:
        return await forked.server.start(
            [os.fsdecode(word) for word in words], variables, chosen, session=start_new_session
        )
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "asyncstore", *words, env=variables, start_new_session=start_new_session, **chosen
    )


async def finished(process: asyncio.subprocess.Process | forked.Forked, stdin: bytes = b"") -> Finished:
    """Wait for the end of a command; it is killed when it takes too long."""
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), DEADLINE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode, (out or b"").decode(), (err or b"").decode())


async def asyncstore(
    *words: Word, stdin: bytes = b"", environment: Mapping[str, str] | None = None, anew: bool = False
) -> Finished:
    """Run a command to its end."""
    return await finished(await started(*words, environment=environment, anew=anew), stdin)


@dataclass
class RunningSink:
    """An ``asyncstore sink`` that listens."""

    port: int
    process: asyncio.subprocess.Process | forked.Forked

    async def end(self) -> Finished:
        """End it as a service manager does, and see what it printed after its first line."""
        self.process.terminate()
        return await finished(self.process)


@asynccontextmanager
async def running_sink(*options: str | Path) -> AsyncIterator[RunningSink]:
    """Run ``asyncstore sink`` on a free port."""
    process = await started("sink", "--port", "0", *options)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE)
        listening = re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+) as .+\n", line)
        assert listening, line
        yield RunningSink(int(listening[1]), process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
