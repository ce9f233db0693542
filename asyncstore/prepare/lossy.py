"""The attributes of an image that was compressed with losses (PS3.3 C.7.6.1.1.5): it is another instance."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

from asyncstore.prepare.elements import ITEM, UID_PADDING, item_header
from asyncstore.prepare.encoding import Unconvertible
from asyncstore.prepare.pixels import attributes, syntaxes
from asyncstore.prepare.splitting import element

if TYPE_CHECKING:
    from asyncstore.prepare.splitting import Head

_METHODS = {syntaxes.JPEG_LS: b"ISO_14495_1", syntaxes.JPEG_2000: b"ISO_15444_1"}
"""Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1)."""
_WANTED = frozenset((
    attributes.IMAGE_TYPE, attributes.SOP_CLASS_UID, attributes.SOP_INSTANCE_UID, attributes.LOSSY_RATIO,
    attributes.LOSSY_METHOD, attributes.SOURCE_IMAGE_SEQUENCE,
))  # fmt: skip
_UNCOMPRESSED_PREDECESSOR = (
    (0x00080100, b"SH", b"121320"),
    (0x00080102, b"SH", b"DCM"),
    (0x00080104, b"LO", b"Uncompressed predecessor"),
)
"""The purpose of the reference to the original (PS3.16 CID 7202)."""


def new_uid(sop_instance_uid: str, transfer_syntax_uid: str) -> str:
    """The SOP Instance UID of an instance after lossy compression (PS3.5 B.2): each time the same one."""
    return f"2.25.{uuid5(NAMESPACE_OID, f'{sop_instance_uid} {transfer_syntax_uid}').int}"


_NEVER_LOSSY = {
    b"1.2.840.10008.5.1.4.1.1.66.4": "segmentations",
    b"1.2.840.10008.5.1.4.1.1.66.7": "segmentations",
    b"1.2.840.10008.5.1.4.1.1.30": "parametric maps",
    b"1.2.840.10008.5.1.4.1.1.481.2": "radiation doses",
}
"""SOP classes whose pixels are labels or measured quantities, not pictures."""


def check_may_lose(head: Head) -> None:
    """Check that an instance is one whose pixel data may lose something.

    Raises:
        Unconvertible: it is not.
    """
    sop_class = head.small_values(_WANTED).get(attributes.SOP_CLASS_UID, b"").strip(UID_PADDING)
    if sop_class in _NEVER_LOSSY:
        raise Unconvertible(f"{_NEVER_LOSSY[sop_class]} are not compressed with losses")


def lossy_values(
    head: Head, transfer_syntax_uid: str, native_bytes: int, compressed_bytes: int
) -> dict[int, tuple[bytes, bytes]]:
    """The elements that change when an image is compressed with losses.

    Args:
        head: the elements of the original.
        transfer_syntax_uid: of the result.
        native_bytes: the size of its pixel data before.
        compressed_bytes: and after.
    """
    old = {tag: value.strip(UID_PADDING) for tag, value in head.small_values(_WANTED).items()}
    uid = old.get(attributes.SOP_INSTANCE_UID, b"").decode("ascii", "replace")
    ratio = f"{native_bytes / max(compressed_bytes, 1):.2f}"
    kinds = old.get(attributes.IMAGE_TYPE, b"ORIGINAL\\PRIMARY").split(b"\\")
    values = {
        attributes.IMAGE_TYPE: (b"CS", b"\\".join([b"DERIVED", *kinds[1:]])),
        attributes.SOP_INSTANCE_UID: (b"UI", new_uid(uid, transfer_syntax_uid).encode()),
        attributes.DERIVATION_DESCRIPTION: (b"ST", f"Lossy compression, ratio {ratio}".encode()),
        attributes.LOSSY_IMAGE_COMPRESSION: (b"CS", b"01"),
        attributes.LOSSY_RATIO: (b"DS", _appended(old, attributes.LOSSY_RATIO, ratio.encode())),
        attributes.LOSSY_METHOD: (b"CS", _appended(old, attributes.LOSSY_METHOD, _METHODS[transfer_syntax_uid])),
    }
    if not head.has(attributes.SOURCE_IMAGE_SEQUENCE):
        purpose = b"".join(element(*one) for one in _UNCOMPRESSED_PREDECESSOR)
        source = (
            (0x00081150, b"UI", old.get(attributes.SOP_CLASS_UID, b"")),
            (0x00081155, b"UI", uid.encode()),
            (0x0040A170, b"SQ", item_header(ITEM, len(purpose)) + purpose),
        )
        item = b"".join(element(*one) for one in source)
        values[attributes.SOURCE_IMAGE_SEQUENCE] = b"SQ", item_header(ITEM, len(item)) + item
    return values


def _appended(old: dict[int, bytes], tag: int, value: bytes) -> bytes:
    """The values of earlier compressions, and this one."""
    return b"\\".join((old[tag], value)) if old.get(tag) else value
