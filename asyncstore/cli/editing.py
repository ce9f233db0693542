"""From the options of a command line to edits of data sets, and to what a journal keeps of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from asyncstore.cli.options import edit_rows as edit_opt
from asyncstore.errors import UsageError
from asyncstore.named_files import read_named

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed
    from asyncstore.prepare.edit_map import EditMap
    from asyncstore.prepare.edits import EditOptions

_MOST_BYTES = 1 << 30
"""A map of this size has some ten million rows."""


def edit_of(parsed: Parsed) -> EditOptions | None:
    """The edits that the options ask for, if any.

    Raises:
        UsageError: the map cannot be read, or is wrong.
    """
    name = parsed[edit_opt.MAP]
    removed, suffix = parsed[edit_opt.REMOVE], parsed[edit_opt.UID_SUFFIX]
    values = parsed[edit_opt.SET]
    if not (removed or values or suffix or name is not None):
        return None
    from asyncstore.prepare.edits import EditOptions, OriginalAttributes  # few runs edit

    return EditOptions(
        (*removed, *values),
        suffix or "",
        None if name is None else _map_of(name),
        parsed[edit_opt.MAP_OTHERS] == "refuse",
        OriginalAttributes(parsed[edit_opt.ORIGINAL_ATTRIBUTES]),
    )


def shown_edits(parsed: Parsed) -> tuple[tuple[str, str], ...]:
    """The options that edit data sets and hold no values of patients, as a journal keeps them."""
    facts = []
    if edit_opt.REMOVE in parsed:
        facts.append((edit_opt.REMOVE.long, ", ".join(edit.name for edit in parsed[edit_opt.REMOVE])))
    texts = (edit_opt.UID_SUFFIX, edit_opt.MAP_OTHERS, edit_opt.ORIGINAL_ATTRIBUTES)
    return (*facts, *((row.long, str(parsed[row])) for row in texts if row in parsed))


def hidden_edits(parsed: Parsed) -> tuple[tuple[str, bytes], ...]:
    """The options that edit data sets and hold values of patients: a journal keeps a digest of each."""
    facts = []
    if edit_opt.SET in parsed:
        values = [f"{edit.name}:{edit.vr}={edit.value}" for edit in parsed[edit_opt.SET]]
        facts.append((edit_opt.SET.long, "\n".join(values).encode("utf-8", "surrogateescape")))
    if (name := parsed[edit_opt.MAP]) is not None:
        facts.append((edit_opt.MAP.long, _map_of(name).digest))
    return tuple(facts)


@lru_cache(1)
def _map_of(name: str) -> EditMap:
    """Read a map; several parts of a command ask for it."""
    from asyncstore.prepare.edit_map import EditMap  # pydicom takes 0.2 s to import

    complaint = f"{edit_opt.MAP.long} {name}"
    content = read_named(name, _MOST_BYTES, f"{complaint}: cannot read it")
    try:
        return EditMap.of(content)
    except ValueError as problem:
        raise UsageError(f"{complaint}: {problem}") from None
