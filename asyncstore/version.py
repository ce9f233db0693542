"""The version of this program, in the one place that all others take it from."""

__version__ = "0.1.0"
