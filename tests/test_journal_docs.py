"""The report that docs/journal.md shows is what such a journal gives, and its fields are those that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from asyncstore.cli.report import machine, plain
from asyncstore.cli.report.facts import gather
from asyncstore.journal import opening
from asyncstore.journal.reading import Reader
from asyncstore.journal.settings import Migration
from asyncstore.journal.values import State, Walk
from support.commands import asyncstore
from support.journals import begin, delivery

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "journal.md").read_text()
DAY = 86_400
BEGIN = 1_796_335_200
"""2026-12-03T22:00:00Z."""
MR = "1.2.840.10008.5.1.4.1.1.4"


def rows():
    """The deliveries of the example: two nights of a migration."""
    for number in range(1500):
        time = BEGIN + 12 * number
        more = {"study": f"1.2.{number // 100}", "size": 527_000, "bytes": 526_336, "status": 0}
        if number >= 900:
            more |= {"sop_class_uid": MR, "size": 133_000, "bytes": 132_096}
        state = State.STORED
        if number % 125 == 7:
            state, more["status"] = State.WARNING, 0xB000
        elif number in (1203, 1204):
            state, more["status"], more["reason"] = State.FAILED, 0xC000, "0xC000 cannot understand"
        elif number % 500 == 77:
            state, more = State.NOT_SENT, {
                "study": None, "series": None, "patient_id": None, "sop_class_uid": None, "bytes": 0, "size": None,
                "reason": "cannot be opened: Permission denied" if number < 1000 else "not a DICOM file",
            }  # fmt: skip
        yield delivery(f"/archive/{number}", state, sop_instance_uid=f"1.2.{number}", time=time, **more)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.db"
    everything = list(rows())
    with begin(path, Migration("pacs.example.org", 11112, "STORESCU", "PACS")) as journal:
        journal.write(everything[:700])
        journal.walk = Walk(800, is_ended=False)
        journal.close("interrupted")
    with begin(path, Migration("pacs.example.org", 11112, "STORESCU", "PACS")) as journal:
        journal.write(everything[700:])
        journal.walk = Walk(1500, 700, left_not_sent=2, is_ended=True)
    connection = opening.writer(str(path))
    for run, began, ended in ((1, 0, 8400), (2, 8700, 18_000)):
        connection.execute(
            "UPDATE runs SET began = ?, ended = ? WHERE id = ?", ((BEGIN + began) * 1000, (BEGIN + ended) * 1000, run)
        )
    connection.close()
    return path


def test_the_report_shown_is_that_of_such_a_journal(path):
    shown = re.search(r"^\$ asyncstore report run\.db\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)[1]
    with Reader(str(path)) as reader:
        assert shown == "".join(f"{line}\n" for line in plain.lines(gather([reader]), None))


async def test_all_fields_are_named(path):
    named = set(re.findall(r"`(\w+)`", DOCUMENT))
    with Reader(str(path)) as reader:
        fields = json.loads(machine.line(gather([reader])))
    lists = [["--list", "failed"], ["--studies", "complete"]]
    for words in lists:
        found = await asyncstore("report", *words, "--json", path)
        fields |= json.loads(found.out.splitlines()[0])
    assert set(fields) <= named | {"type"}
