"""``asyncstore sink``: a storage SCP that runs until it is interrupted.

Its first line says where it listens, for people and for programs that let it choose the port:
``listening on 127.0.0.1:11112 as any AE title``, with ``, over TLS`` if it uses TLS. Later lines count instances: how
many were received, how many of them replaced an earlier file, and how many were refused with which status.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asyncstore.cli.choices import ip_version_of
from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.logging.logs import logging_to
from asyncstore.cli.loop import every, interrupts, run_loop
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.options import rows as opt
from asyncstore.cli.tls import tls_of
from asyncstore.network.addresses import address_of
from asyncstore.observe.formatting import counted, format_bytes, format_count
from asyncstore.sink import Sink

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed

_IPV6_LOOPBACK = "::1"
_REPORT_INTERVAL = 10.0
"""Seconds between lines of counts. A line is printed only if a count has changed."""


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    return run_loop(_sink(parsed))


async def _sink(parsed: Parsed) -> int:
    title, output = parsed[cmd.SINK_AE_TITLE], parsed[cmd.OUTPUT]
    host = parsed[cmd.SINK_HOST] if cmd.SINK_HOST in parsed or not parsed[opt.IPV6] else _IPV6_LOOPBACK
    with logging_to(logging.StreamHandler(), parsed):
        tls = tls_of(parsed)
        async with Sink(
            host=host,
            port=parsed[cmd.SINK_PORT],
            ae_title=title,
            output=None if output is None else Path(output),
            latency=parsed[cmd.LATENCY],
            status=parsed[cmd.STATUS],
            strict_studies=parsed[cmd.STRICT_STUDIES],
            max_pdu=parsed[cmd.SINK_MAX_PDU],
            max_associations=parsed[cmd.MAX_ASSOCIATIONS],
            async_operations=parsed[cmd.SINK_ASYNC_OPS],
            idle_timeout=parsed[cmd.IDLE_TIMEOUT],
            group_readable=parsed[cmd.GROUP_READABLE],
            tls=tls,
            ip_version=ip_version_of(parsed),
        ) as sink:
            report = _Report(sink, quiet=parsed[opt.QUIET])
            over_tls = "" if tls is None else ", over TLS"
            stopped = asyncio.Event()
            with interrupts(stopped.set), every(_REPORT_INTERVAL, report.counts):
                report.say(f"listening on {address_of(host, sink.port)} as {title or 'any AE title'}{over_tls}")
                await stopped.wait()
        report.counts(last=True)
    return EXIT_OK


class _Report:
    def __init__(self, sink: Sink, *, quiet: bool) -> None:
        self._sink = sink
        self._quiet = quiet
        self._said = ""

    def say(self, line: str) -> None:
        """Print a line. The sink goes on receiving even if nobody reads it."""
        if not self._quiet:
            with suppress(OSError):
                print(line, flush=True)  # noqa: T201 - this is where people and programs read it

    def counts(self, *, last: bool = False) -> None:
        """Print the counts, if they have changed."""
        tally = self._sink.tally
        again = f", {format_count(tally.replaced)} in place of earlier ones" if tally.replaced else ""
        refused = "".join(
            f"refused {format_count(count)} with 0x{status:04X}, " for status, count in sorted(tally.refused.items())
        )
        rejected = f" ({format_count(tally.rejected)} more rejected)" if tally.rejected else ""
        received = (
            f"received {counted(tally.instances, 'instance')}, {format_bytes(tally.bytes)}{again}, {refused}"
            f"in {counted(tally.associations_total, 'association')}{rejected}, "
            f"and {counted(tally.echoes, 'C-ECHO request')}"
        )
        if last:
            self.say(received)
        elif received != self._said and (self._said or tally.associations_total or tally.rejected):
            self.say(f"{received}; {counted(tally.associations, 'association')} open")
        self._said = received
