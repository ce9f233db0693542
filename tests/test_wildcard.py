"""Patterns choose the same names as storescu's +sp: compared with the real program and with the C library's fnmatch."""

import asyncio
import ctypes
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.wildcard import matcher
from support.peers.dcmtk import running_storescp
from support.peers.programs import find_program

TABLE = [
    ("*", ["a.dcm", ".hidden", "é", ""], []),
    ("*.dcm", ["a.dcm", ".dcm", "a.b.dcm", "\n.dcm"], ["a.DCM", "a.dcm.gz"]),
    ("?", ["a", "?", "\udcff"], ["", "ab", "é"]),
    ("??", ["ab", "é"], ["a"]),
    ("[a-c]*", ["a", "b.dcm", "c"], ["A", "d", ""]),
    ("[!a-c]", ["d", "A", "]", "\udcff"], ["a", "b"]),
    ("[^a]", ["b", "^"], ["a"]),
    ("[]a]", ["]", "a"], ["b"]),
    ("[!]a]", ["b"], ["]", "a"]),
    ("[a-]", ["a", "-"], ["b"]),
    ("[--0]", ["-", ".", "0"], ["1", ","]),
    ("[z-a]", [], ["a", "z", "-"]),
    ("[!z-a]", ["a", "z"], []),
    ("[a-c-e]", ["b", "-", "e"], ["d"]),
    ("[[:digit:]]*", ["1", "9.dcm"], ["a"]),
    ("[[:upper:][:space:]]", ["A", " "], ["a"]),
    ("[![:alpha:]]", ["1", "\udcc3"], ["a", "Z"]),
    ("[[:nothing:]]", [], ["n", ":", "["]),
    (r"\*", ["*"], ["a", r"\*"]),
    (r"a\b", ["ab"], [r"a\b"]),
    (r"a\\b", [r"a\b"], ["ab"]),
    ("a\\", [], ["a", "a\\"]),
    (r"[\]]", ["]"], ["\\"]),
    (r"[\a-\c]", ["a", "b", "c"], ["\\"]),
    ("[a", ["[a"], ["a"]),
    ("[!", ["[!"], ["!"]),
    ("[]", ["[]"], ["]"]),
    ("a/b", [], ["a", "b", "ab"]),
    ("{a,b}", ["{a,b}"], ["a", "b"]),
    ("a+(b)^$.", ["a+(b)^$."], ["aab", "a+(b)^$x"]),
    ("*a*b*a*", ["aba", "xaxbxax", "abba"], ["ab", "baab"]),
    ("", [""], ["a"]),
]


@pytest.mark.parametrize(("pattern", "matching", "others"), TABLE, ids=[repr(row[0]) for row in TABLE])
def test_a_pattern_matches_these_names_and_not_those(pattern, matching, others):
    matches = matcher(pattern)
    assert [name for name in matching + others if matches(name)] == matching


def test_many_stars_and_a_long_name_take_no_time():
    assert not matcher("*a" * 60 + "b")("a" * 250)


_BRACKETS = st.builds(
    lambda negation, first, members: f"[{negation}{first}{''.join(members)}]",
    st.sampled_from(["", "!", "^"]),
    st.sampled_from(["", "]", "-"]),
    st.lists(
        st.sampled_from(["a", "b", "x", "a-c", "b-x", "c-a", "\\]", "\\a", "[:alpha:]", "[:digit:]", "[:punct:]", "*"]),
        min_size=1,
        max_size=4,
    ),
)
_PATTERNS = st.lists(st.one_of(st.sampled_from([*"abcx1.-?*]", "\\*", "\\[", "\\"]), _BRACKETS), max_size=7).map(
    "".join
)
_NAMES = st.text("abcx1.-?*[]\\^!", min_size=1, max_size=7)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library whose fnmatch storescu uses is Linux's")
@given(_PATTERNS, _NAMES)
def test_any_pattern_matches_what_the_c_librarys_fnmatch_matches(pattern, name):
    fnm_pathname = 1
    theirs = ctypes.CDLL(None).fnmatch(pattern.encode(), name.encode(), fnm_pathname)
    assert matcher(pattern)(name) == (theirs == 0)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_pattern_is_an_error(pattern, name):
    assert matcher(pattern)(name) in (True, False)


def _sent_by_storescu(port, folder, *options):
    words = [find_program("storescu", "dcmtk"), "-v", "-nh", "+sd", *options, "127.0.0.1", str(port), folder]
    said = subprocess.run(words, capture_output=True, check=False, timeout=60).stderr
    return {
        line.removeprefix(b"I: Sending file: ") for line in said.split(b"\n") if line.startswith(b"I: Sending file")
    }


@pytest.mark.slow
@pytest.mark.peers
async def test_storescu_sends_the_same_files_of_a_directory(tmp_path):
    folder = tmp_path / "files"
    for name in {name for _, matching, others in TABLE for name in matching + others if name and "\n" not in name}:
        (folder / "below").mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        (folder / "below" / name).touch()
    async with running_storescp(tmp_path / "received") as scp:
        for pattern, _, _ in TABLE:
            chosen = walk([folder], WalkOptions(recurse=True, pattern=pattern))
            theirs = await asyncio.to_thread(_sent_by_storescu, scp.port, folder, "+r", "+sp", pattern)
            assert {os.fsencode(found.path) for found in chosen} == theirs, pattern
        chosen = walk([folder], WalkOptions(recurse=False, pattern="*a*"))
        theirs = await asyncio.to_thread(_sent_by_storescu, scp.port, folder, "+sp", "*a*")
        assert {os.fsencode(found.path) for found in chosen} == theirs
        assert theirs
