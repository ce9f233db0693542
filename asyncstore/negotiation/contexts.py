"""Presentation contexts: plan them, read the answer, choose one for an instance. Pure decisions.

The default plan proposes one context for each pair of SOP class and transfer syntax, with that transfer syntax alone.
So the answer says for each pair whether its data sets can be sent unchanged. (Of several transfer syntaxes in one
context the acceptor chooses one: PS3.8 9.3.3.2.) One more context for each SOP class proposes the transfer syntaxes
that data sets can be converted to, so the default one is always proposed for uncompressed ones (PS3.5 10.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.named_tuple import NamedTuple
from asyncstore.protocol.associate import ACCEPTANCE, MOST_CONTEXTS, ProposedContext, describe_result
from asyncstore.protocol.command import VERIFICATION
from asyncstore.protocol.deviations import Deviation, Notice, unnoticed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from asyncstore.protocol.associate import ContextResult

Pair = tuple[str, str]
"""SOP class UID and transfer syntax UID."""

_EXPLICIT = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
UNCOMPRESSED = frozenset((IMPLICIT_VR_LITTLE_ENDIAN, *_EXPLICIT, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN))
"""The transfer syntaxes without encapsulated pixel data (PS3.5 A.4): each can be converted to any other."""

_CONVERTED_TO = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""The targets for data sets whose own transfer syntax is not accepted, also for compressed ones: those that are not
retired, the one with VRs first."""


def plan(wanted: Iterable[Pair], decodable: Container[str] = ()) -> tuple[ProposedContext, ...]:
    """For each SOP class, in the order of ``wanted``: a context for each pair, then one for conversions.

    ``decodable`` are the compressed transfer syntaxes that can be converted to uncompressed ones. A SOP class whose
    contexts do not all fit into the 128 is left for another association.
    """
    classes: dict[str, dict[str, None]] = {}
    for abstract, transfer in wanted:
        classes.setdefault(abstract, {})[transfer] = None
    contexts: list[tuple[str, tuple[str, ...]]] = []
    for abstract, transfers in classes.items():
        needed = [(abstract, group) for group in _groups(list(transfers), decodable)]
        if len(contexts) + len(needed) <= MOST_CONTEXTS:
            contexts += needed
        if len(contexts) == MOST_CONTEXTS:
            break
    return tuple(ProposedContext(2 * index + 1, *context) for index, context in enumerate(contexts))


def _groups(transfers: list[str], decodable: Container[str]) -> list[tuple[str, ...]]:
    """The transfer syntaxes of each context of one SOP class; the last ones are left out if they do not fit."""
    fitting = transfers[:MOST_CONTEXTS]
    if _others(fitting, decodable):
        fitting = fitting[: MOST_CONTEXTS - 1]
    others = _others(fitting, decodable)
    return [*((transfer,) for transfer in fitting), *((others,) if others else ())]


def _others(transfers: list[str], decodable: Container[str]) -> tuple[str, ...]:
    """The other transfer syntaxes that these can be converted to."""
    if not any(uid in UNCOMPRESSED or uid in decodable for uid in transfers):
        return ()
    return tuple(uid for uid in _CONVERTED_TO if uid not in transfers)


def is_planned(contexts: Iterable[ProposedContext], pair: Pair, decodable: Container[str] = ()) -> bool:
    """Whether ``contexts``, made by :func:`plan`, hold everything that :func:`plan` proposes for ``pair``."""
    abstract, transfer = pair
    groups = [context.transfer_syntaxes for context in contexts if context.abstract_syntax == abstract]
    proposed = {uid for group in groups for uid in group}
    is_converted = transfer in UNCOMPRESSED or transfer in decodable
    return (transfer,) in groups and (not is_converted or proposed.issuperset(_CONVERTED_TO))


def verification() -> tuple[ProposedContext, ...]:
    """The context of C-ECHO."""
    return (ProposedContext(1, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,)),)


class Agreement(NamedTuple):
    """The result of a proposal."""

    accepted: dict[Pair, int]
    """The first accepted context for each accepted pair, in the order of the answer."""
    results: dict[Pair, str]
    """The peer's answer to each proposed pair, in words."""
    transfer_syntaxes: dict[int, str]
    """The transfer syntax of each accepted context."""


def conclude(
    proposed: Iterable[ProposedContext], results: Iterable[ContextResult], notice: Notice = unnoticed
) -> Agreement:
    """Read the acceptor's answer (PS3.8 9.3.3.2).

    Answers to contexts that were not proposed are ignored. A context accepted in an unproposed transfer syntax is not
    used: the peer would misread the data sets. Of several answers to one context the last counts. (pynetdicom does the
    same, except that it sends in unproposed transfer syntaxes.)

    Args:
        proposed: the contexts of the request.
        results: the answers to them.
        notice: called with each deviation from the standard.
    """
    by_id = {context.id: context for context in proposed}
    agreement = Agreement({}, {}, {})
    for context_id, result, transfer_syntax in {answer.id: answer for answer in results}.values():
        context = by_id.get(context_id)
        if context is None:
            notice(Deviation.UNPROPOSED_CONTEXT)
            continue
        if result != ACCEPTANCE:
            words = describe_result(result)
        elif transfer_syntax not in context.transfer_syntaxes:
            notice(Deviation.UNPROPOSED_TRANSFER_SYNTAX)
            words = f"accepted in {transfer_syntax or 'no transfer syntax'}, which was not proposed"
        else:
            agreement.accepted.setdefault((context.abstract_syntax, transfer_syntax), context_id)
            agreement.transfer_syntaxes[context_id] = transfer_syntax
            words = f"the peer chose {transfer_syntax}"
        for proposed_syntax in context.transfer_syntaxes:
            pair = context.abstract_syntax, proposed_syntax
            agreement.results[pair] = describe_result(ACCEPTANCE) if pair in agreement.accepted else words
    return agreement


def agreed_window(proposed: int, accepted: tuple[int, int] | None) -> int:
    """The requests that we may have outstanding; 0 is unlimited. The acceptor may lower the proposed number only.

    If the proposal or the answer has no window, it is 1 (PS3.7 D.3.3.3).
    """
    return narrower(proposed, 1 if accepted is None or proposed == 1 else accepted[0])


def narrower(window: int, other: int) -> int:
    """The smaller window; 0 is unlimited."""
    return min(window, other) if window and other else window or other


def carrier(
    sop_class_uid: str, transfer_syntax_uid: str, accepted: Iterable[Pair], *, prefers_deflated: bool = False
) -> str | None:
    """The transfer syntax of the accepted context for an instance; ``None``: no context of its class was accepted.

    storescu's choice: the instance's own transfer syntax, else the first accepted one with explicit VR, else implicit
    VR, else the first of all. It does not check whether the data set can be converted.

    Args:
        sop_class_uid: of the instance.
        transfer_syntax_uid: of its data set.
        accepted: the accepted pairs, in the order of the answer.
        prefers_deflated: treat uncompressed data sets as deflated ones (``-xd``).
    """
    if prefers_deflated and transfer_syntax_uid in UNCOMPRESSED:
        transfer_syntax_uid = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    carriers = [transfer for abstract, transfer in accepted if abstract == sop_class_uid]
    for wanted in ((transfer_syntax_uid,), _EXPLICIT, (IMPLICIT_VR_LITTLE_ENDIAN,), carriers):
        found = next((transfer for transfer in carriers if transfer in wanted), None)
        if found is not None:
            return found
    return None
