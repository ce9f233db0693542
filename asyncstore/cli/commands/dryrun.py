"""``asyncstore send --dry-run``: what would be sent in which presentation contexts, and why the rest would not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.commands.findings import look_into
from asyncstore.cli.engine import refuse_missing
from asyncstore.cli.exits import EXIT_NOT_ATTEMPTED
from asyncstore.cli.options import rows as opt
from asyncstore.cli.options import source_rows as source_opt
from asyncstore.cli.proposal import proposal_of
from asyncstore.cli.standard_output import put
from asyncstore.cli.text.page import broken, page_width
from asyncstore.network.addresses import address_of
from asyncstore.observe.formatting import counted

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed


async def dry_run(parsed: Parsed) -> int:
    """Look into everything, print what was found, and return the exit code."""
    if not parsed[opt.NO_HALT]:
        refuse_missing(parsed[opt.INPUTS], opens_archives=parsed[source_opt.ARCHIVES])
    findings = await look_into(parsed, proposal_of(parsed))
    if not parsed[opt.QUIET]:
        times = f", each {parsed[opt.REPEAT]} times" if parsed[opt.REPEAT] > 1 else ""
        put(*findings.report(f"to {address_of(parsed[opt.PEER], parsed[opt.PORT])}: ", times, page_width()))
        if findings.repaired:
            put("", f"{counted(findings.repaired, 'file')} would be repaired.")
        if findings.edited:
            put("", f"{counted(findings.edited, 'instance')} would be edited.")
        if findings.refused and not parsed[opt.NO_HALT]:
            without = f"Without {opt.NO_HALT.long} ({opt.NO_HALT.short})"
            halts = f"{without} the run ends at the first of these, and the files behind it are not sent."
            put("", *broken(halts, page_width()))
    return findings.exit_code if findings.sendable else EXIT_NOT_ATTEMPTED
