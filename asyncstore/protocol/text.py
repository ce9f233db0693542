r"""Text that peers send, made safe to show.

A peer may put a line feed or an escape sequence into an AE title, and so forge lines of a log or drive a terminal. So
bytes become text in one place, here, and whatever is not a printable ASCII character becomes an escape such as
``\x1b``. Logs, exceptions and values then need no care of their own. What is sent back to a peer goes back as the
bytes that came.
"""

from __future__ import annotations


def readable(value: bytes) -> str:
    """The text of a UID or AE title, without its padding (PS3.8 9.3.2, PS3.5 9.1)."""
    return escaped(value.decode("ascii", "backslashreplace").strip(" \0"))


def escaped(text: str) -> str:
    """``text`` with an escape for each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def is_plain(value: bytes) -> bool:
    """Whether :func:`readable` gives the very bytes, but for padding."""
    return value.isascii() and value.strip(b" \0").decode("ascii").isprintable()
