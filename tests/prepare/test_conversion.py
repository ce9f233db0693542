"""A worker answers an order with a data set in memory or in a file, or with the reason why there is none."""

import os
from pathlib import Path

import pytest

from asyncstore.model import Instance, Payload, Unsendable
from asyncstore.prepare import conversion, source_data, spool
from asyncstore.prepare.conversion import Settings, judge, obstacle
from asyncstore.prepare.edit_syntax import set_of
from asyncstore.prepare.editing import edited
from asyncstore.prepare.edits import plain
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.messages import CONVERTIBLE, UNSENDABLE, Order
from asyncstore.prepare.reencode import Changes, reencode
from support import images, trees, values
from support.values import probe_file

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
NOTHING = Changes()
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"


@pytest.fixture(scope="module")
def collection():
    return {path.name: path for path in trees.pydicom_test_files()}


@pytest.fixture
def found(collection):
    """A file that is too large to be in memory already."""
    return probe_file(str(collection["CT_small.dcm"]))


def _made(instance, target, folder, changes=NOTHING):
    order = Order(instance, target, instance.sop_instance_uid)
    [there] = values.converted([order], Settings(str(folder), *changes))
    return there


def _as_it_should_be(instance, target, changes=NOTHING, edits=()):
    data = Path(instance.path).read_bytes()[instance.offset :]
    if edits:
        data = b"".join(edited(data, instance.transfer_syntax_uid, edits))
    return b"".join(reencode(data, encoding_of(instance.transfer_syntax_uid), encoding_of(target), changes))


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"])
def test_a_small_data_set_comes_in_memory(collection, tmp_path, name, target):
    instance = probe_file(str(collection[name]))
    there = _made(instance, target, tmp_path)
    assert there.data == _as_it_should_be(instance, target)
    assert there.identity == instance.identity._replace(transfer_syntax_uid=target)
    assert there.payload == Payload(instance.path, 0, len(there.data), data=there.data)
    assert (there.file, there.original) == (instance.file, instance)
    assert [*tmp_path.iterdir()] == []


def test_a_large_data_set_comes_in_a_file(found, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_IN_MEMORY", 1000)
    for target in (IMPLICIT, BIG):
        there = _made(found, target, tmp_path)
        container = spool.take(there.payload.container)
        spool.close_written()
        content = Path(container).read_bytes()
        assert (there.data, there.offset, there.length) == (None, 0, len(content))
        assert content == _as_it_should_be(found, target)
        spool.drop([container])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_a_large_file_becomes_what_a_small_one_becomes(found, tmp_path, monkeypatch, target):
    expected = _made(found, target, tmp_path)
    monkeypatch.setattr(source_data, "MAPPED", 1000)
    assert _made(found, target, tmp_path) == expected


def test_data_from_the_probe_is_not_read_again(collection, tmp_path):
    instance = probe_file(str(collection["rtplan.dcm"]))
    assert instance.data is not None
    there = _made(values.changed(instance, container="/gone"), EXPLICIT, tmp_path)
    assert there.data == _as_it_should_be(instance, EXPLICIT)


def test_an_order_names_uid_and_new_values(found, tmp_path):
    changes = Changes(new_vrs=False, deflate_level=0)
    settings = Settings(str(tmp_path), new_vrs=False, deflate_level=0)
    edits = [set_of("SOPInstanceUID=1.2.3"), set_of("PatientName=New^Name")]
    [there] = values.converted([Order(found, DEFLATED, "1.2.3", None, plain(edits))], settings)
    assert there.sop_instance_uid == "1.2.3"
    assert there.data == _as_it_should_be(found, DEFLATED, changes, edits)
    assert there.length > _made(found, DEFLATED, tmp_path).length


def test_answers_come_in_order(collection, tmp_path):
    names = ["CT_small.dcm", "JPEG-lossy.dcm", "rtplan.dcm", "CT_small.dcm"]
    instances = [probe_file(str(collection[name])) for name in names]
    instances.insert(3, _cut_off(collection["rtdose.dcm"]))
    orders = [Order(one, IMPLICIT, one.sop_instance_uid) for one in instances]
    made = values.converted(orders, Settings(str(tmp_path)))
    assert [type(one) for one in made] == [Instance, Unsendable, Instance, Unsendable, Instance]
    assert made[1].reason == "its pixel data is encapsulated, and would have to be decompressed"
    assert [one.path for one in made] == [one.path for one in instances]


def test_pixel_data_that_would_have_to_be_compressed_is_not_sent(found, tmp_path):
    there = _made(found, JPEG, tmp_path)
    reason = "the peer takes it in JPEGBaseline only, and its pixel data would have to be compressed"
    assert there == Unsendable(found.file, reason)


def test_a_data_set_without_pixel_data_needs_no_compression(collection, tmp_path):
    instance = probe_file(str(collection["reportsi.dcm"]))
    assert _made(instance, JPEG, tmp_path).data == _as_it_should_be(instance, EXPLICIT)


@pytest.mark.parametrize("glance", [100, 1 << 16], ids=["pixel data is late", "pixel data is early"])
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "reportsi.dcm", "image_dfl.dcm", "MR_small_implicit.dcm"]
)
def test_judging_tells_whether_a_conversion_would_fail(collection, tmp_path, monkeypatch, name, glance):
    monkeypatch.setattr(conversion, "_GLANCE", glance)
    instance = probe_file(str(collection[name]))
    is_made = isinstance(_made(instance, JPEG, tmp_path), Instance)
    assert obstacle(instance, JPEG) == (None if is_made else "its pixel data would have to be compressed")
    assert obstacle(instance, EXPLICIT) is None


def test_judging_reads_no_pixel_data(found, monkeypatch):
    monkeypatch.setattr(conversion, "_GLANCE", 7000)
    short = values.changed(found, length=7000)
    assert obstacle(short, JPEG) is not None
    monkeypatch.setattr(conversion, "_GLANCE", 100)
    assert "its size has changed" in obstacle(short, JPEG)  # now all of it is read


def _cut_off(path):
    """An instance with an incomplete data set that the probe did not notice."""
    content = path.read_bytes()
    whole = probe_file(str(path))
    return values.changed(whole, length=len(content) - whole.offset - 62, data=content[whole.offset : -62])


def test_a_damaged_data_set_is_not_sent(collection, tmp_path):
    instance = _cut_off(collection["rtdose.dcm"])
    there = _made(instance, BIG, tmp_path)
    assert there.reason.startswith("its data set is damaged and cannot be converted: element (7FE0,0010) at byte ")
    assert obstacle(instance, BIG) == there.reason


def test_values_of_odd_length_are_padded(tmp_path):
    path = tmp_path / "odd.dcm"
    path.write_bytes(b"\x08\x00\x60\x00CS\x01\x00C" + b"\x20\x00\x0d\x00UI\x01\x001")
    there = _made(values.instance(str(path), "1.1", "1.2", EXPLICIT, 0, 18), EXPLICIT, tmp_path)
    assert there.data == b"\x08\x00\x60\x00CS\x02\x00C " + b"\x20\x00\x0d\x00UI\x02\x001\0"


def test_a_data_set_that_takes_too_much_memory_is_not_sent(found, tmp_path, monkeypatch):
    def out_of_memory(*_):
        raise MemoryError

    monkeypatch.setattr(conversion, "reencode", out_of_memory)
    reason = "converting it takes more memory than its size explains, or than there is"
    assert _made(found, IMPLICIT, tmp_path) == Unsendable(found.file, reason)
    assert obstacle(found, JPEG) == reason


def test_judging_answers_in_order_with_a_reason_or_nothing(collection, tmp_path):
    small, image = (probe_file(str(collection[name])) for name in ("reportsi.dcm", "CT_small.dcm"))
    orders = [Order(one, JPEG, one.sop_instance_uid) for one in (small, image)]
    answers = [*judge(orders, Settings(str(tmp_path)))]
    assert answers == [(CONVERTIBLE,), (UNSENDABLE, "its pixel data would have to be compressed")]


def test_a_data_set_that_inflates_to_more_than_is_allowed_is_not_converted(collection, tmp_path):
    instance = probe_file(str(collection["image_dfl.dcm"]))
    order = Order(instance, EXPLICIT, instance.sop_instance_uid)
    [there] = values.converted([order], Settings(str(tmp_path), max_inflated=100_000))
    assert there.reason == "its data set inflates to more than the 100000 bytes that are allowed"
    [there] = values.converted([order], Settings(str(tmp_path)))
    assert there.length > 100_000


def test_a_file_that_was_exchanged_for_another_of_the_same_size_is_not_sent(collection, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(collection["CT_small.dcm"].read_bytes())
    status = path.stat()
    version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    instance = values.changed(probe_file(str(path)), version=version)
    assert isinstance(_made(instance, IMPLICIT, tmp_path), Instance)
    os.utime(path, ns=(0, 0))
    made = _made(instance, IMPLICIT, tmp_path)
    assert made.reason == "it was changed since it was found (its content, its name, its links or its permissions)"
    assert made.has_changed


@pytest.mark.parametrize("change", [lambda path: os.utime(path, ns=(0, 0)), Path.unlink])
def test_a_file_that_changes_while_it_is_converted_is_not_sent(collection, tmp_path, monkeypatch, change):
    path = tmp_path / "file"
    path.write_bytes(collection["CT_small.dcm"].read_bytes())
    found = probe_file(str(path))

    def reencoded(*arguments):
        yield from reencode(*arguments)
        change(path)

    monkeypatch.setattr(conversion, "reencode", reencoded)
    assert isinstance(_made(found, IMPLICIT, tmp_path), Unsendable)
    assert isinstance(_made(found, IMPLICIT, tmp_path), Unsendable)


def test_a_file_that_has_changed_or_gone_is_not_sent(collection, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(collection["CT_small.dcm"].read_bytes())
    instance = probe_file(str(path))
    with path.open("ab") as file:
        file.write(b"more")
    assert _made(instance, IMPLICIT, tmp_path).reason == "its size has changed since it was found"
    path.unlink()
    assert _made(instance, IMPLICIT, tmp_path).reason == "cannot be read: No such file or directory"


def test_a_file_of_the_same_size_in_its_place_is_not_converted(collection, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(collection["CT_small.dcm"].read_bytes())
    found = probe_file(str(path))
    assert isinstance(_made(found, IMPLICIT, tmp_path), Instance)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    other.replace(path)
    assert "it was exchanged since it was found" in _made(found, IMPLICIT, tmp_path).reason
    assert "it was exchanged since it was found" in obstacle(found, IMPLICIT)


def test_a_full_disk_leaves_no_file_behind(found, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_IN_MEMORY", 1000)
    there = _made(found, IMPLICIT, tmp_path / "gone")
    assert there.reason == f"no room for its converted data set in {tmp_path / 'gone'}: No such file or directory"
    if Path("/dev/full").exists():
        monkeypatch.setattr(os, "open", lambda *_: _open("/dev/full", os.O_WRONLY))
        monkeypatch.setattr(os, "unlink", lambda _: None)
        monkeypatch.setattr(conversion, "_chunks", lambda *_: (iter([bytes(2000)] * 1000), False))
        assert _made(found, IMPLICIT, tmp_path).reason.endswith("No space left on device")
        assert [*tmp_path.iterdir()] == []


_open = os.open


@pytest.mark.parametrize("size", [20, 100_000])
def test_an_image_is_measured_behind_long_elements(tmp_path, size):
    made = images.described(16, 16)
    made.TextValue = "x" * size
    found = images.encapsulated(made, JPEG, [b"compressed"])
    path = tmp_path / "data set"
    path.write_bytes(found.data)
    found = found._replace(payload=Payload(str(path), 0, len(found.data)))
    [(tag, measured)] = conversion.measure([Order(found, EXPLICIT, "1.2.3")])
    assert (tag, measured) == (CONVERTIBLE, images.native(made, bytes(256)).length)
