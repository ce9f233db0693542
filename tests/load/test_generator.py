import io
import tracemalloc
from collections import Counter
from itertools import islice

import pytest
from pydicom import dcmread

from asyncstore.cli.options.bench_rows import RANDOM_SEED
from asyncstore.errors import UsageError
from asyncstore.load.generator import Synthetic
from asyncstore.load.kinds import RECIPES
from asyncstore.load.mix import DEFAULT_MIX, of_size, parse_mix

_LARGE = ("cr", "dx", "mg", "tomo", "us-loop")


def data_set(made):
    if made.pieces:
        return b"".join(piece.data for piece in made.pieces)
    return made.instance.payload.data


def read(made):
    return dcmread(io.BytesIO(data_set(made)), force=True)


def uids(source, count):
    return [source.next().instance.identity.sop_instance_uid for _ in range(count)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _LARGE else name for name in RECIPES]
)
def test_every_kind_is_made_in_its_size_and_pydicom_reads_it(name):
    [kind] = parse_mix(name)
    made = Synthetic([kind], seed=1).next()
    dataset = read(made)
    instance = made.instance
    assert len(data_set(made)) == instance.payload.length == kind.bytes
    assert dataset.SOPClassUID == instance.identity.sop_class_uid == kind.sop_class_uid
    assert dataset.SOPInstanceUID == instance.identity.sop_instance_uid
    assert instance.identity.transfer_syntax_uid == kind.transfer_syntax_uid
    assert dataset.Modality == kind.modality
    if name != "sr":
        frames = int(dataset.get("NumberOfFrames", 1))
        pixels = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8 * frames
        assert len(dataset.PixelData) == pixels > 0.98 * kind.bytes


@pytest.mark.slow
@pytest.mark.parametrize("size", [1024, 1026, 2800, 32_768, 32_770, 526_336, 4 << 20, (4 << 20) + 2, 9_999_998])
def test_data_sets_have_exactly_the_given_size(size):
    made = Synthetic(of_size(size)).next()
    assert len(data_set(made)) == size
    dataset = read(made)
    assert len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2 * int(dataset.get("NumberOfFrames", 1))


def test_uids_are_valid_and_the_head_names_them():
    for made in islice(Synthetic(parse_mix("sr,ct")).study(), 2):
        dataset = read(made)
        head = made.instance.details.head
        assert dataset.StudyInstanceUID == head.study_instance_uid
        assert dataset.SeriesInstanceUID == head.series_instance_uid
        assert dataset.PatientID.encode() == head.patient_id
        for uid in (dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID):
            assert uid.is_valid


def test_nothing_looks_like_a_real_patient():
    dataset = read(Synthetic(parse_mix("sr")).next())
    assert str(dataset.PatientName).startswith("SYNTHETIC^")
    assert dataset.PatientID.startswith("SYN-")


def test_short_data_sets_are_whole_and_longer_ones_come_in_pieces():
    short, longer = Synthetic(of_size(32_768)).next(), Synthetic(of_size(32_770)).next()
    assert short.pieces == ()
    assert longer.instance.payload.data is None
    assert [(piece.is_first, piece.is_last) for piece in longer.pieces] == [(True, False), (False, True)]
    assert all(piece.instance is longer.instance for piece in longer.pieces)
    assert all(piece.buffer.release() is None for piece in longer.pieces)


@pytest.mark.parametrize("size", [526_336, 9_999_998])
def test_the_pixels_of_all_instances_share_one_memory(size):
    source = Synthetic(of_size(size))
    instances = [source.next() for _ in range(40)]
    assert len({id(piece.data.obj) for made in instances for piece in made.pieces[1:]}) == 1
    assert all(len(made.pieces[0].data) < size / 50 for made in instances)
    assert all(piece.data.readonly for made in instances for piece in made.pieces)


def test_instances_after_one_another_have_different_pixels():
    source = Synthetic(parse_mix("mr-256"))
    first, second = read(source.next()), read(source.next())
    assert first.PixelData != second.PixelData


def test_the_same_seed_makes_the_same_uids_and_another_seed_others():
    kinds = parse_mix("ct=3,sr=1")
    first, again, other = Synthetic(kinds, seed=7), Synthetic(kinds, seed=7), Synthetic(kinds, seed=8)
    once = uids(first, 50)
    assert uids(again, 50) == once
    assert not set(uids(other, 50)) & set(once)


def test_without_a_seed_no_two_sources_make_the_same_uids():
    kinds = parse_mix("sr")
    assert not set(uids(Synthetic(kinds), 5)) & set(uids(Synthetic(kinds), 5))


def test_a_seed_that_was_drawn_can_be_given_again():
    """Also by programs that read the numbers of JSON as floats."""
    for _ in range(20):
        seed = Synthetic(parse_mix("sr")).seed
        assert int(float(seed)) == RANDOM_SEED.kind.parse([str(seed)]) == seed


def test_the_corpus_depends_on_what_is_sent_and_not_on_the_seed():
    kinds = parse_mix("ct=3,sr=1")
    assert Synthetic(kinds, seed=1).corpus == Synthetic(kinds, seed=2).corpus
    assert Synthetic(kinds).corpus != Synthetic(parse_mix("ct=2,sr=1")).corpus
    assert Synthetic(of_size(2800)).corpus != Synthetic(of_size(2802)).corpus


@pytest.mark.slow
def test_lengths_do_not_depend_on_the_seed():
    lengths = {len(data_set(Synthetic(parse_mix("sr"), seed=seed).next())) for seed in range(20)}
    assert lengths == {RECIPES["sr"].kind.bytes}


def test_no_uid_is_made_twice_however_instances_are_asked_for():
    source = Synthetic(parse_mix("us,cr,sr"))
    made = uids(source, 200)
    for _ in range(20):
        made += [each.instance.identity.sop_instance_uid for each in source.study()]
        made += uids(source, 3)
    assert len(set(made)) == len(made)


def test_a_study_is_of_one_kind_and_divided_into_its_series():
    [kind] = parse_mix("ct")
    study = list(Synthetic([kind]).study())
    heads = [made.instance.details.head for made in study]
    series = Counter(head.series_instance_uid for head in heads)
    assert len(study) == kind.instances_per_study
    assert len({head.study_instance_uid for head in heads}) == len({head.patient_id for head in heads}) == 1
    assert list(series.values()) == [100, 100, 100]
    first, last_of_series, next_series = (read(study[place]) for place in (0, 99, 100))
    assert [each.InstanceNumber for each in (first, last_of_series, next_series)] == [1, 100, 101]
    assert [each.SeriesNumber for each in (first, last_of_series, next_series)] == [1, 1, 2]


def test_each_study_has_a_patient_and_an_accession_number_of_its_own():
    source = Synthetic(parse_mix("sr"))
    datasets = [read(source.next()) for _ in range(5)]
    for keyword in ("PatientID", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID"):
        assert len({dataset[keyword].value for dataset in datasets}) == 5


def test_every_part_of_a_load_has_the_same_shares():
    kinds = parse_mix(DEFAULT_MIX)
    source = Synthetic(kinds)
    for _ in range(3):
        counts = Counter(source.next().kind for _ in range(1000))
        for place, kind in enumerate(kinds):
            assert counts[place] == pytest.approx(1000 * kind.share, abs=1.5)


def test_studies_come_as_often_as_their_instances_have_shares():
    source = Synthetic(parse_mix("us=30,cr=2"))  # 30 and 2 instances in a study
    counts = Counter(next(source.study()).kind for _ in range(100))
    assert counts == {0: 50, 1: 50}


def test_a_load_of_nothing_is_refused():
    with pytest.raises(UsageError):
        Synthetic([])
    [kind] = parse_mix("cr")
    with pytest.raises(UsageError, match="1000 bytes"):
        Synthetic([kind._replace(bytes=1000)])


def test_tuples_have_all_their_fields():
    for size in (2800, 526_336):
        made = Synthetic(of_size(size)).next()
        for each in (made, made.instance, made.instance.identity, made.instance.payload, *made.pieces):
            assert len(each) == len(each._fields)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_instances_that_were_made():
    source = Synthetic(parse_mix("sr=1,us=1,cr=1"))
    tracemalloc.start()
    try:
        uids(source, 500)
        before, _ = tracemalloc.get_traced_memory()
        uids(source, 1500)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000  # a leak of every instance would be a megabyte
