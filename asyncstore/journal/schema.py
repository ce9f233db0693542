"""The tables of a journal, and what they mean.

Rules:

1. A row of ``deliveries`` costs as little as possible, because there are as many as instances. So everything that many
   rows share stands in a table of its own: directories, series, kinds (SOP class and transfer syntaxes) and endings
   (state, status and reason). There is no index besides the key; the catalogue makes its own
   (:mod:`asyncstore.journal.clashes`).
2. The key is the directory and the name as bytes, in the order of the walk, so that a resumed walk reads the table from
   the beginning to its end. A member of an archive has the archive as its directory, with a NUL byte at the end.
3. ``deliveries.ending`` modulo 8 is the state. Times are milliseconds since the journal was made (``created``),
   ``duration`` is in microseconds, ``overhead`` is the size of the file less that of the data set.
4. ``endings.repairs`` has the flags of :data:`asyncstore.model.REPAIRS`, whose numbers are part of the format.
   ``decompressed`` is the size of a compressed data set after decompression, as far as a catalogue measured it.
5. A change of these tables is a new ``VERSION``; :mod:`asyncstore.journal.versions` knows the earlier ones.
   ``application_id`` says that a database is a journal at all.
"""

from __future__ import annotations

APPLICATION_ID = 0x61737472
"""``astr`` in the header of the database."""
VERSION = 2
MOST_STATES = 8
"""``ending`` modulo this number is the state, so there can be no more states."""
STATE = f"ending % {MOST_STATES}"
"""The state in a query."""
KEY = "directory, name, occurrence"
"""Of deliveries, in the order of the walk."""

TABLES = {
    "facts": "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "runs": (
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, version TEXT, began INTEGER, ended INTEGER, ending TEXT,"
        " found INTEGER, is_walked INTEGER, skipped INTEGER, known INTEGER,"
        " waiting INTEGER, stored INTEGER, warning INTEGER, failed INTEGER, not_sent INTEGER, unknown INTEGER,"
        " left_failed INTEGER, left_not_sent INTEGER)"
    ),
    "directories": "CREATE TABLE directories (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE)",
    "kinds": (
        "CREATE TABLE kinds (id INTEGER PRIMARY KEY, sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL,"
        " sent_transfer_syntax TEXT NOT NULL, UNIQUE (sop_class, transfer_syntax, sent_transfer_syntax))"
    ),
    "endings": (
        "CREATE TABLE endings (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, status INTEGER NOT NULL,"
        " reason TEXT NOT NULL, repairs INTEGER NOT NULL, UNIQUE (state, status, reason, repairs))"
    ),
    "studies": (
        "CREATE TABLE studies (id INTEGER PRIMARY KEY, uid BLOB NOT NULL, patient BLOB NOT NULL, date TEXT,"
        " bytes INTEGER, UNIQUE (uid, patient))"
    ),
    "series": (
        "CREATE TABLE series (id INTEGER PRIMARY KEY, study INTEGER NOT NULL, uid BLOB NOT NULL, modality TEXT,"
        " UNIQUE (study, uid))"
    ),
    "deliveries": (
        "CREATE TABLE deliveries (directory INTEGER, name BLOB, occurrence INTEGER, size INTEGER, mtime INTEGER,"
        " kind INTEGER, uid BLOB, series INTEGER, ending INTEGER, attempts INTEGER, time INTEGER, duration INTEGER,"
        " overhead INTEGER, association INTEGER, run INTEGER, first_run INTEGER, decompressed INTEGER,"
        " PRIMARY KEY (directory, name, occurrence)) WITHOUT ROWID"
    ),
    "clashes": (
        "CREATE TABLE clashes (directory INTEGER, name BLOB, occurrence INTEGER, uid BLOB, size INTEGER, mtime INTEGER,"
        " is_conflict INTEGER NOT NULL, content INTEGER NOT NULL, copy INTEGER NOT NULL,"
        " PRIMARY KEY (directory, name, occurrence)) WITHOUT ROWID"
    ),
}
MAY_BE_NULL = dict.fromkeys(TABLES, frozenset[str]()) | {
    "runs": frozenset({"ending", "left_failed", "left_not_sent"}),
    "studies": frozenset({"date", "bytes"}),
    "series": frozenset({"modality"}),
    "deliveries": frozenset({"uid", "size", "mtime", "series", "overhead", "association", "decompressed"}),
    "clashes": frozenset({"uid", "size", "mtime"}),
}
"""The columns of each table that may be empty."""
EDGES = dict.fromkeys(TABLES, "id") | {"facts": "name"} | dict.fromkeys(("deliveries", "clashes"), KEY)
"""The key of each table."""

COLUMNS = (
    "directory, name, occurrence, size, mtime, kind, uid, series, ending, attempts, time, duration, overhead,"
    " association, run, first_run, decompressed"
)
"""Of ``deliveries``."""
WIDTH = COLUMNS.count(",") + 1
