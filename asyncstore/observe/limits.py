"""What limits the speed of a run, or keeps it from sending, in a few words for displays."""

from __future__ import annotations

from time import localtime, strftime, time
from typing import TYPE_CHECKING

from asyncstore.observe.formatting import counted, format_byte_rate, format_count, format_duration, printable

if TYPE_CHECKING:
    from asyncstore.model import Limit, Progress

_DAY = 86400.0
_LEAST_RATE = 0.1
"""Stores a second; lower rates are shown by the hour."""
_WHOLE = 100
"""From this rate on nobody needs decimals."""


def limits(limit: Limit | None, now: float | None = None) -> list[str]:
    """The limits at ``now``, in seconds since 1970 (``None``: this moment): ``2.00 MB/s (time table, until 18:00)``."""
    if limit is None:
        return []
    if limit.is_paused:
        return [f"nothing begins{until(limit.until, now)}"]
    rates = []
    if limit.bytes_per_second is not None:
        rates.append(format_byte_rate(limit.bytes_per_second))
    if limit.stores_per_second is not None:
        rates.append(_stores(limit.stores_per_second))
    parts = [f"{' and '.join(rates)}{until(limit.until, now)}"] if rates else []
    if limit.echo_seconds is not None:
        echo = format_duration(limit.echo_seconds)
        parts.append(f"{limit.share * 100:.0f} % of the speed without the guard (C-ECHO takes {echo})")
    return parts


def limited(limit: Limit | None, now: float | None = None) -> str:
    """The limits in one line; empty: there are none."""
    parts = limits(limit, now)
    if limit is None or limit.is_paused or not parts:
        return "".join(parts)
    return f"limited to {', '.join(parts)}"


def standstill(progress: Progress) -> str:
    """Why nothing is sent at the moment, what waits, and what limits the speed; empty: nothing does."""
    if progress.is_paused:
        return "paused"
    outage = progress.outage
    if outage is not None:
        trial = f"next try in {outage.next_trial:.0f} s" if outage.next_trial else "trying now"
        left = "" if outage.seconds_left is None else f", giving up in {outage.seconds_left:.0f} s"
        return f"waiting for the peer ({printable(outage.reason)}): {trial}{left}"
    parts = [limited(progress.limit)]
    if progress.retrying:
        waits = "waits" if progress.retrying == 1 else "wait"
        parts.append(f"{counted(progress.retrying, 'instance')} {waits} for another attempt")
    return ", ".join(filter(None, parts))


def _stores(rate: float) -> str:
    return f"{_number(rate)} stores/s" if rate >= _LEAST_RATE else f"{_number(rate * 3600)} stores/h"


def _number(rate: float) -> str:
    return format_count(round(rate)) if rate >= _WHOLE else f"{rate:.3g}"


def until(change: float | None, now: float | None = None) -> str:
    """When the time table says something else, in the time of this machine; empty: it never does."""
    if change is None:
        return ""
    is_near = change - (time() if now is None else now) < _DAY
    return f" (time table, until {strftime('%H:%M' if is_near else '%a %H:%M', localtime(change))})"
