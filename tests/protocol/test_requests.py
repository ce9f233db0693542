"""Requests driven without a network; what they put on the wire is read by the reader of messages."""

import mmap
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.errors import InvalidPdu
from asyncstore.model import Buffer, Piece, Unsendable
from asyncstore.protocol.command import CommandField, decode, echo_request, response, store_request
from asyncstore.protocol.deviations import Deviation
from asyncstore.protocol.message import CommandReceived, MessageReader
from asyncstore.protocol.pdu import Fragmenter, PduDecoder
from asyncstore.protocol.requests import Requests
from support import values

_CLASS, _SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
_CONTEXTS = {(_CLASS, _SYNTAX): 1, ("1.2.3", _SYNTAX): 3}
_LARGE = 1 << 20


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        self.now += 1.0
        return self.now


def _requests(window=1):
    return Requests(_CONTEXTS, Fragmenter(16384), window, _Clock())


def _buffer(freed=None):
    buffer = Buffer(0, (lambda _: None) if freed is None else freed.append)
    buffer.needed = 1
    return buffer


def _instance(name, sop_class_uid=_CLASS, length=4):
    return values.instance(f"/{name}", sop_class_uid, f"1.2.{name}", _SYNTAX, 0, length)


def _pieces(instance, count=1, *, problem_at=None, freed=None):
    """The pieces of an instance; each holds its number."""
    pieces = [
        Piece(
            instance, memoryview(bytes((number, 0))), number == 0, number == count - 1, _buffer(freed),
            Unsendable(instance.file, "cut short") if number == problem_at else None,
        )
        for number in range(count)
    ]  # fmt: skip
    return pieces if problem_at is None else pieces[: problem_at + 1]


def _piece(instance, data):
    """An instance as a single piece."""
    return Piece(instance, data, True, True, _buffer())


def _on_the_wire(*gathered):
    """What a peer reads: (context id, message id, SOP instance UID, data set) of each message, complete or not."""
    decoder, reader, fragments, messages = PduDecoder(0), MessageReader(), [], []
    decoder.feed(memoryview(b"".join(buffer for one in gathered for buffer in one.buffers)), fragments)
    for received in filter(None, map(reader.read, fragments)):
        if isinstance(received, CommandReceived):
            command = received.command
            messages.append([received.context_id, command.message_id, command.sop_instance_uid, bytearray(), False])
        else:
            messages[-1][3] += received.data
            messages[-1][4] = received.is_last
    return [tuple(message) for message in messages]


def _answer(message_id, status=0, field=CommandField.C_STORE_RSP):
    """The response to a request with this message id."""
    request = echo_request(message_id)
    if field == CommandField.C_STORE_RSP:
        request = store_request(_CLASS, message_id, "1.2.3")
    return decode(response(decode(request), status))


# Sending.


def test_a_store_goes_out_whole_in_the_context_of_its_instance():
    requests = _requests(window=0)
    requests.submit([*_pieces(_instance("1")), *_pieces(_instance("2", "1.2.3"), 3)])
    gathered = requests.gather()
    assert _on_the_wire(gathered) == [(1, 1, "1.2.1", b"\0\0", True), (3, 2, "1.2.2", b"\0\0\1\0\2\0", True)]
    assert gathered.payload == 8
    assert requests.outstanding == 2
    assert not requests.goes_on
    assert not requests.is_idle


@pytest.mark.parametrize("window", [1, 2, 5])
def test_no_more_is_outstanding_than_the_window_has_room_for(window):
    requests = _requests(window)
    requests.submit(piece for number in range(7) for piece in _pieces(_instance(str(number)), 2))
    begun = []
    while requests.goes_on:
        begun += [message_id for _, message_id, *_ in _on_the_wire(requests.gather())]
        assert requests.outstanding == min(window, 7 - (len(begun) - requests.outstanding))
        requests.answered(1, _answer(begun[-requests.outstanding]))
    assert begun == [1, 2, 3, 4, 5, 6, 7]


def test_where_the_window_is_full_nothing_goes_out():
    requests = _requests()
    requests.submit([*_pieces(_instance("1")), *_pieces(_instance("2"))])
    assert requests.goes_on
    requests.gather()
    assert not requests.goes_on
    assert requests.gather() == ([], 0, [], [])
    requests.answered(1, _answer(1))
    assert requests.goes_on


def test_a_store_that_has_begun_goes_on_as_its_pieces_come():
    requests = _requests()
    first, second = _pieces(_instance("1"), 2)
    requests.submit([first])
    begun = requests.gather()
    assert requests.oldest.is_sent is False
    assert requests.gather().buffers == []
    requests.submit([second])
    ended = requests.gather()
    assert requests.oldest.is_sent
    assert requests.oldest.sent_at > requests.oldest.started
    assert _on_the_wire(begun, ended) == [(1, 1, "1.2.1", b"\0\0\1\0", True)]


def test_the_rest_of_a_store_that_has_begun_goes_on_also_where_the_window_is_full():
    requests = _requests()
    assert not requests.goes_on
    first, second = _pieces(_instance("1"), 2)
    requests.submit([first])
    requests.gather()
    assert not requests.goes_on
    requests.submit([second, *_pieces(_instance("2"))])
    assert requests.goes_on
    requests.gather()
    assert not requests.goes_on


def test_no_more_than_some_megabytes_are_gathered_at_once():
    requests = _requests(window=0)
    data = memoryview(bytes(_LARGE))
    requests.submit(Piece(_instance(str(number)), data, True, True, _buffer()) for number in range(10))
    payloads = []
    while requests.goes_on:
        payloads.append(requests.gather().payload)
    assert sum(payloads) == 10 * _LARGE
    assert max(payloads) <= 3 * _LARGE


def test_every_buffer_is_spent_once():
    freed = []
    requests = _requests(window=0)
    requests.submit(piece for number in range(3) for piece in _pieces(_instance(str(number)), 2, freed=freed))
    spent = requests.gather().spent
    assert freed == []
    for buffer in spent:
        buffer.release()
    assert len(freed) == 6


def test_payload_is_not_copied():
    requests = _requests()
    data = bytearray(2)
    requests.submit([Piece(_instance("1"), memoryview(data), True, True, _buffer())])
    buffers = requests.gather().buffers
    data[:] = b"\xaa\xbb"
    assert b"".join(buffers).endswith(b"\xaa\xbb")


@pytest.mark.slow
def test_message_ids_start_again_after_the_last_and_pass_over_what_is_outstanding():
    requests = _requests(window=2)
    requests.submit(_pieces(_instance("1")))
    requests.gather()
    seen = []
    for _ in range(0xFFFF + 5):
        exchange, _ = requests.echo(3)
        seen.append(exchange.message_id)
        assert requests.answered(3, _answer(exchange.message_id, field=CommandField.C_ECHO_RSP)) is exchange
    assert seen[:3] == [2, 3, 4]
    assert seen[0xFFFD:0x10000] == [0xFFFF, 2, 3]


@pytest.mark.slow
def test_unlimited_means_as_many_as_there_are_message_ids():
    requests = _requests(window=0)
    count = 0xFFFF + 10
    buffer = _buffer()
    requests.submit(Piece(_instance("1"), memoryview(b""), True, True, buffer) for _ in range(count))
    requests.gather()
    assert 1 < requests.outstanding <= 0xFFFF
    assert requests.stores == count


# Responses.


def test_a_response_finishes_its_exchange():
    requests = _requests()
    instance = _instance("1")
    requests.submit(_pieces(instance))
    requests.gather()
    exchange = requests.answered(1, _answer(1, 0xB000))
    assert (exchange.instance, exchange.status, exchange.context_id) == (instance, 0xB000, 1)
    assert requests.is_idle
    assert requests.oldest is None


@given(st.permutations(range(1, 7)))
def test_responses_are_matched_by_message_id_in_any_order(order):
    requests = _requests(window=0)
    requests.submit(piece for number in range(1, 7) for piece in _pieces(_instance(str(number))))
    requests.gather()
    for message_id in order:
        exchange = requests.answered(1, _answer(message_id, message_id))
        assert (exchange.instance.path, exchange.status) == (f"/{message_id}", message_id)
    assert requests.is_idle


def test_a_response_before_the_end_of_its_request_counts_when_the_request_has_been_sent():
    requests = _requests()
    first, *rest = _pieces(_instance("1"), 3)
    requests.submit([first, rest[0]])
    begun = requests.gather()
    assert requests.answered(1, _answer(1, 0xA700)) is None
    assert requests.outstanding == 1
    requests.submit(rest[1:])
    ended = requests.gather()
    assert [(exchange.instance.path, exchange.status) for exchange in ended.finished] == [("/1", 0xA700)]
    assert _on_the_wire(begun, ended) == [(1, 1, "1.2.1", b"\0\0\1\0\2\0", True)]
    assert requests.is_idle


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_a_pending_response_finishes_nothing(status):
    requests = _requests()
    requests.submit(_pieces(_instance("1")))
    requests.gather()
    assert requests.answered(1, _answer(1, status)) is None
    assert requests.answered(1, _answer(1)).status == 0


def test_a_repeated_response_is_passed_over():
    requests = _requests()
    requests.submit([*_pieces(_instance("1")), *_pieces(_instance("2"))])
    requests.gather()
    assert requests.answered(1, _answer(1)) is not None
    requests.gather()
    assert requests.answered(1, _answer(1)) is None
    assert requests.answered(1, _answer(2)) is not None


def _element(element, value):
    return b"\0\0" + element.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


@pytest.mark.parametrize(
    ("context_id", "command"),
    [
        pytest.param(1, _answer(2), id="another message id"),
        pytest.param(3, _answer(2), id="another message id in another context"),
        pytest.param(5, _answer(1), id="a context that was not accepted"),
        pytest.param(2, _answer(1), id="an even context"),
        pytest.param(1, decode(store_request(_CLASS, 1, "1.2.3")), id="a request"),
        pytest.param(1, _answer(1, field=CommandField.C_ECHO_RSP), id="a response to an echo"),
        pytest.param(
            1, decode(_element(0x0100, b"\1\x80") + _element(0x0900, b"\0\0")), id="a response to no message id"
        ),
        pytest.param(
            1, decode(_element(0x0100, b"\1\x80") + _element(0x0120, b"\1\0")), id="a response without a status"
        ),
        pytest.param(
            1,
            decode(
                _element(0x0100, b"\1\x80")
                + _element(0x0120, b"\1\0")
                + _element(0x0800, b"\1\0")
                + _element(0x0900, b"\0\0")
            ),
            id="a response with a data set",
        ),
    ],
)
def test_what_answers_nothing_is_a_violation_and_nothing_is_stored(context_id, command):
    requests = _requests()
    requests.submit(_pieces(_instance("1")))
    requests.gather()
    with pytest.raises(InvalidPdu):
        requests.answered(context_id, command)
    assert [exchange.status for exchange in requests.end()] == [None]


def test_a_response_in_another_accepted_context_counts_and_is_noticed():
    noticed = []
    requests = Requests(_CONTEXTS, Fragmenter(16384), 2, _Clock(), (1, 3, 7), noticed.append)
    requests.submit([*_pieces(_instance("1")), *_pieces(_instance("2"))])
    requests.gather()
    second, first = requests.answered(7, _answer(2, 0xA700)), requests.answered(3, _answer(1))
    assert [(one.instance.path, one.context_id, one.status) for one in (first, second)] == [
        ("/1", 1, 0),
        ("/2", 1, 0xA700),
    ]
    assert requests.answered(3, _answer(1)) is None  # once more
    assert noticed == [Deviation.OTHER_CONTEXT] * 2


def test_a_response_in_another_context_before_its_request_has_ended_counts_when_that_has():
    requests = _requests()
    first, last = _pieces(_instance("1"), 2)
    requests.submit([first])
    requests.gather()
    assert requests.answered(3, _answer(1)) is None
    assert requests.outstanding == 1
    requests.submit([last])
    assert [exchange.status for exchange in requests.gather().finished] == [0]


def test_a_response_without_a_message_id_is_named_as_such():
    for requests in (_requests(), _answered_once()):
        with pytest.raises(InvalidPdu, match="does not say which message it answers"):
            requests.answered(1, decode(_element(0x0100, b"\1\x80") + _element(0x0900, b"\0\0")))


def test_it_is_known_that_a_peer_answers_the_same_message_again_instead_of_the_next_one():
    requests = _answered_once()
    assert not requests.is_repeating
    requests.submit(_pieces(_instance("2")))
    requests.gather()
    assert requests.answered(1, _answer(1)) is None
    assert (requests.is_repeating, requests.last_answered, requests.oldest.message_id) == (True, 1, 2)
    requests.answered(1, _answer(2))
    assert not requests.is_repeating


def _answered_once():
    requests = _requests()
    requests.submit(_pieces(_instance("1")))
    requests.gather()
    requests.answered(1, _answer(1))
    return requests


# However large a piece is and however small its fragments, little of it goes out at once.


@pytest.mark.slow
@pytest.mark.parametrize("maximum_length", [8, 14, 100, 4096, 16384, 0])
@pytest.mark.parametrize("window", [1, 3])
def test_a_large_piece_goes_out_in_parts_of_few_buffers_and_few_bytes(maximum_length, window):
    size = 5_000_000  # several parts of as many bytes as go out at once, or of as many buffers
    if 0 < maximum_length < 1000:
        size = min(300_000, 10_000 * (maximum_length - 6))
    noise = memoryview(random.Random(1).randbytes(size))  # noqa: S311 - noise, not a secret
    freed = []
    requests = Requests(_CONTEXTS, Fragmenter(maximum_length), window, _Clock())
    for name in ("1", "2", "3"):
        [piece] = _pieces(_instance(name), freed=freed)
        requests.submit([piece._replace(data=noise)])
    gathered = []
    for name in range(1, 4):
        while requests.goes_on:
            assert requests.stores == 4 - name
            gathered.append(requests.gather())
            assert len(gathered[-1].buffers) < 9000
            assert gathered[-1].payload <= (4 << 20) + 131072
        assert requests.answered(1, _answer(name)).instance.path == f"/{name}"
    assert _on_the_wire(*gathered) == [(1, name, f"1.2.{name}", bytes(noise), True) for name in (1, 2, 3)]
    assert [len(one.spent) for one in gathered].count(0) > 0
    assert sum(one.payload for one in gathered) == 3 * len(noise)


def test_a_piece_that_went_out_in_part_stays_when_stores_are_taken_back_and_its_buffer_comes_back_once():
    freed = []
    requests = Requests(_CONTEXTS, Fragmenter(8), 1, _Clock())
    [piece] = _pieces(_instance("1"), freed=freed)
    requests.submit([piece._replace(data=memoryview(bytes(10_000))), *_pieces(_instance("2"))])
    payload = requests.gather().payload
    assert 0 < payload < 10_000
    assert [instance.path for instance in requests.take_back()] == ["/2"]
    while requests.goes_on:
        gathered = requests.gather()
        payload += gathered.payload
    assert payload == 10_000
    assert [buffer is piece.buffer for buffer in gathered.spent] == [True]
    assert freed == []
    assert requests.answered(1, _answer(1)).instance.path == "/1"


def test_of_4_gib_in_one_piece_only_the_fragments_that_go_out_now_are_made():
    with mmap.mmap(-1, 4 << 30) as whole, memoryview(whole) as data:
        requests = _requests()
        [piece] = _pieces(_instance("1"))
        requests.submit([piece._replace(data=data)])
        del piece
        tracemalloc.start()
        try:
            for _ in range(3):
                gathered = requests.gather()
                assert 0 < gathered.payload <= 4 << 20
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
        del gathered
        requests.end()
        requests.take_back()
        del requests


def test_a_response_to_nothing_at_all_is_a_violation():
    for command in (_answer(1), decode(_element(0x0100, b"\1\x80") + _element(0x0900, b"\0\0"))):
        with pytest.raises(InvalidPdu):
            _requests().answered(1, command)


def test_an_echo_is_a_request_like_others():
    requests = _requests()
    exchange, buffers = requests.echo(3)
    assert b"".join(buffers)[12:] == echo_request(exchange.message_id)
    assert requests.outstanding == 1
    assert requests.answered(3, _answer(exchange.message_id, field=CommandField.C_ECHO_RSP)) is exchange
    assert (exchange.instance, exchange.status) == (None, 0)


# Taking back, and the end.


def test_what_has_not_begun_can_be_taken_back():
    freed = []
    requests = _requests()
    instances = [_instance(str(number)) for number in range(3)]
    requests.submit(piece for instance in instances for piece in _pieces(instance, 2, freed=freed))
    gathered = requests.gather()
    assert requests.take_back() == instances[1:]
    assert len(freed) == 4
    assert not requests.goes_on
    assert requests.answered(1, _answer(1)).instance is instances[0]
    assert requests.is_idle
    assert _on_the_wire(gathered) == [(1, 1, "1.2.0", b"\0\0\1\0", True)]


def test_what_has_begun_goes_on_after_the_rest_was_taken_back():
    requests = _requests()
    first, second = _pieces(_instance("1"), 2)
    requests.submit([first])
    begun = requests.gather()
    assert requests.take_back() == []
    assert requests.is_taking(first.instance)
    requests.submit([second])
    assert _on_the_wire(begun, requests.gather()) == [(1, 1, "1.2.1", b"\0\0\1\0", True)]


def test_further_pieces_of_what_was_taken_back_are_dropped():
    freed = []
    requests = _requests()
    requests.submit(_pieces(_instance("1")))
    requests.gather()
    first, *rest = _pieces(_instance("2"), 3, freed=freed)
    requests.submit([first])
    assert requests.is_taking(first.instance)
    assert requests.take_back() == [first.instance]
    assert not requests.is_taking(first.instance)
    requests.submit(rest)
    assert len(freed) == 3
    assert not requests.goes_on


def test_the_end_gives_back_what_was_outstanding_and_drops_what_follows():
    freed = []
    requests = _requests(window=2)
    first, second, third = (_instance(str(number)) for number in range(3))
    one, *rest = _pieces(second, 2, freed=freed)
    requests.submit([*_pieces(first), one])
    requests.gather()
    assert [exchange.instance for exchange in requests.end()] == [first, second]
    requests.submit([*rest, *_pieces(third, freed=freed)])
    assert requests.take_back() == [third]
    assert len(freed) == 2
    assert requests.is_idle


# Data sets that cannot be read to their end.


def test_an_unreadable_data_set_blocks_the_queue_until_nothing_else_is_outstanding():
    freed = []
    requests = _requests(window=2)
    good, bad, after = (_instance(str(number)) for number in range(3))
    requests.submit([*_pieces(good), *_pieces(bad, 3, problem_at=1, freed=freed), *_pieces(after)])
    assert len(_on_the_wire(requests.gather())) == 2
    assert requests.unreadable() is None
    assert requests.gather().buffers == []
    requests.answered(1, _answer(1))
    exchange, problem = requests.unreadable()
    assert (exchange.instance, problem.reason) == (bad, "cut short")
    assert len(freed) == 1
    assert requests.end() == []
    assert requests.take_back() == [after]


def test_an_unreadable_data_set_goes_on_as_it_has_to_be_asked_for():
    requests = _requests()
    requests.submit([*_pieces(_instance("1"), 2, problem_at=1), *_pieces(_instance("2"))])
    requests.gather()
    assert requests.goes_on
    assert requests.unreadable() is not None


def test_a_data_set_that_could_not_be_read_at_all_is_never_put_on_the_wire():
    requests = _requests()
    with pytest.raises(ValueError, match="cannot begin a store"):
        requests.submit(_pieces(_instance("1"), 1, problem_at=0))
    assert requests.is_idle


def test_nothing_is_unreadable_otherwise():
    requests = _requests()
    assert requests.unreadable() is None
    requests.submit(_pieces(_instance("1")))
    assert requests.unreadable() is None
    requests.gather()
    assert requests.unreadable() is None


# Whatever happens.

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 3), st.none() | st.integers(1, 2)),
        st.tuples(st.just("gather")),
        st.tuples(st.just("answer"), st.integers(0, 5)),
        st.tuples(st.just("take back")),
    ),
    max_size=25,
)


@given(st.integers(0, 3), _STEPS)
def test_every_store_comes_out_once_and_every_buffer_is_released(window, steps):
    freed, submitted, finished, gathered = [], [], [], []
    buffers = 0
    requests = _requests(window)
    came_out = []
    for step, *arguments in steps:
        if step == "submit":
            count, problem_at = arguments
            instance = _instance(str(len(submitted)))
            submitted.append(instance)
            problem_at = problem_at if problem_at and problem_at < count else None
            pieces = _pieces(instance, count, problem_at=problem_at, freed=freed)
            buffers += len(pieces)
            requests.submit(pieces)
        elif step == "gather":
            gathered.append(requests.gather())
            finished += gathered[-1].finished
            for buffer in gathered[-1].spent:
                buffer.release()
            assert not window or requests.outstanding <= window
        elif step == "answer" and requests.outstanding:
            begun = [message_id for _, message_id, *_ in _on_the_wire(*gathered)]
            unanswered = [one for one in begun if all(one != exchange.message_id for exchange in finished)]
            exchange = requests.answered(1, _answer(unanswered[arguments[0] % len(unanswered)]))
            finished += [exchange] if exchange else []
        elif step == "take back":
            came_out += requests.take_back()
    came_out += [exchange.instance for exchange in finished]
    unreadable = requests.unreadable()
    came_out += [unreadable[0].instance] if unreadable else []
    came_out += [exchange.instance for exchange in requests.end()]
    came_out += requests.take_back()
    assert sorted(came_out) == sorted(submitted)
    assert len(freed) == buffers
    assert requests.is_idle
    assert all(is_whole for *_, is_whole in _on_the_wire(*gathered)[:-1])


# Instances whose whole data set is loaded at its turn.


def _whole(name, data, *, is_in_memory):
    instance = _instance(name, length=len(data))
    return values.changed(instance, data=data) if is_in_memory else instance


@pytest.mark.parametrize("maximum_length", [pytest.param(8, marks=pytest.mark.slow), 100, 4096, 16384, 0])
@pytest.mark.parametrize("is_in_memory", [True, False])
def test_whole_instances_are_on_the_wire_what_their_pieces_are(maximum_length, is_in_memory):
    noise = random.Random(1)  # noqa: S311 - noise, not a secret
    data = {name: noise.randbytes(size) for name, size in (("1", 2), ("22", 4090), ("3", 40_000), ("4", 0))}
    as_pieces = Requests(_CONTEXTS, Fragmenter(maximum_length), 0, _Clock())
    as_pieces.submit(
        Piece(_instance(name), memoryview(of_it), True, True, _buffer(), None) for name, of_it in data.items()
    )
    whole = Requests(_CONTEXTS, Fragmenter(maximum_length), 0, _Clock())
    whole.submit_whole(
        [_whole(name, of_it, is_in_memory=is_in_memory) for name, of_it in data.items()],
        lambda instance: _piece(instance, memoryview(data[instance.path[1:]])),
    )
    sent = []
    while whole.goes_on:
        sent.append(whole.gather())
        if whole.is_stuck and not sent[-1].buffers:  # too many fragments to be made at once
            (first, *_) = left = whole.take_back()
            assert len(data[first.path[1:]]) > 2048 * max(maximum_length - 6, 2)
            for one in left:
                piece = memoryview(data[one.path[1:]])
                whole.submit([Piece(one, piece, True, True, _buffer(), None)])
    assert max(len(one.buffers) for one in sent) <= 2 * 4096 + 2
    assert sum(one.payload for one in sent) == sum(map(len, data.values()))
    pieces = []
    while as_pieces.goes_on:
        pieces.append(as_pieces.gather())
    assert _on_the_wire(*sent) == _on_the_wire(*pieces)


@pytest.mark.parametrize("maximum_length", [100, 16384, 0])
def test_the_head_of_a_payload_goes_before_what_is_loaded(maximum_length):
    noise = random.Random(2)  # noqa: S311 - noise, not a secret
    rests = {name: noise.randbytes(size) for name, size in (("1", 2), ("2", 90_000))}
    heads = {"1": noise.randbytes(500), "2": noise.randbytes(2)}
    instances = [
        values.changed(_instance(name, length=len(heads[name] + rest)), head=heads[name])
        for name, rest in rests.items()
    ]
    requests = Requests(_CONTEXTS, Fragmenter(maximum_length), 0, _Clock())
    requests.submit_whole(
        instances, lambda instance: _piece(instance, memoryview(rests[instance.path[1:]]))._replace(is_first=False)
    )
    sent = []
    while requests.goes_on:
        sent.append(requests.gather())
    assert [one.payload for one in sent] == [instance.length for instance in instances]
    assert [(bytes(data), is_whole) for *_, data, is_whole in _on_the_wire(*sent)] == [
        (heads[name] + rests[name], True) for name in rests
    ]


@pytest.mark.parametrize("window", [1, 3])
def test_a_short_store_that_takes_the_last_place_of_the_window_is_the_same_in_one_buffer(window):
    data = [bytes((number,)) * size for number, size in enumerate((2, 4090, 0, 5, 40_000, 2))]
    instances = [_whole(str(number), one, is_in_memory=True) for number, one in enumerate(data)]
    gathering, joining = (_requests(window=window) for _ in range(2))
    for requests in (gathering, joining):
        requests.submit_whole(instances, lambda _instance: None)
    sent, joined, shorts = [], [], 0
    for message_id in range(1, len(data) + 1):
        sent += gathering.gather().buffers
        short = joining.next_short()
        if short is not None:
            shorts += 1
            joined.append(short[0])
            assert short[1] == len(data[message_id + window - 2])
        joined += joining.gather().buffers
        for requests in (gathering, joining):
            assert requests.recognised((message_id, 1, 0)).instance is instances[message_id - 1]
    assert b"".join(sent) == b"".join(joined)
    assert shorts > 0
    assert joining.next_short() is None
    assert joining.is_idle


def test_nothing_but_a_short_instance_in_memory_is_sent_in_one_buffer():
    requests = _requests(window=1)
    requests.submit(_pieces(_instance("1")))
    assert requests.next_short() is None
    requests.gather()
    requests.answered(1, _answer(1))
    requests.submit_whole([_instance("2")], lambda _instance: None)
    assert requests.next_short() is None
    assert requests.take_back()


def test_what_is_loaded_leaves_before_the_memory_is_loaded_into_again():
    requests = _requests(window=0)
    memory = bytearray(4)
    loads = iter([b"1111", b"2222"])

    def load(instance):
        memory[:] = next(loads)
        return _piece(instance, memoryview(memory))

    requests.submit_whole([_instance("1"), _instance("2")], load)
    sent = [b"".join(requests.gather().buffers) for _ in range(2)]
    assert [b"1111" in one for one in sent] == [True, False]
    assert [b"2222" in one for one in sent] == [False, True]


def test_an_instance_that_cannot_be_loaded_stays_where_it_is_and_can_be_taken_back():
    requests = _requests(window=0)
    instances = [_whole("1", b"1111", is_in_memory=True), _instance("2"), _whole("3", b"3333", is_in_memory=True)]
    requests.submit_whole(instances, lambda _instance: None)
    assert [message[2] for message in _on_the_wire(requests.gather())] == ["1.2.1"]
    assert requests.is_stuck
    assert not requests.gather().buffers
    assert requests.stores == 3
    assert requests.take_back() == instances[1:]
    assert not requests.is_stuck


def test_deflated_data_sets_of_odd_length_are_padded():
    requests = _requests()
    requests.submit_whole([_whole("1", b"odd", is_in_memory=True)], lambda _instance: None)
    assert _on_the_wire(requests.gather())[0][3:] == (b"odd\0", True)


def test_a_recognised_response_finishes_its_store_and_no_other():
    requests = _requests(window=0)
    requests.submit_whole([_whole(name, b"1111", is_in_memory=True) for name in "12"], lambda _instance: None)
    requests.gather()
    context_id = next(iter(_CONTEXTS.values()))
    assert requests.recognised((9, context_id, 0)) is None
    assert requests.recognised((1, context_id + 2, 0)) is None
    finished = requests.recognised((2, context_id, 0xA700))
    assert (finished.instance.path, finished.status) == ("/2", 0xA700)
    assert requests.recognised((2, context_id, 0)) is None
    assert requests.outstanding == 1


def test_a_response_before_its_request_has_left_is_read_in_full():
    requests = _requests()
    first, last = _pieces(_instance("1"), 2)
    requests.submit([first])
    requests.gather()
    assert requests.recognised((1, next(iter(_CONTEXTS.values())), 0)) is None
    requests.submit([last])
    assert requests.stores == 1
