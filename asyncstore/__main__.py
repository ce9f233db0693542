"""The entry point of ``asyncstore`` and ``python -m asyncstore``.

Our modules are imported within :func:`main`, so that Ctrl-C ends the program quietly even during the imports.
"""

from __future__ import annotations

import gc
import sys

_COLLECTION_THRESHOLD = 20_000
"""Objects between two garbage collections. With Python's 700 the imports cause a hundred, which find nothing and take
7 ms of the 125 for sending one file."""

_INTERRUPTED = 130
"""EXIT_INTERRUPTED of ``asyncstore.cli.exits``, which may not have been imported yet."""


def main() -> int:
    """Run the command line of this process and return its exit code."""
    gc.set_threshold(_COLLECTION_THRESHOLD)
    try:
        from asyncstore.cli.main import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        gc.freeze()  # skips the collection at exit, which takes 12 ms


if __name__ == "__main__":
    sys.exit(main())
