"""Names of storescu's options."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from support.peers.programs import find_program

CHOICES = (
    *("-x=", "-xe", "-xb", "-xi", "-xs", "-xy", "-xx", "-xv", "-xw", "-xt", "-xu"),
    *("-xm", "-xh", "-xn", "-xl", "-x2", "-x3", "-xo", "-x4", "-x5", "-xr", "-xd"),
)
"""storescu's ways to choose transfer syntaxes."""
PROPOSING = {*CHOICES, "-R", "+C", "-xf"}
"""With one of these asyncstore proposes what storescu does."""

_ROW = re.compile(r"^ {2,}(?:([-+]\S+) +)?(--[a-z0-9-]+)", re.MULTILINE)


@cache
def of_storescu() -> list[tuple[str, str]]:
    """Return the short and the long name of each option of the storescu that is installed, as its help lists them."""
    shown = subprocess.run([find_program("storescu", "dcmtk"), "--help"], capture_output=True, text=True, check=False)
    return _ROW.findall(shown.stdout)
