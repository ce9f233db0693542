"""Where the program begins: ``asyncstore``, and ``python -m asyncstore``.

Nothing is imported before :func:`main` runs, so that Ctrl-C ends the program quietly while it still imports itself.
"""

from __future__ import annotations

import sys

_INTERRUPTED = 130
"""What ``asyncstore.cli.exits`` calls EXIT_INTERRUPTED; it may not have been imported yet."""


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        from asyncstore.cli.main import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
