"""What keeps a run from sending, or slows it down, in a few words for displays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.observe.formatting import counted, printable
from asyncstore.observe.limits import limited

if TYPE_CHECKING:
    from asyncstore.model import Progress


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
