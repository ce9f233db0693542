import pytest
from pydicom import dcmread

from asyncstore.errors import UsageError
from benchmarks.copies import write_copies
from support.trees import data_sets, read_part10


def files_of(archive):
    return sorted(path for path in archive.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("size", "multi_frame"),
    [(1024, False), (2800, False), (526_336, False), (525_312, True), (3_000_000, True)],
)
def test_every_data_set_has_the_given_size(tmp_path, size, multi_frame):
    archive = write_copies(tmp_path, count=3, data_set_bytes=size, multi_frame=multi_frame)
    files = files_of(archive)
    assert [len(read_part10(file).data_set) for file in files] == [size] * 3
    assert archive.bytes == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("multi_frame", [False, True])
def test_pydicom_reads_a_copy(tmp_path, multi_frame):
    archive = write_copies(tmp_path, count=2, data_set_bytes=1_100_000, multi_frame=multi_frame)
    for number, file in enumerate(files_of(archive), start=1):
        dataset = dcmread(file)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID
        assert dataset.InstanceNumber == number
        assert len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2 * dataset.get("NumberOfFrames", 1)
        assert dataset.SOPInstanceUID.is_valid
        assert dataset.SeriesInstanceUID.is_valid


def test_series_are_folders_of_a_bounded_size(tmp_path):
    archive = write_copies(tmp_path, count=25, data_set_bytes=1024, per_series=10)
    folders = sorted(archive.folder.iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [10, 10, 5]
    assert archive.series == 3
    series = {dcmread(file).SeriesInstanceUID for file in files_of(archive)}
    assert len(series) == 3
    assert len(data_sets(tmp_path)) == 25


@pytest.mark.parametrize(
    "numbers",
    [
        {"count": 0},
        {"count": 1, "per_series": 0},
        {"count": 10**9},
        {"count": 1, "data_set_bytes": 1022},
        {"count": 1, "data_set_bytes": 4001},
        {"count": 1, "data_set_bytes": 2**32},
        {"count": 1, "data_set_bytes": 1024, "multi_frame": True},
        {"count": 10**6, "per_series": 10**6},
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, numbers):
    with pytest.raises(UsageError):
        write_copies(tmp_path / "copies", **numbers)
    assert not (tmp_path / "copies").exists()
