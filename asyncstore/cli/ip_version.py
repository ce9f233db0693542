"""Which IP version a command line asks for. A module of its own, because the engine takes time to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options import rows as opt

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def ip_version_of(parsed: Parsed) -> int | None:
    """The IP version to use; ``None``: any."""
    if parsed[opt.IPV4]:
        return 4
    return 6 if parsed[opt.IPV6] else None
