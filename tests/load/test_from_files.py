import io
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import pytest
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from asyncstore.errors import UsageError
from asyncstore.load.corpus import Limits
from asyncstore.load.from_files import FromFiles
from asyncstore.model import Unsendable
from support.trees import instances, pydicom_test_files, read_part10, text_file

_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_GROUP_LENGTHS = {0x0008_0000: "SOPInstanceUID", 0x0020_0000: "StudyInstanceUID SeriesInstanceUID"}


def data_set(made):
    if made.pieces:
        return b"".join(piece.data for piece in made.pieces)
    return made.instance.payload.data


def parsed(data, transfer_syntax_uid):
    syntax = UID(transfer_syntax_uid)
    return read_dataset(io.BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


def read(made):
    return parsed(data_set(made), made.instance.identity.transfer_syntax_uid)


def uids(made):
    return {each.instance.identity.sop_instance_uid for each in made}


def a_round(source):
    return [source.next() for _ in range(source.instances)]


def even_length(element):
    return len(element.value) + len(element.value) % 2


def check_is_copy(made):
    """Compare an instance with its file: nothing but UIDs and the lengths that count them differ."""
    path = Path(made.instance.path)
    whole = path.read_bytes()
    length = made.instance.payload.length
    data = data_set(made)
    assert len(data) == length
    assert length % 2 == 0
    sent = read(made)
    offset = whole.index(b"DICM") + 4 if whole[128:132] == b"DICM" else 0
    original = parsed(read_part10(path).data_set if offset else whole, made.instance.identity.transfer_syntax_uid)
    for tag, keywords in _GROUP_LENGTHS.items():
        if tag in original:
            growth = sum(
                even_length(sent[keyword]) - even_length(original[keyword])
                for keyword in keywords.split()
                if keyword in original
            )
            assert sent[tag].value == original[tag].value + growth
            del sent[tag], original[tag]
    assert sent.SOPInstanceUID == made.instance.identity.sop_instance_uid
    for keyword in _UIDS:
        if keyword in original:
            assert sent[keyword].value.is_valid
            assert sent[keyword].value != original[keyword].value
            del sent[keyword], original[keyword]
    assert sent == original


@pytest.mark.slow
def test_instances_in_every_encoding_differ_from_their_files_in_uids_only():
    source = FromFiles(pydicom_test_files(), seed=1)
    made = a_round(source)
    assert len({each.instance.path for each in made}) == len(made) == source.instances
    assert {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"} <= {
        each.instance.identity.transfer_syntax_uid for each in made
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom remarks on its own odd files
        for each in made:
            check_is_copy(each)


def test_every_instance_comes_once_a_round_each_time_with_new_uids(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 7))
    first, second = a_round(source), a_round(source)
    assert [made.instance.path for made in first] == [made.instance.path for made in second]
    assert len(uids(first) | uids(second)) == 14


def test_a_study_is_one_study_within_a_round_and_another_in_the_next(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 4))
    rounds = [[read(made) for made in a_round(source)] for _ in range(2)]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        values = [{dataset[keyword].value for dataset in datasets} for datasets in rounds]
        assert len(values[0]) == len(values[1]) == 1
        assert values[0] != values[1]


def test_heads_name_the_uids_that_are_sent(tmp_path):
    for made in a_round(FromFiles(instances(tmp_path / "in", 2))):
        dataset, head = read(made), made.instance.details.head
        assert dataset.StudyInstanceUID == head.study_instance_uid
        assert dataset.SeriesInstanceUID == head.series_instance_uid


def test_studies_can_be_asked_for_one_by_one(tmp_path):
    files = [*instances(tmp_path / "a", 3, seed=1), *instances(tmp_path / "b", 2, seed=2)]
    source = FromFiles(files)
    studies = [list(source.study()) for _ in range(4)]
    assert [len(study) for study in studies] == [3, 2, 3, 2]
    heads = [{made.instance.details.head.study_instance_uid for made in study} for study in studies]
    assert all(len(uid) == 1 for uid in heads)
    assert len(set.union(*heads)) == 4
    assert len(set.union(*map(uids, studies), uids(a_round(source)))) == 15


def test_kept_uids_and_bytes_are_those_of_the_files(tmp_path):
    files = [*instances(tmp_path / "short", 2), *instances(tmp_path / "long", 2, data_set_bytes=200_000)]
    source = FromFiles(files, keep_uids=True)
    for _ in range(2):
        made = a_round(source)
        assert {data_set(each) for each in made} == {read_part10(path).data_set for path in files}
        assert uids(made) == {read_part10(path).sop_instance_uid for path in files}


@pytest.mark.parametrize("may_map", [True, False])
@pytest.mark.parametrize("size", [2800, 32_768, 32_770, 65_536, 100_000, 526_336])
def test_data_sets_of_all_sizes_are_whole(tmp_path, size, may_map):
    source = FromFiles(instances(tmp_path / "in", 2, data_set_bytes=size), may_map=may_map, limits=Limits(held=3000))
    for made in a_round(source):
        check_is_copy(made)
        assert [piece.is_first for piece in made.pieces] == [True, False][: len(made.pieces)]
        assert [piece.is_last for piece in made.pieces] == [False, True][: len(made.pieces)]
        assert [piece.buffer.release() for piece in made.pieces] == [None] * len(made.pieces)


def test_pixels_are_mapped_and_not_copied(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 1, data_set_bytes=526_336))
    first, pixels = source.next().pieces
    assert len(first.data) < 2000
    assert type(pixels.data.obj).__name__ == "mmap"
    first, pixels = FromFiles(instances(tmp_path / "again", 1, data_set_bytes=526_336), may_map=False).next().pieces
    assert type(pixels.data.obj) is bytes


def test_descriptors_and_maps_are_closed_with_their_instances(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 3, data_set_bytes=526_336))
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        for made in a_round(source):
            for piece in made.pieces:
                piece.buffer.release()
    del made, piece
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_kinds_are_told_apart_by_modality_sop_class_and_transfer_syntax():
    source = FromFiles(pydicom_test_files())
    keys = [(kind.modality, kind.sop_class_uid, kind.transfer_syntax_uid) for kind in source.kinds]
    assert len(set(keys)) == len(keys) > 20
    assert sum(kind.share for kind in source.kinds) == pytest.approx(1)
    for made in a_round(source):
        kind = source.kinds[made.kind]
        assert kind.sop_class_uid == made.instance.identity.sop_class_uid
        assert kind.transfer_syntax_uid == made.instance.identity.transfer_syntax_uid


def test_each_kind_is_spread_over_a_round(tmp_path):
    many = instances(tmp_path / "many", 30, data_set_bytes=2800)
    other = [path for path in pydicom_test_files() if path.name == "MR_small.dcm"]
    source = FromFiles([*many, *other, *other, *other])
    kinds = [made.kind for made in a_round(source)]
    assert Counter(kinds) == {0: 30, 1: 3}
    assert [kinds[start : start + 11].count(1) for start in (0, 11, 22)] == [1, 1, 1]


def test_a_modality_that_is_none_is_not_shown(tmp_path):
    [path] = instances(tmp_path / "in", 1)
    path.write_bytes(path.read_bytes().replace(b"\x08\0\x60\0CS\x02\0CT", b"\x08\0\x60\0CS\x02\0d."))
    assert [(kind.name, kind.modality) for kind in FromFiles([path]).kinds] == [("ot", "OT")]


def test_the_corpus_depends_on_the_content_alone(tmp_path):
    files = instances(tmp_path / "in", 3)
    moved = tmp_path / "moved.dcm"
    corpus = FromFiles(files, seed=1).corpus
    files[1].rename(moved)
    assert FromFiles([moved, files[0], files[2]], seed=2).corpus == corpus
    assert FromFiles(files[:1]).corpus != corpus


def test_the_corpus_does_not_depend_on_uids(tmp_path):
    [file] = instances(tmp_path / "in", 1)
    content = file.read_bytes()
    uid = read_part10(file).sop_instance_uid.encode()
    other = tmp_path / "other.dcm"
    other.write_bytes(content.replace(uid, uid[:-1] + b"7"))
    assert FromFiles([file]).corpus == FromFiles([other]).corpus
    assert FromFiles([file], keep_uids=True).corpus != FromFiles([other], keep_uids=True).corpus


def test_files_without_an_instance_are_counted_and_named(tmp_path):
    files = instances(tmp_path / "in", 1)
    source = FromFiles([*files, text_file(tmp_path), tmp_path / "missing"])
    assert source.instances == 1
    assert source.passed_over == 2
    assert [(type(reason), reason.reason) for reason in source.reasons] == [
        (Unsendable, "not a DICOM file"),
        (Unsendable, "no such file or directory"),
    ]


def test_a_deflated_data_set_is_sent_only_with_its_own_uids():
    [deflated] = [path for path in pydicom_test_files() if path.name == "image_dfl.dcm"]
    with pytest.raises(UsageError, match="deflated"):
        FromFiles([deflated])
    made = FromFiles([deflated], keep_uids=True).next()
    assert data_set(made)[: made.instance.payload.length].rstrip(b"\0") == read_part10(deflated).data_set.rstrip(b"\0")


def test_nothing_to_send_is_refused_with_the_first_reason(tmp_path):
    with pytest.raises(UsageError, match="no file was found"):
        FromFiles([tmp_path])
    text_file(tmp_path)
    with pytest.raises(UsageError, match=r"README.txt cannot be sent: not a DICOM file"):
        FromFiles([tmp_path])


@pytest.mark.parametrize(
    ("limits", "words"), [(Limits(files=2), "more than 2 files"), (Limits(bytes=5 << 20), "more than 5 MiB")]
)
def test_more_than_the_limits_allow_is_refused(tmp_path, limits, words):
    files = instances(tmp_path / "in", 3, data_set_bytes=2_000_000)
    with pytest.raises(UsageError, match=words):
        FromFiles(files, limits=limits)


def test_memory_holds_no_more_than_the_limits_allow(tmp_path):
    source = FromFiles(instances(tmp_path / "in", 5), limits=Limits(held=6000))
    assert len(uids(a_round(source))) == 5
    with pytest.raises(UsageError, match="more than 0 MiB, and cannot be mapped"):
        FromFiles(instances(tmp_path / "more", 1), may_map=False, limits=Limits(read=2000))


def test_a_file_that_is_gone_or_changed_is_passed_over(tmp_path):
    files = instances(tmp_path / "in", 3, data_set_bytes=526_336)
    source = FromFiles(files)
    files[0].unlink()
    with files[1].open("ab") as file:
        file.write(b"more")
    assert {source.next().instance.path for _ in range(4)} == {str(files[2])}
    assert set(source.lost) == {str(files[0]), str(files[1])}
    assert [made.instance.path for made in source.study()] == [str(files[2])]
    files[2].unlink()
    for ask in (source.next, source.study, source.next):
        with pytest.raises(UsageError, match="no file is left"):
            ask()


def test_a_file_that_changes_while_it_is_sent_is_reported_by_its_memory(tmp_path):
    files = instances(tmp_path / "in", 1, data_set_bytes=526_336)
    pieces = FromFiles(files).next().pieces
    files[0].touch()
    problem = pieces[-1].buffer.release()
    assert problem.has_changed
    assert problem.path == str(files[0])


def test_tuples_have_all_their_fields(tmp_path):
    for size in (2800, 526_336):
        made = FromFiles(instances(tmp_path / str(size), 1, data_set_bytes=size)).next()
        for each in (made, made.instance, made.instance.identity, made.instance.payload, *made.pieces):
            assert len(each) == len(each._fields)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds(tmp_path):
    source = FromFiles([*instances(tmp_path / "a", 3), *instances(tmp_path / "b", 3, data_set_bytes=200_000)])
    tracemalloc.start()
    try:
        for _ in range(100):
            a_round(source)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(200):
            a_round(source)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000
