"""Specific Character Set (PS3.3 C.12.1.1.2): encode new values in it.

ASCII needs no character set. The tables are pydicom's, and are imported for other values only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asyncstore.prepare.data_elements import Level, Unreadable
from asyncstore.prepare.edit_values import TEXTS, encoded, parts

if TYPE_CHECKING:
    from asyncstore.prepare.data_elements import Element

_ASCII = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))
_LATIN_1, _UTF_8 = "ISO_IR 100", "ISO_IR 192"
_SHIFT_JIS = "shift_jis"
"""pydicom's codec of ISO_IR 13, which has characters of one byte only; Shift JIS has others too."""
_TEXTS = frozenset(vr.encode() for vr in TEXTS)


class CannotEncode(Exception):
    """The character set does not have the characters; the message names it."""


def encoding_for(character_set: bytes, vr: str, value: str) -> bytes:
    """A value that is not ASCII, in this character set, padded.

    Raises:
        CannotEncode: it does not have the characters.
    """
    terms = [term.strip(" \0") for term in character_set.decode("ascii", "replace").split("\\")]
    try:
        if len(terms) == 1:
            codec = _codec(terms[0])
            if codec == _SHIFT_JIS and not _is_jis_x_0201(value.encode(codec), value):
                raise CannotEncode(_named(terms))
            return encoded(vr, value, "little", codec)
        whole = _extended(terms, vr, value)
    except (UnicodeError, LookupError):
        raise CannotEncode(_named(terms)) from None
    return whole + b" " * (len(whole) & 1)


def _is_jis_x_0201(shift_jis: bytes, value: str) -> bool:
    """Whether each character is one byte, which means the same to others: the yen sign is a backslash."""
    return len(shift_jis) == len(value) and shift_jis.decode(_SHIFT_JIS) == value


def wider_for(character_set: bytes, value: str) -> str | None:
    """A character set for a value that ASCII does not have; ``None``: the data set has another one already."""
    if character_set.decode("ascii", "replace").strip(" \0") not in _ASCII:
        return None
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return _UTF_8
    return _LATIN_1


def is_ascii(level: Level) -> bool:
    """Whether all texts of a data set are ASCII, also those in items, as far as is known."""
    return all(_is_ascii(level, element) for element in level.elements)


def _is_ascii(level: Level, element: Element) -> bool:
    if element.levels is not None:
        return all(map(is_ascii, element.levels))
    value = level.value(element)
    if value.isascii():
        return True
    vr = element.vr or _vr_of(element.tag)
    if vr == b"SQ" or element.is_undefined:
        if element.vr in (b"OB", b"OW"):
            return True
        try:
            items = level.open(element)
            return all(map(is_ascii, items))
        except Unreadable:
            return False
        finally:
            element.levels = None
    return vr not in _TEXTS and vr != b"UN"


def _vr_of(tag: int) -> bytes:
    """The VR of an element in implicit VR; UN: not known."""
    from pydicom.datadict import dictionary_VR  # see the head of the module

    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b"UN"


def _codec(term: str) -> str:
    """Python's name of a character set without code extensions."""
    if term in _ASCII:
        return "ascii"
    from pydicom.charset import python_encoding  # see the head of the module

    return python_encoding[term]


def _extended(terms: list[str], vr: str, value: str) -> bytes:
    """A value in a character set with code extensions (PS3.5 6.1.2.5), which can be read again.

    Raises:
        UnicodeError: it cannot be encoded.
        LookupError: a term is not known.
    """
    from pydicom.charset import decode_bytes, encode_string, python_encoding
    from pydicom.valuerep import PersonName

    codecs = ["ascii" if term in _ASCII else python_encoding[term] for term in terms]
    made = []
    for each in parts(vr, value):
        one = _japanese(each, codecs)
        if one is None and vr == "PN":
            one = PersonName(each, codecs).encode(codecs)
        elif one is None:
            one = encode_string(each, codecs)
        again = str(PersonName(one, codecs)) if vr == "PN" else decode_bytes(one, codecs, set(b"\r\n\t\f"))
        if again != each:
            raise UnicodeError
        made.append(one)
    return b"\\".join(made)


def _japanese(value: str, codecs: list[str]) -> bytes | None:
    """A value in one of Japan's sets, back in ASCII before each delimiter (PS3.5 6.1.2.5.3); ``None``: in no such set.

    pydicom stays in the other set.
    """
    for codec in codecs:
        if codec.startswith("iso2022_jp"):
            try:
                return b"".join(part.encode(codec) for part in re.split(r"([\^=])", value))
            except UnicodeEncodeError:
                continue
    return None


def _named(terms: list[str]) -> str:
    shown = "\\".join(terms)
    return f"its character set, {shown or 'ASCII'}"
