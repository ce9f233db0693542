import pytest

from asyncstore.errors import UsageError
from asyncstore.load.kinds import RECIPES
from asyncstore.load.mix import DEFAULT_MIX, of_size, parse_mix


def test_shares_are_normalised_and_keep_their_order():
    kinds = parse_mix("ct=60,mr=20,cr=10,us=5,dx=4,mg=1")
    assert [kind.name for kind in kinds] == ["ct", "mr", "cr", "us", "dx", "mg"]
    assert [kind.share for kind in kinds] == pytest.approx([0.6, 0.2, 0.1, 0.05, 0.04, 0.01])


def test_shares_may_have_any_unit_and_names_any_case():
    assert [kind.share for kind in parse_mix(" CT = 0.75 , sr=.25")] == pytest.approx([0.75, 0.25])


def test_a_name_alone_counts_as_one():
    assert [kind.share for kind in parse_mix("ct")] == [1.0]
    assert [kind.share for kind in parse_mix("ct,mr=3")] == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ct=60,mgg=1", "'mgg'.*did you mean mg.*known are ct, enhanced-ct"),
        ("nothing-alike=1", "'nothing-alike': known are ct"),
        ("", "no kind in one place"),
        ("ct=1,,mr=1", "no kind in one place"),
        ("ct=1,mr=2,ct=3", "names ct twice"),
        ("ct=0", "the share '0' for ct"),
        ("ct=-1", "the share '-1' for ct"),
        ("ct=nan", "the share 'nan' for ct"),
        ("ct=inf", "the share 'inf' for ct"),
        ("ct=1e308,mr=1e308", "the share '1e308' for ct"),
        ("ct=many", "the share 'many' for ct"),
        ("ct=", "the share '' for ct"),
    ],
)
def test_a_mix_that_says_nothing_is_refused_in_one_line(text, words):
    with pytest.raises(UsageError, match=words) as refused:
        parse_mix(text)
    assert "\n" not in str(refused.value)


def test_the_default_mix_has_exams_of_the_published_size():
    kinds = parse_mix(DEFAULT_MIX)
    exams = sum(kind.share / kind.instances_per_study for kind in kinds)
    mean = sum(kind.share * kind.bytes for kind in kinds) / exams
    assert 32e6 < mean < 38e6


def test_every_kind_of_the_table_can_be_named():
    assert {kind.name for kind in parse_mix(",".join(RECIPES))} == set(RECIPES)


def test_a_size_is_one_kind():
    [kind] = of_size(2800)
    assert (kind.bytes, kind.share, kind.modality) == (2800, 1.0, "CT")
    [kind] = of_size(1 << 30)
    assert (kind.bytes, kind.modality) == (1 << 30, "OT")


@pytest.mark.parametrize(("size", "words"), [(0, "1024 to"), (1022, "1024 to"), (2801, "2802"), (1 << 32, "1024 to")])
def test_a_size_that_no_data_set_has_is_refused(size, words):
    with pytest.raises(UsageError, match=words):
        of_size(size)
