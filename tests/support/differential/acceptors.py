"""How acceptors may answer: each is tried with storescu and with asyncstore."""

from __future__ import annotations

from support.differential.conversation import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from support.peers.hostile import accepts, accepts_no_context, answers, rejects


def accepts_only(*transfer_syntaxes):
    """Accept a context where one of these was proposed."""

    def change(result):
        return result if result.transfer_syntax_uid in transfer_syntaxes else result._replace(result=4)

    return accepts(prefer=transfer_syntaxes, change=change)


def accepts_some(*endings, prefer=()):
    """Accept the SOP classes whose UIDs end so."""
    return accepts(sop_classes=lambda uid: uid.endswith(endings), prefer=prefer)


def answers_in_turn(*statuses):
    """Answer with one status after the other, over and over."""

    async def step(acceptor):
        await acceptor.answer(statuses[(len(acceptor.record.stores) - 1) % len(statuses)])

    return step


REQUESTS = {
    "accepts all": accepts(),
    "accepts all, the last transfer syntax": accepts(prefer=(IMPLICIT_LITTLE, EXPLICIT_BIG)),
    "implicit VR only": accepts_only(IMPLICIT_LITTLE),
    "explicit VR only": accepts_only(EXPLICIT_LITTLE),
    "big endian only": accepts_only(EXPLICIT_BIG),
    "deflated only": accepts_only(DEFLATED_LITTLE),
    "no MR": accepts_some(".1.2", ".7", ".11", ".2.1"),
    "MR only": accepts_some(".1.4"),
    "no context": accepts_no_context(),
    "rejects": rejects(1, 1, 7),
}
STATUSES = {
    "success": answers(),
    "warnings": answers_in_turn(0xB000, 0x0000, 0x0107),
    "failure": answers(0xA700),
    "sometimes a failure": answers_in_turn(0x0000, 0x0000, 0xC001),
}
