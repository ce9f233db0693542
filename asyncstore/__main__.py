"""The entry point of ``asyncstore`` and ``python -m asyncstore``.

Our modules are imported within :func:`run`, so that Ctrl-C ends the program quietly even during the imports.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

_COLLECTION_THRESHOLD = 50_000
"""Objects between two garbage collections. With Python's 700 the imports cause a hundred, which find nothing and take
10 ms of the 100 for sending one file; with 50 000 they cause none."""

_INTERRUPTED = 130
"""EXIT_INTERRUPTED of ``asyncstore.cli.exits``, which may not have been imported yet."""


def main() -> int:
    """Run the command line of this process and end the process, or return the exit code if others still need it.

    Call it last in a process that does nothing else.
    """
    code = run()
    if not _is_needed():
        atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter does: logs are closed, coverage is saved
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the command has already reported it
                stream.flush()
        os._exit(code)  # the interpreter would first free all objects one by one, which takes 5 ms
    return code


def run() -> int:
    """Run the command line of this process and return its exit code."""
    gc.set_threshold(_COLLECTION_THRESHOLD)
    try:
        from asyncstore.cli.main import main as command_line

        return command_line()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps one that comes while it makes a class
            return _INTERRUPTED
        raise
    finally:
        gc.freeze()  # skips the collection at exit, which takes 12 ms


def _is_needed() -> bool:
    """Whether somebody uses the process after the command: a debugger, a profiler, a thread that must end first."""
    if sys.gettrace() is not None or sys.getprofile() is not None or sys.flags.inspect:
        return True
    threading = sys.modules.get("threading")  # help texts do not import it
    return threading is not None and any(
        not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()
    )


if __name__ == "__main__":
    sys.exit(run())  # profilers that run a module go on after it
