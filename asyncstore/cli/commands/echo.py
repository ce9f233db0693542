"""``asyncstore echo``: C-ECHO over one association; a line for each answer and statistics at the end, as ping does."""

from __future__ import annotations

import logging
from contextlib import aclosing
from time import monotonic
from typing import TYPE_CHECKING

import anyio

from asyncstore.cli.engine import sender_of
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED, EXIT_OK
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.loop import interrupts, run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.proposal import identity_of
from asyncstore.cli.standard_output import put
from asyncstore.errors import AsyncstoreError
from asyncstore.network.addresses import address_of

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed
    from asyncstore.protocol.associate import UserIdentity
    from asyncstore.sender import Sender


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    return run_loop(_echo(parsed, identity_of(parsed)))


async def _echo(parsed: Parsed, identity: UserIdentity | None) -> int:
    """Ask until all echoes are answered, one fails, or the user interrupts."""
    answers: list[float] = []
    error: AsyncstoreError | None = None
    with logging_to(logging.StreamHandler(), parsed, "echoscu"):
        with anyio.CancelScope() as scope, interrupts(scope.cancel):
            try:
                await _ask(parsed, sender_of(parsed, identity), answers)
            except AsyncstoreError as caught:
                error = caught
        if answers:
            least, mean, most = map(_milliseconds, (min(answers), sum(answers) / len(answers), max(answers)))
            _say(parsed, f"{len(answers)} answered: least {least}, mean {mean}, most {most}")
        if error is not None:
            raise error
    is_complete = len(answers) == parsed[cmd.COUNT] or (answers and scope.cancelled_caught)
    return EXIT_OK if is_complete else EXIT_NOT_ATTEMPTED


async def _ask(parsed: Parsed, sender: Sender, answers: list[float]) -> None:
    """Ask for as many echoes as wanted (0: without end), and add the seconds that each takes to ``answers``."""
    begun = monotonic()
    async with aclosing(sender.echo()) as echoes:
        async for seconds in echoes:
            if not answers:
                peer, opened = address_of(parsed[opt.PEER], parsed[opt.PORT]), monotonic() - begun - seconds
                _say(parsed, f"{peer} accepted the association within {_milliseconds(opened)}")
            answers.append(seconds)
            _say(parsed, f"echo {len(answers)}: {_milliseconds(seconds)}")
            if len(answers) == parsed[cmd.COUNT]:
                return
            await anyio.sleep(parsed[cmd.INTERVAL])


def _say(parsed: Parsed, line: str) -> None:
    """Print a line, unless the user wants none."""
    if not parsed[opt.QUIET]:
        put(line)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
