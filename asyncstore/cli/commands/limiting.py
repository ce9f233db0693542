"""The limits of a run of ``send``: what is told about them, requests that change them, and the end of its time.

A run may consist of several passes (:mod:`asyncstore.cli.commands.passes`): limits that a request has set hold for the
passes that follow, and the time counts from the beginning of the first one.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING

from asyncstore.cli.engine import limits_of
from asyncstore.cli.options import rows as opt
from asyncstore.errors import UsageError
from asyncstore.observe.limits import limited, until

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.model import Limit, Progress
    from asyncstore.observe.jsonlines import JsonLines
    from asyncstore.run import Run
    from asyncstore.schedule.timetable import TimeTable

TIME_IS_UP = "the time of the run was up before it was sent"


class Limiting:
    """The limits of one run.

    Args:
        parsed: the options of the run.
        logger: for people.
        json_lines: for machines; ``None``: nobody asked for them.

    Attributes:
        actions: the requests that change limits; see :class:`~asyncstore.control.steering.Steering`.
        appliers: what applies new values of options; see :class:`~asyncstore.cli.commands.reloading.Reloading`.
        is_time_up: whether the run ended because its time was up.
    """

    def __init__(self, parsed: Parsed, logger: logging.Logger, json_lines: JsonLines | None) -> None:
        self.is_time_up = False
        self.actions: Mapping[str, Callable[[object], str]] = {
            "limit-rate": lambda value: self._limit(opt.LIMIT_RATE, value),
            "limit-stores": lambda value: self._limit(opt.LIMIT_STORES, value),
        }
        self.appliers: Mapping[str, Callable[[Parsed], None]] = {
            row.key: self._apply for row in (opt.LIMIT_RATE, opt.LIMIT_STORES)
        }
        self._zone = parsed[opt.TIME_ZONE]
        self._max_duration = parsed[opt.MAX_DURATION]
        self._logger = logger
        self._json_lines = json_lines
        self._run: Run | None = None
        self._changed: dict[str, TimeTable | None] = {}
        """By option: the limits that were set during the run."""
        self._told: Limit | None = None

    def follow(self, run: Run) -> None:
        """Limit this run, or this pass of it, from now on."""
        self._run = run
        for name, table in self._changed.items():
            self._set(name, table)
        if self.is_time_up:
            run.stop(TIME_IS_UP)

    def look(self, progress: Progress) -> None:
        """Tell what is new."""
        limit = progress.limit
        if limit != self._told:
            self._told = limit
            self._logger.info("%s", limited(limit) or "there is no limit any more")
            if self._json_lines is not None:
                self._json_lines.rate(limit)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Within this context, end the run when its time is up."""
        if self._max_duration is None:
            yield
            return
        timer = asyncio.get_running_loop().call_later(self._max_duration, self._end)
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        self.is_time_up = True
        self._logger.warning("the time of the run is up: files under way are finished")
        if self._run is not None:
            self._run.stop(TIME_IS_UP)

    def _limit(self, row: Option[TimeTable | None], value: object) -> str:
        """Carry out a request; what was done, in words.

        Raises:
            UsageError: the value is no rate.
        """
        try:
            table = row.kind.parse((str(value),))
        except ValueError as error:
            raise UsageError(str(error)) from None
        if table is not None:
            table = table._replace(zone=self._zone)
        self._set(row.long, table)
        limit = None if self._run is None else self._run.progress().limit
        change = None if table is None else table.next_change(time())
        return f"from now on {limited(limit) or f'without a limit{until(change)}'}"

    def _apply(self, new: Parsed) -> None:
        limits = limits_of(new)
        self._set(opt.LIMIT_RATE.long, limits.rate)
        self._set(opt.LIMIT_STORES.long, limits.stores)

    def _set(self, name: str, table: TimeTable | None) -> None:
        self._changed[name] = table
        if self._run is not None:
            setting = self._run.limit_rate if name == opt.LIMIT_RATE.long else self._run.limit_stores
            setting(table)
