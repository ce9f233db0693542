"""SIGHUP: read the configuration file again while a run goes on.

Rules:

1. What can change during a run is changed. Everything else that differs is named in a warning and ignored.
2. A file that cannot be used changes nothing. Its error is shown, and the run goes on as before.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncstore.cli.options import command_table as cmd
from asyncstore.errors import AsyncstoreError
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncstore.cli.commands.service import Service
    from asyncstore.cli.options.table import Option, Parameter, Parsed


class Reloading:
    """Reads the configuration of a run again.

    Args:
        parsed: the options of the run.
        appliers: what applies the new values of an option, by its long name.
        logger: where to say what was done.
        service: hears that the configuration is read again; ``None``: nobody wants to.
    """

    def __init__(
        self,
        parsed: Parsed,
        appliers: Mapping[str, Callable[[Parsed], None]],
        logger: logging.Logger,
        service: Service | None = None,
    ) -> None:
        self._read_again = parsed.read_again
        self._appliers = appliers
        self._service = service
        self._logger = logger
        rows: tuple[Option[object] | Parameter[object], ...] = (*cmd.SEND.parameters, *cmd.SEND.options())
        self._rows = {row.key: row for row in rows}
        self._values = {key: parsed[row] for key, row in self._rows.items()}
        """Those that hold for the run now."""

    def reload(self) -> None:
        """Read it again and apply it; never raises."""
        if self._service is not None:
            self._service.reloading()
        self._reload()
        if self._service is not None:
            self._service.reloaded()

    def _reload(self) -> None:
        if self._read_again is None:
            return
        try:
            new, remarks = self._read_again()
        except AsyncstoreError as error:
            refused = printable(str(error))
            self._logger.log(logging.ERROR, "%s; the run goes on with the options that it has", refused)
            return
        for remark in remarks:
            self._logger.warning("%s", printable(remark))
        changed = [key for key, row in self._rows.items() if self._values[key] != new[row]]
        applied = [key for key in changed if key in self._appliers]
        for key in applied:
            self._appliers[key](new)
            self._values[key] = new[self._rows[key]]
        ignored = [key for key in changed if key not in self._appliers]
        if ignored:
            self._logger.warning("these cannot change while a run goes on: %s", ", ".join(ignored))
        what = f"{', '.join(applied)} changed" if applied else "nothing changed"
        self._logger.warning("the configuration was read again: %s", what)
