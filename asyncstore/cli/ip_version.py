"""Which IP version a command line asks for; apart from the engine, which takes time to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options import rows as opt

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


def ip_version_of(parsed: Parsed) -> int | None:
    """The IP version that is asked for, if one is."""
    if parsed[opt.IPV4]:
        return 4
    return 6 if parsed[opt.IPV6] else None
