"""What a journal knows about its migration besides the deliveries: the peer, the command, secrets for keys.

Rules:

1. A migration is known by its peer, the AE titles and the changes made to data sets. A run with others is refused, and
   the error names each difference: a file that is stored at one peer is not stored at another.
2. ``scan`` has no peer: the first run that sends something fixes it. So a mistyped AE title costs no catalogue.
3. The newest command that sends is kept, with the directory it was given in, so that it can be repeated. The caller
   removes secrets first.
4. The sources of a run that did not complete are kept until a run completes that walks them, or a
   directory around them.
5. Other facts are kept under a name (:func:`keep`): the first value stays.
6. New values of elements may be names of patients. A journal keeps a keyed digest of them, which shows whether they are
   the same.
"""

from __future__ import annotations

import json
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from asyncstore.errors import ADDRESS, Difference, OtherMigration
from asyncstore.journal.querying import rows
from asyncstore.journal.values import COMPLETED, State
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_MIGRATION = "migration"
_COMMAND = "command"
_WALKS = "walks"
_SALT = "salt"
_CREATED = "created"
_SALT_BYTES = 32
_DIGEST_BYTES = 16
_VALUE = "SELECT value FROM facts WHERE name = ?"
_SENT = f"SELECT 1 FROM endings WHERE state NOT IN ({State.WAITING:d}, {State.NOT_SENT:d}) LIMIT 1"  # noqa: S608 - constants
"""Whether anything was sent: ``endings`` has every ending that a delivery ever had."""


class Migration(NamedTuple):
    """What identifies a migration."""

    host: str
    port: int
    calling_ae_title: str
    called_ae_title: str
    editing: tuple[tuple[str, str], ...] = ()
    """The names and values of the options that change data sets, such as invented UIDs."""
    hidden: tuple[tuple[str, bytes], ...] = ()
    """The same of options whose values may name patients: only a digest of each is kept (rule 6)."""

    def facts(self, key: bytes) -> dict[str, str]:
        """Each fact under the name that an error calls it by; ``key`` is that of the digests."""
        return {
            "host": self.host.lower(),
            "port": str(self.port),
            "calling AE title": self.calling_ae_title.strip(),
            "called AE title": self.called_ae_title.strip(),
            **dict(self.editing),
            **{name: f"values with the digest {_digest(value, key)}" for name, value in self.hidden},
        }


class Command(NamedTuple):
    """A command that was given."""

    words: tuple[str, ...]
    """The words after the program's name, without secrets."""
    directory: str
    """The directory in which it was given."""


def confirm(path: str, connection: apsw.Connection, migration: Migration, *, peer_moved: bool = False) -> None:
    """Record the migration, or compare it with the recorded one if anything was sent to that.

    ``peer_moved``: its peer is the recorded one, with another address or other AE titles from now on.

    Raises:
        OtherMigration: it is another one.
    """
    now = migration.facts(salt(connection) if migration.hidden else b"")
    recorded = _text(connection, _MIGRATION)
    if recorded is None or not rows(connection, _SENT):
        _set(connection, _MIGRATION, json.dumps(now))
        return
    before: dict[str, str] = json.loads(recorded)
    differences = tuple(
        Difference(fact, before.get(fact), now.get(fact))
        for fact in {**before, **now}
        if before.get(fact) != now.get(fact) and not (peer_moved and fact in ADDRESS)
    )
    if differences:
        raise OtherMigration(path, differences)
    if peer_moved:
        _set(connection, _MIGRATION, json.dumps(now))


def migration_of(connection: apsw.Connection) -> dict[str, str]:
    """The facts of the recorded migration; empty if nothing has been sent."""
    recorded = _text(connection, _MIGRATION)
    facts: dict[str, str] = {} if recorded is None else json.loads(recorded)
    return facts


def record_command(connection: apsw.Connection, words: tuple[str, ...]) -> None:
    """Keep a command that was given in this directory. Arguments may hold any bytes."""
    try:
        directory = os.getcwd()
    except FileNotFoundError:  # it was removed
        directory = os.sep
    _set(connection, _COMMAND, json.dumps({"words": words, "directory": directory}))


def command_of(connection: apsw.Connection) -> Command | None:
    """The recorded command."""
    recorded = _text(connection, _COMMAND)
    if recorded is None:
        return None
    fields = json.loads(recorded)
    return Command(tuple(fields["words"]), fields["directory"])


def begin_walk(connection: apsw.Connection, sources: Iterable[str], run: int) -> None:
    """Keep that this run walks these sources."""
    _set(connection, _WALKS, json.dumps(unfinished_walks(connection) | dict.fromkeys(sources, run)))


def unfinished_walks(connection: apsw.Connection) -> dict[str, int]:
    """The sources of which files may have no row, and the run that walked each last (rule 4).

    A run that did not complete may have found files that it had not recorded.

    Raises:
        ValueError: the journal is damaged.
    """
    recorded = _text(connection, _WALKS)
    walks: dict[str, int] = {} if recorded is None else json.loads(recorded)
    if not isinstance(walks, dict):
        raise ValueError("no walks")  # noqa: TRY004 - as of other texts that cannot be read
    ended = {run for (run,) in rows(connection, "SELECT id FROM runs WHERE is_walked AND ending = ?", (COMPLETED,))}
    whole = {source for source, run in walks.items() if run in ended}
    return {
        source: run for source, run in walks.items() if whole.isdisjoint((source, *map(str, PurePath(source).parents)))
    }


def keep(connection: apsw.Connection, name: str, value: str) -> str:
    """The value under this name; ``value`` if there was none, which is kept from now on."""
    return str(_kept(connection, f"kept {name}", value))


def salt(connection: apsw.Connection) -> bytes:
    """The secret with which patient IDs are hashed, made on the first call."""
    return bytes(_kept(connection, _SALT, os.urandom(_SALT_BYTES)))


def salt_of(connection: apsw.Connection) -> bytes | None:
    """The same, if it was made already."""
    found = rows(connection, _VALUE, (_SALT,))
    return bytes(found[0][0]) if found else None


def created(connection: apsw.Connection, now: float) -> int:
    """When the journal was made, in milliseconds of Unix time; ``now`` on the first call."""
    return int(_kept(connection, _CREATED, int(now * 1000)))


def _digest(value: bytes, key: bytes) -> str:
    from hashlib import blake2b  # few runs edit

    return blake2b(value, digest_size=_DIGEST_BYTES, key=key).hexdigest()


def _kept(connection: apsw.Connection, name: str, value: int | str | bytes) -> Any:  # noqa: ANN401 - as it was kept
    connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
    return rows(connection, _VALUE, (name,))[0][0]


def _text(connection: apsw.Connection, name: str) -> str | None:
    found = rows(connection, _VALUE, (name,))
    return str(found[0][0]) if found else None


def _set(connection: apsw.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
