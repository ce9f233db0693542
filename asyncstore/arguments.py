"""Checks of the arguments of library callers; each error names the argument in one line.

Without them a wrong value would fail late, in a callback of the event loop or in a worker process, far from its caller.

Types are compared by their names: annotations are text in all our modules (PEP 563), and the classes that they name may
not have been imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asyncstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PORTS = range(1, 65536)
PORTS_OR_ANY = range(65536)
"""With 0, which stands for any free port."""
WINDOWS = range(65536)
"""The fields of the asynchronous operations window have 16 bits (PS3.7 D.3.3.3)."""
BYTES = range(256)
_AE_TITLE_LIMIT = 16
"""PS3.5 6.2, VR AE."""
_IP_VERSIONS = (None, 4, 6)

_SHOWN_BY = {"Proposal": "covers", "ByHead": "row_for", "os.PathLike": "__fspath__", "Callable": "__call__"}
"""Annotations that are no classes of the values, and an attribute that the values have."""


def check(is_good: bool, complaint: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise a complaint unless the argument is good.

    Raises:
        UsageError: it is not good.
    """
    if not is_good:
        raise UsageError(complaint)


def check_types(callee: Callable[..., object], values: Mapping[str, object]) -> None:
    """Check arguments by the annotations of the function that got them, and the fields of named tuples among them.

    Raises:
        UsageError: one has another type. It is not shown, because it may be a password.
    """
    for name, annotation in callee.__annotations__.items():
        if name in values:
            check_type(name, values[name], annotation)


def check_type(name: str, value: object, annotation: str) -> None:
    """The same for one value."""
    kinds, its_kind = annotation.split(" | "), type(value).__name__
    check(any(_is_of(value, kind) for kind in kinds), f"{name} must be {annotation}, not {its_kind}")
    check(not isinstance(value, str | os.PathLike) or "\0" not in str(value), f"{name} holds a NUL character")
    if its_kind in kinds and isinstance(value, tuple):
        for field, declared in type(value).__annotations__.items():
            check_type(f"{name}.{field}", getattr(value, field), declared)


def _is_of(value: object, kind: str) -> bool:
    """Whether a value has the type of this name. As for type checkers, an ``int`` is a ``float``; no ``bool`` is."""
    name, _, within = kind.partition("[")
    if name in _SHOWN_BY:
        return hasattr(value, _SHOWN_BY[name])
    if name == "Literal":
        return isinstance(value, str) and f'"{value}"' in within.replace("'", '"')
    if name == "None" or isinstance(value, bool):
        return value is None or name == "bool"
    names = {one.__name__ for one in type(value).__mro__}
    if name == "tuple" and isinstance(value, tuple) and kind.endswith(", ...]"):
        return all(_is_of(one, within.removesuffix(", ...]")) for one in value)
    return name in names or (name == "float" and "int" in names)


def check_range(name: str, number: int, allowed: range) -> None:
    """Check a whole number."""
    check(number in allowed, f"{name} {number} is not between {allowed[0]} and {allowed[-1]}")


def check_least(name: str, number: float | None, least: int) -> None:
    """Check a number that has no upper bound; ``None`` is always allowed."""
    check(number is None or number >= least, f"{name}: {number} is not {least} or more")


def check_ae_title(name: str, title: str) -> None:
    """Check an AE title: printable, no backslash, not only spaces (PS3.5 6.2)."""
    is_good = 0 < len(title) <= _AE_TITLE_LIMIT and title.isascii() and title.isprintable() and "\\" not in title
    check(is_good and bool(title.strip()), f"{name}: {title!r} is not 1 to 16 printable ASCII characters")


def check_ip_version(version: int | None) -> None:
    """Check an IP version; ``None`` is any."""
    check(version in _IP_VERSIONS, f"ip_version: there is no IP version {version}, only 4 and 6")
