"""Which pixel data may be decoded and encoded, and into what: a policy, and what the installed codecs can do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

_NATIVE = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
"""The transfer syntaxes that pixel data is decompressed into, the preferred ones first."""


class Transcode(StrEnum):
    """Which pixel data may be decoded and encoded, where the peer does not take it as it is."""

    NEVER = "never"
    """None."""
    LOSSLESS = "lossless"
    """Compressed pixel data is decompressed, and any pixel data is compressed without losses."""
    AUTO = "auto"
    """Pixel data is also compressed with losses, if the proposal names such a transfer syntax and nothing else is
    accepted."""


class Transcoding(NamedTuple):
    """What may be transcoded.

    Attributes:
        decodable: the transfer syntaxes that can be decoded.
        encodable: the transfer syntaxes that can be encoded without losses, the preferred ones first.
        missing: the transfer syntaxes that could be decoded if their codec were installed.
        lossy: those that can be encoded with losses, and may be: only where a proposal names them.
    """

    decodable: frozenset[str] = frozenset()
    encodable: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    lossy: tuple[str, ...] = ()

    def target(self, transfer_syntax_uid: str, accepted: Container[str]) -> str | None:
        """The accepted transfer syntax into which pixel data is transcoded; ``None``: into none.

        Uncompressed ones come first: every decoder gives them exactly, and no peer has trouble with them.

        Args:
            transfer_syntax_uid: the transfer syntax of the data set.
            accepted: the transfer syntaxes that the peer accepts for its SOP class.
        """
        if transfer_syntax_uid in _NATIVE:
            candidates: tuple[str, ...] = (*self.encodable, *self.lossy)
        elif transfer_syntax_uid in self.decodable:
            candidates = (*_NATIVE, *self.encodable, *self.lossy)
        else:
            return None
        return next((uid for uid in candidates if uid in accepted), None)


NO_TRANSCODING = Transcoding()
