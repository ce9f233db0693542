from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from asyncstore.observe.fit_width import clip, pad, shorten

_TEXTS = st.text(st.sampled_from("ab/. 病é.\\"), max_size=80)


def test_a_path_that_fits_is_left_alone():
    assert shorten("/archive/IM1.dcm", 16) == "/archive/IM1.dcm"


def test_a_long_path_keeps_its_file_and_whole_folders_at_both_ends():
    path = "/archive/2019/1.2.826.0.1.3680043.8.498/series-3/IM0012.dcm"
    assert shorten(path, 40) == "/archive/2019/…/series-3/IM0012.dcm"
    assert shorten(path, 28) == "/…/series-3/IM0012.dcm"
    assert (
        shorten("/data/a-folder-of-31-letters-in-its-name/study/series/IM0012.dcm", 37)
        == "/data/…/study/series/IM0012.dcm"
    )
    assert shorten(path, 15) == "/…/IM0012.dcm"


def test_a_name_longer_than_the_room_is_cut_in_its_middle():
    assert shorten("/archive/1.2.826.0.1.3680043.8.498.123456789.dcm", 20) == "1.2.82…123456789.dcm"


@given(_TEXTS, st.integers(0, 90))
def test_nothing_is_ever_wider_than_asked_for(text, width):
    """Also if characters take two cells."""
    assert cell_len(shorten(text, width)) <= width
    assert cell_len(clip(text, width)) <= width
    assert cell_len(pad(clip(text, width), width)) == width
