"""UIDs as bytes: two characters a byte.

A UID has at most 64 digits and dots (PS3.5 9.1): each takes four bits, so that it fits into 32 bytes. Real files have
other UIDs as well. Those are kept as they are, after a byte that no packed UID begins with.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify

_NIBBLES = bytes(
    character if character in b"0123456789" else ord("a") if character == ord(".") else ord("x")
    for character in range(256)
)
"""Digits and the dot as hexadecimal digits; ``x``, which is none, for everything else."""
_CHARACTERS = bytes.maketrans(b"a", b".")
_PADDING = b"f"
_AS_IT_IS = b"\xff"
"""The first byte of UIDs that are not packed. A packed one begins with a digit or a dot."""


def pack(uid: str) -> bytes:
    """``uid`` in as few bytes as possible."""
    try:
        nibbles = uid.encode("ascii").translate(_NIBBLES)
        return unhexlify(nibbles + _PADDING if len(nibbles) & 1 else nibbles)
    except ValueError:  # it has other characters
        return _AS_IT_IS + uid.encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> str:
    """The UID that :func:`pack` was given."""
    if packed.startswith(_AS_IT_IS):
        return packed[1:].decode("utf-8", "surrogatepass")
    return hexlify(packed).translate(_CHARACTERS, _PADDING).decode("ascii")
