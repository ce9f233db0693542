"""What holds for every test."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Who runs the tests in the background of a script has SIGINT ignored, and so would have the programs under test."""
