"""The passes of a run: all files first, then, if that was asked for, again those that the peer refused.

Rules:

1. Each file has one outcome. That of a further pass takes the place of the one that the file had: the tally and the
   journal take that one back, and lines of ``--json`` say what they replace.
2. A pass begins when the one before has ended: nothing that has never been sent waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options import rows as opt
from asyncstore.model import Result

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Option, Parsed
    from asyncstore.model import Progress
    from asyncstore.observe.tally import Tally


class Passes:
    """What the passes that are over have done.

    Attributes:
        is_wanted: whether another one was asked for.
        replaces: the result that all files of this pass had before; ``None``: it is the first pass.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        self.replaces: Result | None = None
        self._before: Progress | None = None
        self._last = 0

    def next(self, ended: Progress, tally: Tally) -> int:
        """Another pass begins. Returns the ordinal of its first file.

        Args:
            ended: the progress of the pass that is over.
            tally: of the run; it forgets the files that end anew.
        """
        self.is_wanted = False
        self.replaces = Result.FAILED
        self._last += ended.found
        before = self.together(ended)
        size = tally.bytes_failed
        files = tally.take_back_failed()
        self._before = before._replace(
            found=before.found - files, probed=before.probed - files, bytes_probed=before.bytes_probed - size
        )
        return self._last + 1

    def together(self, now: Progress) -> Progress:
        """The progress of the whole run."""
        before, outage = self._before, now.outage
        if before is None:
            return now
        return now._replace(
            found=before.found + now.found,
            probed=before.probed + now.probed,
            bytes_probed=before.bytes_probed + now.bytes_probed,
            bytes_sent=before.bytes_sent + now.bytes_sent,
            associations_opened=before.associations_opened + now.associations_opened,
            is_cut_short=before.is_cut_short or now.is_cut_short,
            retries=before.retries + now.retries,
            outages=before.outages + now.outages,
            outage=None if outage is None else outage._replace(number=before.outages + outage.number),
        )


def unfit_for_second_pass(parsed: Parsed) -> str | None:
    """The option for which no file can be sent again within the run; ``None``: files can.

    New identities follow from the order of files, which a further pass does not have. Renamed files are not found by
    their old names. With a list, others of the journal are not wanted.
    """
    rows: tuple[Option[object], ...] = (*opt.INVENTIONS, opt.RENAME, opt.ONLY_STUDIES, opt.ONLY_UIDS)
    return next((row.long for row in rows if row in parsed), None)
