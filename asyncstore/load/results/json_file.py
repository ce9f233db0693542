"""Documents as JSON text: written, and read back strictly.

Rules:

1. The types of the fields of :mod:`~asyncstore.load.results.document` are the schema; there is no second one.
2. Whatever the text holds, only :class:`~asyncstore.errors.UsageError` comes out: it names the file and the field.
3. Unknown fields are ignored, because fields are only ever added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from asyncstore.errors import ReadFailed, UsageError
from asyncstore.load.results.compare import TYPE as COMPARISON_TYPE
from asyncstore.load.results.compare import VERSION as COMPARISON_VERSION
from asyncstore.load.results.document import TYPE, VERSION, Document
from asyncstore.load.results.histogram import Histogram
from asyncstore.named_files import refusing

if TYPE_CHECKING:
    from asyncstore.load.results.compare import Comparison

_MOST: Final = 1 << 64
"""Seeds are below it. Larger numbers are refused: nothing is measured that large, and their squares would overflow."""

_Reader = Callable[[Any, str], Any]
"""Makes a value of what JSON holds; the text is the path of the field, for errors."""


class _DamagedError(ValueError):
    """A field does not hold what it should."""


def to_json(document: Document) -> dict[str, Any]:
    """The document as JSON's values."""
    return {"type": TYPE, "version": VERSION, **_plain(document)}


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON's values."""
    return {"type": COMPARISON_TYPE, "version": COMPARISON_VERSION, **_plain(comparison)}


def write_document(document: Document) -> str:
    """The document as one line of JSON text, with a line feed."""
    return json.dumps(to_json(document), allow_nan=False, separators=(",", ":")) + "\n"


def read_document(text: str | bytes, name: str) -> Document:
    """Read the text of :func:`write_document`.

    Args:
        text: the content of a file.
        name: the name of the file, for errors.

    Raises:
        UsageError: it is not such a document, is damaged, or a newer asyncstore wrote it.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        cause = f"line {error.lineno}, {error.msg}" if isinstance(error, json.JSONDecodeError) else "not JSON"
        raise UsageError(f"{name}: not a document of asyncstore bench: {cause}") from error
    if not isinstance(value, dict) or value.get("type") != TYPE:
        raise UsageError(f"{name}: not a document of asyncstore bench: it does not say that it is one")
    version = value.get("version")
    if version != VERSION or isinstance(version, bool):
        written = f"version {version}" if type(version) is int and 0 < version < _MOST else "an unknown version"
        raise UsageError(f"{name}: {written} of the document; this asyncstore reads version {VERSION}")
    try:
        document = _reader_of(Document)(value, "")
    except (_DamagedError, RecursionError) as error:
        raise UsageError(f"{name}: a damaged document of asyncstore bench: {error}") from error
    assert isinstance(document, Document)  # noqa: S101 - for the type checker
    return document


def load_document(path: str) -> Document:
    """Read the document in a file.

    Raises:
        ReadFailed: the file cannot be read.
        UsageError: as :func:`read_document`.
    """
    with refusing(f"{path}: cannot be read", ReadFailed), open(path, "rb") as file:
        content = file.read()
    return read_document(content, path)


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON's values have no common type
    if isinstance(value, Histogram):
        return value.to_json()
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


@cache
def _reader_of(kind: Any) -> _Reader:  # noqa: ANN401 - a type or a form of typing
    """The reader of a field's type."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        reader = _one_of(tuple(map(_reader_of, arguments)))
    elif origin is Literal:
        reader = _literal(arguments)
    elif origin is tuple:
        reader = _list_of(_reader_of(arguments[0]))
    elif origin is Mapping:
        reader = _mapping_of(_reader_of(arguments[1]))
    else:
        reader = _record_of(kind)
    return reader


def _int(value: Any, path: str) -> int:  # noqa: ANN401 - as all readers
    if type(value) is not int or not 0 <= value < _MOST:
        raise _DamagedError(f"{path} is no count")
    return value


def _float(value: Any, path: str) -> float:  # noqa: ANN401
    if type(value) is int and abs(value) < _MOST:
        return float(value)
    if type(value) is not float or not abs(value) < _MOST:  # nor is NaN
        raise _DamagedError(f"{path} is no number")
    return value


def _str(value: Any, path: str) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise _DamagedError(f"{path} is no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair: it could not be written anywhere
        raise _DamagedError(f"{path} is no text") from error
    return value


def _bool(value: Any, path: str) -> bool:  # noqa: ANN401
    if not isinstance(value, bool):
        raise _DamagedError(f"{path} is neither true nor false")
    return value


def _none(value: Any, path: str) -> None:  # noqa: ANN401
    if value is not None:
        raise _DamagedError(f"{path} is not null")


def _histogram(value: Any, path: str) -> Histogram:  # noqa: ANN401
    try:
        return Histogram.from_json(value)
    except ValueError as error:
        raise _DamagedError(f"{path} {error}") from error


_SIMPLE: Final[dict[Any, _Reader]] = {
    int: _int,
    float: _float,
    str: _str,
    bool: _bool,
    NoneType: _none,
    Histogram: _histogram,
}


def _one_of(readers: tuple[_Reader, ...]) -> _Reader:
    def read(value: Any, path: str) -> Any:  # noqa: ANN401
        problem: _DamagedError | None = None
        for reader in readers:
            try:
                return reader(value, path)
            except _DamagedError as error:
                problem = problem or error
        raise problem or _DamagedError(path)

    return read


def _literal(texts: tuple[Any, ...]) -> _Reader:
    def read(value: Any, path: str) -> Any:  # noqa: ANN401
        if not isinstance(value, str) or value not in texts:
            raise _DamagedError(f"{path} is none of {', '.join(texts)}")
        return value

    return read


def _list_of(reader: _Reader) -> _Reader:
    def read(value: Any, path: str) -> tuple[Any, ...]:  # noqa: ANN401
        if not isinstance(value, list):
            raise _DamagedError(f"{path} is no list")
        return tuple(reader(each, f"{path}[{place}]") for place, each in enumerate(value))

    return read


def _mapping_of(reader: _Reader) -> _Reader:
    def read(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            raise _DamagedError(f"{path} is no object")
        return {_str(name, f"a name in {path}"): reader(each, f"a value in {path}") for name, each in value.items()}

    return read


def _record_of(kind: Any) -> _Reader:  # noqa: ANN401
    types = get_type_hints(kind)
    if is_dataclass(kind):
        optional = {
            each.name for each in fields(kind) if each.default is not MISSING or each.default_factory is not MISSING
        }
    else:
        optional = set(kind._field_defaults)
    readers = {name: _reader_of(each) for name, each in types.items()}

    def read(value: Any, path: str) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            raise _DamagedError(f"{path} is no object")
        found = {}
        for name, reader in readers.items():
            inner = f"{path}.{name}" if path else name
            if name in value:
                found[name] = reader(value[name], inner)
            elif name not in optional:
                raise _DamagedError(f"{inner} is missing")
        return kind(**found)

    return read
