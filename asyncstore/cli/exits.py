"""The exit codes of all commands."""

from __future__ import annotations

EXIT_OK = 0
EXIT_NOT_ATTEMPTED = 1
EXIT_NOT_STORED = 2
EXIT_CROSSED = 99
"""As k6 ends if a threshold is crossed."""
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE."""

MEANINGS = {
    EXIT_OK: "the whole task was done: every file is stored, every echo was answered",
    EXIT_NOT_ATTEMPTED: (
        "nothing could be attempted: bad usage, no input, no association; or an echo was not answered, or standard "
        "output could not be written"
    ),
    EXIT_NOT_STORED: (
        "the run ended, and some file was not stored, or (scan) could not be, or --json not be written to its end; or "
        "(report) some file is not stored yet; or (bench) some store failed, or the peer was lost"
    ),
    EXIT_CROSSED: "(bench) a threshold is crossed",
    EXIT_INTERRUPTED: "interrupted by SIGINT, SIGTERM or asyncstore ctl",
    EXIT_BROKEN_PIPE: "nobody reads standard output any more",
}
