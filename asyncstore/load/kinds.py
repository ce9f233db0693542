"""The kinds of synthetic instances: modality, SOP class, size, and the size of a study.

Sizes are of uncompressed data sets, as scanners send them: dcm4chee publishes those of CT, MR and CR for its own tests;
the others are common matrices. All are in explicit VR little endian, which every SCP accepts and which needs no codec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncstore.load.values import Kind
from asyncstore.model import EXPLICIT_VR_LITTLE_ENDIAN
from asyncstore.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pixels(NamedTuple):
    """The geometry of native pixel data."""

    rows: int
    columns: int
    bits: int = 16
    """Bits allocated."""
    samples: int = 1
    """Samples per pixel: 3 is RGB."""
    frames: int = 1

    @property
    def bytes(self) -> int:
        """The size of Pixel Data."""
        return self.rows * self.columns * self.samples * self.bits // 8 * self.frames


class Recipe(NamedTuple):
    """How to make the instances of a kind."""

    kind: Kind
    pixels: Pixels | None
    """``None``: it is a report, without an image."""
    series: int = 1
    """Series in a study; its instances are divided among them."""


_STORAGE = "1.2.840.10008.5.1.4.1.1."
CT_IMAGE: Final = f"{_STORAGE}2"
ENHANCED_CT_IMAGE: Final = f"{_STORAGE}2.1"
MR_IMAGE: Final = f"{_STORAGE}4"
CR_IMAGE: Final = f"{_STORAGE}1"
DX_IMAGE: Final = f"{_STORAGE}1.1"
"""For presentation."""
MG_IMAGE: Final = f"{_STORAGE}1.2"
"""For presentation."""
TOMOSYNTHESIS: Final = f"{_STORAGE}13.1.3"
US_IMAGE: Final = f"{_STORAGE}6.1"
US_MULTI_FRAME: Final = f"{_STORAGE}3.1"
BASIC_TEXT_SR: Final = f"{_STORAGE}88.11"
MULTI_FRAME_SECONDARY_CAPTURE: Final = f"{_STORAGE}7.3"
"""Grayscale, 16 bits."""


def _recipe(
    name: str,
    modality: str,
    sop_class_uid: str,
    size: int,
    instances_per_study: int,
    pixels: Pixels | None,
    *,
    series: int = 1,
) -> Recipe:
    kind = Kind(name, modality, sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN, size, instances_per_study)
    return Recipe(kind, pixels, series)


RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.kind.name: recipe
    for recipe in (
        # 300 to 1000 slices are usual: 300, in three reconstructions.
        _recipe("ct", "CT", CT_IMAGE, 526_336, 300, Pixels(512, 512), series=3),
        _recipe("enhanced-ct", "CT", ENHANCED_CT_IMAGE, 1_900_000, 80, Pixels(512, 462, frames=4)),
        _recipe("mr", "MR", MR_IMAGE, 525_824, 150, Pixels(512, 512), series=6),
        _recipe("mr-256", "MR", MR_IMAGE, 132_608, 150, Pixels(256, 256), series=6),
        _recipe("cr", "CR", CR_IMAGE, 5_902_336, 2, Pixels(1760, 1676)),
        _recipe("dx", "DX", DX_IMAGE, 11_000_000, 2, Pixels(2400, 2291)),
        _recipe("mg", "MG", MG_IMAGE, 27_265_024, 4, Pixels(4096, 3328), series=4),
        _recipe("tomo", "MG", TOMOSYNTHESIS, 104_880_000, 2, Pixels(1024, 1024, frames=50), series=2),
        _recipe("us", "US", US_IMAGE, 924_000, 30, Pixels(480, 640, bits=8, samples=3)),
        _recipe("us-loop", "US", US_MULTI_FRAME, 30_415_000, 15, Pixels(480, 640, bits=8, samples=3, frames=33)),
        _recipe("sr", "SR", BASIC_TEXT_SR, 10_240, 1, None),
    )
}
"""By name."""

SMALLEST: Final = 1024
"""The smallest data set in bytes: its attributes without pixels take nearly so many."""
LARGEST: Final = 0xFFFF_FFFE
"""Nearly all of it is Pixel Data, whose length is an even number of 32 bits (PS3.5 7.1.2)."""
_LARGEST_SLICE: Final = 4 << 20
"""Larger data sets are multi-frame: no scanner makes a slice of more than 1448 x 1448 pixels."""
_SLICES_PER_STUDY: Final = 100
_FRAME_SIDE: Final = 512


def recipe_of(kind: Kind) -> Recipe:
    """The recipe of a named kind, or of one that is made for a size; its pixels are then as many as fit.

    A slice is the largest square that leaves room for its attributes. A multi-frame instance has frames of 512 rows.
    """
    known = RECIPES.get(kind.name)
    if known is not None:
        return known._replace(kind=kind)
    room = kind.bytes - SMALLEST
    if kind.sop_class_uid == CT_IMAGE:
        side = max(int((room // 2) ** 0.5), 1)
        return Recipe(kind, Pixels(side, side))
    frames = max(room // Pixels(_FRAME_SIDE, _FRAME_SIDE).bytes, 1)
    return Recipe(kind, Pixels(_FRAME_SIDE, max(room // (2 * _FRAME_SIDE * frames), 1), frames=frames))


def kind_of_size(size: int, *, multi_frame: bool | None = None) -> Kind:
    """A kind whose data sets have so many bytes: CT slices, or multi-frame secondary captures (default: if large)."""
    modality, sop_class_uid = "CT", CT_IMAGE
    if size > _LARGEST_SLICE if multi_frame is None else multi_frame:
        modality, sop_class_uid = "OT", MULTI_FRAME_SECONDARY_CAPTURE
    return Kind(f"{size} bytes", modality, sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN, size, _SLICES_PER_STUDY)
