"""What a synthetic load is made of, from the words of a user: a mix of kinds, or instances of one size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from asyncstore.errors import UsageError
from asyncstore.load.kinds import LARGEST, RECIPES, SMALLEST, kind_of_size

if TYPE_CHECKING:
    from asyncstore.load.values import Kind

DEFAULT_MIX: Final = "ct=60,mr=20,us=15,dx=3,cr=1.5,mg=0.5"
"""The mix of a general hospital, as shares of *instances*.

Counted in exams, two thirds are radiographs (DX and CR), as in most hospitals. Counted in instances, nearly all are
slices. An instance has 1.1 MB and an exam 34 MB on average; published figures for exams are about 35 MB.
"""

_MOST_SHARE: Final = 10**9
"""The sum of larger numbers could be infinite."""


def parse_mix(text: str) -> tuple[Kind, ...]:
    """Read a mix: ``ct=60,mr=20,cr=10``. The numbers are shares of all instances in any unit; they are normalised.

    A name without a number counts as 1.

    Raises:
        UsageError: a name is unknown or repeated, or a share is not a positive number.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, is_given, number = (word.strip() for word in part.partition("="))
        name = name.lower()
        if name not in RECIPES:
            raise UsageError(f"the mix {text!r} {_unknown(name)}")
        if name in shares:
            raise UsageError(f"the mix {text!r} names {name} twice")
        shares[name] = _share(number, name, text) if is_given else 1.0
    total = math.fsum(shares.values())
    return tuple(RECIPES[name].kind._replace(share=share / total) for name, share in shares.items())


def of_size(size: int, *, multi_frame: bool | None = None) -> tuple[Kind, ...]:
    """The one kind whose data sets have exactly ``size`` bytes.

    Args:
        size: an even number of bytes.
        multi_frame: whether it has frames; ``None``: if it is large.

    Raises:
        UsageError: there is no such data set.
    """
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(f"no data set of {size} bytes can be made: it must have {SMALLEST} to {LARGEST} bytes")
    if size % 2:
        raise UsageError(f"no data set of {size} bytes can be made: data sets have even lengths; take {size + 1}")
    return (kind_of_size(size, multi_frame=multi_frame),)


def _share(number: str, name: str, text: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not 0 < share <= _MOST_SHARE:
        limits = f"above 0, and at most {_MOST_SHARE}"
        raise UsageError(f"the mix {text!r} has the share {number!r} for {name}: it must be a number {limits}")
    return share


def _unknown(name: str) -> str:
    from difflib import get_close_matches  # only mistakes need it

    known = ", ".join(RECIPES)
    if not name:
        return f"names no kind in one place: write NAME=SHARE with {known}"
    nearest = get_close_matches(name, RECIPES, n=2)
    meant = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return f"names an unknown kind {name!r}: {meant}known are {known}"
