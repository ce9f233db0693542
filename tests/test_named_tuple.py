"""Our named tuples do what those of the standard library do."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import Generic, NamedTuple, TypeVar, get_type_hints

import pytest

from asyncstore import named_tuple

T = TypeVar("T")


class Theirs(NamedTuple):
    """What they look like."""

    path: str
    size: int | None = None
    names: tuple[str, ...] = ()

    @property
    def is_empty(self):
        return not self.size


class Ours(named_tuple.NamedTuple):
    """What they look like."""

    path: str
    size: int | None = None
    names: tuple[str, ...] = ()

    @property
    def is_empty(self):
        return not self.size


class Empty(named_tuple.NamedTuple):
    pass


class Wide(named_tuple.NamedTuple, Generic[T]):
    value: T
    others: tuple[T, ...] = ()


class Narrow(Wide[str]):
    __slots__ = ()

    def first(self):
        return self.value


MADE = [
    lambda kind: kind("a"),
    lambda kind: kind("a", 1, ("b",)),
    lambda kind: kind(path="a"),
    lambda kind: kind("a", names=("b",)),
    lambda kind: kind(names=(), size=2, path="a"),
    lambda kind: kind._make(["a", 1, ()]),
    lambda kind: kind("a")._replace(size=3, names=("c",)),
    lambda kind: kind("a")._replace(),
    lambda kind: pickle.loads(pickle.dumps(kind("a", 2))),  # noqa: S301 - ours
    lambda kind: copy.copy(kind("a", 2)),
    lambda kind: copy.deepcopy(kind("a", 2)),
]


@pytest.mark.parametrize("make", MADE)
def test_an_instance_is_made_in_the_same_ways(make):
    ours, theirs = make(Ours), make(Theirs)
    assert type(ours) is Ours
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._asdict() == theirs._asdict()
    assert ours.is_empty == theirs.is_empty
    assert (ours.path, ours.size, ours.names) == theirs
    assert sys.getsizeof(ours) == sys.getsizeof(theirs)


@pytest.mark.parametrize(
    "make",
    [
        lambda kind: kind(),
        lambda kind: kind(size=1),
        lambda kind: kind("a", 1, (), 2),
        lambda kind: kind("a", path="b"),
        lambda kind: kind("a", colour=1),
        lambda kind: kind._make(["a", 1, (), 2]),
    ],
)
def test_wrong_arguments_are_type_errors(make):
    for kind in (Ours, Theirs):
        with pytest.raises(TypeError):
            make(kind)


def test_its_class_is_an_ordinary_one():
    """Of others ``isinstance`` asks more, which takes thrice as long."""
    assert type(Ours) is type(Wide) is type(Narrow) is type


def test_the_error_names_what_is_wrong():
    with pytest.raises(TypeError, match=r"Ours\(path, size, names\): wrong arguments: colour"):
        Ours("a", colour=1)
    with pytest.raises(TypeError, match="wrong arguments: path"):
        Ours(size=1)
    with pytest.raises(TypeError, match="Ours has no fields colour"):
        Ours("a")._replace(colour=1)


def test_copy_replace_makes_another_one():
    replace = getattr(copy, "replace", Ours.__replace__)  # since Python 3.13
    assert replace(Ours("a", 1), size=2) == Ours("a", 2)


def test_nothing_can_be_set():
    one = Ours("a")
    with pytest.raises(AttributeError):
        one.size = 1
    with pytest.raises(AttributeError):
        one.colour = 1


def test_the_class_says_the_same_of_itself():
    for name in ("_fields", "_field_defaults", "__match_args__", "__doc__", "__module__"):
        assert getattr(Ours, name) == getattr(Theirs, name), name
    assert get_type_hints(Ours) == get_type_hints(Theirs)
    ours, theirs = inspect.signature(Ours).parameters, inspect.signature(Theirs).parameters
    assert [(one.name, one.default, one.kind) for one in ours.values()] == [
        (one.name, one.default, one.kind) for one in theirs.values()
    ]
    assert str(inspect.signature(Ours)) == "(path: 'str', size: 'int | None' = None, names: 'tuple[str, ...]' = ())"


def test_a_class_has_only_annotations_of_its_own():
    assert Empty.__annotations__ == {}
    assert Narrow.__annotations__ == {}
    assert get_type_hints(Narrow) == get_type_hints(Wide) == {"value": T, "others": tuple[T, ...]}
    assert str(inspect.signature(Narrow)) == "(value: 'T', others: 'tuple[T, ...]' = ())"


def test_patterns_match_by_position():
    match Ours("a", 1):
        case Ours(path, 1, names):
            assert (path, names) == ("a", ())
        case _:
            pytest.fail("it matched nothing")


def test_it_may_have_no_fields():
    assert Empty() == ()
    assert repr(Empty()) == "Empty()"


def test_it_may_be_generic_and_have_subclasses():
    assert Wide[int](1) == (1, ())
    narrow = Narrow("a", others=("b",))
    assert (narrow.value, narrow.others, narrow.first(), type(narrow)) == ("a", ("b",), "a", Narrow)
    assert not hasattr(narrow, "__dict__")
    assert repr(narrow) == "Narrow(value='a', others=('b',))"
