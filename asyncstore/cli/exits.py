"""The exit codes of all commands."""

from __future__ import annotations

EXIT_OK = 0
"""The whole task was done: every file is stored, every echo was answered."""
EXIT_NOT_ATTEMPTED = 1
"""Nothing could be attempted: bad usage, no input, no association. For ``echo``: an echo was not answered.

Also if standard output could not be written.
"""
EXIT_NOT_STORED = 2
"""The run ended, and at least one file was not stored, or its outcome could not be written to ``--json``."""
EXIT_INTERRUPTED = 130
"""SIGINT or SIGTERM: 128 + SIGINT, as shells count it."""
EXIT_BROKEN_PIPE = 141
"""Nobody reads standard output any more: 128 + SIGPIPE."""
