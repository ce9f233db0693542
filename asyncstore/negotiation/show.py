"""Negotiation in readable lines: our request and the peer's answer, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.negotiation.names import name_of
from asyncstore.protocol.associate import ACCEPTANCE, APPLICATION_CONTEXT, IdentityKind, describe_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncstore.protocol.associate import (
        AssociateAccept,
        AssociateRequest,
        ExtendedNegotiation,
        ProposedContext,
        RoleSelection,
        UserIdentity,
    )

_KINDS: dict[int, str] = {
    IdentityKind.USERNAME: "user name {0!r}",
    IdentityKind.USERNAME_AND_PASSCODE: "user name {0!r} and passcode",
    IdentityKind.KERBEROS: "Kerberos ticket of {1} bytes",
    IdentityKind.SAML: "SAML assertion of {1} bytes",
    IdentityKind.JWT: "JSON web token of {1} bytes",
}
"""How each kind of identity is shown: the user name, and otherwise only the length."""


def request_lines(request: AssociateRequest) -> Iterator[str]:
    """The whole request."""
    yield f"calling AE title {request.calling_ae_title}, called AE title {request.called_ae_title}"
    yield from _user_information(request)
    if request.identity is None:
        yield "no user identity"
    else:
        yield f"user identity: {_identity(request.identity)}"
    yield f"{len(request.contexts)} presentation contexts proposed"
    for context in request.contexts:
        yield f"context {context.id}: {name_of(context.abstract_syntax)} in {_named(context.transfer_syntaxes)}"


def answer_lines(request: AssociateRequest, accept: AssociateAccept) -> Iterator[str]:
    """The answer without its contexts."""
    yield from _user_information(accept)
    if accept.identity is not None:
        yield f"the user identity is confirmed, with {len(accept.identity)} bytes"
    elif request.identity is not None and request.identity.wants_response:
        yield "the user identity is not confirmed"


def context_lines(proposed: Iterable[ProposedContext], accept: AssociateAccept) -> Iterator[str]:
    """The answer to each context, in the order of the request."""
    answers = {answer.id: answer for answer in accept.contexts}
    for context in proposed:
        what = f"context {context.id}: {name_of(context.abstract_syntax)}"
        answer = answers.get(context.id)
        if answer is None:
            yield f"{what} in {_named(context.transfer_syntaxes)}: not answered"
        elif answer.result == ACCEPTANCE:
            yield f"{what}: accepted in {name_of(answer.transfer_syntax)}"
        else:
            yield f"{what} in {_named(context.transfer_syntaxes)}: {describe_result(answer.result)}"


def _user_information(pdu: AssociateRequest | AssociateAccept) -> Iterator[str]:
    """The user information of either side, except the identity."""
    name = f" ({pdu.implementation_version_name})" if pdu.implementation_version_name else ""
    yield f"implementation {pdu.implementation_class_uid or 'without a UID'}{name}"
    if pdu.application_context != APPLICATION_CONTEXT:
        yield f"application context {pdu.application_context}"
    yield f"maximum length {pdu.maximum_length or 'unlimited'}, {_window(pdu.window)}"
    yield from map(_role, pdu.roles)
    yield from map(_extension, pdu.extended)


def _window(window: tuple[int, int] | None) -> str:
    if window is None:
        return "no asynchronous operations window"
    invoked, performed = (operations or "unlimited" for operations in window)
    return f"asynchronous operations window {invoked} invoked, {performed} performed"


def _role(role: RoleSelection) -> str:
    roles = " and ".join(name for name, is_meant in (("SCU", role.scu), ("SCP", role.scp)) if is_meant)
    return f"role for {name_of(role.sop_class_uid)}: {roles or 'none'}"


def _extension(extension: ExtendedNegotiation) -> str:
    return f"extended negotiation for {name_of(extension.sop_class_uid)}: {extension.information.hex(' ')}"


def _identity(identity: UserIdentity) -> str:
    name = identity.primary.decode("utf-8", "replace")
    kind = _KINDS.get(identity.kind, "kind {2}").format(name, len(identity.primary), identity.kind)
    return f"{kind}, {'to be' if identity.wants_response else 'need not be'} confirmed"


def _named(transfer_syntaxes: Iterable[str]) -> str:
    return ", ".join(map(name_of, transfer_syntaxes))
