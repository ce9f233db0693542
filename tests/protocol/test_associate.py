"""A-ASSOCIATE PDUs are compared with pynetdicom's, in both directions."""

import string
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.associate import (
    ACCEPTANCE,
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    MOST_BYTES_OF_ITEM,
    MOST_CONTEXTS,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ExtendedNegotiation,
    IdentityKind,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    describe_result,
    echoed_part,
    excess,
)

_AE_CHARACTERS = string.ascii_letters + string.digits + string.punctuation.replace("\\", "") + " "
_AE_TITLES = st.text(_AE_CHARACTERS, min_size=1, max_size=16).map(str.strip).filter(bool)
_UIDS = st.lists(st.integers(0, 10**9), min_size=1, max_size=5).map(
    lambda numbers: ".".join(map(str, (1, 2, *numbers)))
)
_CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)
_PROPOSED = st.lists(
    st.builds(ProposedContext, _CONTEXT_IDS, _UIDS, st.lists(_UIDS, min_size=1, max_size=4).map(tuple)), max_size=6
).map(tuple)
_RESULTS = st.lists(st.builds(ContextResult, _CONTEXT_IDS, st.integers(0, 4), _UIDS), max_size=6).map(tuple)
_IDENTITIES = st.none() | st.builds(
    UserIdentity,
    st.sampled_from(IdentityKind),
    st.binary(min_size=1, max_size=20),
    st.binary(max_size=20),
    st.booleans(),
)
_USER_INFORMATION = {
    "maximum_length": st.integers(0, 2**32 - 1),
    "window": st.none() | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    "implementation_class_uid": _UIDS,
    "implementation_version_name": st.none()
    | st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=16),
    "protocol_version": st.integers(0, 0xFFFF),
    "application_context": st.just(APPLICATION_CONTEXT),
    "roles": st.lists(st.builds(RoleSelection, _UIDS, st.booleans(), st.booleans()), max_size=3).map(tuple),
    "extended": st.lists(st.builds(ExtendedNegotiation, _UIDS, st.binary(min_size=1, max_size=9)), max_size=3).map(
        tuple
    ),
}
_REQUESTS = st.builds(AssociateRequest, _AE_TITLES, _AE_TITLES, _PROPOSED, **_USER_INFORMATION, identity=_IDENTITIES)
_ACCEPTS = st.builds(
    AssociateAccept,
    _AE_TITLES,
    _AE_TITLES,
    _RESULTS,
    **_USER_INFORMATION,
    identity=st.none() | st.binary(min_size=1, max_size=20),
)

_REQUEST = AssociateRequest(
    "OURSELVES",
    "THE PEER",
    (
        ProposedContext(1, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.4.90",)),
        ProposedContext(3, "1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),
    ),
    16384,
    window=(8, 1),
    roles=(RoleSelection("1.2.840.10008.5.1.4.1.1.2", scu=True, scp=False),),
    extended=(ExtendedNegotiation("1.2.840.10008.5.1.4.1.1.2", b"\2\0\3\0\0\0"),),
    identity=UserIdentity(IdentityKind.USERNAME_AND_PASSCODE, b"jdoe", b"secret", wants_response=True),
)
_ACCEPT = AssociateAccept(
    "OURSELVES",
    "THE PEER",
    (ContextResult(1, 4, "1.2.840.10008.1.2.4.90"), ContextResult(3, 0, "1.2.840.10008.1.2.1")),
    131072,
    window=(4, 1),
    roles=(RoleSelection("1.2.840.10008.5.1.4.1.1.2", scu=False, scp=True),),
    extended=(ExtendedNegotiation("1.2.840.10008.5.1.4.1.1.2", b"\1\0\0\0\0\0"),),
    identity=b"ticket",
)


def _user_values(user):
    """The user information of pynetdicom's PDU in the order of our fields."""
    window = user.async_ops_window
    return (
        user.maximum_length,
        None
        if window is None
        else (window.maximum_number_operations_invoked, window.maximum_number_operations_performed),
        user.implementation_class_uid,
        user.implementation_version_name,
    )


def _items_of(user, name):
    """Sub-items of pynetdicom's user information by the name of their class, in their order."""
    return [item for item in user.user_data if type(item).__name__ == name]


def _negotiated(user):
    """Roles and extended negotiation of pynetdicom's PDU, as ours."""
    return {
        "roles": tuple(
            RoleSelection(str(item.uid), bool(item.scu), bool(item.scp))
            for item in _items_of(user, "SCP_SCU_RoleSelectionSubItem")
        ),
        "extended": tuple(
            ExtendedNegotiation(str(item.uid), item.app_info)
            for item in _items_of(user, "SOPClassExtendedNegotiationSubItem")
        ),
    }


def _identity(user):
    return next(
        (
            UserIdentity(item.id_type, item.primary or b"", item.secondary or b"", item.response_requested)
            for item in _items_of(user, "UserIdentitySubItemRQ")
        ),
        None,
    )


def _identity_response(user):
    return next((item.response for item in _items_of(user, "UserIdentitySubItemAC")), None)


def _request_read_by_pynetdicom(data):
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(data)
    contexts = tuple(
        ProposedContext(item.context_id, item.abstract_syntax, tuple(item.transfer_syntax))
        for item in theirs.presentation_context
    )
    request = AssociateRequest(
        theirs.calling_ae_title,
        theirs.called_ae_title,
        contexts,
        *_user_values(theirs.user_information),
        theirs.protocol_version,
        theirs.application_context_name,
        **_negotiated(theirs.user_information),
        identity=_identity(theirs.user_information),
    )
    return request, theirs


def _accept_read_by_pynetdicom(data):
    theirs = A_ASSOCIATE_AC()
    theirs.decode(data)
    contexts = tuple(
        ContextResult(item.context_id, item.result_reason, item.transfer_syntax or "")
        for item in theirs.presentation_context
    )
    accept = AssociateAccept(
        theirs.reserved_aec.strip(),
        theirs.reserved_aet.strip(),
        contexts,
        *_user_values(theirs.user_information),
        theirs.protocol_version,
        theirs.application_context_name,
        **_negotiated(theirs.user_information),
        identity=_identity_response(theirs.user_information),
    )
    return accept, theirs


# The same values on both sides.


@pytest.mark.slow
@given(_REQUESTS)
def test_pynetdicom_reads_our_request_and_writes_it_byte_for_byte_the_same(request):
    data = request.encode()
    read, theirs = _request_read_by_pynetdicom(data)
    assert read == request
    assert theirs.encode() == data


@pytest.mark.slow
@given(_ACCEPTS)
def test_pynetdicom_reads_our_acceptance_and_writes_it_byte_for_byte_the_same(accept):
    data = accept.encode()
    read, theirs = _accept_read_by_pynetdicom(data)
    assert read == accept
    assert theirs.encode() == data


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_pynetdicom_reads_our_rejection_and_writes_it_byte_for_byte_the_same(result, source, reason):
    data = AssociateReject(result, source, reason).encode()
    theirs = A_ASSOCIATE_RJ()
    theirs.decode(data)
    assert (theirs.result, theirs.source, theirs.reason_diagnostic) == (result, source, reason)
    assert theirs.encode() == data
    assert AssociateReject.decode(data[6:]) == AssociateReject(result, source, reason)


@pytest.mark.slow
@given(_REQUESTS)
def test_a_request_reads_as_it_was_written(request):
    assert AssociateRequest.decode(request.encode()[6:]) == request


@pytest.mark.slow
@given(_ACCEPTS)
def test_an_acceptance_reads_as_it_was_written(accept):
    assert AssociateAccept.decode(accept.encode()[6:]) == accept


def test_128_contexts_are_written_and_read():
    ids = range(1, 2 * MOST_CONTEXTS, 2)
    contexts = tuple(ProposedContext(number, f"1.2.{number}", ("1.2.840.10008.1.2",)) for number in ids)
    request = AssociateRequest("OURSELVES", "THE PEER", contexts, 16384)
    assert _request_read_by_pynetdicom(request.encode())[0] == request
    assert AssociateRequest.decode(request.encode()[6:]) == request
    results = tuple(ContextResult(number, 0, f"1.2.{number}") for number in ids)
    accept = AssociateAccept("OURSELVES", "THE PEER", results, 16384)
    assert _accept_read_by_pynetdicom(accept.encode())[0] == accept
    assert AssociateAccept.decode(accept.encode()[6:]) == accept


# pynetdicom's own PDUs.


def _primitive(*more):
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "THEM", "US"
    length, uid, name = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = 32768
    uid.implementation_class_uid = "1.2.826.0.1"
    name.implementation_version_name = "THEIRS_1"
    primitive.user_information = [length, uid, name, *more]
    return primitive


def _role_selection():
    item = SCP_SCU_RoleSelectionNegotiation()
    item.sop_class_uid, item.scu_role, item.scp_role = "1.2.840.10008.5.1.4.1.1.2", True, True
    return item


def _user_identity():
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = 2, b"someone", b"password"
    item.positive_response_requested = True
    return item


def _extended_negotiation():
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = "1.2.840.10008.5.1.4.1.1.4", b"\2\0\3"
    return item


def _window():
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked, item.maximum_number_operations_performed = 5, 6
    return item


_ROLES = (RoleSelection("1.2.840.10008.5.1.4.1.1.2", scu=True, scp=True),)
_EXTENDED = (ExtendedNegotiation("1.2.840.10008.5.1.4.1.1.4", b"\2\0\3"),)


@pytest.mark.parametrize(
    ("more", "negotiated"),
    [
        ([], {}),
        ([_window], {"window": (5, 6)}),
        ([_role_selection], {"roles": _ROLES}),
        ([_extended_negotiation], {"extended": _EXTENDED}),
        ([_user_identity], {"identity": UserIdentity(2, b"someone", b"password", wants_response=True)}),
        (
            [_user_identity, _window, _extended_negotiation, _role_selection],
            {
                "window": (5, 6),
                "roles": _ROLES,
                "extended": _EXTENDED,
                "identity": UserIdentity(2, b"someone", b"password", wants_response=True),
            },
        ),
    ],
    ids=["plain", "window", "role selection", "extended negotiation", "user identity", "all"],
)
def test_a_request_from_pynetdicom_is_read_completely(more, negotiated):
    primitive = _primitive(*(make() for make in more))
    contexts = [build_context("1.2.840.10008.1.1"), build_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2")]
    contexts[0].context_id, contexts[1].context_id = 1, 3
    primitive.presentation_context_definition_list = contexts
    theirs = A_ASSOCIATE_RQ()
    theirs.from_primitive(primitive)
    request = AssociateRequest.decode(theirs.encode()[6:])
    assert request == AssociateRequest(
        "THEM",
        "US",
        (
            ProposedContext(1, "1.2.840.10008.1.1", tuple(contexts[0].transfer_syntax)),
            ProposedContext(3, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2",)),
        ),
        32768,
        implementation_class_uid="1.2.826.0.1",
        implementation_version_name="THEIRS_1",
        **negotiated,
    )


@pytest.mark.parametrize("result", range(5))
def test_an_acceptance_from_pynetdicom_is_read(result):
    primitive = _primitive(_window())
    context = build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2.1")
    context.context_id, context.result = 5, result
    primitive.presentation_context_definition_results_list = [context]
    primitive.result = 0
    theirs = A_ASSOCIATE_AC()
    theirs.from_primitive(primitive)
    accept = AssociateAccept.decode(theirs.encode()[6:])
    (read,) = accept.contexts
    assert (read.id, read.result) == (5, result)
    assert result != ACCEPTANCE or read.transfer_syntax == "1.2.840.10008.1.2.1"
    assert (accept.maximum_length, accept.window, accept.implementation_version_name) == (32768, (5, 6), "THEIRS_1")


# Hostile and careless peers.


def _item(kind, value):
    return bytes((kind, 0)) + len(value).to_bytes(2, "big") + value


def _with_items(*items):
    """An A-ASSOCIATE body with these variable items."""
    return _REQUEST.encode()[6:74] + b"".join(items)


def test_unknown_items_are_skipped():
    plain = _REQUEST.encode()[6:]
    unknown = _item(0x99, b"something of the future")
    assert AssociateRequest.decode(plain[:68] + unknown + plain[68:] + unknown) == _REQUEST
    user = _item(0x50, _item(0x51, b"\0\0\1\0") + _item(0x5A, b"???") + _item(0x52, b"1.2.3"))
    accept = AssociateAccept.decode(_with_items(unknown, user, unknown))
    assert (accept.maximum_length, accept.implementation_class_uid) == (256, "1.2.3")


def test_missing_items_have_the_standards_defaults():
    accept = AssociateAccept.decode(_with_items())
    assert (accept.contexts, accept.maximum_length, accept.window) == ((), 0, None)


def test_a_refused_context_needs_no_transfer_syntax():
    accept = AssociateAccept.decode(_with_items(_item(0x21, b"\x05\0\x03\0")))
    assert accept.contexts == (ContextResult(5, 3, ""),)


def test_padding_of_uids_and_ae_titles_is_not_significant():
    (context,) = AssociateAccept.decode(
        _with_items(_item(0x21, b"\1\0\0\0" + _item(0x40, b"1.2.840.10008.1.2\0")))
    ).contexts
    assert context.transfer_syntax == "1.2.840.10008.1.2"
    body = bytearray(_REQUEST.encode()[6:])
    body[4:20], body[20:36] = b"  CALLED        ", b"CALLING\0\0\0\0\0\0\0\0\0"
    request = AssociateRequest.decode(bytes(body))
    assert (request.called_ae_title, request.calling_ae_title) == ("CALLED", "CALLING")


@pytest.mark.parametrize(
    ("pdu", "body"),
    [
        pytest.param(AssociateRequest, b"", id="empty"),
        pytest.param(AssociateAccept, bytes(67), id="cut off in the fixed part"),
        pytest.param(AssociateRequest, _with_items(b"\x10\0\xff\xff"), id="item longer than the PDU"),
        pytest.param(AssociateRequest, _with_items(b"\x10\0"), id="cut off in the header of an item"),
        pytest.param(AssociateRequest, _with_items(_item(0x20, b"\1\0")), id="context shorter than its fixed part"),
        pytest.param(AssociateAccept, _with_items(_item(0x21, b"\1\0\0")), id="result shorter than its fixed part"),
        pytest.param(AssociateRequest, _with_items(_item(0x20, bytes(4))), id="no abstract syntax"),
        pytest.param(
            AssociateRequest, _with_items(_item(0x20, bytes(4) + 2 * _item(0x30, b"1.2"))), id="two abstract syntaxes"
        ),
        pytest.param(AssociateAccept, _with_items(_item(0x50, _item(0x51, b"\0\0\1"))), id="maximum length of 3 bytes"),
        pytest.param(AssociateAccept, _with_items(_item(0x50, b"\x51\0\0\x05\0\0\0\0")), id="sub-item beyond its item"),
        pytest.param(AssociateAccept, _with_items(_item(0x50, _item(0x54, b"\0\x071.2"))), id="role beyond its item"),
        pytest.param(AssociateAccept, _with_items(_item(0x50, _item(0x54, b"\0\x031.2\1"))), id="only one role"),
        pytest.param(AssociateAccept, _with_items(_item(0x50, _item(0x56, b"\0"))), id="extension without a SOP class"),
        pytest.param(AssociateRequest, _with_items(_item(0x50, _item(0x58, b""))), id="empty identity"),
        pytest.param(
            AssociateRequest, _with_items(_item(0x50, _item(0x58, b"\2\0\0\1a\0\5pw"))), id="passcode beyond its item"
        ),
        pytest.param(AssociateAccept, _with_items(_item(0x50, _item(0x59, b"\0\5a"))), id="response beyond its item"),
    ],
)
def test_lengths_are_not_trusted(pdu, body):
    with pytest.raises(InvalidPdu):
        pdu.decode(body)


_BODIES = pytest.mark.parametrize(
    ("pdu", "body"),
    [(AssociateRequest, _REQUEST.encode()[6:]), (AssociateAccept, _ACCEPT.encode()[6:])],
    ids=["request", "acceptance"],
)


@pytest.mark.parametrize("transfer_syntaxes", [b"", 2 * _item(0x40, b"1.2")])
def test_a_context_that_is_accepted_without_one_transfer_syntax_has_none(transfer_syntaxes):
    accept = AssociateAccept.decode(_with_items(_item(0x21, b"\5\0\0\0" + transfer_syntaxes)))
    assert accept.contexts == (ContextResult(5, 0, ""),)


def test_a_window_of_another_length_is_none():
    assert AssociateAccept.decode(_with_items(_item(0x50, _item(0x53, b"\0\0\0\0\0")))).window is None


_FORGED = b"EVIL\r\n\x1b[2J\xe4\x7f"
_HARMLESS = "EVIL\\r\\n\\x1b[2J\\xe4\\x7f"


def test_unprintable_characters_from_a_peer_are_escaped():
    titles = struct.pack(">HH16s16s32x", 1, 0, _FORGED, b"\x1b]0;a\x07b\0c\n")
    context = _item(0x20, b"\1\0\0\0" + _item(0x30, _FORGED) + _item(0x40, _FORGED) + _item(0x40, b"1.2"))
    user = [_item(0x52, _FORGED), _item(0x55, _FORGED)]
    user += [_item(0x54, b"\0\x0c" + _FORGED + b"\1\1"), _item(0x56, b"\0\x0c" + _FORGED)]
    items = _item(0x10, _FORGED) + context + _item(0x50, b"".join(user))
    request = AssociateRequest.decode(titles + items)
    assert (request.called_ae_title, request.calling_ae_title) == (_HARMLESS, "\\x1b]0;a\\x07b\\x00c\\n")
    assert request.contexts == (ProposedContext(1, _HARMLESS, ("1.2",)),)  # the forged one cannot be a UID
    assert request.application_context == _HARMLESS
    assert (request.implementation_class_uid, request.implementation_version_name) == (_HARMLESS, _HARMLESS)
    assert request.roles == (RoleSelection(_HARMLESS, True, True),)
    assert [extension.sop_class_uid for extension in request.extended] == [_HARMLESS]
    accept = AssociateAccept.decode(titles + _item(0x21, b"\1\0\0\0" + _item(0x40, _FORGED)) + items)
    assert accept.contexts == (ContextResult(1, 0, _HARMLESS),)


def test_an_acceptance_repeats_ae_titles_and_reserved_bytes():
    body = bytearray(_REQUEST.encode()[6:])
    body[4:68] = b"\0 PACS\x1b\n\xff      " + b" OURS\xe4\0\0\0\0\0\0\0\0\0\0" + bytes(range(32))
    encoded = _ACCEPT.encode(echoed_part(bytes(body)))
    assert encoded[10:74] == body[4:68]
    assert encoded[74:] == _ACCEPT.encode()[74:]


def _decodes_or_is_invalid(pdu, body):
    with suppress(InvalidPdu):
        assert isinstance(pdu.decode(body), pdu)


@_BODIES
def test_a_truncated_body_is_decoded_or_invalid(pdu, body):
    for length in range(len(body)):
        _decodes_or_is_invalid(pdu, body[:length])


@pytest.mark.slow
@_BODIES
def test_a_body_with_a_flipped_bit_is_decoded_or_invalid(pdu, body):
    for position in range(len(body)):
        for bit in range(8):
            damaged = bytearray(body)
            damaged[position] ^= 1 << bit
            _decodes_or_is_invalid(pdu, bytes(damaged))


@given(st.sampled_from([AssociateRequest, AssociateAccept]), st.binary(max_size=200))
def test_any_bytes_are_decoded_or_invalid(pdu, items):
    _decodes_or_is_invalid(pdu, items)
    _decodes_or_is_invalid(pdu, _with_items(items))


@given(
    st.sampled_from([AssociateRequest, AssociateAccept]),
    st.lists(
        st.tuples(
            st.sampled_from([0x10, 0x20, 0x21, 0x50]),
            st.binary(max_size=6),
            st.lists(
                st.tuples(
                    st.sampled_from([0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x58, 0x59]), st.binary(max_size=6)
                ),
                max_size=3,
            ),
        ),
        max_size=4,
    ),
)
def test_any_items_are_decoded_or_invalid(pdu, items):
    nested = (_item(kind, start + b"".join(_item(*inner) for inner in inners)) for kind, start, inners in items)
    _decodes_or_is_invalid(pdu, _with_items(*nested))


# Secrets and limits.


@pytest.mark.parametrize("kind", IdentityKind)
def test_the_repr_of_an_identity_hides_its_bytes(kind):
    request = _REQUEST._replace(identity=UserIdentity(kind, b"jdoe-or-ticket", b"hunter2"))
    for text in (repr(request), str(request), f"{request.identity}", repr([request.identity])):
        assert "jdoe" not in text
        assert "ticket" not in text
        assert "hunter2" not in text


def test_excess_counts_the_bytes_that_do_not_fit_into_the_user_information():
    room = MOST_BYTES_OF_ITEM - len(AssociateRequest("", "", (), 0).encode()) + 74 + 4 + len(APPLICATION_CONTEXT) + 4
    request = AssociateRequest("US", "THEM", (), 0)
    longest = UserIdentity(IdentityKind.KERBEROS, bytes(room - 10))
    assert excess(request) == excess(request._replace(identity=longest)) == 0
    assert AssociateRequest.decode(request._replace(identity=longest).encode()[6:]).identity == longest
    longer = request._replace(identity=longest._replace(primary=bytes(room - 7)))
    assert excess(longer) == 3
    with pytest.raises(ValueError, match="do not fit"):
        longer.encode()


# Ourselves.


def test_our_implementation_uid_and_version_fit_into_their_items():
    assert len(IMPLEMENTATION_CLASS_UID) <= 64
    assert 0 < len(IMPLEMENTATION_VERSION_NAME) <= 16
    assert IMPLEMENTATION_VERSION_NAME.isascii()


def test_every_result_has_words():
    assert [describe_result(result) for result in range(5)] == [
        "accepted",
        "rejected by the user",
        "rejected without a reason",
        "abstract syntax not supported",
        "transfer syntaxes not supported",
    ]
    assert describe_result(77) == "result 77"
