"""The warning about UIDs with characters that DICOM does not allow: one for each run, with the first such file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asyncstore.model import Oddity
from asyncstore.observe.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.model import Instance

_ALLOWED = "[0-9.]+"
_UNUSUAL_UID = int(Oddity.UNUSUAL_UID)


def first_unusual(instances: Iterable[Instance]) -> Instance | None:
    """The first of these with an unusual UID; an ordinary one costs the test of one attribute."""
    for instance in instances:
        if instance.oddities and instance.oddities & _UNUSUAL_UID:
            return instance
    return None


def warning_about(instance: Instance) -> str:
    """The warning about an instance with an unusual UID."""
    named = {
        "SOP class UID": instance.sop_class_uid,
        "SOP instance UID": instance.sop_instance_uid,
        "transfer syntax UID": instance.transfer_syntax_uid,
    }
    unusual = [f"{name} {printable(uid)}" for name, uid in named.items() if not re.fullmatch(_ALLOWED, uid)]
    what = " and ".join(unusual) or "a UID"
    rule = "DICOM allows digits and dots only (PS3.5 9.1), so that some peers may refuse it"
    return f"{printable(instance.path)}: {what}: sent as it is, but {rule}; other files like it are not named"
