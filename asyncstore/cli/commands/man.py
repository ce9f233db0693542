"""``asyncstore man``: the manual page of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.man_page import page

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def run(parsed: Parsed) -> int:  # noqa: ARG001 - what every command takes
    """Run the command and return its exit code."""
    put(*page())
    return EXIT_OK
