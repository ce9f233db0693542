"""Re-encoded data sets are those that pydicom writes."""

import subprocess
import sys
import warnings
import zlib
from contextlib import suppress
from copy import deepcopy
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from asyncstore.prepare.encoding import ENCODINGS, DamagedDataSet, Unconvertible, encoding_of
from asyncstore.prepare.reencode import YOUNG_VRS, Changes, NotCompressed, reencode
from support.examples import examples
from support.trees import deflated

IMPLICIT, EXPLICIT, DEFLATED, BIG = ENCODINGS.values()
IMPLICIT_UID, EXPLICIT_UID, DEFLATED_UID, BIG_UID = ENCODINGS
PLAIN = (IMPLICIT, EXPLICIT, BIG)
LITTLE = (IMPLICIT, EXPLICIT, DEFLATED)
NOTHING = Changes()


WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""The VRs whose values pydicom does not swap."""


def written(data_set, encoding):
    """The data set as pydicom writes it, before it is deflated."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = encoding.is_implicit, encoding.is_little
    if not encoding.is_little:
        data_set = deepcopy(data_set)
        data_set.walk(swap)
    with warnings.catch_warnings(action="ignore"):  # some values are longer than pydicom thinks right
        write_dataset(stream, data_set)
    return stream.getvalue()


def swap(_, element):
    width = WIDTHS.get(element.VR)
    if width and element.value:
        value = element.value
        element.value = b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))


def inflated(data):
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)


def encoded(data_set, encoding):
    plain = written(data_set, encoding)
    return deflated(plain) if encoding.is_deflated else plain


def changed(data, source, target, changes=NOTHING):
    """The result, inflated."""
    result = b"".join(reencode(data, source, target, changes))
    assert len(result) % 2 == 0
    return inflated(result) if target.is_deflated else result


def data_set_of(*elements):
    data_set = Dataset()
    for tag, vr, value in elements:
        data_set.add_new(tag, vr, value)
    return data_set


# Any data set in any encoding.


def _binary(width):
    return st.binary(max_size=4).map(lambda value: value * width)


def _integers(bits, *, is_signed):
    half = 1 << (bits - 1)
    return st.lists(st.integers(-half, half - 1) if is_signed else st.integers(0, 2 * half - 1), max_size=3)


_TEXT = st.text("ABC xyz.", max_size=20).map(str.strip)
_VALUES = {
    "AE": st.sampled_from(["", "STORESCP"]),
    "AS": st.just("042Y"),
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=3),
    "CS": st.sampled_from(["", "CT", ["ORIGINAL", "PRIMARY"]]),
    "DA": st.sampled_from(["", "20240229"]),
    "DS": st.sampled_from(["", "1.5", ["-2", "3e4"]]),
    "DT": st.just("20240229120000.5"),
    "FD": st.lists(st.floats(allow_nan=False), max_size=3),
    "FL": st.lists(st.floats(allow_nan=False, width=32), max_size=3),
    "IS": st.sampled_from(["", "12"]),
    "LO": _TEXT,
    "LT": _TEXT,
    "OB": _binary(2),
    "OD": _binary(8),
    "OF": _binary(4),
    "OL": _binary(4),
    "OV": _binary(8),
    "OW": _binary(2),
    "PN": st.sampled_from(["", "Doe^Jane"]),
    "SH": _TEXT.map(lambda text: text[:16]),
    "SL": _integers(32, is_signed=True),
    "SS": _integers(16, is_signed=True),
    "ST": _TEXT,
    "SV": _integers(64, is_signed=True),
    "TM": st.just("120000"),
    "UC": _TEXT,
    "UI": st.sampled_from(["", "1.2.3", "1.2.34"]),
    "UL": _integers(32, is_signed=False),
    "UN": _binary(2),
    "UR": st.just("http://localhost/"),
    "US": _integers(16, is_signed=False),
    "UT": _TEXT,
    "UV": _integers(64, is_signed=False),
}
_KEYWORDS = {
    "AE": "RetrieveAETitle",
    "AS": "PatientAge",
    "AT": "FrameIncrementPointer",
    "CS": "ImageType",
    "DA": "StudyDate",
    "DS": "SliceThickness",
    "DT": "AcquisitionDateTime",
    "FD": "TimeRange",
    "FL": "RecommendedDisplayFrameRateInFloat",
    "IS": "InstanceNumber",
    "LO": "Manufacturer",
    "LT": "PatientComments",
    "OB": "EncapsulatedDocument",
    "OD": "DoubleFloatPixelData",
    "OF": "FloatPixelData",
    "OL": "LongPrimitivePointIndexList",
    "OV": "SelectorOVValue",
    "OW": "RedPaletteColorLookupTableData",
    "PN": "PatientName",
    "SH": "AccessionNumber",
    "SL": "ReferencePixelX0",
    "SS": "TagAngleSecondAxis",
    "ST": "InstitutionAddress",
    "SV": "SelectorSVValue",
    "TM": "StudyTime",
    "UC": "LongCodeValue",
    "UI": "StudyInstanceUID",
    "UL": "SimpleFrameList",
    "UN": "SelectorUNValue",
    "UR": "RetrieveURL",
    "US": "Rows",
    "UT": "TextValue",
    "UV": "FileOffsetInContainer",
}
_SEQUENCES = ["ReferencedSeriesSequence", "ContentSequence"]
_CREATOR = (0x00110010, "LO", "A PRIVATE CREATOR")


@cache
def _elements(private_vrs):
    public = [st.tuples(st.just(tag_for_keyword(_KEYWORDS[vr])), st.just(vr), _VALUES[vr]) for vr in _VALUES]
    tags = st.integers(0x00111000, 0x001110FF)
    return st.lists(st.one_of(public + [st.tuples(tags, st.just(vr), _VALUES[vr]) for vr in private_vrs]), max_size=5)


def _item(elements, sequences, has_undefined_length):
    item = data_set_of(_CREATOR, *elements)
    for keyword, (items, is_undefined) in zip(_SEQUENCES, sequences, strict=False):
        sequence = DataElement(tag_for_keyword(keyword), "SQ", [deepcopy(one) for one in items])
        sequence.is_undefined_length = is_undefined
        item.add(sequence)
    item.is_undefined_length_sequence_item = has_undefined_length
    return item


@cache
def _data_sets(private_vrs):
    """Data sets with elements of every VR, and sequences whose length is defined or not, in some depth."""
    elements = _elements(private_vrs)
    return st.recursive(
        st.builds(_item, elements, st.just([]), st.booleans()),
        lambda items: st.builds(
            _item, elements, st.lists(st.tuples(st.lists(items, max_size=2), st.booleans()), max_size=2), st.booleans()
        ),
        max_leaves=6,
    )


_ANY = tuple(_VALUES)


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(_data_sets(_ANY), st.sampled_from([EXPLICIT, DEFLATED, BIG]), st.sampled_from([*ENCODINGS.values()]))
def test_a_data_set_with_vrs_becomes_in_any_encoding_what_pydicom_writes(data_set, source, target):
    assert changed(encoded(data_set, source), source, target) == written(data_set, target)


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(_data_sets(("UN",)), st.sampled_from([*ENCODINGS.values()]))
def test_a_data_set_without_vrs_gets_those_of_the_dictionary(data_set, target):
    assert changed(encoded(data_set, IMPLICIT), IMPLICIT, target) == written(data_set, target)


@pytest.mark.slow
@settings(max_examples=examples(100), deadline=None)
@given(_data_sets(_ANY), st.sampled_from([BIG, DEFLATED]))
def test_there_and_back_it_is_as_it_was(data_set, there):
    data = written(data_set, EXPLICIT)
    assert changed(b"".join(reencode(data, EXPLICIT, there, NOTHING)), there, EXPLICIT) == data


# What is special.


def test_group_lengths_are_left_out_in_all_depths():
    item = data_set_of((0x00080000, "UL", 4), (0x00080060, "CS", "CT"))
    data = written(data_set_of((0x00080000, "UL", 99), (0x00081115, "SQ", [item])), EXPLICIT)
    without = data_set_of((0x00081115, "SQ", [data_set_of((0x00080060, "CS", "CT"))]))
    assert changed(data, EXPLICIT, IMPLICIT) == written(without, IMPLICIT)


def test_compressed_pixel_data_is_copied_as_it_is():
    fragments = (
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00\xff\xd8\xff\xd9\xfe\xff\xdd\xe0\0\0\0\0"
    )
    data = (
        b"\x08\x00\x00\x00UL\x04\x00\x0c\0\0\0\x08\x00\x60\x00CS\x02\x00CT\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
        + fragments
    )
    jpeg = encoding_of("1.2.840.10008.1.2.4.50")
    assert changed(data, jpeg, jpeg) == data[12:]
    for end in range(len(data) - len(fragments), len(data)):
        with pytest.raises(DamagedDataSet):
            reencode(data[:end], jpeg, jpeg, NOTHING)


def test_a_data_set_without_pixel_data_goes_into_compressed_transfer_syntaxes_too():
    jpeg = encoding_of("1.2.840.10008.1.2.4.50")
    icon = data_set_of((0x00280010, "US", 1), (0x7FE00010, "OW", b"\1\2"))
    data_set = data_set_of((0x00080060, "CS", "SR"), (0x00880200, "SQ", [icon]))
    for source in PLAIN:
        assert changed(written(data_set, source), source, jpeg) == written(data_set, EXPLICIT)
    data_set.add_new(0x7FE00010, "OW", b"")
    for source in PLAIN:
        with pytest.raises(NotCompressed):
            reencode(written(data_set, source), source, jpeg, NOTHING)


def test_a_sequence_that_came_as_unknown_is_one_again():
    """PS3.5 6.2.2: UN of undefined length holds items in implicit VR little endian."""
    item = data_set_of((0x00080060, "CS", "CT"), (0x00280010, "US", 512))
    sequence = DataElement(0x00111001, "SQ", [item])
    sequence.is_undefined_length = True
    data_set = Dataset()
    data_set.add(sequence)
    body = written(data_set, IMPLICIT)[8:]
    for source, head in ((EXPLICIT, b"\x11\x00\x01\x10UN\0\0"), (BIG, b"\x00\x11\x10\x01UN\0\0")):
        data = head + b"\xff\xff\xff\xff" + body
        for target in PLAIN:
            assert changed(data, source, target) == written(data_set, target)


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_the_pixel_representation_tells_whether_pixel_values_are_signed(representation, vr, value):
    inner = data_set_of((0x00280103, "US", 1 - representation), (0x00280106, "US" if representation else "SS", 1))
    data_set = data_set_of((0x00280103, "US", representation), (0x00280106, vr, value), (0x00289145, "SQ", [inner]))
    data_set.add_new(0x00409216, vr, value)  # after the sequence
    assert changed(written(data_set, IMPLICIT), IMPLICIT, EXPLICIT) == written(data_set, EXPLICIT)


def test_pixel_data_that_names_no_vr_is_ow():
    data_set = data_set_of((0x00280100, "US", 8), (0x7FE00010, "OW", b"\1\2\3\4"))
    assert changed(written(data_set, IMPLICIT), IMPLICIT, BIG) == written(data_set, BIG)


def test_an_element_that_the_dictionary_does_not_know_is_unknown():
    data_set = data_set_of((0x00090003, "UN", b"ab"), (0x00110010, "LO", "OWNER "), (0x00111001, "UN", b"cd"))
    data_set.add_new(0x00280001, "UN", b"ef")
    assert changed(written(data_set, IMPLICIT), IMPLICIT, EXPLICIT) == written(data_set, EXPLICIT)


@pytest.mark.parametrize(("changes", "vr"), [(NOTHING, b"UN"), (Changes(new_vrs=False), b"OB")])
def test_a_value_too_long_for_its_vr_gets_another(changes, vr):
    """PS3.5 6.2.2: most VRs have a length of 16 bits."""
    for length, expected in ((0xFFFE, b"LT\xfe\xff"), (0x10000, vr + b"\0\0\0\0\1\0")):
        text = b"x" * length
        data = b"\x10\x00\x00\x40" + length.to_bytes(4, "little") + text
        assert changed(data, IMPLICIT, EXPLICIT, changes) == b"\x10\x00\x00\x40" + expected + text


@pytest.mark.parametrize("target", [EXPLICIT, BIG])
def test_new_vrs_become_ob_if_they_are_not_wanted(target):
    keywords = [_KEYWORDS[vr.decode()] for vr in sorted(YOUNG_VRS)]
    values = {"UC": "abcd", "UR": "ab", "UT": "ab", "SV": -2, "UV": 2}
    given = data_set_of(
        *[
            (tag_for_keyword(_KEYWORDS[vr]), vr, values.get(vr, bytes(8)))
            for vr in _KEYWORDS
            if vr.encode() in YOUNG_VRS
        ]
    )
    result = changed(written(given, EXPLICIT), EXPLICIT, target, Changes(new_vrs=False))
    as_new = written(given, target)
    for vr in YOUNG_VRS:
        as_new = as_new.replace(vr + b"\0\0", b"OB\0\0")
    assert len(keywords) == len(given)
    assert result == as_new
    assert changed(written(given, EXPLICIT), EXPLICIT, IMPLICIT, Changes(new_vrs=False)) == written(given, IMPLICIT)


def test_large_values_are_not_copied():
    data = written(data_set_of((0x7FE00010, "OW", bytes(1 << 20))), EXPLICIT)
    *_, value = reencode(data, EXPLICIT, IMPLICIT, NOTHING)
    assert isinstance(value, memoryview)
    assert value.obj is data


@pytest.mark.parametrize("level", range(10))
def test_the_level_of_deflating_is_obeyed(level):
    data = written(data_set_of((0x7FE00010, "OB", b"\1\2" * 5000)), EXPLICIT)
    result = b"".join(reencode(data, EXPLICIT, DEFLATED, Changes(deflate_level=level)))
    assert inflated(result) == data
    assert (len(result) > len(data)) == (level == 0)


def test_a_deflated_data_set_that_would_be_of_odd_length_is_padded():
    """PS3.5 A.5."""
    lengths = set()
    for size in range(2, 200, 2):
        data = written(data_set_of((0x00420011, "OB", bytes(range(size)))), EXPLICIT)
        lengths.add(len(deflated(data)) % 2)
        assert changed(data, EXPLICIT, DEFLATED) == data
    assert lengths == {0, 1}


# Values of odd length (PS3.5 7.1.1).


@pytest.mark.parametrize("source", [EXPLICIT, DEFLATED])
@pytest.mark.parametrize("target", ENCODINGS.values(), ids=ENCODINGS)
def test_values_of_odd_length_are_padded_as_their_vrs_demand(source, target):
    def short(tag, vr, value):
        return tag + vr + len(value).to_bytes(2, "little") + value

    def long(tag, vr, value):
        return tag + vr + b"\0\0" + len(value).to_bytes(4, "little") + value

    def built(pad):
        def padded(value, padding):
            return value + padding[: pad and len(value) % 2]

        item = short(b"\x08\x00\x50\x11", b"UI", padded(b"1.2.3", b"\0"))
        item = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
        return (
            short(b"\x08\x00\x60\x00", b"CS", padded(b"C", b" "))
            + long(b"\x08\x00\x40\x11", b"SQ", item)
            + short(b"\x10\x00\x00\x40", b"LT", padded(b"abc", b" "))
            + short(b"\x20\x00\x0d\x00", b"UI", padded(b"1.2.3.4", b"\0"))
            + long(b"\x40\x00\x60\xa1", b"UT", padded(b"d", b" "))
            + long(b"\x42\x00\x11\x00", b"OB", padded(b"xyz", b"\0"))
            + long(b"\xe0\x7f\x10\x00", b"OW", padded(bytes(range(1, 10)), b"\0"))
        )

    odd, even = built(pad=False), built(pad=True)
    if source.is_deflated:
        odd, even = deflated(odd), deflated(even)
    assert changed(odd, source, target) == changed(even, source, target)
    if target is EXPLICIT:
        assert changed(odd, source, target) == built(pad=True)


def test_a_large_value_of_odd_length_is_padded_and_not_copied():
    data = b"\xe0\x7f\x10\x00OB\0\0" + (100_001).to_bytes(4, "little") + bytes(100_001)
    head, value, padding = reencode(data, EXPLICIT, EXPLICIT, NOTHING)
    assert (head[-4:], padding) == ((100_002).to_bytes(4, "little"), b"\0")
    assert value.obj is data


def test_a_value_that_is_too_long_with_its_padding_has_another_vr():
    data = b"\x10\x00\x00\x40LT\xff\xff" + b"x" * 0xFFFF
    assert changed(data, EXPLICIT, EXPLICIT) == b"\x10\x00\x00\x40UN\0\0\0\0\1\0" + b"x" * 0xFFFF + b" "


def _fragment(value):
    return b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value


_FRAGMENTS_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


@pytest.mark.parametrize("size", [3, 5001])
def test_fragments_of_odd_length_are_padded_and_the_offsets_of_those_behind_them_follow(size):
    """PS3.5 A.4: offsets are counted from the first fragment's item on."""
    jpeg = encoding_of("1.2.840.10008.1.2.4.50")
    head = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"

    def built(values, *, extended):
        fragments = [_fragment(value) for value in values]
        offsets = [sum(map(len, fragments[:number])) for number in range(len(fragments))]
        width = 8 if extended else 4
        table = b"".join(offset.to_bytes(width, "little") for offset in offsets)
        before = b"\xe0\x7f\x01\x00OV\0\0" + len(table).to_bytes(4, "little") + table if extended else b""
        return before + head + _fragment(b"" if extended else table) + b"".join(fragments) + _FRAGMENTS_END

    values = [b"a" * size, b"b" * 4, b"c" * size, b"d" * size, b"e" * 6]
    padded = [value + b"\0"[: len(value) % 2] for value in values]
    for extended in (False, True):
        data = built(values, extended=extended)
        assert changed(data, jpeg, jpeg) == built(padded, extended=extended)
        even = built(padded, extended=extended)
        assert changed(even, jpeg, jpeg) == even


def test_a_basic_offset_table_of_odd_length_is_padded_where_all_fragments_are_even():
    jpeg = encoding_of("1.2.840.10008.1.2.4.50")
    head = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    odd, even = (head + _fragment(table) + _fragment(b"abcd") + _FRAGMENTS_END for table in (bytes(3), bytes(4)))
    assert changed(odd, jpeg, jpeg) == even


# What DCMTK reads.


def test_a_vr_that_the_standard_does_not_have_has_a_long_length_and_is_unknown():
    """PS3.5 7.1.2: all VRs but those listed there have 32 bits for the length."""
    expected = data_set_of((0x00210010, "LO", "OWNER"), (0x00211001, "UN", b"abcd"))
    for target in PLAIN:
        for vr in (b"ZZ", b"OX"):
            data = written(expected, EXPLICIT).replace(b"UN\0\0", vr + b"\0\0")
            assert changed(data, EXPLICIT, target) == written(expected, target)
        for vr in (b"??", b"  ", b"zz", b"\0\0"):
            data = written(expected, EXPLICIT).replace(b"UN\0\0\4\0\0\0", vr + b"\4\0")
            assert changed(data, EXPLICIT, target) == written(expected, target)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("is_last", [True, False])
def test_an_item_may_be_longer_than_its_sequence(depth, is_last):
    def built(shorter):
        data = b"\x08\x00\x50\x11UI\x06\x001.2.34" + b"\x08\x00\x55\x11UI\x06\x001.2.35"
        for _ in range(depth):
            item = _fragment(data)
            data = b"\x08\x00\x40\x11SQ\0\0" + (len(item) - shorter).to_bytes(4, "little") + item
        return data + b"" if is_last else data + b"\x08\x00\x50\x11UI\x06\x001.2.34"

    for target in PLAIN:
        assert changed(built(8), EXPLICIT, target) == changed(built(0), EXPLICIT, target)
    assert changed(built(8), EXPLICIT, EXPLICIT) == built(0)


def test_delimiters_where_lengths_are_defined_are_left_out():
    element = b"\x08\x00\x50\x11UI\x06\x001.2.34"
    item_end, sequence_end = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"

    def sequence(items):
        return b"\x08\x00\x40\x11SQ\0\0" + len(items).to_bytes(4, "little") + items

    plain = sequence(_fragment(element)) + element
    for data in (_fragment(element + item_end), _fragment(element) + sequence_end):
        assert changed(sequence(data) + element, EXPLICIT, EXPLICIT) == plain


# Native and encapsulated pixel data.


@pytest.mark.parametrize("is_icon", [True, False])
def test_fragments_never_go_into_a_data_set_for_native_pixel_data(is_icon):
    fragments = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + _fragment(b"") + _fragment(b"\xff\xd8") + _FRAGMENTS_END
    if is_icon:
        item = _fragment(fragments)
        fragments = b"\x88\x00\x00\x02SQ\0\0" + len(item).to_bytes(4, "little") + item
    jpeg = encoding_of("1.2.840.10008.1.2.4.50")
    assert changed(fragments, jpeg, jpeg) == fragments
    for target in ENCODINGS.values():
        with pytest.raises(Unconvertible, match="would have to be decompressed"):
            reencode(fragments, jpeg, target, NOTHING)
    for target in (*ENCODINGS.values(), jpeg):
        with pytest.raises(Unconvertible, match="its transfer syntax is one for native pixel data"):
            reencode(fragments, EXPLICIT, target, NOTHING)


# Memory and time.

_PEAK = """
import os, struct, sys, zlib
from asyncstore.prepare.encoding import encoding_of
from asyncstore.prepare.reencode import Changes, reencode
import pydicom.datadict

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10

empty = b"".join(struct.pack("<HH2sH", 0x11, number, b"LO", 0) for number in range(1, 1001))
item = struct.pack("<HHI", 0xFFFE, 0xE000, 8) + struct.pack("<HH2sH", 0x8, 0x60, b"CS", 0)
pages = {"empty elements": empty, "sequences": (struct.pack("<HH2sHI", 0x8, 0x1140, b"SQ", 0, 16) + item) * 286}

def measure(kind, source, target):
    data = pages[kind] * 128
    size = len(data)
    encoding = encoding_of(source)
    if encoding.is_deflated:
        compressor = zlib.compressobj(wbits=-15)
        data = compressor.compress(data) + compressor.flush()
    before = peak()
    reencode(data, encoding, encoding_of(target), Changes())
    print(kind, source, target, size, peak() - before, sep=",", flush=True)

for words in sys.argv[1:]:
    process = os.fork()  # each measures a process of its own
    if not process:
        measure(*words.split(","))
        os._exit(0)
    os.waitpid(process, 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_memory_follows_the_size_of_the_data_set_not_the_number_of_its_elements():
    kinds, ways = (
        ["empty elements", "sequences"],
        [(EXPLICIT_UID, DEFLATED_UID), (EXPLICIT_UID, IMPLICIT_UID), (DEFLATED_UID, BIG_UID)],
    )
    cases = [(kind, *way) for kind, way in product(kinds, ways)]
    command = [sys.executable, "-c", _PEAK, *map(",".join, cases)]
    told = subprocess.run(command, check=True, capture_output=True, timeout=100, text=True).stdout.splitlines()
    assert [tuple(line.split(",")[:3]) for line in told] == cases
    for line in told:
        size, grown = map(int, line.split(",")[3:])
        assert size > 1_000_000, line
        assert grown < (2 << 20) + 4 * size, line


# Damage.


@cache
def _awkward():
    """A data set with every structure that may be cut in two."""
    deepest = data_set_of((0x00080060, "CS", "CT"))
    deepest.is_undefined_length_sequence_item = True
    inner = DataElement(0x0040A730, "SQ", [deepest, data_set_of((0x00280010, "US", 5))])
    inner.is_undefined_length = True
    item = data_set_of((0x00080055, "AE", "TITLE"))
    item.add(inner)
    return data_set_of(
        (0x00080008, "CS", ["A", "B"]),
        (0x00081115, "SQ", [item, Dataset()]),
        (0x00189219, "SS", -3),
        (0x0020000D, "UI", "1.2.3"),
        (0x7FE00010, "OW", b"\1\2\3\4"),
    )


@pytest.mark.parametrize("source", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("target", PLAIN, ids=["implicit", "explicit", "big endian"])
def test_a_data_set_cut_off_is_damaged_or_ends_between_two_elements(source, target):
    data = encoded(_awkward(), source)
    whole = changed(data, source, target)
    ends = set()
    for end in range(len(data)):
        try:
            result = b"".join(reencode(data[:end], source, target, NOTHING))
        except DamagedDataSet:
            continue
        assert whole.startswith(result)
        ends.add(len(result))
    assert len(ends) == (0 if source.is_deflated else 5)


@pytest.mark.slow
@settings(max_examples=examples(500), deadline=None)
@given(
    st.sampled_from(PLAIN),
    st.sampled_from([*ENCODINGS.values()]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_wrong_bytes_are_damage_or_other_values(source, target, changes):
    data = bytearray(encoded(_awkward(), source))
    for at, byte in changes:
        data[at % len(data)] = byte
    _assert_only_damage(bytes(data), source, target)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*ENCODINGS.values()]), st.sampled_from(PLAIN))
def test_any_bytes_are_damage_or_a_data_set(data, source, target):
    _assert_only_damage(data, source, target)


def _assert_only_damage(data, source, target):
    with suppress(DamagedDataSet, Unconvertible):
        reencode(data, source, target, NOTHING)


@pytest.mark.parametrize("is_defined", [True, False])
def test_sequences_within_sequences_have_a_limit(is_defined):
    def nested(depth):
        innermost = data = b""
        for _ in range(depth):
            item = b"\xfe\xff\x00\xe0" + (len(data).to_bytes(4, "little") if is_defined else b"\xff" * 4) + data
            item += b"" if is_defined else b"\xfe\xff\x0d\xe0\0\0\0\0"
            length = len(item).to_bytes(4, "little") if is_defined else b"\xff" * 4
            data = b"\x40\x00\x30\xa7" + length + item + (b"" if is_defined else b"\xfe\xff\xdd\xe0\0\0\0\0")
        return data or innermost

    assert changed(nested(64), IMPLICIT, IMPLICIT) == nested(64)
    for depth in (65, 5000):
        with pytest.raises(DamagedDataSet, match="64 sequences"):
            reencode(nested(depth), IMPLICIT, EXPLICIT, NOTHING)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x08\x00\x60\x00CS\x04\x00CT", "2 bytes beyond its end"),
        (b"\xfe\xff\x0d\xe0\0\0\0\0", "none had begun"),
        (b"\xfe\xff\xdd\xe0\0\0\0\0", "where an element should be"),
        (b"\x08\x00\x15\x11SQ\0\0\x08\0\0\0\x08\x00\x60\x00CS\0\0", "instead of an item"),
        (b"\x08\x00\x15\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd", "within an element's header"),
        (b"\x08\x00\x15\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\5\0\0\0abcd", "1 bytes beyond the end"),
        (b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0", "does not end"),
        (b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff", "an item does not end"),
        (
            b"\x08\x00\x15\x11SQ\0\0\x18\0\0\0\xfe\xff\x00\xe0\x10\0\0\0\xfe\xff\x0d\xe0\0\0\0\0\x08\x00\x60\x00CS\0\0",
            "before its length",
        ),
    ],
)
def test_the_message_names_the_damage(data, complaint):
    with pytest.raises(DamagedDataSet, match=complaint):
        reencode(data, EXPLICIT, BIG, NOTHING)


def test_a_data_set_that_cannot_be_inflated_is_damaged():
    with pytest.raises(DamagedDataSet, match="cannot be inflated"):
        reencode(b"\xff" * 20, DEFLATED, EXPLICIT, NOTHING)
    bomb = deflated(bytes(1 << 20))
    with pytest.raises(Unconvertible, match=f"more than the {1 << 19} bytes"):
        reencode(bomb, DEFLATED, EXPLICIT, Changes(max_inflated=1 << 19))
