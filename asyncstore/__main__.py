"""Where the program begins: ``asyncstore``, and ``python -m asyncstore``.

Nothing is imported before :func:`main` runs, so that Ctrl-C ends the program quietly while it still imports itself.
"""

from __future__ import annotations

import gc
import sys

_COLLECTION_THRESHOLD = 20_000
"""Objects between two looks for garbage. The interpreter's own 700 mean a hundred looks while modules are imported,
which find nothing: 7 ms of the 125 that sending one file takes."""

_INTERRUPTED = 130
"""What ``asyncstore.cli.exits`` calls EXIT_INTERRUPTED; it may not have been imported yet."""


def main() -> int:
    """Run the command line of this process and return its exit code."""
    gc.set_threshold(_COLLECTION_THRESHOLD)
    try:
        from asyncstore.cli.main import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        gc.freeze()  # what there is goes with the process; looking through it at its end would take another 12 ms


if __name__ == "__main__":
    sys.exit(main())
