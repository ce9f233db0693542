"""Numbers, durations and names as people read them.

Rules:

1. Units are decimal (kB is 1000 bytes). Numbers have three significant digits: more would flicker.
2. A plain space separates thousands: no locale takes it for a decimal sign and every terminal shows it.
3. Names of files and texts from a peer are hostile: :func:`printable` makes them safe before they are shown.
"""

from __future__ import annotations

import unicodedata

_BYTE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

_SURROGATE_ESCAPES = range(0xDC80, 0xDD00)
"""The code points to which :func:`os.fsdecode` maps undecodable bytes 0x80 to 0xFF (PEP 383)."""


def format_count(number: int) -> str:
    """Write a number in groups of three digits: ``12 480``."""
    return f"{number:,}".replace(",", " ")


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 file``, ``12 480 files``."""
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


def format_bytes(size: float) -> str:
    """Write a size with three significant digits: ``526 kB``, ``6.57 GB``."""
    if size < 999.5:  # noqa: PLR2004 - from here on it rounds to 1000, and the next unit is used
        return f"{size:.0f} B"
    for unit in _BYTE_UNITS:
        size /= 1000
        if size < 999.5 or unit == _BYTE_UNITS[-1]:  # noqa: PLR2004 - as above
            break
    return f"{_three_digits(size)} {unit}"


def _three_digits(number: float) -> str:
    for decimals, limit in ((2, 9.995), (1, 99.95)):
        if number < limit:
            return f"{number:.{decimals}f}"
    return f"{number:.0f}"


def format_duration(seconds: float) -> str:
    """Write a duration: ``4 ms``, ``3.2 s``, ``42 s``, ``1 min 32 s``, ``1 h 02 min``, ``2 d 03 h``."""
    if seconds < 0.9995:  # noqa: PLR2004 - from here on it rounds to 1000 ms
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:  # noqa: PLR2004 - one decimal below ten
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def format_latency(seconds: float) -> str:
    """Write a latency with two or three digits: ``0.42 ms``, ``4.1 ms``, ``312 ms``, ``2.05 s``, ``1 min 32 s``."""
    if seconds >= _MINUTE:
        return format_duration(seconds)
    if seconds >= 0.9995:  # noqa: PLR2004 - from here on it rounds to 1000 ms
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    for decimals, limit in ((2, 0.995), (1, 9.95)):
        if milliseconds < limit:
            return f"{milliseconds:.{decimals}f} ms"
    return f"{milliseconds:.0f} ms"


def format_estimate(seconds: float) -> str:
    """Write an estimated duration, rounded up: ``about 50 s``, ``about 4 min``."""
    if seconds < 5:  # noqa: PLR2004 - below this the next multiple of ten would be twice as long
        return "a few seconds"
    if seconds <= 90:  # noqa: PLR2004 - up to one and a half of the next unit, here and below
        return f"about {_rounded_up(seconds, 10)} s"
    if seconds <= 90 * _MINUTE:
        return f"about {_rounded_up(seconds / _MINUTE, 1)} min"
    if seconds <= 36 * _HOUR:
        return f"about {_rounded_up(seconds / _HOUR, 1)} h"
    return f"about {_rounded_up(seconds / _DAY, 1)} d"


def _rounded_up(number: float, step: int) -> str:
    return format_count(-int(-number // step) * step)


def format_rate(per_second: float) -> str:
    """Write a rate of instances: ``410/s``, ``4.1/s``."""
    if 0 < per_second < 9.95:  # noqa: PLR2004 - one decimal below ten
        return f"{per_second:.1f}/s"
    return f"{format_count(round(per_second))}/s"


def format_byte_rate(per_second: float) -> str:
    """Write a rate of bytes: ``215 MB/s``."""
    return f"{format_bytes(per_second)}/s"


def printable(text: str) -> str:
    r"""Escape characters that move the cursor, change colours, reverse the direction of writing or cannot be encoded.

    Undecodable bytes of file names become ``\xe9``, control characters ``\n`` or ``\x1b``, as Python writes them.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _SURROGATE_ESCAPES:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
