import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Details, Head
from asyncstore.negotiation import listed
from asyncstore.negotiation.selection import Selection
from asyncstore.schedule.backlog import Backlog, pairs_needed
from asyncstore.schedule.gate import Affinity, Gate
from asyncstore.schedule.study_order import StudyOrder
from support import values
from support.examples import examples
from support.fakes import keys_of

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


def _waiting(backlog):
    """How many instances can be taken of each pair, the pair that comes next first."""
    return [(pair, backlog.counts[pair]) for pair in backlog.by_age()]


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


@pytest.mark.parametrize("gate", [None, Gate(Affinity.NONE)], ids=["by walk", "by study"])
def test_a_selection_knows_that_what_was_taken_has_to_be_converted(gate):
    """Also where it carries fewer pairs than wait."""
    implicit = _instance("a", ("1.1", IMPLICIT_VR_LITTLE_ENDIAN))
    backlog = Backlog(_MOST_INSTANCES, _MOST_BYTES, gate)
    backlog.put([implicit, *(_instance(number, (f"1.9.{number}", "2.1")) for number in range(1000))])
    selection = Selection(listed(), (), [("1.1", EXPLICIT_VR_LITTLE_ENDIAN)])
    assert len(selection) < len(backlog.counts)
    assert backlog.take(selection, 5, 500) == [implicit]
    assert list(selection.portions([implicit])) == [([implicit], EXPLICIT_VR_LITTLE_ENDIAN)]


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
        assert _waiting(backlog) == list(model.counts().items())
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
    assert _waiting(backlog) == [(_PAIRS[2], 2), (_PAIRS[0], 1)]


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


# With a gate.

_HEADS = [Head(study, "", patient) for study in ("", "1", "2", "3") for patient in (b"", b"P", b"Q")]


def _of(name, head, pair=_PAIRS[0], length=10):
    return _instance(name, pair, length)._replace(details=Details(10, 1, head))


def _study(instance):
    return instance.details.head.study_instance_uid


class _GatedModel:
    """All instances in plain lists, and the rules of the gate in plain words."""

    def __init__(self, affinity, *, overlaps):
        self.affinity, self.overlaps = affinity, overlaps
        self.waiting = []
        self.under_way = []
        self.existing = set()
        self.begun = set()

    def may_take(self, one, lane):
        """Whether ``lane`` may take ``one`` now."""
        for key in keys_of(one, self.affinity):
            if self.affinity is Affinity.FIRST and key in self.existing:
                continue
            lanes = [other for other, taken in self.under_way if key in keys_of(taken, self.affinity)]
            if set(lanes) - {lane} or (lanes and self.overlaps and self.affinity is Affinity.FIRST):
                return False
        return True

    def take(self, batch, lane, carried):
        for one in batch:
            assert self.may_take(one, lane), "it had to wait"
            if _study(one) not in self.begun:
                begun = [other for other in self.waiting if _study(other) in self.begun and _pair(other) in carried]
                assert not any(self.may_take(other, lane) for other in begun), "it began before its turn"
            self.waiting.remove(one)
            self.under_way.append((lane, one))
            if _study(one):
                self.begun.add(_study(one))

    def end(self, lane, one, *, is_stored):
        self.under_way.remove((lane, one))
        if is_stored:
            self.existing.update(keys_of(one, Affinity.FIRST))


_GATED_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.lists(st.tuples(st.sampled_from(_HEADS), st.sampled_from(_PAIRS), st.integers(1, 200)), max_size=6),
        ),
        *[
            st.tuples(
                st.just("take"),
                st.integers(0, 2),
                st.sets(st.sampled_from(_PAIRS), min_size=1),
                st.integers(1, 5),
                st.integers(1, 400),
            )
        ]
        * 2,
        st.tuples(st.just("end"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("put back"), st.integers(0, 2)),
        st.tuples(st.just("remove"), st.sampled_from(_PAIRS)),
        st.tuples(st.just("clear")),
    ),
    max_size=40,
)


class _Gated:
    """A backlog with a gate beside its model; a method for each step."""

    def __init__(self, affinity, *, overlaps):
        self.overlaps = overlaps
        self.backlog = Backlog(_MOST_INSTANCES, _MOST_BYTES, Gate(affinity))
        self.model = _GatedModel(affinity, overlaps=overlaps)
        self.made = 0

    def put(self, what):
        instances = [_of(self.made + number, *one) for number, one in enumerate(what)]
        self.made += len(instances)
        self.backlog.put(instances)
        self.model.waiting += instances

    def take(self, lane, carried, most, most_bytes):
        batch = self.backlog.take(carried, most, most_bytes, lane, overlaps=self.overlaps)
        assert len(batch) <= most
        assert len(batch) < 2 or sum(one.length for one in batch) <= most_bytes
        self.model.take(batch, lane, carried)
        if not batch:
            assert not any(_pair(one) in carried and self.model.may_take(one, lane) for one in self.model.waiting)

    def end(self, index, is_stored):
        if index < len(self.model.under_way):
            lane, one = self.model.under_way[index]
            before = len(self.backlog)
            assert self.backlog.ended([one], lane, is_stored=is_stored) == (len(self.backlog) > before)
            self.model.end(lane, one, is_stored=is_stored)

    def put_back(self, lane):
        returned = [one for taker, one in self.model.under_way if taker == lane]
        self.backlog.ended(returned, lane, is_stored=False)
        self.backlog.put_back(returned)
        for one in returned:
            self.model.end(lane, one, is_stored=False)
        self.model.waiting += returned

    def remove(self, pair):
        removed = self.backlog.remove(pair)
        assert sorted(removed) == sorted(one for one in self.model.waiting if _pair(one) == pair)
        self.model.waiting = [one for one in self.model.waiting if one not in removed]

    def clear(self):
        assert sorted(self.backlog.clear()) == sorted(self.model.waiting)
        self.model.waiting = []

    def assert_counts(self):
        backlog, waiting = self.backlog, self.model.waiting
        assert len(backlog) <= len(waiting)
        assert len(backlog) == sum(backlog.counts.values()) == sum(dict(_waiting(backlog)).values())
        assert backlog.is_empty == (not waiting)
        size = sum(one.length for one in waiting)
        assert backlog.is_full == (len(waiting) >= _MOST_INSTANCES or size >= _MOST_BYTES)


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(list(Affinity)), st.booleans(), _GATED_STEPS)
def test_the_gate_holds_back_what_must_wait_and_nothing_else(affinity, overlaps, steps):
    both = _Gated(affinity, overlaps=overlaps)
    for step, *arguments in steps:
        getattr(both, step.replace(" ", "_"))(*arguments)
        both.assert_counts()
    while both.model.waiting or both.model.under_way:
        assert both.model.under_way or len(both.backlog), "it is held for ever"
        while both.model.under_way:
            both.end(0, is_stored=True)
        for lane in range(3):
            both.take(lane, _PAIRS, 3, 10**9)


def test_a_study_that_has_begun_is_finished_before_others_begin():
    backlog = Backlog(100, 10**9, Gate(Affinity.FIRST))
    begun, other = ([_of(f"{study}{number}", Head(study)) for number in range(4)] for study in "12")
    backlog.put([*begun, *other])
    assert backlog.take(_PAIRS, 1, 10**9, "lane 1") == begun[:1]
    assert backlog.take(_PAIRS, 1, 10**9, "lane 2") == other[:1]
    assert backlog.take(_PAIRS, 1, 10**9, "lane 3") == []
    assert len(backlog) == 0
    assert not backlog.is_empty
    assert backlog.ended(begun[:1], "lane 1", is_stored=True)
    assert backlog.take(_PAIRS, 9, 10**9, "lane 3") == begun[1:]
    assert backlog.ended(other[:1], "lane 2", is_stored=True)
    assert backlog.take(_PAIRS, 9, 10**9, "lane 1") == other[1:]


@pytest.mark.parametrize("affinity", [Affinity.FIRST, Affinity.STUDY])
def test_a_lane_goes_on_with_its_own_study_though_others_have_met_it(affinity):
    backlog = Backlog(100, 10**9, Gate(affinity))
    own, other = ([_of(f"{study}{number}", Head(study)) for number in range(4)] for study in "12")
    backlog.put([*own, *other])
    assert backlog.take(_PAIRS, 1, 10**9, "lane 1") == own[:1]
    assert backlog.take(_PAIRS, 1, 10**9, "lane 2") == other[:1]
    assert backlog.take(_PAIRS, 2, 10**9, "lane 1") == own[1:3]


def test_instances_without_details_never_wait():
    backlog = Backlog(100, 10**9, Gate(Affinity.STUDY))
    instances = [_instance(number) for number in range(3)]
    backlog.put(instances)
    assert [backlog.take(_PAIRS, 1, 10**9, lane) for lane in range(3)] == [[one] for one in instances]


def test_conversions_end_as_what_was_found():
    backlog = Backlog(100, 10**9, Gate(Affinity.FIRST))
    first, second = (_of(name, Head("1")) for name in "ab")
    backlog.put([first, second])
    [taken] = backlog.take(_PAIRS, 1, 10**9, "lane 1")
    assert backlog.take(_PAIRS, 1, 10**9, "lane 2") == []
    assert backlog.ended([_instance("a")._replace(original=taken)], "lane 1", is_stored=True)
    assert backlog.take(_PAIRS, 1, 10**9, "lane 2") == [second]


# The order of studies.


class _StudyModel:
    """One list, and the rules of the order in plain words; a method for each step."""

    def __init__(self):
        self.waiting = []
        """Instances with their places."""
        self.studies = {}
        """The places of studies that have not begun."""
        self.begun = []
        self.prioritised = []
        self.first = self.last = 0

    def put(self, instances):
        for one in instances:
            self.last += 1
            self.waiting.append((self.last, one))
            self.studies.setdefault(_study(one), self.last)

    def put_back(self, instances):
        for one in reversed(instances):
            self.first -= 1
            self.waiting.insert(0, (self.first, one))

    def rank(self, place, one):
        keys = {_study(one), one.details.head.patient_id.decode()} - {""}
        priority = max((number for number, key in enumerate(self.prioritised, 1) if key in keys), default=0)
        if _study(one) in self.begun:
            return -priority, 1, self.begun.index(_study(one))
        return -priority, 2, self.studies[_study(one)] if _study(one) else place

    def first_ones(self, carried):
        """The instances of which one comes next: those of one study may come in any order of their groups."""
        ranks = [(self.rank(place, one), one) for place, one in self.waiting if _pair(one) in carried]
        groups = {}
        for rank, one in sorted(ranks, key=lambda ranked: ranked[0]):
            if rank == min(ranks, key=lambda ranked: ranked[0])[0]:
                groups.setdefault((_pair(one), one.details.head.patient_id if _study(one) else b""), one)
        return list(groups.values())

    def take(self, batch, carried, most, most_bytes):
        size = 0
        for one in batch:
            assert one in self.first_ones(carried), "another one comes first"
            assert not size or size + one.length <= most_bytes
            size += one.length
            self.remove(lambda other, taken=one: other is taken)
            if _study(one) and _study(one) not in self.begun:
                self.begun.append(_study(one))
        nexts = self.first_ones(carried)
        assert len(batch) == most or not nexts or (batch and any(size + one.length > most_bytes for one in nexts))

    def remove(self, is_removed):
        self.waiting = [(place, one) for place, one in self.waiting if not is_removed(one)]
        left = {_study(one) for _, one in self.waiting}
        self.studies = {study: place for study, place in self.studies.items() if study in left}


_STUDY_STEPS = st.lists(
    st.one_of(
        *[
            st.tuples(
                st.just("put"),
                st.lists(
                    st.tuples(st.sampled_from(_HEADS), st.sampled_from(_PAIRS[:2]), st.integers(1, 9)), max_size=8
                ),
            ),
            st.tuples(
                st.just("take"), st.sets(st.sampled_from(_PAIRS[:2]), min_size=1), st.integers(1, 6), st.integers(1, 40)
            ),
        ]
        * 2,
        st.tuples(st.just("put back"), st.integers(0, 3)),
        st.tuples(st.just("remove"), st.sampled_from(_PAIRS[:2])),
        st.tuples(st.just("prioritise"), st.sampled_from(["1", "2", "P", "4"])),
    ),
    max_size=30,
)


@settings(max_examples=examples(300), deadline=None)
@given(_STUDY_STEPS)
def test_begun_studies_come_before_others_and_prioritised_ones_before_all(steps):
    backlog, model, taken, made = Backlog(_MOST_INSTANCES, _MOST_BYTES, Gate(Affinity.NONE)), _StudyModel(), [], 0
    for step, *arguments in steps:
        if step == "put":
            instances = [_of(made + number, *one) for number, one in enumerate(arguments[0])]
            made += len(instances)
            backlog.put(instances)
            model.put(instances)
        elif step == "take":
            batch = backlog.take(*arguments)
            model.take(batch, *arguments)
            taken += batch
        elif step == "put back" and arguments[0]:
            returned, taken = taken[-arguments[0] :], taken[: -arguments[0]]
            backlog.put_back(returned)
            model.put_back(returned)
        elif step == "remove":
            (pair,) = arguments
            removed = backlog.remove(pair)
            assert sorted(removed) == sorted(one for _, one in model.waiting if _pair(one) == pair)
            model.remove(lambda one, pair=pair: _pair(one) == pair)
        elif step == "prioritise":
            (key,) = arguments
            model.prioritised.append(key)
            keys = [(_study(one), one.details.head.patient_id.decode()) for _, one in model.waiting]
            assert backlog.prioritise(key) == sum(key in of_one for of_one in keys)
        assert len(backlog) == len(model.waiting) == sum(dict(_waiting(backlog)).values())


def test_the_studies_of_an_interleaved_walk_are_finished_one_after_the_other():
    backlog = Backlog(100, 10**9, Gate(Affinity.NONE))
    studies = [[_of(f"{study}{number}", Head(study)) for number in range(4)] for study in "123"]
    first, second, third = studies
    backlog.put([one for number in range(3) for one in (study[number] for study in studies)])
    assert backlog.take(_PAIRS, 4, 10**9) == [*first[:3], second[0]]
    backlog.put([third[3], second[3], first[3]])
    assert backlog.take(_PAIRS, 9, 10**9) == [first[3], *second[1:], *third]


def test_without_a_gate_the_walk_is_kept_but_for_prioritised_studies():
    studies = [[_of(f"{study}{number}", Head(study)) for number in range(2)] for study in "123"]
    first, second, third = studies
    backlog = _backlog(first[0], second[0], third[0])
    assert backlog.prioritise("2") == 1
    backlog.put([third[1], first[1], second[1]])
    assert backlog.take(_PAIRS, 9, 10**9) == [*second, first[0], third[0], third[1], first[1]]


def test_a_patient_is_prioritised_in_each_likely_encoding():
    backlog = Backlog(100, 10**9, Gate(Affinity.FIRST))
    ones = [
        _of(name, Head(name, "", patient)) for name, patient in zip("abc", (b"x", b"M\xfc", b"M\xc3\xbc"), strict=True)
    ]
    backlog.put(ones)
    assert backlog.prioritise("M\xfc") == 2
    assert backlog.take(_PAIRS, 9, 10**9) == [*ones[1:], ones[0]]
    assert backlog.prioritise("") == 0


def test_begun_studies_that_were_forgotten_begin_anew():
    order = StudyOrder(Gate(Affinity.NONE), remembered=2)
    studies = [[_of(f"{study}{number}", Head(study)) for number in range(2)] for study in "1234"]
    for study in studies[:3]:
        order.put(study[:1], pairs_needed(study[:1]))
        order.take(_PAIRS, 1, 10**9, None, overlaps=False)
    late = [studies[3][0], *(study[1] for study in studies[:3])]
    order.put(late, pairs_needed(late))
    assert order.take(_PAIRS, 9, 10**9, None, overlaps=False)[0] == [late[2], late[3], late[0], late[1]]


@pytest.mark.slow
def test_a_study_keeps_nothing_of_the_patients_whose_instances_were_taken():
    """Archives with one study UID for all patients exist, and a run may take weeks."""
    backlog = Backlog(_MOST_INSTANCES, _MOST_BYTES, Gate(Affinity.STUDY))

    def passes(first, count):
        for number in range(first, first + count):
            backlog.put([_of(number, Head("1", "", b"%d" % number))])
            assert len(backlog.take(_PAIRS, 1, 10)) == 1

    tracemalloc.start()
    try:
        passes(0, 100)
        before, _ = tracemalloc.get_traced_memory()
        passes(100, 500)
        assert tracemalloc.get_traced_memory()[0] - before < 100 * 500
    finally:
        tracemalloc.stop()
