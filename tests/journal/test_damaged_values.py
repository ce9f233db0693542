"""Values that no journal has, as flipped bits leave them: the journal is refused as damaged, and can be salvaged."""

from contextlib import closing, suppress

import apsw
import pytest

from asyncstore.cataloguing import FromCatalogue
from asyncstore.cli.commands.report import EXIT_OK
from asyncstore.cli.main import main
from asyncstore.errors import JournalDamaged, JournalError
from asyncstore.journal.accounts import account, progress
from asyncstore.journal.catalogue import Catalogue, Order
from asyncstore.journal.diagnosis import diagnosed
from asyncstore.journal.lookup import Lookup
from asyncstore.journal.reading import Reader
from asyncstore.journal.salvage import salvage
from asyncstore.journal.studies import Studies, largest_gap
from asyncstore.journal.values import State
from asyncstore.model import SourceFile
from support.journals import begin, delivery, how_ended, read

pytestmark = pytest.mark.slow

WRONG = {
    "deliveries": ("ending", "time", "duration", "overhead", "attempts"),
    "directories": ("path",),
    "endings": ("status",),
    "runs": ("began", "found"),
    "studies": ("uid",),
    "series": ("uid",),
}
COLUMNS = [(table, column) for table, columns in WRONG.items() for column in columns]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.db"
    with begin(path, command=["send"]) as journal:
        journal.write([
            delivery(f"/data/{number}", state, study=f"1.{number}", sop_instance_uid=f"1.2.{number}", reason="because")
            for number, state in enumerate(State)
        ])  # fmt: skip
    return path


def damage(path, table, column, value):
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608 - our tables


def use_all(path):
    """Read everything in all ways; returns the errors."""
    errors = []

    def attempt(use):
        try:
            use()
        except JournalError as error:
            errors.append(error)

    def sums():
        with Reader(str(path)) as reader:
            account([reader])
            progress([reader], 60)

    def studies():
        with Reader(str(path)) as reader:
            list(Studies([reader]))
            largest_gap([reader])

    def look_up():
        with Lookup(str(path)) as lookup:
            list(lookup.tell_apart([SourceFile(f"/data/{number}", number + 1) for number in range(6)]))
            how_ended(lookup, "/data/3")

    def catalogue():
        with Catalogue(str(path), tuple(State)) as found:
            for order in Order:
                list(found.files(order))

    for use in (lambda: read(path), sums, studies, look_up, catalogue, lambda: begin(path).close()):
        attempt(use)
    return errors


@pytest.mark.parametrize(("table", "column"), COLUMNS)
@pytest.mark.parametrize("value", ["x", b"\xff\xfe", float("inf")], ids=["text", "bytes", "infinite"])
def test_a_value_of_a_wrong_type_is_damage_and_no_other_error(path, table, column, value):
    with suppress(apsw.ConstraintError):
        damage(path, table, column, value)
    assert all(isinstance(error, JournalDamaged) for error in use_all(path))


def test_a_text_that_is_not_utf_8_is_damage(path):
    content = path.read_bytes()
    assert b"because" in content
    path.write_bytes(content.replace(b"because", b"bec\xff\xff\xff\xff"))
    errors = use_all(path)
    assert errors
    assert all("UTF-8" in str(error) for error in errors)


@pytest.mark.parametrize(("table", "column"), [*COLUMNS, ("kinds", "sop_class")])
def test_salvage_leaves_out_rows_that_no_journal_has(path, tmp_path, table, column):
    with suppress(apsw.ConstraintError):
        damage(path, table, column, b"\xff\xfe" if column in {"status", "sop_class"} else "x")
    new = tmp_path / "new.db"
    salvage(str(path), str(new))
    assert use_all(new) == []


def test_salvage_reads_on_without_a_table_whose_definition_is_damaged(path, tmp_path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"modality TEXT", b"mod\xc3\xa9lity TEXT"[:13]))
    new = tmp_path / "new.db"
    found = salvage(str(path), str(new))
    assert "series" in found.damaged
    assert len(read(new)) == found.deliveries == len(State)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("endings", "status", "x"), ("deliveries", "series", "x"), ("deliveries", "series", 1 << 62)],
)
@pytest.mark.parametrize("order", list(Order))
def test_a_catalogue_with_a_value_that_no_journal_has_is_damaged_or_sent(path, order, table, column, value):
    damage(path, table, column, value)
    with begin(path) as journal:
        recording = FromCatalogue(journal, Catalogue(str(path), State), order=order, minds_clashes=False)
        with suppress(JournalDamaged):
            list(recording.without_settled(iter(()), SourceFile))


@pytest.mark.parametrize("value", [b"\xff", "nan", "[1]", 7])
def test_sources_with_values_that_no_journal_has_are_damage(path, value):
    with begin(path) as journal:
        journal.begin_catalogue(["/data"])
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'catalogue'", (value,))
        assert connection.changes()
    with Catalogue(str(path)) as catalogue, pytest.raises(JournalDamaged):
        _ = catalogue.sources
    with begin(path, None) as journal, pytest.raises(JournalDamaged):
        journal.begin_catalogue(["/data"])


@pytest.mark.parametrize("value", [b"\xff", "nan", "[1]", 7])
def test_walks_with_values_that_no_journal_has_are_damage(path, value):
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('walks', ?)", (value,))
    with Reader(str(path)) as reader, pytest.raises(JournalDamaged):
        _ = reader.unfinished_walks
    with begin(path) as journal, pytest.raises(JournalDamaged):
        journal.begin_walk(["/data"])


@pytest.mark.parametrize("words", [[], ["--json"], ["--html", "page.html"], ["--list", "failed", "--csv"]])
@pytest.mark.parametrize(
    "change", [("runs", "version", b"\xff"), ("runs", "began", 1 << 62), ("endings", "reason", 7.5)]
)
def test_a_report_names_the_damage_instead_of_a_traceback(path, monkeypatch, capsys, words, change):
    monkeypatch.chdir(path.parent)
    damage(path, *change)
    code = main(["report", *words, str(path)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert code == EXIT_OK or told.out or "damaged" in told.err


def test_the_ending_of_no_state_is_damage(path):
    damage(path, "deliveries", "ending", 7)
    with Reader(str(path)) as reader, pytest.raises(JournalDamaged, match="a value of ending"), diagnosed([reader]):
        raise ValueError("7 is not a valid State")


def test_an_error_that_no_damage_explains_goes_on(path):
    with Reader(str(path)) as reader, pytest.raises(KeyError, match="a mistake"), diagnosed([reader]):
        raise KeyError("a mistake")


def test_the_page_is_made_of_runs_during_which_the_clock_was_set_back(path, tmp_path, capsys):
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE runs SET ended = began - 86400000")
    main(["report", "--html", str(tmp_path / "page.html"), str(path)])
    assert "Traceback" not in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text().endswith("</html>\n")


def test_pages_that_lead_back_are_not_read_for_ever(path):
    begin(path).close()
    again = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) SELECT i FROM n WHERE ? < 2000"
    with Reader(str(path)) as reader, pytest.raises(JournalDamaged):
        list(reader.in_pieces(again, (0,)))
