"""The options that change data sets before they are sent; :mod:`asyncstore.prepare.editing` does what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.options.kinds import Choice, Named, Secret, Text
from asyncstore.cli.options.rows import INVENTIONS
from asyncstore.cli.options.table import Option, flag, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncstore.prepare.edits import Edit

_INVENTIONS = tuple(row.long for row in INVENTIONS)


class NewValues(Secret):
    """An element and its value, each time that the option is given. No message shows it: it may name a patient."""

    def parse(self, words: Sequence[str]) -> tuple[Edit, ...]:  # type: ignore[override]  # of several words
        """The edits."""
        from asyncstore.prepare.edit_syntax import set_of  # pydicom takes 0.2 s to import

        return tuple(map(set_of, words))


class Elements(Named):
    """A path to an element, each time that the option is given."""

    def parse(self, words: Sequence[str]) -> tuple[Edit, ...]:
        """The edits that remove them."""
        from asyncstore.prepare.edit_syntax import remove_of

        return tuple(map(remove_of, words))


class UidSuffix(Text):
    """What may follow a UID."""

    def parse(self, words: Sequence[str]) -> str:
        """The suffix, with the dot at its beginning."""
        from asyncstore.prepare.edit_syntax import suffix_of

        return suffix_of(words[0])


SET = Option["tuple[Edit, ...]"](
    "--set",
    NewValues("TAG=VALUE"),
    (),
    "give an element this value: a keyword, a tag (gggg,eeee), or a path of them with dots; may be given again",
    accumulates=True,
)
REMOVE = Option["tuple[Edit, ...]"](
    "--remove",
    Elements("TAG"),
    (),
    "remove this element; may be given again; --set comes after it",
    accumulates=True,
)
UID_SUFFIX = Option[str | None](
    "--uid-suffix",
    UidSuffix("SUFFIX"),
    None,
    "append this to the UIDs of instance, series and study, and of the instances that they refer to, such as .1",
    excludes=_INVENTIONS,
)
MAP = text(
    "--map",
    "FILE.csv",
    "give elements new values by patient or study; old ones are kept in Original Attributes Sequence",
    excludes=_INVENTIONS,
)
MAP_OTHERS = Option[str](
    "--map-others",
    Choice("WHAT", ("refuse", "send")),
    "refuse",
    "what to do with instances that are not in the map: refuse them, or send them without it",
    requires=("--map",),
)
ORIGINAL_ATTRIBUTES = Option[str](
    "--original-attributes",
    Choice("WHAT", ("map", "all", "none")),
    "map",
    "changes whose old values are kept in Original Attributes Sequence (0400,0561): those by --map, all, or none",
    requires=("--set", "--remove", "--uid-suffix", "--map"),
)

REPAIR = flag(
    "--repair",
    "mend files with bytes behind the last element, missing ends of items or missing UIDs, and name each of them",
)

EDITS = (SET, REMOVE, UID_SUFFIX, MAP, MAP_OTHERS, ORIGINAL_ATTRIBUTES, REPAIR)
