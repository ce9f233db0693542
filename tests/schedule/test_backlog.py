import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.schedule.backlog import Backlog
from support import values

_PAIRS = [(sop_class_uid, syntax) for sop_class_uid in ("1.1", "1.2") for syntax in ("2.1", "2.2")]
_MOST_INSTANCES, _MOST_BYTES = 6, 500


def _instance(name, pair=_PAIRS[0], length=10):
    return values.instance(str(name), pair[0], f"1.{name}", pair[1], 0, length)


def _pair(instance):
    return instance.sop_class_uid, instance.transfer_syntax_uid


def _backlog(*instances):
    backlog = Backlog(_MOST_INSTANCES, _MOST_BYTES)
    backlog.put(instances)
    return backlog


class _Model:
    """A backlog as one list: slow and plain."""

    def __init__(self):
        self.waiting = []

    def take(self, carried, most, most_bytes):
        taken, size = [], 0
        for instance in [one for one in self.waiting if _pair(one) in carried]:
            if len(taken) == most or (taken and size + instance.length > most_bytes):
                break
            taken.append(instance)
            size += instance.length
        self.waiting = [one for one in self.waiting if one not in taken]
        return taken

    def counts(self):
        """In the order of the first of each pair."""
        return {pair: sum(_pair(one) == pair for one in self.waiting) for pair in map(_pair, self.waiting)}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.tuples(st.sampled_from(_PAIRS), st.integers(1, 200)), max_size=5)),
        st.tuples(st.just("take"), st.sets(st.sampled_from(_PAIRS)), st.integers(1, 5), st.integers(1, 400)),
        st.tuples(st.just("put back"), st.integers(0, 3)),
        st.tuples(st.just("remove"), st.sampled_from(_PAIRS)),
        st.tuples(st.just("clear")),
    ),
    max_size=30,
)


@given(_STEPS)
def test_it_does_what_one_plain_list_would_do(steps):
    backlog, model, taken, made = _backlog(), _Model(), [], 0
    for step, *arguments in steps:
        if step == "put":
            instances = [_instance(made + number, *one) for number, one in enumerate(arguments[0])]
            made += len(instances)
            backlog.put(instances)
            model.waiting += instances
        elif step == "take":
            batch = backlog.take(*arguments)
            assert batch == model.take(*arguments)
            taken += batch
        elif step == "put back" and arguments[0]:
            returned, taken = taken[-arguments[0] :], taken[: -arguments[0]]
            backlog.put_back(returned)
            model.waiting = returned + model.waiting
        elif step == "remove":
            (pair,) = arguments
            assert backlog.remove(pair) == [one for one in model.waiting if _pair(one) == pair]
            model.waiting = [one for one in model.waiting if _pair(one) != pair]
        elif step == "clear":
            assert sorted(backlog.clear()) == sorted(model.waiting)
            model.waiting = []
        assert len(backlog) == len(model.waiting)
        assert list(backlog.waiting().items()) == list(model.counts().items())
        size = sum(instance.length for instance in model.waiting)
        assert backlog.is_full == (len(backlog) >= _MOST_INSTANCES or size >= _MOST_BYTES)


def test_the_order_of_the_walk_is_kept_among_what_an_association_carries():
    instances = [_instance(number, _PAIRS[number % 3]) for number in range(12)]
    backlog = _backlog(*instances)
    assert backlog.take({_PAIRS[0], _PAIRS[2]}, 100, 10**9) == [one for one in instances if _pair(one) != _PAIRS[1]]
    assert backlog.take(_PAIRS, 100, 10**9) == [one for one in instances if _pair(one) == _PAIRS[1]]


def test_nothing_that_is_carried_makes_nothing():
    backlog = _backlog(_instance(1))
    assert backlog.take((), 5, 100) == []
    assert backlog.take({_PAIRS[1]}, 5, 100) == []
    assert len(backlog) == 1


def test_an_instance_larger_than_what_may_be_taken_is_taken_alone():
    large, small = _instance("large", length=1000), _instance("small")
    backlog = _backlog(large, small)
    assert backlog.take(_PAIRS, 5, 100) == [large]
    assert backlog.take(_PAIRS, 5, 100) == [small]


def test_as_many_bytes_as_may_be_taken_are_taken_and_not_one_more():
    instances = [_instance(name, length=100) for name in "abc"]
    assert _backlog(*instances).take(_PAIRS, 5, 200) == instances[:2]
    assert _backlog(*instances).take(_PAIRS, 5, 199) == instances[:1]


def test_what_was_put_back_comes_first_in_its_order():
    first, second, third = (_instance(name) for name in "abc")
    backlog = _backlog(first, second, third)
    backlog.put_back(backlog.take(_PAIRS, 2, 100))
    assert backlog.take(_PAIRS, 5, 100) == [first, second, third]


def test_the_pair_that_waits_longest_is_named_first():
    backlog = _backlog(*(_instance(number, pair) for number, pair in enumerate([_PAIRS[2], _PAIRS[0], _PAIRS[2]])))
    assert list(backlog.waiting().items()) == [(_PAIRS[2], 2), (_PAIRS[0], 1)]


@pytest.mark.parametrize(
    ("instances", "is_full"),
    [
        ([], False),
        ([_instance(number, length=1) for number in range(_MOST_INSTANCES - 1)], False),
        ([_instance(number, length=1) for number in range(_MOST_INSTANCES)], True),
        ([_instance(1, length=_MOST_BYTES - 1)], False),
        ([_instance(1, length=_MOST_BYTES)], True),
    ],
)
def test_it_is_full_by_number_or_by_bytes(instances, is_full):
    assert _backlog(*instances).is_full is is_full
