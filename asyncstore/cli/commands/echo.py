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
    count, answers = parsed[cmd.COUNT], _Answers(quiet=parsed[opt.QUIET])
    error: AsyncstoreError | None = None
    with logging_to(logging.StreamHandler(), parsed, "echoscu"):
        with anyio.CancelScope() as scope, interrupts(scope.cancel):
            try:
                await _ask(parsed, sender_of(parsed, identity), count, answers)
            except AsyncstoreError as caught:
                error = caught
        answers.say_statistics()
        if error is not None:
            raise error
    is_complete = len(answers.seconds) == count or (answers.seconds and scope.cancelled_caught)
    return EXIT_OK if is_complete else EXIT_NOT_ATTEMPTED


async def _ask(parsed: Parsed, sender: Sender, count: int, answers: _Answers) -> None:
    """Ask for ``count`` echoes; 0: without end."""
    begun = monotonic()
    async with aclosing(sender.echo()) as echoes:
        async for seconds in echoes:
            if not answers.seconds:
                opened = _milliseconds(monotonic() - begun - seconds)
                answers.say(
                    f"{address_of(parsed[opt.PEER], parsed[opt.PORT])} accepted the association within {opened}"
                )
            answers.add(seconds)
            if len(answers.seconds) == count:
                return
            await anyio.sleep(parsed[cmd.INTERVAL])


class _Answers:
    """The answers so far.

    Attributes:
        seconds: how long each of them took.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.seconds: list[float] = []
        self._quiet = quiet

    def say(self, line: str) -> None:
        """Print a line."""
        if not self._quiet:
            put(line)

    def add(self, seconds: float) -> None:
        """Take in an answer and print its line."""
        self.seconds.append(seconds)
        self.say(f"echo {len(self.seconds)}: {_milliseconds(seconds)}")

    def say_statistics(self) -> None:
        """Print the statistics, if there are answers."""
        if not self.seconds:
            return
        least, most = min(self.seconds), max(self.seconds)
        mean = sum(self.seconds) / len(self.seconds)
        times = f"least {_milliseconds(least)}, mean {_milliseconds(mean)}, most {_milliseconds(most)}"
        self.say(f"{len(self.seconds)} answered: {times}")


def _milliseconds(seconds: float) -> str:
    """A short time in milliseconds."""
    return f"{seconds * 1000:.1f} ms"
