"""The sink of ``asyncstore demo``: it ends with the demo, even if that is killed.

The demo holds the other end of its standard input, which the system closes when the demo ends.
"""

from __future__ import annotations

import os
import signal
from _thread import start_new_thread

from asyncstore.cli.main import main as command_line


def main() -> int:
    """Run ``asyncstore sink`` with the words of this process."""
    start_new_thread(_end_with_the_demo, ())
    return command_line()


def _end_with_the_demo() -> None:
    os.read(0, 1)  # nobody writes: it returns at the end
    os.kill(os.getpid(), signal.SIGTERM)
