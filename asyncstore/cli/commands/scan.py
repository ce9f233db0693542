"""``asyncstore scan``: start a worker process, and import the rest while it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.choices import format_of
from asyncstore.prepare.start import started_ahead

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    with started_ahead(format_of(parsed)):
        from asyncstore.cli.commands import scanning  # the worker starts meanwhile

        return scanning.run(parsed)
