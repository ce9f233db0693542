"""The members of archives: what is found, what its bytes are, and why something is not read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import zstandard

from asyncstore.discovery.finding import Finder
from asyncstore.discovery.inflating import COMPRESSIONS, inflated
from asyncstore.discovery.limits import ArchiveLimits
from asyncstore.discovery.spool import Spool
from asyncstore.discovery.unpacking import unpacked
from asyncstore.discovery.walk import WalkOptions, walk
from asyncstore.model import SourceFile

FILES = {"a.dcm": b"first" * 300, "dir/b.dcm": b"second" * 7, "dir/empty": b""}
ARCHIVED = {f"x!{name}": data for name, data in FILES.items()}
MORE = b"more bytes than the interpreter's caches, and not the same all over\n" * 20_000
SOME = MORE[:100_000]


LIMITS = ArchiveLimits()


def found(path, limits=LIMITS, **options):
    """What the walk finds at a path: the bytes of each file, or why it cannot be sent; by the end of its path."""
    spool = Spool()
    finder = Finder(limits, spool)
    results = {}
    ordinals = []
    try:
        for item in unpacked(walk([path], WalkOptions(**options), finder), spool, limits.file):
            ordinals.append(getattr(item, "file", item).ordinal)
            name = item.path.removeprefix(f"{Path(path).parent}/")
            assert name not in results
            results[name] = content(item) if isinstance(item, SourceFile) else item.reason
    finally:
        spool.close()
    assert ordinals == list(range(1, len(ordinals) + 1))
    return results


def content(file):
    part = getattr(file.path, "part", None)
    with Path(file.path if part is None else part.container).open("rb") as stream:
        stream.seek(part.offset if part else 0)
        return stream.read(part.length if part else -1)


def zipped(files=FILES, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(files=FILES, form=tarfile.GNU_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def put(tmp_path):
    """Writes a file and returns its path."""

    def write(data, name="x"):
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


PACKED = {
    "stored zip": zipped(),
    "deflated zip": zipped(method=zipfile.ZIP_DEFLATED),
    "bzip2 zip": zipped(method=zipfile.ZIP_BZIP2),
    "ustar": tarred(form=tarfile.USTAR_FORMAT),
    "gnu tar": tarred(),
    "pax tar": tarred(form=tarfile.PAX_FORMAT),
    "tar.gz": gzip.compress(tarred()),
    "tar.zst": zstandard.compress(tarred()),
    "tar.bz2": bz2.compress(tarred()),
    "tar.xz": lzma.compress(tarred()),
}

END_MARK = 7 * 512
"""Where that of the tars begins."""


class TestFormats:
    @pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
    def test_every_file_is_found_with_its_bytes_in_the_order_of_the_archive(self, packed, put):
        assert list(found(put(packed)).items()) == list(ARCHIVED.items())

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
    def test_a_compressed_file_is_an_archive_of_one_without_the_ending(self, compress, put):
        assert found(put(compress(SOME), "a.dcm.gz")) == {"a.dcm.gz!a.dcm": SOME}
        assert found(put(compress(SOME), "a.dcm")) == {"a.dcm!a.dcm": SOME}

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    def test_streams_that_follow_one_another_are_one(self, compress, put):
        assert found(put(compress(MORE) + compress(b"end"))) == {"x!x": MORE + b"end"}

    @pytest.mark.parametrize("kind", ["gzip", "Zstandard"])
    def test_the_end_of_a_stream_is_found_without_reading_far_beyond_it(self, kind, monkeypatch):
        stream, given = {"gzip": gzip.compress, "Zstandard": zstandard.compress}[kind](b"a"), []

        class Counting:
            def __init__(self):
                self._of = new()

            def __getattr__(self, name):
                return getattr(self._of, name)

            def decompress(self, data, most):
                given.append(len(data))
                return self._of.decompress(data, most)

        new = COMPRESSIONS[kind]
        monkeypatch.setitem(COMPRESSIONS, kind, Counting)
        assert b"".join(inflated(iter([stream * 5000]), kind, lambda _: None)) == b"a" * 5000
        assert max(given) <= 1 << 13  # decompressors copy what follows

    @pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "Zstandard"])
    def test_zeros_between_streams_are_passed_over_however_long_they_are(self, kind):
        compress = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "Zstandard": zstandard.compress}
        data = compress[kind](b"one") + bytes(30_000) + compress[kind](b"two") + bytes(30_000)
        for size in (1, 1000, len(data)):
            pieces = (data[at : at + size] for at in range(0, len(data), size))
            assert b"".join(inflated(pieces, kind, lambda _: None)) == b"onetwo"

    def test_zeros_may_follow_a_stream(self, put):
        assert found(put(gzip.compress(b"all") + bytes(1000))) == {"x!x": b"all"}

    def test_zip64_sizes_and_offsets_are_read(self, put, tmp_path):
        path = str(tmp_path / "x")
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in FILES.items():
                with archive.open(name, "w", force_zip64=True) as member:
                    member.write(data)
        assert found(path) == ARCHIVED
        data = bytearray((tmp_path / "x").read_bytes())
        # a central directory that leaves all to the zip64 record and the extra fields
        end = data.rindex(b"PK\5\6")
        number, size, start = (
            int.from_bytes(data[end + at : end + at + n], "little") for at, n in ((10, 2), (12, 4), (16, 4))
        )
        record = (
            b"PK\6\6"
            + (44).to_bytes(8, "little")
            + bytes(12)
            + b"".join(value.to_bytes(8, "little") for value in (number, number, size, start))
        )
        locator = b"PK\6\7" + bytes(4) + end.to_bytes(8, "little") + (1).to_bytes(4, "little")
        last = b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2)
        assert found(put(bytes(data[:end]) + record + locator + last)) == ARCHIVED

    def test_members_with_data_descriptors_are_read(self, put):
        class Unseekable(io.BytesIO):
            def seekable(self):
                return False

            def tell(self):
                raise OSError

        stream = Unseekable()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.dcm", MORE)
        assert stream.getvalue()[6] & 8
        assert found(put(stream.getvalue())) == {"x!a.dcm": MORE}

    @pytest.mark.slow
    def test_a_central_directory_of_several_pages_is_read_whole(self, put, monkeypatch):
        monkeypatch.setattr("asyncstore.discovery.zip._PAGE", 1 << 18)
        files = {f"{'directory' * 20}/{number}": b"%d" % number for number in range(2000)}
        assert found(put(zipped(files))) == {f"x!{name}": data for name, data in files.items()}

    def test_a_comment_of_a_zip_may_hold_a_signature(self, put):
        stream = io.BytesIO(zipped())
        with zipfile.ZipFile(stream, "a") as archive:
            archive.comment = b"a comment PK\6\6 of some length" * 100
        assert found(put(stream.getvalue())) == ARCHIVED

    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_long_names_of_tars_are_whole(self, form, put):
        name = "/".join(["directory" * 10] * 5) + "/\u00e4.dcm"
        assert found(put(tarred({name: b"data"}, form))) == {f"x!{name}": b"data"}

    @pytest.mark.parametrize("compress", [bytes, gzip.compress])
    def test_tars_that_follow_one_another_are_one(self, compress, put):
        halves = {"a": b"a", "b": MORE}, {"c": b"c"}
        assert found(put(b"".join(compress(tarred(half)) for half in halves))) == {
            f"x!{name}": data for half in halves for name, data in half.items()
        }

    def test_other_bytes_behind_the_end_mark_of_a_tar_are_passed_over(self, put):
        for rest in (b"other bytes" * 1000, bytes(1 << 21) + tarred({"far": b"away"})):
            assert found(put(tarred({"a": b"a"}) + rest)) == {"x!a": b"a"}

    def test_a_file_of_a_tar_is_one_even_if_its_name_is_that_of_a_directory(self, put):
        assert found(put(tarred({"d/": b"", "e/": b"data"}))) == {"x!e/": b"data"}

    def test_a_digital_signature_of_a_zip_is_no_member(self, put):
        data = zipped()
        end = data.rindex(b"PK\5\6")
        signature = b"PK\5\5" + (10).to_bytes(2, "little") + b"0123456789"
        size = int.from_bytes(data[end + 12 : end + 16], "little") + len(signature)
        signed = data[:end] + signature + data[end : end + 12] + size.to_bytes(4, "little") + data[end + 16 :]
        assert found(put(signed)) == ARCHIVED

    def test_binary_sizes_of_gnu_tars_are_read(self, put):
        data = bytearray(tarred({"a": b"12345"}))
        data[124:136] = b"\x80" + (5).to_bytes(11, "big")
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        assert found(put(bytes(data))) == {"x!a": b"12345"}

    def test_a_dicom_file_is_no_archive_whatever_its_preamble(self, put):
        data = zipped()[:100].ljust(128, b"\0") + b"DICM" + zipped()
        assert found(put(data)) == {"x": data}

    def test_other_files_are_left_as_they_are(self, put):
        assert found(put(b"")) == {"x": b""}
        assert found(put(b"text")) == {"x": b"text"}
        assert found(put(bytes(5000))) == {"x": bytes(5000)}

    def test_archives_are_files_where_they_are_not_asked_for(self, put):
        assert [item.path for item in walk(put(zipped()))] == [put(zipped())]

    def test_archives_in_directories_are_opened_too(self, put, tmp_path):
        put(zipped({"1": b"one"}), "b.zip")
        put(b"file", "a")
        put(gzip.compress(tarred({"2": b"two"})), "c.tgz")
        names = ("a", b"file"), ("b.zip!1", b"one"), ("c.tgz!2", b"two")
        assert found(str(tmp_path)) == {f"{tmp_path.name}/{name}": data for name, data in names}

    def test_a_repeated_member_is_delivered_as_often_as_asked(self, put):
        spool = Spool()
        finder = Finder(ArchiveLimits(), spool)
        options = WalkOptions(repeat=3)
        path = put(gzip.compress(b"data"))
        items = list(unpacked(walk(path, options, finder), spool, 100))
        assert [content(item) for item in items] == [b"data"] * 3
        for item in items[:2]:
            item.path.release()
        assert spool.held == 4
        items[2].path.release()
        spool.close()
        assert spool.held == 0

    @pytest.mark.parametrize("packed", [gzip.compress(SOME), zipped({"a": SOME}, zipfile.ZIP_DEFLATED)])
    def test_a_repeated_member_is_there_even_if_its_first_delivery_has_ended(self, packed, put):
        spool = Spool(1)
        for item in unpacked(walk(put(packed), WalkOptions(repeat=3), Finder(LIMITS, spool)), spool, LIMITS.file):
            assert content(item) == SOME
            item.path.release()
        spool.close()


class TestNested:
    OUTER: ClassVar = ("zip", "deflated zip", "tar", "tar.gz")
    INNER: ClassVar = {
        "i.zip": zipped(),
        "j.zip": zipped(method=zipfile.ZIP_DEFLATED),
        "t.tar": tarred(),
        "t.tgz": gzip.compress(tarred()),
    }

    def outer(self, kind, files):
        if "zip" in kind:
            return zipped(files, zipfile.ZIP_DEFLATED if "deflated" in kind else zipfile.ZIP_STORED)
        return tarred(files) if kind == "tar" else gzip.compress(tarred(files))

    @pytest.mark.parametrize("kind", OUTER)
    def test_an_archive_in_an_archive_is_opened(self, kind, put):
        files = {**self.INNER, "c.dcm.gz": gzip.compress(b"c"), "d.dcm": b"d"}
        expected = {f"x!{inner}!{name}": data for inner in self.INNER for name, data in FILES.items()}
        assert found(put(self.outer(kind, files))) == {**expected, "x!c.dcm.gz!c.dcm": b"c", "x!d.dcm": b"d"}

    def test_the_third_one_is_a_file(self, put):
        third = zipped({"a": b"a"})
        assert found(put(tarred({"2.zip": zipped({"3.zip": third})}))) == {"x!2.zip!3.zip": third}

    def test_a_damaged_one_costs_only_itself(self, put):
        files = {"1.zip": zipped()[:-30], "2.gz": gzip.compress(MORE)[:1000], "3": b"3"}
        results = found(put(tarred(files)))
        assert results["x!3"] == b"3"
        assert (
            results["x!1.zip"]
            == "an archive that cannot be read to its end: it is cut off: its central directory is missing"
        )
        assert results["x!2.gz!2"] == "it is cut off: its compressed bytes have no end"
        assert len(results) == 3

    def test_an_inner_archive_larger_than_the_spool_does_not_block(self, put):
        spool = Spool(1 << 12)
        inner = zipped({"a": MORE, "b": MORE}, zipfile.ZIP_DEFLATED)
        path = put(gzip.compress(tarred({"i.zip": inner + b"", "pad": os.urandom(1 << 13)})))
        sizes = []
        for item in unpacked(walk(path, WalkOptions(), Finder(ArchiveLimits(), spool)), spool, 1 << 30):
            sizes.append(len(content(item)))
            item.path.release()
        spool.close()
        assert sizes == [len(MORE), len(MORE), 1 << 13]


class TestNumbersOfTars:
    def with_header(self, size, text=b"", kind=b"0"):
        header = bytearray(tarred({"a": b""})[:512])
        header[124:136], header[156:157] = size.ljust(12, b"\0"), kind
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + text + bytes(-len(text) % 512) + tarred()

    @pytest.mark.parametrize("size", [b"-1005", b"1_0", b"+5", b"0o7"])
    def test_a_size_with_anything_but_digits_is_damage(self, size, put):
        reason = "an archive that cannot be read to its end: it is damaged: a header has another checksum"
        assert found(put(self.with_header(size))) == {"x": reason}

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (b"6011 size=%s\n" % (b"9" * 6000), "a size is no number"),
            (b"9" * 6000, "a pax header cannot be read"),
            (b"7 size\n99999", "a pax header cannot be read"),
        ],
    )
    def test_pax_records_with_numbers_of_thousands_of_digits_are_damage(self, record, reason, put):
        archive = self.with_header(b"%o" % len(record), record, b"x")
        assert found(put(archive)) == {"x": f"an archive that cannot be read to its end: it is damaged: {reason}"}


class TestNames:
    def test_names_of_zips_are_utf_8_or_code_page_437_or_kept(self, put):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("\u00e4.dcm", b"flagged")
            archive.writestr("XXX1.dcm", b"437")
            archive.writestr("YY1.dcm", b"utf-8")
            archive.writestr("\u00e9\u00e9.dcm", b"kept")
        data = stream.getvalue().replace(b"XXX1", b"\x81\x84\x941").replace(b"YY1", "\u00fc1".encode())
        data = data.replace("\u00e9\u00e9.dcm".encode(), b"\xff\xfe\xff\xff.dcm")
        assert list(found(put(data))) == [
            "x!\u00e4.dcm",
            "x!\u00fc\u00e4\u00f61.dcm",
            "x!\u00fc1.dcm",
            "x!\udcff\udcfe\udcff\udcff.dcm",
        ]

    def test_undecodable_names_of_tars_are_kept(self, put):
        data = tarred({"XY.dcm": b"data"}).replace(b"XY.dcm", b"\xff\xfe.dcm")
        header = bytearray(data[:512])
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert found(put(bytes(header) + data[512:])) == {"x!\udcff\udcfe.dcm": b"data"}

    def test_names_that_lead_elsewhere_are_only_shown(self, put, tmp_path):
        names = ("../../etc/passwd", "/absolute/name", "C:\\windows\\name", "a/../../b")
        for pack in (zipped, tarred):
            assert found(put(pack(dict.fromkeys(names, b"data")))) == {f"x!{name}": b"data" for name in names}
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_a_member_is_found_by_its_name_even_beside_a_file_with_the_beginning_of_that_name(self, put):
        put(b"no archive", "a")
        archive = put(zipped({"c!d": b"data"}), "a!b.zip")
        assert found(f"{archive}!c!d") == {"a!b.zip!c!d": b"data"}

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_equal_names_are_told_apart(self, put):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for number in range(3):
                archive.writestr("a", b"%d" % number)
        assert found(put(stream.getvalue())) == {"x!a": b"0", "x!a#2": b"1", "x!a#3": b"2"}

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_thousands_of_equal_names_are_told_apart(self, put):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for _ in range(5000):
                archive.writestr("a", b"")
        assert list(found(put(stream.getvalue())))[-1] == "x!a#5000"


class TestNotRead:
    def test_links_devices_and_fifos_are_shown_and_not_followed(self, put):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for number, kind in enumerate(
                (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
            ):
                entry = tarfile.TarInfo(f"m{number}")
                entry.type, entry.linkname = kind, "/etc/passwd"
                archive.addfile(entry)
        reasons = [
            "a hard link in an archive, which is not followed",
            "a symbolic link in an archive, which is not followed",
            "not a regular file but a character device",
            "not a regular file but a block device",
            "not a regular file but a FIFO",
        ]
        assert found(put(stream.getvalue())) == {f"x!m{number}": reason for number, reason in enumerate(reasons)}

    def test_a_symbolic_link_in_a_zip_is_not_followed(self, put):
        entry = zipfile.ZipInfo("link")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry, "/etc/passwd")
        assert found(put(stream.getvalue())) == {"x!link": "a symbolic link in an archive, which is not followed"}

    def test_an_encrypted_member_is_not_read(self, put):
        data = bytearray(zipped({"a": b"data", "b": b"data"}))
        data[6] |= 1
        data[data.index(b"PK\1\2") + 8] |= 1
        assert found(put(bytes(data))) == {"x!a": "it is encrypted", "x!b": b"data"}

    def test_an_unknown_method_is_named(self, put):
        data = bytearray(zipped({"a": b"data"}))
        data[data.index(b"PK\1\2") + 10] = 9
        assert found(put(bytes(data))) == {"x!a": "it is compressed by a method that is not read here: Deflate64"}

    def test_a_sparse_file_is_not_read(self, put):
        data = bytearray(tarred({"a": b"data", "b": b"b"}))
        data[156] = ord("S")
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        assert found(put(bytes(data))) == {"x!a": "a sparse file, which is not read from archives", "x!b": b"b"}

    def test_an_empty_archive_is_said_to_be_empty(self, put):
        for data in (zipped({}), tarred({"dir/": b""})):
            assert found(put(data)) == {"x": "an archive without a file"}

    def test_a_missing_library_is_named(self, put, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
        [(name, reason)] = found(put(PACKED["tar.zst"])).items()
        assert name == "x"
        assert "install asyncstore with its extra archives" in reason


class TestDamage:
    def test_another_crc_is_noticed_of_deflated_members(self, put):
        data = bytearray(zipped({"a": MORE, "b": b"b"}, zipfile.ZIP_DEFLATED))
        data[data.index(b"PK\1\2") + 16] ^= 1
        assert found(put(bytes(data))) == {
            "x!a": "it is damaged: its CRC-32 is another one than the archive says",
            "x!b": b"b",
        }

    def test_stored_members_bring_their_crc_for_the_probe(self, put):
        spool = Spool()
        [file] = unpacked(walk(put(zipped({"a": MORE})), WalkOptions(), Finder(ArchiveLimits(), spool)), spool, 1 << 30)
        assert file.path.part.crc == zlib.crc32(MORE)
        spool.close()

    @pytest.mark.parametrize("change", [-1, 1])
    def test_a_wrong_size_is_noticed(self, change, put):
        data = bytearray(zipped({"a": MORE}, zipfile.ZIP_DEFLATED))
        at = data.index(b"PK\1\2") + 24
        data[at : at + 4] = (len(MORE) + change).to_bytes(4, "little")
        [reason] = found(put(bytes(data))).values()
        assert reason == f"it is damaged: it unpacks to {'more' if change < 0 else 'fewer'} bytes than the archive says"

    def test_damaged_deflated_bytes_cost_one_member(self, put):
        data = bytearray(zipped({"a": MORE, "b": b"b"}, zipfile.ZIP_DEFLATED))
        data[100:110] = bytes(10)
        results = found(put(bytes(data)))
        assert results["x!a"] == "it is damaged: its compressed bytes are wrong"
        assert results["x!b"] == b"b"

    @pytest.mark.parametrize("name", PACKED)
    def test_an_archive_that_is_cut_off_says_so_and_keeps_what_it_has(self, name, put):
        whole = PACKED[name]
        if name in ("ustar", "gnu tar", "pax tar"):
            whole = whole[: END_MARK + 1]  # zeros follow
        for left in {600, len(whole) // 2, len(whole) * 3 // 4, len(whole) - 1} & set(range(40, len(whole))):
            results = found(put(whole[:left]))
            assert any(isinstance(result, str) for result in results.values()), left
            kept = {key: value for key, value in results.items() if isinstance(value, bytes)}
            assert ARCHIVED.items() >= kept.items()

    @pytest.mark.parametrize("name", PACKED)
    def test_any_changed_byte_ends_in_an_outcome_of_each_member_and_in_nothing_else(self, name, put):
        whole = PACKED[name]
        for at in range(0, len(whole), max(1, len(whole) // 60)):
            data = bytearray(whole)
            data[at] ^= 0xFF
            for result in found(put(bytes(data))).values():
                assert isinstance(result, (bytes, str))

    def test_a_damaged_header_in_the_middle_ends_a_tar_with_a_reason(self, put):
        data = bytearray(tarred())
        data[2048 + 150] ^= 0xFF
        results = found(put(bytes(data)))
        assert results == {
            "x!a.dcm": FILES["a.dcm"],
            "x": "an archive that cannot be read to its end: it is damaged: a header has another checksum",
        }

    def test_a_damaged_stream_is_named_as_the_reason_for_what_follows(self, put):
        whole = tarred({"a": os.urandom(5000), "b": b"b", "c": b"c"})
        results = found(put(gzip.compress(whole[:3000]) + b"and others"))
        assert all(isinstance(result, str) and "it is damaged: " in result for result in results.values())
        assert results["x"].startswith("an archive that cannot be read to its end: it is damaged: ")

    @pytest.mark.parametrize("number", [1, 2, 4, 100])
    def test_a_central_directory_counts_whatever_number_of_files_the_end_of_a_zip_says(self, number, put):
        data = bytearray(zipped())
        end = data.rindex(b"PK\5\6")
        data[end + 8 : end + 12] = number.to_bytes(2, "little") * 2
        results = found(put(bytes(data)))
        assert "holds another number of files than it says" in results.pop("x")
        assert results == ARCHIVED

    def test_a_zip_of_more_files_than_its_end_can_say_is_whole(self, put, monkeypatch):
        """Programs that do not know zip64 write the last bits of the number."""
        monkeypatch.setattr("asyncstore.discovery.zip._MAX_16", 1)
        data = bytearray(zipped())
        end = data.rindex(b"PK\5\6")
        data[end + 8 : end + 12] = (1).to_bytes(2, "little") * 2
        data[end + 4 : end + 8] = bytes(4)
        assert found(put(bytes(data))) == ARCHIVED

    def test_of_zips_that_follow_one_another_the_last_is_read_and_the_others_are_reported(self, put):
        results = found(put(zipped() + zipped({name: data[::-1] for name, data in FILES.items()})))
        assert "another archive stands before it, which is not read" in results.pop("x")
        assert results == {name: data[::-1] for name, data in ARCHIVED.items()}

    def test_a_size_below_zero_ends_a_tar(self, put):
        header = bytearray(tarred()[:512])
        header[124:136] = b"-0000000010\0"
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        [reason] = found(put(bytes(header) + tarred()[512:])).values()
        assert "a header has another checksum" in reason

    def test_a_zip_of_several_parts_is_not_read(self, put):
        data = bytearray(zipped())
        data[data.rindex(b"PK\5\6") + 4] = 3
        [reason] = found(put(bytes(data))).values()
        assert reason.endswith("it is one part of several, and the others are not read")


class TestRefusedByTheBeginning:
    """A large file that holds no instance."""

    def found(self, path):
        spool = Spool()
        walked = walk(path, WalkOptions(), Finder(LIMITS, spool))
        results = [
            content(item) if isinstance(item, SourceFile) else item.reason
            for item in unpacked(walked, spool, LIMITS.file, lambda start: "no" if start.startswith(b"no") else None)
        ]
        spool.close()
        return results

    @pytest.mark.slow
    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, partial(lzma.compress, preset=0)])
    def test_it_is_not_unpacked_to_its_end(self, compress, put):
        cut = compress(b"no" + os.urandom(1 << 22))[: 3 << 20]
        assert self.found(put(cut)) == ["no"], "that it is cut off shows at its end only"

    def test_the_members_behind_it_are_found(self, put):
        files = {"a": b"a", "large": b"no" + bytes(1 << 21), "b": MORE}
        for packed in (gzip.compress(tarred(files)), zipped(files, zipfile.ZIP_DEFLATED)):
            assert self.found(put(packed)) == [b"a", "no", MORE]

    def test_a_bomb_behind_it_is_named(self, put, monkeypatch):
        monkeypatch.setattr("asyncstore.discovery.limits._FREE", 1 << 22)
        path = put(gzip.compress(tarred({"large": b"no" + bytes(1 << 23)})))
        first, second = self.found(path)
        assert (first, "more bytes than so many times its size" in second) == ("no", True)

    def test_small_ones_and_those_with_the_prefix_are_left_to_the_probe(self, put):
        for data in (b"no" * 9, b"no".ljust(128, b"\0") + b"DICM" + bytes(1 << 21), bytes(1 << 21)):
            assert self.found(put(gzip.compress(data))) == [data]


class TestLimits:
    @pytest.mark.slow
    def test_a_bomb_ends_at_the_ratio(self, put, monkeypatch):
        monkeypatch.setattr("asyncstore.discovery.limits._FREE", 1 << 20)
        bomb = zipped({f"{number}": bytes(1 << 20) for number in range(80)}, zipfile.ZIP_DEFLATED)
        results = found(put(bomb))
        assert results["x"] == (
            "an archive that cannot be read to its end:"
            " it unpacks to more bytes than so many times its size may be (200)"
        )
        assert sum(isinstance(result, bytes) for result in results.values()) <= 200 * len(bomb) >> 20

    @pytest.mark.slow
    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    def test_a_bomb_of_one_file_takes_no_memory_and_no_disk(self, compress, put):
        bomb = put(compress(bytes(1 << 26)))
        spool = Spool(1 << 20)
        limits = ArchiveLimits(file=1 << 22)
        [item] = unpacked(walk(bomb, WalkOptions(), Finder(limits, spool)), spool, limits.file)
        assert item.reason == f"it unpacks to more bytes than a file may have ({1 << 22} bytes)"
        assert spool.held == 0
        spool.close()

    def test_files_that_share_their_bytes_are_counted_each(self, put, monkeypatch):
        monkeypatch.setattr("asyncstore.discovery.limits._FREE", 1 << 16)
        data = zipped({"a": bytes(1 << 14)})
        start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
        entry = data[start:end]
        last = b"PK\5\6" + bytes(4) + (500).to_bytes(2, "little") * 2
        last += (500 * len(entry)).to_bytes(4, "little") + start.to_bytes(4, "little") + bytes(2)
        results = found(put(data[:start] + entry * 500 + last), ArchiveLimits(ratio=2))
        assert "more bytes than so many times its size" in results["x"]
        assert len(results) < 10

    def test_the_total_the_number_and_the_size_of_a_file_are_limited(self, put):
        path = put(zipped({"a": b"1" * 100, "b": b"2" * 100, "c": b"3" * 100}))
        assert "more files than an archive may hold (2)" in found(path, ArchiveLimits(members=2))["x"]
        assert "more bytes than an archive may hold (250)" in found(path, ArchiveLimits(total=250))["x"]
        assert set(found(path, ArchiveLimits(file=99)).values()) == {
            "it is larger than a file in an archive may be (99 bytes)"
        }
