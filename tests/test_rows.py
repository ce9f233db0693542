"""Tables in one test: a row that fails is named, and the others are checked all the same."""

import pytest

from support.rows import rows


def test_rows_that_fail_are_named_and_all_are_checked():
    checked = []

    def check():
        with rows() as row:
            for name in ("first", "second", "third"):
                with row(name):
                    checked.append(name)
                    assert name == "second"

    with pytest.raises(ExceptionGroup, match="rows that fail") as raised:
        check()
    assert checked == ["first", "second", "third"]
    assert [error.__notes__ for error in raised.value.exceptions] == [["row: first"], ["row: third"]]


def test_nothing_is_raised_where_all_hold():
    with rows() as row, row("first"):
        pass
