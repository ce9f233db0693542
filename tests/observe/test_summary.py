import io
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from asyncstore.model import Reason
from asyncstore.observe.output import Output, plain
from asyncstore.observe.summary import Ending, print_summary, summary_lines
from asyncstore.observe.tally import Tally
from asyncstore.observe.terminal import Terminal
from support.samples import failed, not_sent, skipped, stored, unknown, warned


def _summary(*outcomes, width=80, seconds=2.0, associations=4, **fields):
    tally = Tally(100.0)
    tally.add(outcomes)
    return [plain(line) for line in summary_lines(tally, Ending(seconds, associations, **fields), width)]


def test_a_run_that_stored_everything_is_told_in_two_lines():
    assert _summary(*stored(1500, size=526_336)) == [
        "Stored all 1 500 files in 2.0 s.",
        "790 MB, 750/s, 395 MB/s, 4 associations.",
    ]


def test_a_single_file_is_told_in_the_singular():
    assert _summary(*stored(1), associations=1)[0] == "Stored 1 file in 2.0 s."
    assert _summary(*stored(1), associations=1)[1].endswith(", 1 association.")


@pytest.mark.slow
def test_associations_that_took_the_place_of_others_are_told_from_those_at_a_time():
    assert _summary(*stored(1), associations=16, at_a_time=8)[1].endswith(", 16 associations, at most 8 at a time.")
    assert _summary(*stored(1), associations=8, at_a_time=8)[1].endswith(", 8 associations.")


def test_unstored_files_are_listed_by_reason_with_an_example():
    lines = _summary(*stored(3), failed("/a.dcm"), failed("/b.dcm"), not_sent("/README"), unknown("/c.dcm"), warned())
    assert lines == [
        "Stored 4 of 8 files in 2.0 s.",
        "4.00 kB, 2.0/s, 2.00 kB/s, 4 associations.",
        "",
        "  with a warning       1  0xB000 coercion of data elements",
        "    /archive/odd.dcm",
        "  failed               2  0xA700 out of resources",
        "    such as /a.dcm",
        "  not sent             1  not a DICOM file",
        "    /README",
        "  unknown              1  the connection was lost",
        "    /c.dcm",
        "    The peer may hold these or not: send them again.",
    ]


def test_several_reasons_of_one_result_are_added_up_first_the_most_frequent_first():
    lines = _summary(not_sent("/a", "no permission"), not_sent("/b"), not_sent("/c"))
    assert lines[3:] == [
        "  not sent             3  for 2 reasons:",
        "                       2  not a DICOM file",
        "    such as /b",
        "                       1  no permission",
        "    /a",
    ]


def test_many_reasons_are_not_all_listed_but_all_counted():
    lines = _summary(*(not_sent(error=f"reason {letter}") for letter in ascii_lowercase))
    assert len(lines[3:]) == 10
    assert sum("reason " in line for line in lines) == 8
    assert lines[-1] == "                      18  for 18 more reasons"


def _refused(sop_class, *syntaxes):
    said = "no presentation context accepted"
    whys = [Reason(f"{sop_class} in {one}", said, sop_class, "user rejection", f"in {one}") for one in syntaxes]
    return [not_sent(f"/{sop_class}", why) for why in whys]


def test_a_kind_of_reason_is_told_once_with_a_line_for_each_sop_class():
    lines = _summary(*_refused("MR", "JPEG", "JPEG"), *_refused("CT", "JPEG", "RLE", "MPEG"), *_refused("US", "RLE"))
    assert lines[3:] == [
        "  not sent             6  no presentation context accepted",
        "    such as /MR",
        "                       3  CT: user rejection",
        "                       2  MR: user rejection: in JPEG",
        "                       1  US: user rejection: in RLE",
    ]


def test_of_many_sop_classes_the_most_frequent_are_told_and_the_others_counted():
    classes = [_refused(f"SOPClass{letter}", "JPEG") * (30 - number) for number, letter in enumerate(ascii_lowercase)]
    lines = _summary(*(one for outcomes in classes for one in outcomes))
    assert len(lines[3:]) == 10
    assert lines[5] == "                      30  SOPClassa: user rejection: in JPEG"
    assert lines[-1] == "                     266  and 19 more"


def test_tags_uids_and_numbers_make_no_kind_of_their_own():
    cut_off = [not_sent(f"/{number}", f"it is cut off within (0008,{number:04X})") for number in range(40)]
    lines = _summary(*cut_off, *cut_off[:5], not_sent("/x", "killed a worker process, twice"))
    assert lines[3:6] == [
        "  not sent            46  for 2 reasons:",
        "                      45  it is cut off within …",
        "    such as /0",
    ]
    assert lines[6] == "                       2  (0008,0000)"
    assert len(lines[3:]) <= 10


_WORDS = st.text("abc ", min_size=1, max_size=120)
_TEXTS = st.tuples(_WORDS, st.sampled_from(["", ": "]), _WORDS, st.sampled_from(["", ": "]), _WORDS).map("".join)


@pytest.mark.slow
@given(
    st.lists(_TEXTS, min_size=1, max_size=60), st.sampled_from([unknown, not_sent]), st.sampled_from([80, 120, None])
)
def test_ten_lines_count_all_files_of_a_result(texts, outcome, width):
    lines = _summary(*(outcome("/a", text) for text in texts), width=width)[3:]
    assert len(lines) <= 10
    assert int(lines[0][19:26]) == len(texts)


def test_files_of_an_earlier_run_count_as_stored_and_are_told_apart():
    assert _summary(*stored(2), skipped(), skipped(), failed())[0] == (
        "Stored 4 of 5 files in 2.0 s (2 of them by an earlier run)."
    )


def test_an_interrupted_run_says_so():
    assert _summary(*stored(2), not_sent(), interrupted=True)[0] == "Interrupted: stored 2 of 3 files in 2.0 s."
    cut_short = _summary(*stored(2), not_sent(), interrupted=True, is_cut_short=True)
    assert cut_short[0] == "Interrupted: stored 2 of 3 files found so far in 2.0 s."
    assert _summary(interrupted=True) == ["Interrupted before any file was done."]


def test_a_run_that_ended_before_the_walk_says_that_there_may_be_more_files():
    lines = _summary(*stored(2), not_sent(), interrupted=True, is_cut_short=True, details=("Every outcome: r.jsonl",))
    assert lines[-3:] == [
        "",
        "There may be more files: those not found yet are not counted, and have no outcome.",
        "Every outcome: r.jsonl",
    ]
    assert _summary(*stored(2), is_cut_short=True)[0] == "Stored 2 of 2 files found so far in 2.0 s."


def test_a_run_without_files_says_so():
    assert _summary() == ["No file was found, nothing was sent."]


def test_retries_are_told():
    assert _summary(stored()[0]._replace(attempts=3))[1].endswith("4 associations, 2 repeated attempts.")


def test_it_ends_with_where_the_details_are():
    assert _summary(*stored(2), details=("Every outcome: results.jsonl",))[-1] == "Every outcome: results.jsonl"
    assert _summary(*stored(2), failed(), details=("Every outcome: results.jsonl",))[-2:] == [
        "",
        "Every outcome: results.jsonl",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_readable_in_any_width(width):
    lines = _summary(not_sent("/a", "a reason that takes many words " * 10), failed(), width=width)
    assert max(map(len, lines)) <= max(width, 47)


def test_reasons_are_wrapped_between_words_only():
    uid = "1.2.840.10008." * 5
    lines = [line.strip() for line in _summary(not_sent("/a", f"no context was accepted for {uid}"), width=60)]
    assert uid in lines


def test_nothing_is_wrapped_without_a_width():
    reason = "a reason that takes many words " * 10
    assert any(line.endswith(reason) for line in _summary(not_sent("/a", reason), width=None))


def test_paths_are_shown_whole_so_that_they_can_be_copied():
    path = f"/archive/{'1.2.840.' * 20}.dcm"
    assert f"    {path}" in _summary(failed(path))


def test_paths_and_reasons_are_safe_to_show():
    lines = _summary(not_sent("/a\n\x1b[2J\udce9", "bad \x1b[31m"))
    assert "    /a\\n\\x1b[2J\\xe9" in lines
    assert lines[3].endswith("bad \\x1b[31m")


def _printed(**options):
    file = io.StringIO()
    tally = Tally(0.0)
    tally.add([*stored(2), failed("/[bold]a.dcm")])
    print_summary(Terminal(Console(file=file, width=80, **options)), tally, Ending(2.0, 1))
    return file.getvalue()


def test_it_is_coloured_only_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b[" not in _printed()
    assert "\x1b[1;31mStored 2 of 3 files" in _printed(force_terminal=True, color_system="standard")


def test_names_are_not_markup():
    assert "/[bold]a.dcm" in _printed()


def test_a_closed_standard_error_is_accepted():
    file = io.StringIO()
    file.close()
    print_summary(Output(file), Tally(0.0), Ending(2.0, 0))


def test_instances_that_share_their_uid_with_an_earlier_one_are_told():
    assert _summary(*stored(2, sop_instance_uid="1.2"), *stored(1, sop_instance_uid="1.3"))[2:] == [
        "",
        "1 stored instance has the SOP instance UID of an earlier one: the peer keeps only one.",
        "    /archive/IM0001.dcm",
        "    and /archive/IM0000.dcm",
    ]
    assert _summary(*stored(1200, sop_instance_uid="1.2"), details=("More.",))[3:] == [
        "1 199 stored instances have the SOP instance UID of an earlier one: the peer keeps only one.",
        "    such as /archive/IM0001.dcm",
        "    and /archive/IM0000.dcm",
        "",
        "More.",
    ]


def test_files_that_were_sent_several_times_are_counted_each_time():
    lines = _summary(*stored(3), repeat=3)
    assert lines[0] == "Stored all 3 files in 2.0 s, each file counted 3 times."
