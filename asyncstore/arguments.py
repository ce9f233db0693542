"""Checks of the arguments of library callers; each error names the value in one line.

Without them a wrong value would fail late, in a callback of the event loop or in a worker process, far from its caller.
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
    """Raise a complaint unless the argument is good.

    Raises:
        UsageError: it is not good.
    """
    if not is_good:
        raise UsageError(complaint)


def check_port(port: int, *, may_be_any: bool = False) -> None:
    """Check a TCP port; with ``may_be_any``, 0 stands for any free port."""
    lowest = 0 if may_be_any else _PORTS.start
    check(port in _PORTS or (may_be_any and port == 0), f"port {port} is not between {lowest} and {_PORTS[-1]}")


def check_ae_title(which: str, title: str) -> None:
    """Check an AE title: printable, no backslash, not only spaces (PS3.5 6.2)."""
    is_good = 0 < len(title) <= _AE_TITLE_LIMIT and title.isascii() and title.isprintable() and "\\" not in title
    check(is_good and bool(title.strip()), f"the {which} title {title!r} is not 1 to 16 printable ASCII characters")


def check_window(operations: int) -> None:
    """Check an asynchronous operations window; 0 is unlimited."""
    check(operations in _WINDOWS, f"a window of {operations} operations is not between 0 and {_WINDOWS[-1]}")


def check_ip_version(version: int | None) -> None:
    """Check an IP version; ``None`` is any."""
    check(version in _IP_VERSIONS, f"there is no IP version {version}, only 4 and 6")
