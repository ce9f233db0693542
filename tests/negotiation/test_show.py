"""Negotiation is shown with names and results, and without secrets."""

import pytest

from asyncstore.negotiation.show import answer_lines, context_lines, request_lines
from asyncstore.protocol.associate import (
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    IdentityKind,
    ProposedContext,
    RoleSelection,
    UserIdentity,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
PROPOSED = (
    ProposedContext(1, CT, ("1.2.840.10008.1.2.4.50",)),
    ProposedContext(3, CT, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")),
    ProposedContext(5, "1.2.3", ("1.2.4",)),
)
REQUEST = AssociateRequest("OURS", "THEIRS", PROPOSED, 16384, None, "1.2.5", "NAME_1")


def test_a_request_is_shown_with_the_names_of_its_uids():
    assert list(request_lines(REQUEST)) == [
        "calling AE title OURS, called AE title THEIRS",
        "implementation 1.2.5 (NAME_1)",
        "maximum length 16384, no asynchronous operations window",
        "no user identity",
        "3 presentation contexts proposed",
        "context 1: CTImageStorage in JPEGBaseline",
        "context 3: CTImageStorage in LittleEndianExplicit, BigEndianExplicit",
        "context 5: 1.2.3 in 1.2.4",
    ]


def test_window_roles_and_extensions_are_shown():
    lines = list(
        request_lines(
            REQUEST._replace(
                window=(0, 1),
                roles=(RoleSelection(CT, scu=True, scp=True), RoleSelection("1.2.3", scu=False, scp=False)),
                extended=(ExtendedNegotiation(CT, b"\2\xff"),),
            )
        )
    )
    assert lines[2:6] == [
        "maximum length 16384, asynchronous operations window unlimited invoked, 1 performed",
        "role for CTImageStorage: SCU and SCP",
        "role for 1.2.3: none",
        "extended negotiation for CTImageStorage: 02 ff",
    ]


@pytest.mark.parametrize(
    ("identity", "line"),
    [
        (UserIdentity(IdentityKind.USERNAME, b"jdoe"), "user name 'jdoe', need not be confirmed"),
        (
            UserIdentity(IdentityKind.USERNAME_AND_PASSCODE, "jdöe\n".encode(), b"hunter2", wants_response=True),
            "user name 'jdöe\\n' and passcode, to be confirmed",
        ),
        (UserIdentity(IdentityKind.KERBEROS, b"hunter2"), "Kerberos ticket of 7 bytes, need not be confirmed"),
        (UserIdentity(IdentityKind.SAML, b"hunter2"), "SAML assertion of 7 bytes, need not be confirmed"),
        (UserIdentity(IdentityKind.JWT, b"hunter2"), "JSON web token of 7 bytes, need not be confirmed"),
        (UserIdentity(77, b"hunter2"), "kind 77, need not be confirmed"),
    ],
)
def test_an_identity_is_shown_without_its_secret(identity, line):
    lines = list(request_lines(REQUEST._replace(identity=identity)))
    assert f"user identity: {line}" in lines
    assert "hunter2" not in "".join(lines)


def test_an_answer_is_shown_with_the_result_of_every_context():
    results = (ContextResult(5, 3, ""), ContextResult(3, 0, "1.2.840.10008.1.2.2"))
    accept = AssociateAccept("OURS", "THEIRS", results, 0, (4, 1), "", None)
    assert list(answer_lines(REQUEST, accept)) == [
        "implementation without a UID",
        "maximum length unlimited, asynchronous operations window 4 invoked, 1 performed",
    ]
    assert list(context_lines(PROPOSED, accept)) == [
        "context 1: CTImageStorage in JPEGBaseline: not answered",
        "context 3: CTImageStorage: accepted in BigEndianExplicit",
        "context 5: 1.2.3 in 1.2.4: abstract syntax not supported",
    ]


@pytest.mark.parametrize(
    ("response", "line"),
    [(None, "the user identity is not confirmed"), (b"hunter2", "the user identity is confirmed, with 7 bytes")],
)
def test_whether_an_identity_is_confirmed_is_shown(response, line):
    request = REQUEST._replace(identity=UserIdentity(IdentityKind.USERNAME, b"jdoe", wants_response=True))
    accept = AssociateAccept("OURS", "THEIRS", (), 0, identity=response)
    assert list(answer_lines(request, accept))[-1] == line
