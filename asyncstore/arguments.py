"""What a caller of the library may give; each check refuses a value in one line that names it.

A wrong value would otherwise show itself late, in a loop's callback or in a worker process, where nobody can be told.
"""

from __future__ import annotations

from asyncstore.errors import UsageError

_PORTS = range(1, 65536)
_WINDOWS = range(65536)
"""The fields of the asynchronous operations window have 16 bits (PS3.7 D.3.3.3)."""
_AE_TITLE_LIMIT = 16
"""PS3.5 6.2, VR AE."""
_IP_VERSIONS = (None, 4, 6)


def check(is_good: bool, complaint: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse what is not good.

    Raises:
        UsageError: it is not.
    """
    if not is_good:
        raise UsageError(complaint)


def check_port(port: int, *, may_be_any: bool = False) -> None:
    """A TCP port; ``may_be_any``: 0 stands for any free one."""
    lowest = 0 if may_be_any else _PORTS.start
    check(port in _PORTS or (may_be_any and port == 0), f"port {port} is not between {lowest} and {_PORTS[-1]}")


def check_ae_title(which: str, title: str) -> None:
    """An AE title: printable, no backslash, not only spaces (PS3.5 6.2)."""
    is_good = 0 < len(title) <= _AE_TITLE_LIMIT and title.isascii() and title.isprintable() and "\\" not in title
    check(is_good and bool(title.strip()), f"the {which} title {title!r} is not 1 to 16 printable ASCII characters")


def check_window(operations: int) -> None:
    """An asynchronous operations window; 0 is unlimited."""
    check(operations in _WINDOWS, f"a window of {operations} operations is not between 0 and {_WINDOWS[-1]}")


def check_ip_version(version: int | None) -> None:
    """An IP version, or ``None`` for any."""
    check(version in _IP_VERSIONS, f"there is no IP version {version}, only 4 and 6")
