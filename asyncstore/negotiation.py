"""Which presentation contexts to propose, and which accepted one carries an instance. Pure decisions: no I/O, no clock.

Contexts are planned from the instances found: one context for each pair of SOP class and transfer syntax, proposing
that transfer syntax alone. So the answer says of each pair whether its data sets can go out as they lie in the file
(a context that lists several transfer syntaxes is answered with one of them: PS3.8 9.3.3.2), and nothing is
re-encoded that need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.protocol.associate import MOST_CONTEXTS, ProposedContext
from asyncstore.protocol.command import VERIFICATION

if TYPE_CHECKING:
    from collections.abc import Iterable

Pair = tuple[str, str]
"""SOP class UID and transfer syntax UID: what a presentation context is needed for."""

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
"""The default transfer syntax of DICOM (PS3.5 10.1)."""


def pair_of(sop_class_uid: str, transfer_syntax_uid: str) -> Pair:
    """The pair that an instance belongs to."""
    return sop_class_uid, transfer_syntax_uid


def plan(wanted: Iterable[Pair]) -> tuple[ProposedContext, ...]:
    """A context for each pair, in order, without repetition; what exceeds 128 is left for another association."""
    pairs = list(dict.fromkeys(wanted))[:MOST_CONTEXTS]
    return tuple(
        ProposedContext(2 * index + 1, abstract, (transfer,)) for index, (abstract, transfer) in enumerate(pairs)
    )


def verification() -> tuple[ProposedContext, ...]:
    """The context of C-ECHO."""
    return (ProposedContext(1, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,)),)
