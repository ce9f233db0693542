"""``asyncstore send``: a worker process is started, and while it starts, all that a run needs is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.file_format import format_of
from asyncstore.prepare.process import started_ahead

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    with started_ahead(format_of(parsed)):
        from asyncstore.cli.commands import sending  # noqa: PLC0415 - this is what the worker starts ahead of

        return sending.run(parsed)
