import struct
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from asyncstore.errors import InvalidPdu
from asyncstore.protocol.pdu import (
    ABORT_INVALID_PARAMETER,
    ABORT_UNRECOGNIZED_PDU,
    COMMAND,
    LAST,
    RELEASE_RP,
    RELEASE_RQ,
    UNLIMITED_CAP,
    Fragment,
    Fragmenter,
    Pdu,
    PduDecoder,
    PduType,
    abort,
    with_header,
)

_CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)
_MAXIMUM_LENGTHS = st.one_of(st.just(0), st.integers(8, 64), st.integers(8, 2**32 - 1))
_RECEIVES = st.lists(st.integers(1, 40), min_size=1)
"""How many bytes arrive at a time; the last number repeats."""


def _receives(stream, sizes):
    """Cut ``stream`` as the network does."""
    at, size, sizes = 0, 1, iter(sizes)
    while at < len(stream):
        size = next(sizes, size)
        yield memoryview(stream[at : at + size])
        at += size


def _fed(decoder, data):
    """The events that ``decoder`` finds in ``data``."""
    events = []
    decoder.feed(memoryview(data), events)
    return events


def _decoded(stream, sizes=(1 << 20,), maximum_length=0):
    """Feed ``stream`` in ``sizes``; the events, with the fragments' bytes copied."""
    decoder = PduDecoder(maximum_length)
    events = [event for data in _receives(stream, sizes) for event in _fed(decoder, data)]
    return [event._replace(data=bytes(event.data)) if isinstance(event, Fragment) else event for event in events]


def _data_pdus(stream):
    """The P-DATA-TFs of ``stream`` as pynetdicom reads them: (length, [(context id, message control header, data)])."""
    at = 0
    while at < len(stream):
        length = struct.unpack_from(">BxI", stream, at)[1]
        pdu = P_DATA_TF()
        pdu.decode(stream[at : at + 6 + length])
        at += 6 + length
        yield (
            length,
            [
                (item.presentation_context_id, item.presentation_data_value[0], item.presentation_data_value[1:])
                for item in pdu.presentation_data_value_items
            ],
        )


def _p_data_tf(*pdvs):
    """A P-DATA-TF of (context id, message control header, data)."""
    items = b"".join(struct.pack(">IBB", len(data) + 2, context, control) + data for context, control, data in pdvs)
    return with_header(PduType.P_DATA_TF, items)


# Out.


@given(st.binary(max_size=1000), _MAXIMUM_LENGTHS, _CONTEXT_IDS, st.booleans())
def test_pynetdicom_reads_our_data_set(payload, maximum_length, context_id, last):
    fragmenter = Fragmenter(maximum_length)
    pdus = list(_data_pdus(b"".join(fragmenter.fragments(context_id, memoryview(payload), last=last))))
    assert b"".join(data for _, pdvs in pdus for _, _, data in pdvs) == payload
    assert all(len(pdvs) == 1 and pdvs[0][0] == context_id for _, pdvs in pdus)
    assert [pdvs[0][1] for _, pdvs in pdus] == [0] * (len(pdus) - 1) + [LAST if last else 0]


@given(st.binary(max_size=1000), _MAXIMUM_LENGTHS, _CONTEXT_IDS)
def test_pynetdicom_reads_our_command_set(payload, maximum_length, context_id):
    pdus = list(_data_pdus(b"".join(Fragmenter(maximum_length).command(context_id, payload))))
    assert b"".join(data for _, pdvs in pdus for _, _, data in pdvs) == payload
    assert all(len(pdvs) == 1 and pdvs[0][0] == context_id for _, pdvs in pdus)
    assert [pdvs[0][1] for _, pdvs in pdus] == [COMMAND] * (len(pdus) - 1) + [COMMAND | LAST]


@given(
    st.integers(0, 500).map(lambda half: bytes(2 * half)),
    _MAXIMUM_LENGTHS,
    st.none() | st.integers(8, 64),
    st.booleans(),
)
def test_fragments_are_even_and_no_longer_than_either_side_allows(payload, maximum_length, restricted_to, is_command):
    fragmenter = Fragmenter(maximum_length, restricted_to)
    if is_command:
        stream = b"".join(fragmenter.command(1, payload))
    else:
        stream = b"".join(fragmenter.fragments(1, memoryview(payload), last=True))
    for length, [(_, _, data)] in _data_pdus(stream):
        assert len(data) % 2 == 0
        assert length <= min(maximum_length or UNLIMITED_CAP, restricted_to or UNLIMITED_CAP)


@given(st.lists(st.integers(0, 50).map(lambda half: bytes(2 * half)), min_size=1), st.integers(8, 64), _RECEIVES)
def test_a_data_set_in_pieces_ends_with_the_last_piece_only(pieces, maximum_length, sizes):
    fragmenter = Fragmenter(maximum_length)
    stream = b"".join(
        buffer
        for number, piece in enumerate(pieces, 1)
        for buffer in fragmenter.fragments(3, memoryview(piece), last=number == len(pieces))
    )
    fragments = _decoded(stream, sizes)
    assert b"".join(fragment.data for fragment in fragments) == b"".join(pieces)
    assert [bool(fragment.control & LAST) for fragment in fragments] == [False] * (len(fragments) - 1) + [True]


@pytest.mark.parametrize("length", [0, 2, 10, 12, 1000, 1001])
def test_fragments_are_slices_of_the_callers_buffer(length):
    payload = memoryview(bytearray(length))
    buffers = Fragmenter(16).fragments(1, payload, last=True)
    slices = [buffer for buffer in buffers if isinstance(buffer, memoryview)]
    assert all(piece.obj is payload.obj for piece in slices)
    assert sum(len(piece) for piece in slices) == length
    payload[:] = b"\xaa" * length
    assert b"".join(slices) == b"\xaa" * length


def test_cutting_a_large_piece_takes_no_memory_for_its_bytes():
    payload = memoryview(bytearray(1 << 24))
    tracemalloc.start()
    try:
        Fragmenter(131072).fragments(1, payload, last=True)
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("maximum_length", [1, 2, 6, 7])
def test_a_maximum_length_too_small_for_two_bytes_is_invalid(maximum_length):
    with pytest.raises(InvalidPdu, match=f"at most {maximum_length} bytes") as caught:
        Fragmenter(maximum_length)
    assert caught.value.reason == ABORT_INVALID_PARAMETER


@pytest.mark.parametrize(
    ("maximum_length", "restricted_to", "fragment_length"),
    [
        (8, None, 2),
        (9, None, 2),
        (10, None, 4),
        (16384, None, 16378),
        (16384, 4096, 4090),
        (4096, 16384, 4090),
        (0, None, UNLIMITED_CAP - 6),
        (0, 32768, 32762),
        (2**32 - 1, None, UNLIMITED_CAP - 6),
        (2**32 - 1, 131072, 131066),
    ],
)
def test_the_maximum_length_counts_the_header_of_the_pdv_and_is_capped(maximum_length, restricted_to, fragment_length):
    assert Fragmenter(maximum_length, restricted_to).fragment_length == fragment_length


def test_short_pdus_equal_pynetdicoms():
    assert A_RELEASE_RQ().encode() == RELEASE_RQ
    assert A_RELEASE_RP().encode() == RELEASE_RP
    theirs = A_ABORT_RQ()
    theirs.source, theirs.reason_diagnostic = 2, 6
    assert theirs.encode() == abort(2, 6)


# In.


@given(st.binary(max_size=500), _MAXIMUM_LENGTHS, _CONTEXT_IDS, _RECEIVES)
@example(b"", 0, 1, [1])
def test_fragments_are_decoded_wherever_the_network_cuts_them(payload, maximum_length, context_id, sizes):
    fragmenter = Fragmenter(maximum_length)
    stream = b"".join([*fragmenter.command(context_id, payload), *fragmenter.fragments(context_id, payload, last=True)])
    events = _decoded(stream, sizes, maximum_length)
    commands = [event for event in events if event.control & COMMAND]
    fragments = events[len(commands) :]
    for part in (commands, fragments):
        assert b"".join(event.data for event in part) == payload
        assert {event.context_id for event in part} == {context_id}
        assert [bool(event.control & LAST) for event in part] == [False] * (len(part) - 1) + [True]
    assert not any(event.control & COMMAND for event in fragments)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([RELEASE_RQ, RELEASE_RP, abort(0, 0), with_header(PduType.ASSOCIATE_RJ, b"\0\1\2\3")]),
            st.binary(max_size=60).map(lambda body: with_header(PduType.ASSOCIATE_RQ, body)),
            st.binary(max_size=60).map(lambda body: with_header(PduType.ASSOCIATE_AC, body)),
        ),
        max_size=6,
    ),
    _RECEIVES,
)
def test_other_pdus_are_decoded_wherever_the_network_cuts_them(pdus, sizes):
    assert _decoded(b"".join(pdus), sizes) == [Pdu(PduType(pdu[0]), pdu[6:]) for pdu in pdus]


@given(
    st.lists(
        st.lists(st.tuples(_CONTEXT_IDS, st.integers(0, 255), st.binary(max_size=20)), min_size=1, max_size=4),
        max_size=4,
    ),
    _RECEIVES,
)
def test_several_pdvs_in_one_pdu_are_decoded_in_order(pdus, sizes):
    stream = b"".join(_p_data_tf(*pdvs) for pdvs in pdus)
    events = iter(_decoded(stream, sizes))
    for context_id, control, data in (pdv for pdvs in pdus for pdv in pdvs):
        received, is_whole = b"", False
        while not is_whole:
            event = next(events)
            received += event.data
            is_whole = len(received) >= len(data)
            assert event[:2] == (context_id, control if is_whole else control & ~LAST)
        assert received == data
    assert next(events, None) is None


def test_decoded_fragments_are_slices_of_the_buffer_that_was_fed():
    payload = bytes(range(200))
    received = memoryview(bytearray(b"".join(Fragmenter(64).fragments(1, memoryview(payload), last=True))))
    fragments = _fed(PduDecoder(0), received)
    assert all(fragment.data.obj is received.obj for fragment in fragments)
    received[:] = bytes(len(received))
    assert b"".join(fragment.data for fragment in fragments) == bytes(200)


@pytest.mark.parametrize(
    ("stream", "reason", "words"),
    [
        pytest.param(b"\x00\x00\x00\x00\x00\x04", ABORT_UNRECOGNIZED_PDU, "0x00", id="type 0"),
        pytest.param(b"\x08\x00\x00\x00\x00\x04", ABORT_UNRECOGNIZED_PDU, "0x08", id="type 8"),
        pytest.param(b"\xff", ABORT_UNRECOGNIZED_PDU, "0xFF", id="one byte is enough"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", ABORT_UNRECOGNIZED_PDU, "HTTP", id="web server"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", ABORT_UNRECOGNIZED_PDU, "an alert of TLS", id="TLS server"),
        pytest.param(b"\x15", ABORT_UNRECOGNIZED_PDU, "an alert of TLS", id="TLS server, a byte at a time"),
        pytest.param(b"HTTP", ABORT_UNRECOGNIZED_PDU, "HTTP", id="web server, little at a time"),
        pytest.param(b"HELO there", ABORT_UNRECOGNIZED_PDU, "0x48", id="a server that only begins so"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", ABORT_UNRECOGNIZED_PDU, "0x53", id="another server"),
        pytest.param(b"\x02\x00\xff\xff\xff\xff", ABORT_INVALID_PARAMETER, "4294967295", id="AC of 4 GiB"),
        pytest.param(b"\x01\x00\x00\x10\x00\x01", ABORT_INVALID_PARAMETER, "1048577", id="RQ beyond the limit"),
        pytest.param(b"\x03\x00\x00\x00\x00\x05", ABORT_INVALID_PARAMETER, "5 bytes", id="RJ too long"),
        pytest.param(b"\x05\x00\x00\x00\x00\x03", ABORT_INVALID_PARAMETER, "3 bytes", id="release too short"),
        pytest.param(b"\x06\x00\xff\xff\xff\xff", ABORT_INVALID_PARAMETER, "4294967295", id="release of 4 GiB"),
        pytest.param(b"\x07\x00\x00\x00\x00\x00", ABORT_INVALID_PARAMETER, "0 bytes", id="abort of nothing"),
        pytest.param(b"\x04\x00\x00\x00\x00\x00", ABORT_INVALID_PARAMETER, "0 bytes", id="P-DATA of nothing"),
        pytest.param(b"\x04\x00\x00\x00\x00\x05", ABORT_INVALID_PARAMETER, "5 bytes", id="P-DATA without a PDV"),
        pytest.param(b"\x04\x00\x00\x00\x40\x01", ABORT_INVALID_PARAMETER, "at most 16384", id="longer than agreed"),
        pytest.param(b"\x04\x00\xff\xff\xff\xff", ABORT_INVALID_PARAMETER, "at most 16384", id="P-DATA of 4 GiB"),
        pytest.param(
            b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x05\x01\x00", ABORT_INVALID_PARAMETER, "5 bytes", id="PDV too long"
        ),
        pytest.param(
            b"\x04\x00\x00\x00\x00\x08\xff\xff\xff\xff\x01\x00", ABORT_INVALID_PARAMETER, "42949", id="PDV of 4 GiB"
        ),
        pytest.param(
            b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x01\x01\x00", ABORT_INVALID_PARAMETER, "1 bytes", id="PDV too short"
        ),
        pytest.param(
            b"\x04\x00\x00\x00\x00\x0a\x00\x00\x00\x04\x01\x00", ABORT_INVALID_PARAMETER, "header", id="rest of a PDV"
        ),
    ],
)
def test_an_invalid_pdu_is_named_at_its_header(stream, reason, words):
    with pytest.raises(InvalidPdu, match=words) as caught:
        _fed(PduDecoder(16384), stream)
    assert caught.value.reason == reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(with_header(PduType.ASSOCIATE_AC, bytes(20_000)), id="A-ASSOCIATE-AC"),
        pytest.param(with_header(PduType.ASSOCIATE_RQ, bytes(20_000)), id="A-ASSOCIATE-RQ"),
        pytest.param(b"".join(Fragmenter(0).fragments(1, memoryview(bytes(20_000)), last=True)), id="P-DATA-TF"),
        pytest.param(Fragmenter(0).command(1, bytes(20_000))[0], id="command set"),
    ],
)
def test_a_pdu_that_drips_in_byte_by_byte_is_not_copied_for_each_byte(stream):
    """Otherwise a mebibyte would take half a million million of copied bytes."""
    decoder, costly, whole = PduDecoder(0), 0, 0
    tracemalloc.start()
    try:
        for byte in _receives(stream, [1]):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            whole += len(_fed(decoder, byte))
            costly += tracemalloc.get_traced_memory()[1] - before > 4096
    finally:
        tracemalloc.stop()
    assert whole
    assert costly < 200  # while a buffer grows


@pytest.mark.slow
@given(st.binary(max_size=40), st.sampled_from([b"\xff", b"\x04\0\0\0\0\0", b"HTTP/1.1 400"]))
def test_events_before_a_violation_are_kept(payload, violation):
    stream = b"".join(Fragmenter(16).fragments(1, memoryview(payload), last=True)) + RELEASE_RQ
    events = []
    with pytest.raises(InvalidPdu):
        PduDecoder(0).feed(memoryview(stream + violation), events)
    assert events == _fed(PduDecoder(0), stream)


@given(st.binary(max_size=100), _RECEIVES, st.sampled_from([0, 8, 16384]))
def test_any_bytes_are_pdus_or_invalid(stream, sizes, maximum_length):
    with suppress(InvalidPdu):
        _decoded(stream, sizes, maximum_length)


@given(st.binary(max_size=60), _MAXIMUM_LENGTHS, st.integers(0, 400), st.integers(0, 255), _RECEIVES)
def test_a_damaged_stream_is_pdus_or_invalid(payload, maximum_length, position, byte, sizes):
    stream = bytearray(b"".join(Fragmenter(maximum_length).fragments(1, memoryview(payload), last=True)) + RELEASE_RQ)
    stream[position % len(stream)] = byte
    with suppress(InvalidPdu):
        _decoded(bytes(stream), sizes, maximum_length)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"\x01\x00\x00\x10\x00\x00", id="A-ASSOCIATE-RQ of a mebibyte"),
        pytest.param(b"\x04\x00\xff\xff\xff\xff\xff\xff\xff\xfb\x01\x00", id="P-DATA-TF of 4 GiB to one who takes any"),
    ],
)
def test_a_claimed_length_allocates_nothing(header):
    decoder = PduDecoder(0)
    tracemalloc.start()
    try:
        assert _fed(decoder, header) == []
        assert tracemalloc.get_traced_memory()[1] < 1 << 14
    finally:
        tracemalloc.stop()


def test_a_pdu_of_4_gib_streams_through_without_a_limit():
    decoder = PduDecoder(0)
    _fed(decoder, b"\x04\x00\xff\xff\xff\xff\xff\xff\xff\xfb\x01\x02")
    received = memoryview(bytes(1 << 22))
    tracemalloc.start()
    try:
        left = 0xFFFFFFFB - 2
        while left:
            (fragment,) = _fed(decoder, received[: min(left, len(received))])
            left -= len(fragment.data)
            assert fragment.control == (0 if left else LAST)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()
    assert _fed(decoder, RELEASE_RQ)  # the next PDU begins here
