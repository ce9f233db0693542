"""Presentation contexts, roles and extended negotiation of an association request. Pure decisions.

Three kinds of proposals share one protocol:

- :class:`Planned`, the default: each file in its own transfer syntax.
- :class:`Listed`: storescu's ``-x``, ``-R`` and ``+C`` options.
- :class:`~asyncstore.negotiation.profile.Profiled`: from a configuration file (``-xf``).

The results of a proposal's methods depend on their arguments only.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from asyncstore.errors import UsageError
from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.named_tuple import NamedTuple
from asyncstore.negotiation.contexts import is_planned, plan
from asyncstore.negotiation.transcoding import NO_TRANSCODING, Transcoding
from asyncstore.protocol.associate import MOST_CONTEXTS, ExtendedNegotiation, ProposedContext, RoleSelection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from asyncstore.negotiation.contexts import Pair


class Proposal(Protocol):
    """The contents of association requests."""

    @property
    def needs_all_files(self) -> bool:
        """Whether the request depends on every file: then all are probed before the first is sent."""

    @property
    def prefers_deflated(self) -> bool:
        """Whether uncompressed data sets are sent deflated if the peer accepts that (``-xd``)."""

    @property
    def transcoding(self) -> Transcoding:
        """Which pixel data may be decoded and encoded where the peer does not take it as it is."""

    @property
    def roles(self) -> tuple[RoleSelection, ...]:
        """The SCP/SCU roles to propose, for SOP classes of the contexts (PS3.7 D.3.3.4)."""

    @property
    def extended(self) -> tuple[ExtendedNegotiation, ...]:
        """The extended negotiation to propose, for SOP classes of the contexts (PS3.7 D.3.3.5)."""

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts to propose, 128 at most.

        Args:
            pairs: the known pairs to send, the most urgent first. Pairs that do not fit are left for another
                association.
        """

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether ``contexts``, of an earlier request, hold everything that is ever proposed for ``pair``.

        If so, the peer's answer is final for the pair; if not, another association may carry it. ``contexts`` may be
        limited to the pair's SOP class. All unproposed transfer syntaxes of a SOP class have the same result, and so do
        all unproposed SOP classes.
        """

    def allowing(self, transcoding: Transcoding) -> Self:
        """The same proposal, with this transcoding."""


class Planned(NamedTuple):
    """A context for each pair among the files: see :func:`plan`."""

    needs_all_files: bool = False
    prefers_deflated: bool = False
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    transcoding: Transcoding = NO_TRANSCODING

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """A context for each pair, in order, and one for conversions."""
        return plan(pairs, self.transcoding.decodable)

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether the pair has its own context, and one for conversions if it needs it."""
        return is_planned(contexts, pair, self.transcoding.decodable)

    def allowing(self, transcoding: Transcoding) -> Self:
        """The same proposal, with this transcoding; nothing is compressed with losses, for which none was named."""
        return self._replace(transcoding=transcoding._replace(lossy=()))


class Listed(NamedTuple):
    """The same transfer syntaxes for every SOP class; made by :func:`listed`.

    Attributes:
        groups: the transfer syntaxes of each context of a SOP class.
        sop_classes: the SOP classes, in order; ``None``: those of the files.
    """

    groups: tuple[tuple[str, ...], ...]
    sop_classes: tuple[str, ...] | None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    transcoding: Transcoding = NO_TRANSCODING

    @property
    def needs_all_files(self) -> bool:
        """Whether it proposes the files' SOP classes."""
        return self.sop_classes is None

    @property
    def prefers_deflated(self) -> bool:
        """Whether the preferred transfer syntax is the deflated one."""
        return self.groups[0][0] == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts of one SOP class after another. A SOP class gets all of its contexts or none."""
        classes = self.sop_classes if self.sop_classes is not None else tuple(dict.fromkeys(pair[0] for pair in pairs))
        return _in_groups(classes[: MOST_CONTEXTS // len(self.groups)], self.groups)

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether the SOP class has its contexts, or will never have any."""
        return self.sop_classes is not None or any(context.abstract_syntax == pair[0] for context in contexts)

    def allowing(self, transcoding: Transcoding) -> Self:
        """The same contexts, with this transcoding."""
        return self._replace(transcoding=transcoding)


@lru_cache(maxsize=64)
def _in_groups(sop_classes: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> tuple[ProposedContext, ...]:
    """A context for each group of each SOP class. Cached: every association asks for the same ones."""
    proposed = [(uid, group) for uid in sop_classes for group in groups]
    return tuple(ProposedContext(2 * index + 1, *context) for index, context in enumerate(proposed))


def listed(choice: str = "uncompr", *, required: bool = False, combined: bool = False) -> Listed:
    """The proposal of storescu.

    Args:
        choice: the preferred transfer syntax: one of :data:`CHOICES`.
        required: propose the SOP classes of the files (``-R``) instead of :data:`STORESCU_SOP_CLASSES`.
        combined: one context for each SOP class (``+C``) instead of one for the preferred transfer syntax and one for
            the others.

    Raises:
        UsageError: the choice is unknown.
    """
    if choice not in CHOICES:
        raise UsageError(f"{choice!r} is no transfer syntax to propose; there are {', '.join(CHOICES)}")
    preferred, has_fallback = CHOICES[choice]
    fallback = tuple(uid for uid in _FALLBACK if uid != preferred) if has_fallback else ()
    groups = ((preferred, *fallback),) if combined or not fallback else ((preferred,), fallback)
    return Listed(groups, None if required else STORESCU_SOP_CLASSES)


_FALLBACK = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""The transfer syntaxes proposed beside the preferred one, in this order."""

CHOICES = {
    "uncompr": (EXPLICIT_VR_LITTLE_ENDIAN if sys.byteorder == "little" else EXPLICIT_VR_BIG_ENDIAN, True),
    "little": (EXPLICIT_VR_LITTLE_ENDIAN, True),
    "big": (EXPLICIT_VR_BIG_ENDIAN, True),
    "implicit": (IMPLICIT_VR_LITTLE_ENDIAN, False),
    "lossless": ("1.2.840.10008.1.2.4.70", True),
    "jpeg8": ("1.2.840.10008.1.2.4.50", True),
    "jpeg12": ("1.2.840.10008.1.2.4.51", True),
    "j2k-lossless": ("1.2.840.10008.1.2.4.90", True),
    "j2k-lossy": ("1.2.840.10008.1.2.4.91", True),
    "jls-lossless": ("1.2.840.10008.1.2.4.80", True),
    "jls-lossy": ("1.2.840.10008.1.2.4.81", True),
    "mpeg2": ("1.2.840.10008.1.2.4.100", False),
    "mpeg2-high": ("1.2.840.10008.1.2.4.101", False),
    "mpeg4": ("1.2.840.10008.1.2.4.102", False),
    "mpeg4-bd": ("1.2.840.10008.1.2.4.103", False),
    "mpeg4-2-2d": ("1.2.840.10008.1.2.4.104", False),
    "mpeg4-2-3d": ("1.2.840.10008.1.2.4.105", False),
    "mpeg4-2-st": ("1.2.840.10008.1.2.4.106", False),
    "hevc": ("1.2.840.10008.1.2.4.107", False),
    "hevc10": ("1.2.840.10008.1.2.4.108", False),
    "rle": ("1.2.840.10008.1.2.5", True),
    "deflated": (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, True),
    "htj2k": ("1.2.840.10008.1.2.4.203", True),
    "htj2k-lossless": ("1.2.840.10008.1.2.4.201", True),
    "jpegxl": ("1.2.840.10008.1.2.4.112", True),
}
"""The preferred transfer syntax of each ``--propose-...`` option, and whether the uncompressed ones are proposed too:
implicit VR needs none of them, and video cannot be converted to any.

The last three are ours: DCMTK knows these transfer syntaxes (3.7.0, dcuid.h; PS3.6 table A-1), but storescu has no
option for them. Like those of JPEG 2000 they propose one transfer syntax, without its relatives: neither RPCL order
(...202) nor lossless JPEG XL and recompressed JPEG (...110, ...111). The default plan proposes those if files have
them."""

STORESCU_SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.9.1.3",  # AmbulatoryECGWaveformStorage
    "1.2.840.10008.5.1.4.1.1.88.11",  # BasicTextSRStorage
    "1.2.840.10008.5.1.4.1.1.9.4.1",  # BasicVoiceAudioWaveformStorage
    "1.2.840.10008.5.1.4.1.1.11.4",  # BlendingSoftcopyPresentationStateStorage
    "1.2.840.10008.5.1.4.1.1.9.3.1",  # CardiacElectrophysiologyWaveformStorage
    "1.2.840.10008.5.1.4.1.1.88.65",  # ChestCADSRStorage
    "1.2.840.10008.5.1.4.1.1.88.69",  # ColonCADSRStorage
    "1.2.840.10008.5.1.4.1.1.11.2",  # ColorSoftcopyPresentationStateStorage
    "1.2.840.10008.5.1.4.1.1.88.33",  # ComprehensiveSRStorage
    "1.2.840.10008.5.1.4.1.1.1",  # ComputedRadiographyImageStorage
    "1.2.840.10008.5.1.4.1.1.2",  # CTImageStorage
    "1.2.840.10008.5.1.4.1.1.1.3",  # DigitalIntraOralXRayImageStorageForPresentation
    "1.2.840.10008.5.1.4.1.1.1.3.1",  # DigitalIntraOralXRayImageStorageForProcessing
    "1.2.840.10008.5.1.4.1.1.1.2",  # DigitalMammographyXRayImageStorageForPresentation
    "1.2.840.10008.5.1.4.1.1.1.2.1",  # DigitalMammographyXRayImageStorageForProcessing
    "1.2.840.10008.5.1.4.1.1.1.1",  # DigitalXRayImageStorageForPresentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # DigitalXRayImageStorageForProcessing
    "1.2.840.10008.5.1.4.1.1.104.1",  # EncapsulatedPDFStorage
    "1.2.840.10008.5.1.4.1.1.2.1",  # EnhancedCTImageStorage
    "1.2.840.10008.5.1.4.1.1.4.1",  # EnhancedMRImageStorage
    "1.2.840.10008.5.1.4.1.1.88.22",  # EnhancedSRStorage
    "1.2.840.10008.5.1.4.1.1.12.1.1",  # EnhancedXAImageStorage
    "1.2.840.10008.5.1.4.1.1.12.2.1",  # EnhancedXRFImageStorage
    "1.2.840.10008.5.1.4.1.1.9.1.2",  # GeneralECGWaveformStorage
    "1.2.840.10008.5.1.4.1.1.11.1",  # GrayscaleSoftcopyPresentationStateStorage
    "1.2.840.10008.5.1.4.1.1.9.2.1",  # HemodynamicWaveformStorage
    "1.2.840.10008.5.1.4.1.1.88.59",  # KeyObjectSelectionDocumentStorage
    "1.2.840.10008.5.1.4.1.1.88.50",  # MammographyCADSRStorage
    "1.2.840.10008.5.1.4.1.1.4",  # MRImageStorage
    "1.2.840.10008.5.1.4.1.1.4.2",  # MRSpectroscopyStorage
    "1.2.840.10008.5.1.4.1.1.7.2",  # MultiframeGrayscaleByteSecondaryCaptureImageStorage
    "1.2.840.10008.5.1.4.1.1.7.3",  # MultiframeGrayscaleWordSecondaryCaptureImageStorage
    "1.2.840.10008.5.1.4.1.1.7.1",  # MultiframeSingleBitSecondaryCaptureImageStorage
    "1.2.840.10008.5.1.4.1.1.7.4",  # MultiframeTrueColorSecondaryCaptureImageStorage
    "1.2.840.10008.5.1.4.1.1.20",  # NuclearMedicineImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.5.2",  # OphthalmicPhotography16BitImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.5.1",  # OphthalmicPhotography8BitImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.5.4",  # OphthalmicTomographyImageStorage
    "1.2.840.10008.5.1.4.1.1.128",  # PositronEmissionTomographyImageStorage
    "1.2.840.10008.5.1.4.1.1.88.40",  # ProcedureLogStorage
    "1.2.840.10008.5.1.4.1.1.11.3",  # PseudoColorSoftcopyPresentationStateStorage
    "1.2.840.10008.5.1.4.1.1.66",  # RawDataStorage
    "1.2.840.10008.5.1.4.1.1.67",  # RealWorldValueMappingStorage
    "1.2.840.10008.5.1.4.1.1.481.4",  # RTBeamsTreatmentRecordStorage
    "1.2.840.10008.5.1.4.1.1.481.6",  # RTBrachyTreatmentRecordStorage
    "1.2.840.10008.5.1.4.1.1.481.2",  # RTDoseStorage
    "1.2.840.10008.5.1.4.1.1.481.1",  # RTImageStorage
    "1.2.840.10008.5.1.4.1.1.481.5",  # RTPlanStorage
    "1.2.840.10008.5.1.4.1.1.481.3",  # RTStructureSetStorage
    "1.2.840.10008.5.1.4.1.1.481.7",  # RTTreatmentSummaryRecordStorage
    "1.2.840.10008.5.1.4.1.1.7",  # SecondaryCaptureImageStorage
    "1.2.840.10008.5.1.4.1.1.66.2",  # SpatialFiducialsStorage
    "1.2.840.10008.5.1.4.1.1.66.1",  # SpatialRegistrationStorage
    "1.2.840.10008.5.1.4.1.1.77.1.5.3",  # StereometricRelationshipStorage
    "1.2.840.10008.5.1.4.1.1.9.1.1",  # TwelveLeadECGWaveformStorage
    "1.2.840.10008.5.1.4.1.1.6.1",  # UltrasoundImageStorage
    "1.2.840.10008.5.1.4.1.1.3.1",  # UltrasoundMultiframeImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.1",  # VLEndoscopicImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.2",  # VLMicroscopicImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.4",  # VLPhotographicImageStorage
    "1.2.840.10008.5.1.4.1.1.77.1.3",  # VLSlideCoordinatesMicroscopicImageStorage
    "1.2.840.10008.5.1.4.1.1.12.1",  # XRayAngiographicImageStorage
    "1.2.840.10008.5.1.4.1.1.88.67",  # XRayRadiationDoseSRStorage
    "1.2.840.10008.5.1.4.1.1.12.2",  # XRayRadiofluoroscopicImageStorage
)
"""The SOP classes that storescu 3.6.7 proposes by default: as many as fit with two contexts each."""
