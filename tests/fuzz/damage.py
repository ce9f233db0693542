"""Damaged journals, for the targets that read them.

The first byte of an input chooses the kind of damage. Even: bytes are overwritten; each change has three bytes for its
place, one for its length, and the new bytes. Odd: values are replaced by others of any type, through SQL; each change
has a byte for the column, one for the row and one for the value.
"""

from contextlib import closing, contextmanager, suppress
from functools import cache

import apsw

from asyncstore.journal.schema import TABLES
from asyncstore.journal.values import State, Walk
from support.journals import begin, delivery

_VALUES = (
    None, 0, -1, 7, 2**31, 2**62, -(2**63), 1.5, float("inf"), "", "x", "\ud7ff", b"", b"\0", b"\xff\xfe", b"\xff" * 40,
    "{}", "[1]", '{"words": 5}', "nan",
)  # fmt: skip


def _journal(folder):
    """A small journal, as bytes."""
    path = folder / "base.db"
    with begin(path, command=["send", "pacs"]) as journal:
        journal.record([
            delivery(f"/data/{number % 3}/{number}", tuple(State)[number % 6], sop_instance_uid=f"1.2.{number}",
                     study=f"1.{number % 4}", series=f"2.{number % 5}", reason="cut off" if number % 2 else None)
            for number in range(24)
        ])  # fmt: skip
        journal.note_walk(Walk(24, is_ended=True))
    content = path.read_bytes()
    path.unlink()
    return content


@cache
def _columns():
    return tuple(
        (table, column.split()[0].strip("("))
        for table, definition in TABLES.items()
        for column in definition.partition("(")[2].split(", ")
        if column.split()[0].isidentifier() and column.split()[0].islower()
    )


_base = {}


def seeds():
    """Nothing, and a change of each kind at several places."""
    yield b"\0"
    for place in range(0, 1 << 16, 2000):
        yield b"\0" + place.to_bytes(3, "little") + b"\2\x05\xff"
    for number in range(len(_columns())):
        for value in range(number % 3, len(_VALUES), 6):
            yield bytes((1, number, number + value, value))


@contextmanager
def damaged(data, folder):
    """The path of a journal that was damaged so."""
    if folder not in _base:
        _base.clear()
        _base[folder] = _journal(folder)
    path = folder / "run.db"
    path.write_bytes(_base[folder] if data[0] & 1 else _overwritten(_base[folder], data[1:]))
    if data[0] & 1:
        _replace_values(path, data[1:])
    try:
        yield str(path)
    finally:
        for each in folder.glob("*.db*"):
            each.unlink()


def _overwritten(content, changes):
    content = bytearray(content)
    while len(changes) > 4:
        place, length = int.from_bytes(changes[:3], "little") % len(content), changes[3]
        new = changes[4 : 4 + length]
        content[place : place + len(new)] = new
        changes = changes[4 + length :]
    return bytes(content)


def _replace_values(path, changes):
    with closing(apsw.Connection(str(path))) as connection:
        for at in range(0, len(changes) - 2, 3):
            table, column = _columns()[changes[at] % len(_columns())]
            row, value = changes[at + 1], _VALUES[changes[at + 2] % len(_VALUES)]
            condition = "TRUE" if row & 1 else f"{column} IS (SELECT {column} FROM {table} LIMIT 1 OFFSET {row >> 1})"  # noqa: S608 - our tables
            with suppress(apsw.ConstraintError, apsw.MismatchError):
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {condition}", (value,))  # noqa: S608 - as above
