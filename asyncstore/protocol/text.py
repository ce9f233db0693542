r"""Text from peers, made safe to show.

A line feed or an escape sequence in an AE title could forge log lines or control a terminal. So peers' bytes become
text only here, and characters that are not printable ASCII become escapes such as ``\x1b``. Logs and errors can use the
text as it is. Answers to the peer use its bytes.
"""

from __future__ import annotations


def readable(value: bytes) -> str:
    """The text of a UID or AE title, without padding (PS3.8 9.3.2, PS3.5 9.1)."""
    return escaped(value.decode("ascii", "backslashreplace").strip(" \0"))


def escaped(text: str) -> str:
    """``text`` with escapes for its unprintable characters."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def is_plain(value: bytes) -> bool:
    """Whether :func:`readable` changes nothing but the padding."""
    return value.isascii() and value.strip(b" \0").decode("ascii").isprintable()
