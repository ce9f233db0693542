"""The lines about single files."""

from __future__ import annotations

import logging

import pytest

from asyncstore.cli.commands.outcomes import OutcomeLines
from asyncstore.model import Outcome, Result
from asyncstore.renaming import NotRenamed
from support import values


@pytest.fixture
def lines(caplog):
    def lines(level: int, *batches: list[Outcome], halts: bool = False) -> list[str]:
        logger = logging.getLogger("asyncstore.test.outcomes")
        with caplog.at_level(level, logger.name):
            written = OutcomeLines(logger, halts=halts)
            for batch in batches:
                written.add(batch)
        return [f"{record.levelname[0]}: {record.getMessage()}" for record in caplog.records]

    return lines


STORED = values.outcome("/a/1", Result.STORED, 0, attempts=1)
WARNING = values.outcome("/a/2", Result.WARNING, 0xB000, attempts=1)
FAILED = values.outcome("/a/3", Result.FAILED, 0xA700, attempts=2)
NOT_SENT = values.outcome("/a/4\n\x1b[31m", Result.NOT_SENT, error="not a DICOM file")
UNKNOWN = values.outcome("/a/5\udcff", Result.UNKNOWN, attempts=1, error="the connection was lost: reset by peer")
SKIPPED = values.outcome("/a/6", Result.SKIPPED)
ALL = [STORED, WARNING, FAILED, NOT_SENT, UNKNOWN, SKIPPED]


def test_what_was_not_simply_stored_is_named_with_its_reason(lines):
    assert lines(logging.WARNING, ALL) == [
        "W: /a/2: stored with a warning: 0xB000 coercion of data elements",
        "E: /a/3: refused by the SCP: 0xA700 out of resources",
        "E: /a/4\\n\\x1b[31m: not sent: not a DICOM file",
        "E: /a/5\\xff: may be stored or not: the connection was lost: reset by peer",
    ]


def test_verbose_every_file_has_one_line_which_names_it_and_what_came_of_it(lines):
    assert lines(logging.INFO, [STORED, FAILED, SKIPPED]) == [
        "I: /a/1: Received Store Response (Success)",
        "E: /a/3: refused by the SCP: 0xA700 out of resources",
        "I: /a/6: stored by an earlier run",
    ]


def test_what_an_earlier_run_left_is_named_only_where_every_file_is(lines, caplog):
    """A migration may have thousands of such files, and its report has them all."""
    earlier = [one._replace(is_earlier=True) for one in (FAILED, NOT_SENT)]
    (line,) = lines(logging.WARNING, [*earlier, UNKNOWN], halts=True)
    assert line.startswith("E: /a/5")
    caplog.clear()
    assert len(lines(logging.INFO, earlier)) == len(earlier)


def test_a_flood_of_failures_ends_in_one_line(lines):
    written = lines(logging.WARNING, [FAILED] * 60, [NOT_SENT] * 60, [FAILED] * 60)
    assert len(written) == 101
    assert written[-1].startswith("W: more than 100 files were not stored")


def test_of_files_that_are_not_renamed_the_first_hundred_are_named(caplog):
    logger = logging.getLogger("asyncstore.test.outcomes")
    written = OutcomeLines(logger, halts=False)
    with caplog.at_level(logging.WARNING, logger.name):
        for number in range(0, 200, 2):
            written.not_renamed([NotRenamed(f"/a/{n}", f"/a/{n}.done", "no") for n in (number, number + 1)])
    assert [record.getMessage() for record in caplog.records] == [
        f"/a/{number}: not renamed to /a/{number}.done: no" for number in range(100)
    ]


def unsent(number, error="no association"):
    return values.outcome(f"/a/{number}", Result.NOT_SENT, sop_class_uid="1.2.840.10008.5.1.4.1.1.2", error=error)


def test_what_keeps_good_files_from_being_sent_is_not_repeated(lines):
    written = lines(logging.WARNING, [unsent(number) for number in range(9)], [unsent(10, "refused"), NOT_SENT])
    assert written == [
        "E: /a/0: not sent: no association",
        "E: /a/1: not sent: no association",
        "E: /a/2: not sent: no association",
        "E: /a/10: not sent: refused",
        "E: /a/4\\n\\x1b[31m: not sent: not a DICOM file",
    ]


def test_reasons_that_differ_in_a_detail_are_not_repeated_either(lines):
    written = lines(logging.WARNING, [unsent(number, f"refused: SOP class {number}: no") for number in range(9)])
    assert len(written) == 3


def test_a_run_that_halts_names_what_halted_it_and_what_was_tried(lines):
    written = lines(logging.WARNING, [WARNING, NOT_SENT, unsent(1), NOT_SENT, FAILED, UNKNOWN], halts=True)
    assert [line.split(": ")[2] for line in written] == [
        "stored with a warning",
        "not sent",
        "refused by the SCP",
        "may be stored or not",
    ]


def test_a_level_above_says_nothing(lines):
    assert lines(logging.CRITICAL, ALL) == []
