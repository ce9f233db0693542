"""The texts that a command line prints: help, the man page, hints."""
