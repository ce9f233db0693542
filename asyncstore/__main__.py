"""``python -m asyncstore`` is ``asyncstore``."""

from __future__ import annotations

import sys

from asyncstore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
