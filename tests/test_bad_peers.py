"""Whatever a peer does, each file ends in one true outcome, the cause is named, and nothing hangs or is left behind."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from asyncstore import (
    Affinity,
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    Result,
    Sink,
    Timeouts,
)
from asyncstore.cli.text.hints import hint_of
from asyncstore.errors import TimedOut
from support.oracle import DELIVERED, assert_true, nothing_left_behind, send, until
from support.peers.acceptor import Result as Result_
from support.peers.hostile import (
    ACCEPT_WITHOUT_ITEMS,
    COMMAND_SET_OF_GARBAGE,
    EMPTY_P_DATA,
    HTTP,
    ITEM_LONGER_THAN_ITS_PDU,
    PDU_OF_4_GIB,
    PDV_LONGER_THAN_ITS_PDU,
    PDV_SHORTER_THAN_ITS_HEADER,
    TLS_ALERT,
    UNASKED_DATA_SET,
    UNKNOWN_PDU,
    Behaviour,
    aborts,
    accepts,
    accepts_no_context,
    accepts_other_contexts,
    accepts_unproposed_transfer_syntax,
    after,
    answers,
    answers_another_message,
    answers_before_the_end,
    answers_byte_by_byte,
    answers_in_context,
    answers_in_part,
    answers_in_reverse,
    answers_late,
    answers_pending_for_ever,
    answers_twice,
    answers_without_end,
    asks_for_release,
    closes,
    collides,
    never_answers,
    obedient,
    obeys,
    rejects,
    releases,
    resets,
    running_hostile,
    says,
    stays_silent,
    stops_reading,
    then,
    waits,
)
from support.trees import data_sets, instances

pytestmark = pytest.mark.slow

SHORT = Timeouts(socket=0.5, acse=0.5, dimse=0.5)
"""Where nothing else can happen than that the time runs out."""
LONGER = 1.0
"""Seconds of a timeout in whose time a busy machine must still get other things done."""
FILES = 6


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return instances(tmp_path_factory.mktemp("small") / "files", FILES, data_set_bytes=40_000)


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    """So large that they are still under way when something happens to them."""
    return instances(tmp_path_factory.mktemp("large") / "files", 2, data_set_bytes=20_000_000)


@pytest.fixture
def sparse_file(files, tmp_path):
    """A file with a gibibyte of pixel data, which takes no room on the disk."""
    path = tmp_path / "sparse.dcm"
    head, tag, _ = files[0].read_bytes().partition(b"\xe0\x7f\x10\x00OW\0\0")
    path.write_bytes(head + tag + (1 << 30).to_bytes(4, "little"))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + (1 << 30))
    return path


# No association comes about -------------------------------------------------------------------------------------------

UNANSWERED = "no answer to the association request within 0.5 s"
BROKEN = "the peer broke the DICOM protocol: "


@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        pytest.param(Behaviour(on_connect=stays_silent()), TimedOut, UNANSWERED, id="silent from the start"),
        pytest.param(Behaviour(on_request=stays_silent()), TimedOut, UNANSWERED, id="silent after the request"),
        pytest.param(Behaviour(on_connect=stops_reading()), TimedOut, UNANSWERED, id="reads nothing"),
        pytest.param(
            Behaviour(on_connect=then(says(HTTP), closes())), ProtocolViolation, "answered with HTTP", id="web server"
        ),
        pytest.param(
            Behaviour(on_request=then(says(HTTP), closes())),
            ProtocolViolation,
            "answered with HTTP",
            id="web server that listens first",
        ),
        pytest.param(
            Behaviour(on_connect=says(b"SSH-2.0-OpenSSH_9.2\r\n")),
            ProtocolViolation,
            "a PDU of the unknown type 0x53",
            id="SSH server",
        ),
        pytest.param(Behaviour(on_connect=closes()), LinkLost, "the peer closed it", id="closes at once"),
        # The connection may be reset before it counts as made.
        pytest.param(
            Behaviour(on_connect=resets()), LinkLost | ConnectFailed, "reset by the peer", id="resets at once"
        ),
        pytest.param(Behaviour(on_request=closes()), LinkLost, "the peer closed it", id="closes"),
        pytest.param(Behaviour(on_request=aborts()), AssociationAborted, "the peer aborted", id="aborts"),
        pytest.param(
            Behaviour(on_request=says(ITEM_LONGER_THAN_ITS_PDU)),
            ProtocolViolation,
            "an item of 5000 bytes where 7 are left",
            id="item longer than its PDU",
        ),
        pytest.param(
            Behaviour(on_request=says(PDU_OF_4_GIB)), ProtocolViolation, "4294967295 bytes", id="P-DATA-TF of 4 GiB"
        ),
        pytest.param(
            Behaviour(on_request=says(b"\x02\x00\xff\xff\xff\xff")),
            ProtocolViolation,
            "4294967295 bytes",
            id="A-ASSOCIATE-AC of 4 GiB",
        ),
        pytest.param(Behaviour(on_request=says(UNKNOWN_PDU)), ProtocolViolation, "unknown type 0x42", id="unknown PDU"),
        pytest.param(
            Behaviour(on_connect=says(TLS_ALERT)), ProtocolViolation, "answered with an alert of TLS", id="TLS server"
        ),
        *(
            pytest.param(
                Behaviour(on_request=accepts(max_length=length)),
                ProtocolViolation,
                f"it accepts PDUs of at most {length} bytes: too few for any data",
                id=f"maximum length {length}",
            )
            for length in (1, 7)
        ),
    ],
)
async def test_without_an_association_the_run_raises_why_and_no_file_is_sent(
    files, behaviour, error, words, associations
):
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        timeouts = SHORT if error is TimedOut else Timeouts()
        ran = await send(scp.port, files, associations=associations, timeouts=timeouts)
        assert_true(ran, files, {})
        assert isinstance(ran.failure, error)
        assert ran.failure.peer == f"127.0.0.1:{scp.port}"
        assert words in str(ran.failure)
        assert hint_of(ran.failure) or isinstance(ran.failure, LinkLost | ConnectFailed | AssociationAborted)
        assert ran.results == {Result.NOT_SENT: FILES}
        assert all(words in outcome.error for outcome in ran.outcomes)
        assert scp.stores == []
        assert scp.violations == []


@pytest.mark.parametrize(
    ("behaviour", "speaks_dicom"),
    [
        pytest.param(Behaviour(on_connect=then(says(HTTP), closes())), False, id="web server"),
        pytest.param(Behaviour(on_request=says(UNKNOWN_PDU)), False, id="unknown PDU"),
        pytest.param(Behaviour(on_request=accepts(max_length=1)), True, id="maximum length 1"),
        pytest.param(Behaviour(on_request=accepts(max_length=7)), True, id="maximum length 7"),
    ],
)
async def test_only_who_has_not_spoken_dicom_may_be_at_another_port(files, behaviour, speaks_dicom):
    async with running_hostile(behaviour) as scp:
        ran = await send(scp.port, files[:1], associations=1)
    assert ("The peer's program" in hint_of(ran.failure)) is speaks_dicom
    assert ("DICOM port" in hint_of(ran.failure)) is not speaks_dicom


@pytest.mark.parametrize("alert", [TLS_ALERT, TLS_ALERT[:1]])
async def test_of_a_peer_that_speaks_tls_the_error_knows_it_and_the_hint_says_what_to_do(files, alert):
    async with nothing_left_behind(), running_hostile(Behaviour(on_request=then(says(alert), closes()))) as scp:
        ran = await send(scp.port, files[:1], associations=1)
    assert type(ran.failure) is ProtocolViolation
    assert ran.failure.speaks == "TLS"
    assert "+tls" in hint_of(ran.failure)


@pytest.mark.parametrize(
    ("result", "source", "reason", "words", "is_transient"),
    [
        (1, 1, 1, "permanently: no reason given", False),
        (1, 1, 2, "permanently: application context name not supported", False),
        (1, 1, 3, "permanently: calling AE title not recognized", False),
        (1, 1, 7, "permanently: called AE title not recognized", False),
        (1, 2, 1, "permanently: no reason given by its ACSE", False),
        (1, 2, 2, "permanently: protocol version not supported", False),
        (2, 3, 1, "for now: temporary congestion", True),
        (2, 3, 2, "for now: local limit exceeded", True),
        (9, 9, 9, "source 9, reason 9", False),
    ],
)
async def test_a_rejection_is_told_with_its_reason(files, result, source, reason, words, is_transient):
    async with nothing_left_behind(), running_hostile(Behaviour(on_request=rejects(result, source, reason))) as scp:
        ran = await send(scp.port, files, associations=1)
        assert_true(ran, files, {})
        assert isinstance(ran.failure, AssociationRejected)
        assert (ran.failure.result, ran.failure.source, ran.failure.reason) == (result, source, reason)
        assert ran.failure.is_transient is is_transient
        assert words in str(ran.failure)
        assert ran.results == {Result.NOT_SENT: FILES}
        assert all(words in outcome.error for outcome in ran.outcomes)


async def test_a_wrong_ae_title_has_a_hint_which_option_to_use(files):
    async with running_hostile(Behaviour(on_request=rejects(1, 1, 7))) as scp:
        ran = await send(scp.port, files, associations=1)
        assert "-aec" in hint_of(ran.failure)


async def test_nothing_that_listens_is_a_refused_connection(files, refusing_port):
    async with nothing_left_behind():
        ran = await send(refusing_port, files, associations=4)
        assert_true(ran, files, {})
        assert isinstance(ran.failure, ConnectFailed)
        assert "connection refused" in ran.failure.cause
        assert "nothing listens there" in str(ran.failure)
        assert hint_of(ran.failure)
        assert ran.results == {Result.NOT_SENT: FILES}


async def test_a_black_hole_is_given_up_after_the_connect_timeout(files):
    async with nothing_left_behind():
        with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)  # once its queue is full, the system answers no further SYN
            for filling in (first, second):
                filling.setblocking(False)
                filling.connect_ex(listening.getsockname())
            ran = await send(listening.getsockname()[1], files, associations=2, timeouts=SHORT._replace(connect=0.5))
        assert_true(ran, files, {})
        assert isinstance(ran.failure, ConnectFailed)
        assert ran.failure.cause == "no answer within 0.5 s"
        assert ran.results == {Result.NOT_SENT: FILES}


@pytest.mark.parametrize("peer", ["no such host", "x" * 300, "host.invalid", "-"])
async def test_what_is_no_host_is_a_connection_that_failed(files, peer):
    async with nothing_left_behind():
        ran = await send(104, files, peer=peer, timeouts=Timeouts(connect=2.0))
        assert_true(ran, files, {})
        assert isinstance(ran.failure, ConnectFailed)
        assert ran.results == {Result.NOT_SENT: FILES}


# Presentation contexts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(Behaviour(on_request=accepts_no_context()), "abstract syntax not supported", id="none"),
        pytest.param(
            Behaviour(on_request=accepts(change=lambda result: result._replace(result=4))),
            "transfer syntaxes not supported",
            id="no transfer syntax",
        ),
        pytest.param(
            Behaviour(on_request=accepts(change=lambda result: result._replace(result=77))), "result 77", id="77"
        ),
        pytest.param(Behaviour(on_request=says(ACCEPT_WITHOUT_ITEMS)), "did not answer it", id="no answer"),
        pytest.param(
            Behaviour(on_request=accepts_unproposed_transfer_syntax()),
            "accepted in 1.2.840.10008.1.2.4.91, which was not proposed",
            id="transfer syntax not proposed",
        ),
        pytest.param(Behaviour(on_request=accepts_other_contexts()), "did not answer it", id="context not proposed"),
        pytest.param(Behaviour(on_request=accepts_other_contexts(1)), "did not answer it", id="even context"),
    ],
)
async def test_a_peer_that_accepts_no_context_is_told_for_each_file_and_released(files, behaviour, words):
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=1)
        assert_true(ran, files, {})
        assert ran.results == {Result.NOT_SENT: FILES}
        for outcome in ran.outcomes:
            assert "no presentation context accepted" in outcome.error
            assert "CTImageStorage in LittleEndianExplicit" in outcome.error
            assert words in outcome.error
        assert scp.stores == []
        assert scp.violations == []
        assert all(association.released for association in scp.associations)


@pytest.mark.parametrize("associations", [1, 3])
async def test_files_whose_context_is_not_accepted_do_not_keep_the_others_from_being_stored(
    tmp_path, files, associations
):
    other = tmp_path / "of-another-class.dcm"
    other.write_bytes(files[0].read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0"))
    found = [other, *files]
    behaviour = Behaviour(on_request=accepts(sop_classes=lambda uid: uid.endswith(".1.1.2")))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, found, associations=associations)
        assert_true(ran, found, scp.stored())
        assert ran.results == {Result.STORED: FILES, Result.NOT_SENT: 1}
        assert "MRImageStorage" in ran.of(other).error
        assert scp.violations == []


@pytest.mark.parametrize("associations", [1, 3])
async def test_what_is_answered_beyond_the_proposal_does_no_harm_and_is_warned_of_once(files, caplog, associations):
    async def accepts_more(acceptor):
        context = acceptor.record.request.presentation_context_definition_list[0]
        answers = [
            Result_(context.context_id, 0, str(context.transfer_syntax[0])),
            Result_(99, 0, "1.2"),
            Result_(4, 3, ""),
        ]
        await acceptor.accept(answers, 16382, None)

    async with nothing_left_behind(), running_hostile(Behaviour(on_request=accepts_more)) as scp:
        ran = await send(scp.port, files, associations=associations)
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())
        assert scp.violations == []
    assert len(_deviations(caplog)) == 1
    assert "presentation contexts that were not proposed" in _deviations(caplog)[0]


def _deviations(caplog):
    return [message for record in caplog.records if "against the DICOM standard" in (message := record.getMessage())]


@pytest.mark.parametrize("length", [None, 0, 8, 9, 12, 13, 2**32 - 1])
async def test_any_maximum_length_that_leaves_room_for_data_is_obeyed(tmp_path, length):
    files = instances(tmp_path / "files", 2, data_set_bytes=2800)
    async with nothing_left_behind(), running_hostile(Behaviour(on_request=accepts(max_length=length))) as scp:
        ran = await send(scp.port, files, associations=1)
        assert ran.results == {Result.STORED: 2}
        assert_true(ran, files, scp.stored())
        assert scp.violations == []


# It breaks off, or breaks the protocol, in the middle -----------------------------------------------------------------

BREACHES = [
    pytest.param(aborts(), "the peer aborted the association", None, id="aborts"),
    pytest.param(aborts(0, 0), "the peer aborted the association (by its application)", None, id="aborts as user"),
    pytest.param(closes(), "the connection was lost: the peer closed it", None, id="closes"),
    pytest.param(resets(), "the connection was lost: ", None, id="resets"),
    pytest.param(asks_for_release(), "the peer released the association", None, id="releases"),
    pytest.param(says(PDU_OF_4_GIB), BROKEN + "a P-DATA-TF of 4294967295 bytes", (2, 6), id="PDU of 4 GiB"),
    pytest.param(says(UNKNOWN_PDU), BROKEN + "a PDU of the unknown type 0x42", (2, 1), id="unknown PDU"),
    pytest.param(says(EMPTY_P_DATA), BROKEN + "a P-DATA-TF of 0 bytes", (2, 6), id="empty P-DATA-TF"),
    pytest.param(says(PDV_LONGER_THAN_ITS_PDU), BROKEN + "a PDV of 1000 bytes", (2, 6), id="PDV beyond its PDU"),
    pytest.param(says(PDV_SHORTER_THAN_ITS_HEADER), BROKEN + "a P-DATA-TF of 5 bytes", (2, 6), id="PDV cut off"),
    pytest.param(says(COMMAND_SET_OF_GARBAGE), BROKEN + "a command set", (2, 6), id="garbage as command set"),
    pytest.param(says(UNASKED_DATA_SET), BROKEN + "a data set without its command", (2, 2), id="data set"),
    pytest.param(says(b"\x01\0\0\0\0\x44" + bytes(68)), BROKEN + "an unexpected PDU", (2, 2), id="A-ASSOCIATE-RQ"),
    pytest.param(says(b"\x06\0\0\0\0\x04" + bytes(4)), BROKEN + "an unexpected PDU", (2, 2), id="A-RELEASE-RP"),
]


@pytest.mark.parametrize("when", ["amid_data", "on_store"])
@pytest.mark.parametrize(("step", "words", "our_abort"), BREACHES)
async def test_what_was_under_way_when_an_association_broke_is_unknown_and_the_run_completes(
    files, step, words, our_abort, when
):
    async with nothing_left_behind(), running_hostile(Behaviour(**{when: after(2, step)}), obedient) as scp:
        ran = await send(scp.port, files, associations=1)
        assert_true(ran, files, scp.stored())
        assert ran.failure is None
        assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
        [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
        assert words in unknown.error
        assert {outcome.sop_instance_uid for outcome in ran.outcomes if outcome.result in DELIVERED} <= set(
            scp.acknowledged
        )
        assert scp.associations[0].aborted == our_abort
        assert scp.associations[1].released
        assert scp.violations == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        pytest.param(answers_another_message(), "which is not outstanding", id="another message id"),
        pytest.param(answers_another_message(-3), "which is not outstanding", id="message id 0"),
        pytest.param(
            answers(MessageIDBeingRespondedTo=77, context_id=3),
            "which is not outstanding",
            id="in another context, too",
        ),
        pytest.param(answers(MessageIDBeingRespondedTo=None), "which message it answers", id="without a message id"),
        pytest.param(answers_in_context(5), "a response in context 5, which was not accepted", id="unknown context"),
        pytest.param(answers_in_context(2), "a response in context 2, which was not accepted", id="even context"),
        pytest.param(answers_without_end(), "a command set of more than 65536 bytes", id="a response without end"),
        pytest.param(answers(CommandField=0x8030), "0x8030", id="answered with C-ECHO-RSP"),
        pytest.param(answers(CommandField=0x0001), "a command 0x0001 that answers nothing", id="C-STORE-RQ in return"),
        pytest.param(answers(CommandDataSetType=1), "with a data set", id="a response with a data set"),
    ],
)
async def test_an_answer_that_is_none_makes_nothing_stored(files, step, words):
    behaviour = Behaviour(on_store=after(2, step))
    async with nothing_left_behind(), running_hostile(behaviour, obedient) as scp:
        ran = await send(scp.port, files, associations=1)
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
        [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
        assert BROKEN in unknown.error
        assert words in unknown.error


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(answers_in_context(3), id="once"),
        pytest.param(then(answers_in_context(3), answers_in_context(3), answers()), id="and again, in both"),
    ],
)
@pytest.mark.parametrize("associations", [1, 3])
async def test_answers_in_another_accepted_context_are_taken_and_warned_of_once(files, caplog, step, associations):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=step)) as scp:
        ran = await send(scp.port, files, associations=associations)
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES}
        assert scp.violations == []
    assert len(_deviations(caplog)) == 1
    assert "another presentation context" in _deviations(caplog)[0]


async def test_a_failure_in_another_accepted_context_is_a_failure(files):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers(0xA700, context_id=3))) as scp:
        ran = await send(scp.port, files, associations=1)
        assert ran.results == {Result.FAILED: FILES}


async def test_an_answer_in_another_context_before_the_request_ended_counts_and_nothing_gets_mixed_up(large_files):
    hasty = Behaviour(amid_data=answers_in_context(3), on_store=obeys())
    async with nothing_left_behind(), running_hostile(hasty) as scp:
        ran = await send(scp.port, large_files, associations=1)
        assert ran.results == {Result.STORED: len(large_files)}
        assert_true(ran, large_files, scp.stored())
        assert scp.violations == []


async def test_a_command_set_with_elements_of_other_groups_is_taken_and_warned_of_once(files, caplog):
    behaviour = Behaviour(on_store=answers(PatientID="in a command set", ErrorComment="and longer than the others"))
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=3)
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES}
    assert len(_deviations(caplog)) == 1
    assert "other groups" in _deviations(caplog)[0]


async def test_a_peer_that_always_answers_the_same_message_is_given_up_with_that_reason(files):
    same = Behaviour(on_store=answers(MessageIDBeingRespondedTo=1))
    async with nothing_left_behind(), running_hostile(same, obedient) as scp:
        ran = await send(scp.port, files, associations=1, timeouts=Timeouts(dimse=LONGER))
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
        [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
        assert unknown.error == "no response to message id 2, but another one to message id 1, within 1 s"


# A file may be the cause ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["amid_data", "on_store"])
async def test_where_the_peer_aborts_it_is_said_that_the_file_may_be_the_cause(files, when):
    async with nothing_left_behind(), running_hostile(Behaviour(**{when: after(2, aborts(0, 0))}), obedient) as scp:
        ran = await send(scp.port, files, associations=1)
    [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
    assert unknown.error == (
        "no response: the peer aborted the association (by its application); the content of this file may be the cause"
    )


async def test_where_several_files_were_under_way_when_the_peer_aborted_one_of_them_may_be_the_cause(tmp_path):
    files = instances(tmp_path / "files", 6, data_set_bytes=4000)
    held = Behaviour(on_request=accepts(window=(3, 1)), on_store=_aborts_when_holding(3))
    async with nothing_left_behind(), running_hostile(held, obedient) as scp:
        ran = await send(scp.port, files, associations=1, async_operations=3, affinity=Affinity.NONE)
    unknown = [outcome.error for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
    assert len(unknown) == 3
    assert all(error.endswith("; the content of one of the files under way may be the cause") for error in unknown)


@pytest.mark.parametrize("associations", [1, 4])
async def test_a_peer_that_breaks_every_association_off_after_some_stores_gets_all_there_is(tmp_path, associations):
    files = instances(tmp_path / "files", 60, data_set_bytes=4000)
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=after(5, aborts()))) as scp:
        ran = await send(scp.port, files, associations=associations)
        assert_true(ran, files, scp.stored())
        assert ran.failure is None
        assert set(ran.results) == {Result.STORED, Result.UNKNOWN}
        assert ran.results[Result.UNKNOWN] == len([one for one in scp.associations if len(one.stores) == 6])
        assert set(scp.acknowledged) == {
            outcome.sop_instance_uid for outcome in ran.outcomes if outcome.result is Result.STORED
        }


async def test_every_other_association_broken_off_at_once_lets_the_run_complete(files):
    behaviours = [Behaviour(once_associated=aborts()), Behaviour(on_store=after(2, closes()))] * 2
    async with nothing_left_behind(), running_hostile(*behaviours, obedient) as scp:
        ran = await send(scp.port, files, associations=1)
        assert_true(ran, files, scp.stored())
        assert ran.failure is None
        assert ran.results[Result.STORED] >= FILES - 4


async def test_a_peer_that_ends_every_association_before_any_response_is_given_up(files):
    async with nothing_left_behind(), running_hostile(Behaviour(once_associated=closes())) as scp:
        ran = await send(scp.port, files, associations=2)
        assert_true(ran, files, {})
        assert not ran.results.keys() & set(DELIVERED)
        assert all("the connection was lost" in outcome.error for outcome in ran.outcomes)
        assert len(scp.associations) <= 10


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (0x0000, Result.STORED, None),
        (0xB000, Result.WARNING, "0xB000 coercion of data elements"),
        (0x0107, Result.WARNING, "0x0107 attribute list error"),
        (0xA700, Result.FAILED, "0xA700 out of resources"),
        (0xA900, Result.FAILED, "0xA900 data set does not match SOP class"),
        (0xC123, Result.FAILED, "0xC123 cannot understand"),
        (0x0122, Result.FAILED, "0x0122 SOP class not supported"),
        (0x0124, Result.FAILED, "0x0124 not authorized"),
        (0xFE00, Result.FAILED, "0xFE00 cancelled"),
        (0x7777, Result.FAILED, "0x7777 unknown status"),
    ],
)
async def test_a_status_decides_and_is_told_in_words(files, status, result, words):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers(status))) as scp:
        ran = await send(scp.port, files, associations=2)
        assert_true(ran, files, scp.stored())
        assert ran.failure is None
        assert {(outcome.result, outcome.status, outcome.error) for outcome in ran.outcomes} == {
            (result, status, words)
        }
        assert all(association.released for association in scp.associations)


async def test_the_error_comment_of_a_peer_stays_out_of_the_outcome(files):
    comment = "patient DOE^JANE \x1b[2J"
    async with running_hostile(Behaviour(on_store=answers(0xC001, ErrorComment=comment))) as scp:
        ran = await send(scp.port, files, associations=1)
        assert ran.results == {Result.FAILED: FILES}
        assert not any("DOE" in outcome.error or "\x1b" in outcome.error for outcome in ran.outcomes)


@pytest.mark.parametrize("chosen", ["files", "large_files"])
async def test_a_response_before_the_request_ended_counts_and_nothing_gets_mixed_up(request, chosen):
    found = request.getfixturevalue(chosen)
    async with nothing_left_behind(), running_hostile(answers_before_the_end) as scp:
        ran = await send(scp.port, found, associations=1)
        assert ran.results == {Result.STORED: len(found)}
        assert_true(ran, found, scp.stored())
        assert len(scp.stores) == len(found)
        assert scp.violations == []


async def test_a_failure_before_the_request_ended_is_a_failure_and_the_next_one_is_stored(large_files):
    hasty = Behaviour(amid_data=_at_first(answers(0xA700)), on_store=_but_the_first(answers()))
    async with nothing_left_behind(), running_hostile(hasty) as scp:
        ran = await send(scp.port, large_files, associations=1)
        assert_true(ran, large_files, scp.stored())
        assert [outcome.result for outcome in ran.outcomes] == [Result.FAILED, Result.STORED]
        assert scp.violations == []


def _at_first(step):
    async def taken(acceptor):
        if not acceptor.record.stores:
            await step(acceptor)

    return taken


def _but_the_first(step):
    async def taken(acceptor):
        if len(acceptor.record.stores) > 1:
            await step(acceptor)

    return taken


async def test_a_response_that_is_repeated_counts_once(files):
    async with nothing_left_behind(), running_hostile(answers_twice) as scp:
        ran = await send(scp.port, files, associations=2)
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())
        assert len(scp.stores) == FILES


async def test_responses_out_of_order_within_the_window_find_their_requests(tmp_path):
    files = instances(tmp_path / "files", 30, data_set_bytes=4000)
    refused = data_sets(tmp_path / "files").popitem()[0]
    behaviour = Behaviour(
        on_request=accepts(window=(4, 1)), on_store=_in_reverse_but_refused(answers_in_reverse(4), refused)
    )
    async with nothing_left_behind(), running_hostile(behaviour) as scp:
        ran = await send(scp.port, files, associations=1, async_operations=4, affinity=Affinity.NONE)
        assert_true(ran, files, scp.stored())
        assert {outcome.sop_instance_uid for outcome in ran.outcomes if outcome.result is Result.FAILED} == {refused}
        assert ran.results == {Result.STORED: 29, Result.FAILED: 1}
        assert scp.associations[0].most_outstanding > 1
        assert scp.violations == []


def _in_reverse_but_refused(in_reverse, refused):
    async def taken(acceptor):
        if acceptor.store.sop_instance_uid == refused:
            await acceptor.answer(0xC001)
        else:
            await in_reverse(acceptor)

    return taken


@pytest.mark.parametrize("proposed", [2, 0])
async def test_a_peer_that_breaks_off_within_a_window_makes_all_of_the_window_unknown(tmp_path, proposed):
    files = instances(tmp_path / "files", 12, data_set_bytes=4000)
    held = Behaviour(on_request=accepts(window=(2, 1)), on_store=_aborts_when_holding(2))
    async with nothing_left_behind(), running_hostile(held, obedient) as scp:
        ran = await send(scp.port, files, associations=1, async_operations=proposed, affinity=Affinity.NONE)
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: 10, Result.UNKNOWN: 2}
        assert scp.violations == []


def _aborts_when_holding(stores):
    async def step(acceptor):
        if len(acceptor.record.stores) == stores:
            await acceptor.abort()

    return step


# It does not answer, or not in time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(never_answers, id="never answers"),
        pytest.param(Behaviour(on_store=stays_silent()), id="silent"),
        pytest.param(Behaviour(on_store=stops_reading()), id="hangs"),
        pytest.param(Behaviour(on_store=answers_in_part()), id="half an answer"),
        pytest.param(Behaviour(on_store=answers_pending_for_ever()), id="pending for ever"),
    ],
)
async def test_an_answer_that_does_not_come_in_time_makes_the_store_unknown(files, behaviour):
    async with nothing_left_behind(), running_hostile(behaviour, obedient) as scp:
        ran = await send(scp.port, files, associations=1, timeouts=Timeouts(dimse=LONGER))
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
        [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
        assert "no response within 1 s" in unknown.error


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(never_answers, id="never answers"),
        pytest.param(Behaviour(on_store=stops_reading()), id="hangs"),
        pytest.param(Behaviour(on_store=answers_in_part()), id="half an answer"),
        pytest.param(Behaviour(on_store=answers_byte_by_byte()), id="byte by byte"),
        pytest.param(Behaviour(on_store=answers_pending_for_ever()), id="pending for ever"),
    ],
)
async def test_without_a_dimse_timeout_a_silent_peer_is_given_up_after_the_socket_timeout_as_by_storescu(
    files, behaviour
):
    async with nothing_left_behind(), running_hostile(behaviour, obedient) as scp:
        ran = await send(scp.port, files, associations=1, timeouts=Timeouts(socket=LONGER))
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES - 1, Result.UNKNOWN: 1}
        [unknown] = [outcome for outcome in ran.outcomes if outcome.result is Result.UNKNOWN]
        assert "no response within 1 s" in unknown.error


async def test_the_dimse_timeout_lets_a_peer_be_silent_for_longer_than_the_socket_timeout(files):
    slow = Behaviour(on_store=answers_late(3 * SHORT.socket))
    async with nothing_left_behind(), running_hostile(slow) as scp:
        ran = await send(scp.port, files[:1], timeouts=Timeouts(socket=SHORT.socket, dimse=60.0))
        assert ran.results == {Result.STORED: 1}


async def test_a_peer_that_answers_one_store_after_the_other_is_not_silent(files):
    """Within a window each has to wait for those before it."""
    slow = Behaviour(on_request=accepts(window=(FILES, 1)), on_store=then(waits(LONGER / 2), answers()))
    async with nothing_left_behind(), running_hostile(slow) as scp:
        ran = await send(
            scp.port,
            files,
            associations=1,
            async_operations=FILES,
            affinity=Affinity.NONE,
            timeouts=Timeouts(socket=LONGER),
        )
        assert ran.results == {Result.STORED: FILES}


async def test_a_store_may_be_pending_for_a_while(files):
    async def answers_after_some_pending(acceptor):
        for _ in range(10):
            await acceptor.answer(0xFF00)
        await acceptor.answer(0x0000)

    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers_after_some_pending)) as scp:
        ran = await send(scp.port, files[:1])
        assert ran.results == {Result.STORED: 1}


async def test_a_slow_peer_within_its_time_is_no_error(files):
    async with nothing_left_behind(), running_hostile(Behaviour(on_store=answers_late(0.2))) as scp:
        ran = await send(scp.port, files, associations=3, timeouts=Timeouts(dimse=10.0))
        assert_true(ran, files, scp.stored())
        assert ran.results == {Result.STORED: FILES}


@pytest.mark.parametrize(("associations", "length"), [(4, 0), (4, 16382), (4, 1024), (4, 14), (4, 8), (16, 0), (16, 8)])
@pytest.mark.usefixtures("small_send_buffers")
async def test_a_peer_that_stops_reading_is_given_up_and_takes_no_memory(sparse_file, length, associations):
    behaviour = Behaviour(on_request=accepts(max_length=length), once_associated=stops_reading())
    found = [sparse_file] * associations
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        before = _resident_bytes()
        limits = Timeouts(socket=LONGER)
        sending = asyncio.create_task(
            send(scp.port, found, associations=associations, timeouts=limits, affinity=Affinity.NONE)
        )  # all at once: the first instance of a study would keep the others waiting
        grown = 0
        while not sending.done():
            await asyncio.wait({sending}, timeout=0.1)
            grown = max(grown, _resident_bytes() - before)
        ran = await sending
        assert_true(ran, found, {})
        assert not ran.results.keys() & set(DELIVERED)
        assert all("no data taken by the peer within 1 s" in outcome.error for outcome in ran.outcomes)
        assert grown < 64 << 20  # of 4 GiB that were to be sent


def _resident_bytes():
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0


@pytest.mark.usefixtures("small_send_buffers")
async def test_a_peer_that_stops_reading_when_all_buffers_are_under_way_is_given_up(files, large_files):
    """Two answers at once let the rest of the small files and the first part of the large one go out together."""

    async def answers_two_at_once_and_stops(acceptor):
        if len(acceptor.record.stores) == 2:
            await asyncio.sleep(0.3)
            for store in acceptor.record.stores:
                await acceptor.answer(0x0000, store)
            await asyncio.Event().wait()

    behaviour = Behaviour(on_request=accepts(window=(2, 1)), on_store=answers_two_at_once_and_stops)
    found = [*files[:3], large_files[0]]
    async with nothing_left_behind(), running_hostile(behaviour, receive_buffer=4096) as scp:
        ran = await send(
            scp.port,
            found,
            associations=1,
            async_operations=2,
            affinity=Affinity.NONE,
            timeouts=Timeouts(socket=LONGER),
        )
        assert_true(ran, found, scp.stored())
        assert ran.results[Result.STORED] == 2


async def test_a_peer_that_takes_a_byte_at_a_time_is_given_up_after_the_dimse_timeout(large_files):
    dripping = Behaviour(bytes_per_second=2000)
    async with nothing_left_behind(), running_hostile(dripping, receive_buffer=4096) as scp:
        ran = await send(scp.port, large_files[:1], associations=1, timeouts=Timeouts(socket=30.0, dimse=0.7))
        assert_true(ran, large_files[:1], {})
        assert ran.results == {Result.UNKNOWN: 1}
        assert "within 0.7 s" in ran.outcomes[0].error


# Release --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(stays_silent(), id="no answer"),
        pytest.param(stops_reading(), id="hangs"),
        pytest.param(aborts(), id="aborts"),
        pytest.param(closes(), id="closes"),
        pytest.param(resets(), id="resets"),
        pytest.param(collides(), id="collides"),
        pytest.param(says(UNKNOWN_PDU), id="garbage"),
    ],
)
async def test_however_a_release_ends_what_was_stored_is_stored(files, step):
    async with nothing_left_behind(), running_hostile(Behaviour(on_release=step)) as scp:
        ran = await send(scp.port, files, associations=2, timeouts=Timeouts(acse=LONGER))
        assert ran.failure is None
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())
        assert all(association.released for association in scp.associations)
        assert scp.violations == []


async def test_an_association_that_the_peer_releases_while_it_waits_is_replaced(files):
    """A peer may end what has been idle for long; the walk that goes on then needs another association."""
    ended = asyncio.Event()
    behaviour = Behaviour(on_store=then(answers(), _when_idle(asks_for_release(), ended)))

    def slowly():
        yield files[0]
        while not ended.is_set():
            time.sleep(0.01)
        yield from files[1:]

    async with nothing_left_behind(), running_hostile(behaviour, obedient) as scp:
        ran = await send(scp.port, slowly(), associations=1)
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())
        assert len(scp.associations) == 2


def _when_idle(step, ended):
    async def taken(acceptor):
        try:
            await step(acceptor)
        finally:
            ended.set()

    return taken


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_peer_that_takes_few_associations_gets_all_files_over_those(tmp_path, limit):
    files = instances(tmp_path / "files", 60, data_set_bytes=4000)
    async with (
        nothing_left_behind(),
        Sink(port=0, output=tmp_path / "out", max_associations=limit, latency=0.01) as sink,
    ):
        ran = await send(sink.port, files, associations=8)
        assert ran.failure is None
        assert ran.results == {Result.STORED: 60}
        assert_true(ran, files, data_sets(tmp_path / "out"))
        assert sink.tally.rejected > 0


async def test_a_peer_that_serves_one_association_when_it_has_released_another_is_released_from_what_is_idle(files):
    """Orthanc has four threads for any number of associations, and each waits a second for an idle one to say more."""
    both_are_busy, is_released = asyncio.Event(), asyncio.Event()

    async def waits_for_the_other(_acceptor):
        await both_are_busy.wait()

    async def waits_for_its_release(_acceptor):
        both_are_busy.set()
        await is_released.wait()

    async def tells(_acceptor):
        is_released.set()

    first = Behaviour(on_store=then(waits_for_the_other, answers()), on_release=then(tells, releases()))
    second = Behaviour(on_store=then(waits_for_its_release, answers()))
    async with nothing_left_behind(), running_hostile(first, second) as scp:
        ran = await send(scp.port, files, associations=2, affinity=Affinity.NONE)
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())


async def test_associations_that_a_peer_leaves_waiting_do_not_keep_the_run_from_ending(files):
    async with nothing_left_behind(), running_hostile(obedient, Behaviour(on_request=stays_silent())) as scp:
        ran = await send(scp.port, files, associations=3, timeouts=Timeouts(acse=None))
        assert ran.failure is None
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())


async def test_what_a_slow_association_has_not_begun_goes_over_the_others_at_the_end(files):
    async def waits_for_all_others(_acceptor):
        await until(lambda: len(scp.acknowledged) >= FILES - 1)

    slow = Behaviour(on_store=then(waits_for_all_others, answers()))
    async with nothing_left_behind(), running_hostile(slow, obedient) as scp:
        ran = await send(scp.port, files, associations=2, affinity=Affinity.NONE)
        assert ran.results == {Result.STORED: FILES}
        assert_true(ran, files, scp.stored())
        assert len(scp.stores) == FILES
        assert scp.violations == []
