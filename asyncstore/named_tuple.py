"""``typing.NamedTuple``, made in a tenth of the time. It is used in the same way.

The standard library's compiles a constructor and all annotations for each class: 0.2 ms, and 80 classes are a tenth of
the time for sending one file. Here all classes share one constructor. It takes 0.1 µs longer; code
that makes a tuple for each instance calls ``tuple.__new__``.

Fields are read from annotations that are text (PEP 563). From Python 3.14 on others are not there yet when a class is
made.
"""

from __future__ import annotations

from collections import ChainMap, namedtuple
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from inspect import Signature
    from typing import NamedTuple, Self

__all__ = ["NamedTuple"]

_new = tuple.__new__
_Field: Any = type(vars(namedtuple("_", ["field"]))["field"])  # noqa: PYI024 - CPython has no faster descriptor
"""Reads an item of a tuple as an attribute."""


class _Maker(type):
    """The type of :class:`NamedTuple` alone. It makes ordinary classes, which ``isinstance`` takes less time to ask."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:  # noqa: ANN401 - not of its own
        """Make a class with a field for each annotation, and a default of its value."""
        fields = tuple(namespace.setdefault("__annotations__", {}))
        namespace["__slots__"] = ()
        namespace["_fields"] = namespace["__match_args__"] = fields
        namespace["_field_defaults"] = {field: namespace[field] for field in fields if field in namespace}
        namespace.update({field: _Field(index, None) for index, field in enumerate(fields)})
        return type(name, (_Tuple, *bases[1:]), namespace)


class _Arguments:
    """What ``help()`` shows as the arguments of a class."""

    def __get__(self, _: object, kind: type[_Tuple]) -> Signature:
        from inspect import Parameter, Signature, get_annotations  # no run needs it

        types = ChainMap(*map(get_annotations, kind.__mro__))
        of = partial(Parameter, kind=Parameter.POSITIONAL_OR_KEYWORD)
        defaults = dict.fromkeys(kind._fields, Parameter.empty) | kind._field_defaults
        return Signature([of(field, default=default, annotation=types[field]) for field, default in defaults.items()])


class _Tuple(tuple[Any, ...]):
    """A tuple whose items have names."""

    __slots__ = ()
    __signature__ = _Arguments()
    if TYPE_CHECKING:
        _fields: tuple[str, ...]
        _field_defaults: dict[str, Any]

    def __new__(cls, *values: Any, **named: Any) -> Self:  # noqa: ANN401 - each class has other fields
        if named or len(values) != len(cls._fields):
            return _new(cls, _completed(cls, values, named))
        return _new(cls, values)

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        return cls(*values)

    def _replace(self, **named: Any) -> Self:  # noqa: ANN401
        values = list(map(named.pop, self._fields, self))
        if named:
            raise TypeError(f"{type(self).__name__} has no fields {', '.join(named)}")
        return _new(type(self), values)

    __replace__ = _replace  # for copy.replace() of Python 3.13

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{field}={value!r}' for field, value in self._asdict().items())})"


def _completed(kind: type[_Tuple], values: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """The items of a tuple in their order.

    Raises:
        TypeError: some are missing, unknown or given twice.
    """
    fields = kind._fields
    given = dict(zip(fields, values, strict=False), **named)
    found = kind._field_defaults | given
    items = [found[field] for field in fields if field in found]
    if len(items) == len(fields) == len(found) and len(given) == len(values) + len(named):
        return items
    twice = named.keys() & set(fields[: len(values)])
    wrong = [*twice, *found.keys() ^ set(fields), *map(repr, values[len(fields) :])]
    raise TypeError(f"{kind.__name__}({', '.join(fields)}): wrong arguments: {', '.join(wrong)}")


if not TYPE_CHECKING:
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
