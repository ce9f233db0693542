"""Reasons counted by kind, and the selection of them if there is little room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.model import Reason
from asyncstore.observe.reasons import Group, Reasons, parts_of, selection

_WORDS = st.text("ab1 (:)", max_size=12)


def _counted(*reasons):
    counted = Reasons()
    for number, reason in enumerate(reasons):
        counted.add(reason, f"/{number}")
    return counted.groups()


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("not a DICOM file", "not a DICOM file"),
        ("cannot be opened: Permission denied", "cannot be opened"),
        ("it is cut off within (0008,1140)", "it is cut off within …"),
        ("it is cut off within (7fe0,0010)", "it is cut off within …"),
        ("14 bytes follow its last element", "… bytes follow its last element"),
        ("UID 1.2.840.10008.1.2 is none: it says so", "UID … is none"),
        ("JPEG2000 and 0xA700 are names", "JPEG2000 and 0xA700 are names"),
    ],
)
def test_the_kind_stands_before_the_colon_and_values_do_not_count(reason, kind):
    assert parts_of(reason)[0] == kind


def test_a_reason_may_name_its_parts_itself():
    said = [Reason(f"no {one} in {two}: x", "no", one, "x", two) for one, two in ("ab", "ab", "ac")]
    (group,) = _counted(*said, Reason("no b in a: x", "no", "b", "x", "a"))
    assert group.text == "no"
    assert [(one.text, one.files, one.reason) for one in group.details] == [
        ("a: x", 3, "no: a: x"),
        ("b: x: a", 1, "no b in a: x"),
    ]
    assert _counted(*said[:2]) == [Group("no a in b: x", 2, "/0", ())]


def test_a_reason_that_all_files_share_is_shown_whole():
    (group,) = _counted("no: CT: user rejection", "no: CT: user rejection")
    assert group == Group("no: CT: user rejection", 2, "/0", ())


def test_differences_are_listed_by_subject_with_all_that_is_common():
    (group,) = _counted(
        "no: CT: ab: x", "no: CT: ab: y", "no: MR: ab", "no: MR: abc", "no: US: c", "no: CT: ab: z", "no"
    )
    assert (group.text, group.files) == ("no", 7)
    assert [(one.text, one.files, one.reason) for one in group.details] == [
        ("CT: ab", 3, "no: CT: ab"),
        ("MR", 2, "no: MR"),
        ("US: c", 1, "no: US: c"),
        ("no", 1, "no"),
    ]


def test_values_are_listed_below_their_kind():
    (group,) = _counted("cut off within (0008,1140)", "cut off within (0008,1150)", "cut off within (0008,1140)")
    assert [(one.text, one.files) for one in group.details] == [("(0008,1140)", 2), ("(0008,1150)", 1)]


@given(st.lists(_WORDS))
def test_every_file_is_counted_once(reasons):
    groups = _counted(*reasons)
    assert sum(group.files for group in groups) == len(reasons)
    for group in groups:
        assert not group.details or sum(detail.files for detail in group.details) == group.files


def test_memory_does_not_grow_with_the_reasons():
    letters = [
        f"{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}{chr(97 + number // 676)}" for number in range(5000)
    ]
    many_kinds, many_subjects = _counted(*letters), _counted(*(f"kind: {one}" for one in letters))
    assert (len(many_kinds), many_kinds[0].text) == (201, "other reasons")
    assert (len(many_subjects), len(many_subjects[0].details)) == (1, 101)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from(["", ": u", ": v", ": w", ": x"])), max_size=60
    ),
    st.integers(6, 20),
    st.integers(1, 4),
)
def test_a_selection_fits_and_counts_every_file(parts, most, tall):
    groups = _counted(*map("".join, parts))

    def height(text):
        return tall if text[0] in "abcde" else 1

    rows = list(selection(groups, most, height))
    assert sum(height(row.text) if row.files is not None and not row.is_detail else 1 for row in rows) <= most
    assert sum(row.files for row in rows if row.files is not None and not row.is_detail) == len(parts)


def test_the_most_frequent_kind_lists_its_subjects_and_others_do_if_there_is_room():
    groups = _counted(*(f"{kind}: {subject}" for kind in "abcd" for subject in "vwxyz"))
    assert [row.text for row in selection(groups, 9)] == [
        *("a", "/0", "v", "w", "and 3 more", "b", "/5", "c", "d"),
    ]
    assert [row.text for row in selection(groups[:1], 5)] == ["a", "/0", "v", "w", "and 3 more"]
    assert [row.text for row in selection(groups[:1], 7)] == ["a", "/0", *"vwxyz"]


def test_kinds_with_one_subject_are_all_named():
    assert [row.text for row in selection(_counted(*"abcdefghi"), 9)] == list("abcdefghi")
    assert [row.text for row in selection(_counted(*"abcdefghij"), 9)] == [*"abcdefgh", "for 2 more reasons"]


def test_subjects_that_were_counted_together_stand_last_and_are_given_no_number():
    (group,) = _counted(*(f"not accepted: class {number}" for number in range(500)), "not accepted: class 3")
    rows = list(selection([group], 6))
    assert rows[2].text == "class 3"
    assert rows[-1].text == "and others"
    assert sum(row.files or 0 for row in rows[1:]) == group.files == 501


def test_many_files_at_once():
    reasons = Reasons()
    reasons.add("cannot be opened: Permission denied", "", 40)
    reasons.add("cannot be opened: Permission denied", "", 2)
    assert [(group.text, group.files) for group in reasons.groups()] == [("cannot be opened: Permission denied", 42)]
