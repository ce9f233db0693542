"""UIDs as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstore.journal.uids import pack, unpack


@given(
    st.one_of(st.from_regex(r"[0-9.]{0,64}", fullmatch=True), st.text(max_size=80), st.text("0123456789abcdefA. \n"))
)
def test_every_uid_comes_back(uid):
    assert unpack(pack(uid)) == uid


@given(st.text("0123456789.", min_size=1, max_size=64))
def test_digits_and_dots_take_half_a_byte(uid):
    assert len(pack(uid)) == (len(uid) + 1) // 2


@given(st.sets(st.text("0123456789.af", max_size=12), min_size=2, max_size=2))
def test_two_uids_have_two_packings(uids):
    assert len({pack(uid) for uid in uids}) == 2


@pytest.mark.parametrize("uid", ["1.2f", "1.2 ", "1.2\0", "\udcff", "f", "1.2.A"])
def test_other_characters_are_kept_as_they_are(uid):
    assert unpack(pack(uid)) == uid
