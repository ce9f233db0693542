"""Which presentation contexts to propose, and which accepted one carries an instance. Pure decisions: no I/O, no clock.

Contexts are planned from the instances found: one context for each pair of SOP class and transfer syntax, proposing
that transfer syntax alone. So the answer says of each pair whether its data sets can go out as they lie in the file
(a context that lists several transfer syntaxes is answered with one of them: PS3.8 9.3.3.2), and nothing is
re-encoded that need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.associate import ACCEPTANCE, MOST_CONTEXTS, ProposedContext, describe_result
from asyncstore.protocol.command import VERIFICATION
from asyncstore.protocol.pdu import ABORT_INVALID_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.protocol.associate import ContextResult

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


class Agreement(NamedTuple):
    """What came of a proposal."""

    accepted: dict[Pair, int]
    """The context to use for each pair that was accepted."""
    results: dict[Pair, str]
    """What the peer said to each pair proposed, in words."""
    transfer_syntaxes: dict[int, str]
    """The transfer syntax of each accepted context."""


def conclude(proposed: Iterable[ProposedContext], results: Iterable[ContextResult]) -> Agreement:
    """What the acceptor's answer means (PS3.8 9.3.3.2).

    Raises:
        InvalidPdu: it accepted something that was not proposed.
    """
    by_id = {context.id: context for context in proposed}
    agreement = Agreement({}, {}, {})
    for context_id, result, transfer_syntax in results:
        context = by_id.get(context_id)
        if context is None:
            raise InvalidPdu(f"it answered context {context_id}, which was not proposed", ABORT_INVALID_PARAMETER)
        if result == ACCEPTANCE:
            if transfer_syntax not in context.transfer_syntaxes:
                complaint = f"it accepted transfer syntax {transfer_syntax}, which was not proposed"
                raise InvalidPdu(complaint, ABORT_INVALID_PARAMETER)
            agreement.accepted.setdefault((context.abstract_syntax, transfer_syntax), context_id)
            agreement.transfer_syntaxes[context_id] = transfer_syntax
        for proposed_syntax in context.transfer_syntaxes:
            agreement.results[context.abstract_syntax, proposed_syntax] = describe_result(result)
    return agreement


def agreed_window(proposed: int, accepted: tuple[int, int] | None) -> int:
    """Requests we may have outstanding; 0 is unlimited. The acceptor may lower what was proposed, not raise it.

    Without an item in the answer it is 1, and where none was proposed (1), too (PS3.7 D.3.3.3).
    """
    invoked = 1 if accepted is None or proposed == 1 else accepted[0]
    return min(proposed, invoked) if proposed and invoked else proposed or invoked
