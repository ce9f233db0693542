"""What to propose: presentation contexts, roles and extended negotiation of an association request. Pure decisions.

Three kinds of proposals answer to one protocol:

- :class:`Planned`, the default: what the files need, each in its own transfer syntax.
- :class:`Listed`, as storescu proposes with its ``-x``, ``-R`` and ``+C`` options.
- :class:`~asyncstore.negotiation.profile.Profiled`, which a configuration file prescribes (``-xf``).

What a proposal gives depends on what it is asked with, and on nothing else.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from asyncstore.errors import UsageError
from asyncstore.model import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from asyncstore.negotiation.contexts import is_planned, plan
from asyncstore.protocol.associate import MOST_CONTEXTS, ExtendedNegotiation, ProposedContext, RoleSelection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncstore.negotiation.contexts import Pair


class Proposal(Protocol):
    """What associations are proposed with."""

    @property
    def needs_all_files(self) -> bool:
        """Whether the request depends on every file, so that none can be sent before all are looked into."""

    @property
    def prefers_deflated(self) -> bool:
        """Whether data sets that are not compressed go out deflated where that is accepted (``-xd``)."""

    @property
    def roles(self) -> tuple[RoleSelection, ...]:
        """The SCP/SCU roles to propose, for SOP classes among the contexts (PS3.7 D.3.3.4)."""

    @property
    def extended(self) -> tuple[ExtendedNegotiation, ...]:
        """The extended negotiation to propose, for SOP classes among the contexts (PS3.7 D.3.3.5)."""

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts to propose, 128 at most.

        Args:
            pairs: SOP class and transfer syntax of what is to be sent, as far as it is known, the most urgent first.
                What does not fit is left for another association.
        """

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether ``contexts``, of an earlier request, hold all that would ever be proposed for ``pair``.

        Only the contexts of the pair's SOP class are needed. The answer is the same for all transfer syntaxes that are
        not proposed for it, and for all SOP classes that are not proposed.
        Where they do, the answer to that request is final for it; where not, another association may carry it.
        """


class Planned(NamedTuple):
    """A context for each pair of SOP class and transfer syntax among the files: see :func:`plan`."""

    needs_all_files: bool = False
    prefers_deflated: bool = False
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """A context for each pair, in order, and what can be converted to."""
        return plan(pairs)

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether the pair has its context, and what it can be converted to another one."""
        return is_planned(contexts, pair)


class Listed(NamedTuple):
    """The same contexts for each of the SOP classes; made by :func:`listed`.

    Attributes:
        groups: a context for each, with these transfer syntaxes.
        sop_classes: in their order; ``None``: those of the files.
    """

    groups: tuple[tuple[str, ...], ...]
    sop_classes: tuple[str, ...] | None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()

    @property
    def needs_all_files(self) -> bool:
        """Those of the files are known when all files are."""
        return self.sop_classes is None

    @property
    def prefers_deflated(self) -> bool:
        """Whether the preferred transfer syntax is the deflated one."""
        return self.groups[0][0] == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

    def contexts(self, pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
        """The contexts of one SOP class after those of another; no SOP class gets only some of its contexts."""
        classes = self.sop_classes if self.sop_classes is not None else tuple(dict.fromkeys(pair[0] for pair in pairs))
        return _in_groups(classes[: MOST_CONTEXTS // len(self.groups)], self.groups)

    def covers(self, contexts: Iterable[ProposedContext], pair: Pair) -> bool:
        """Whether the SOP class has its contexts, or never will."""
        return self.sop_classes is not None or any(context.abstract_syntax == pair[0] for context in contexts)


@lru_cache(maxsize=64)
def _in_groups(sop_classes: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> tuple[ProposedContext, ...]:
    """A context for each of the groups, for each of the SOP classes; the same ones are asked for again and again."""
    proposed = [(uid, group) for uid in sop_classes for group in groups]
    return tuple(ProposedContext(2 * index + 1, *context) for index, context in enumerate(proposed))


def listed(choice: str = "uncompr", *, required: bool = False, combined: bool = False) -> Listed:
    """What storescu proposes.

    Args:
        choice: the transfer syntax to prefer: one of :data:`CHOICES`.
        required: propose the SOP classes of the files (``-R``) instead of :data:`STORESCU_SOP_CLASSES`.
        combined: one context for each SOP class (``+C``) instead of one with the preferred transfer syntax and one with
            the others.

    Raises:
        UsageError: there is no such choice.
    """
    if choice not in CHOICES:
        raise UsageError(f"{choice!r} is no transfer syntax to propose; there are {', '.join(CHOICES)}")
    preferred, has_fallback = CHOICES[choice]
    fallback = tuple(uid for uid in _FALLBACK if uid != preferred) if has_fallback else ()
    groups = ((preferred, *fallback),) if combined or not fallback else ((preferred,), fallback)
    return Listed(groups, None if required else STORESCU_SOP_CLASSES)


_FALLBACK = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What is proposed besides a preferred transfer syntax, in this order."""

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
"""The preferred transfer syntax of each of storescu's ``--propose-...`` options and of ours, and whether the
uncompressed ones are proposed besides: implicit VR needs none of them, and video cannot be turned into any.

The last three are ours: DCMTK knows these transfer syntaxes (3.7.0, dcuid.h; PS3.6 table A-1), but its storescu has no
option for them. They go as those of JPEG 2000 do: one transfer syntax and no relative of it, so neither RPCL order
(...202) nor lossless JPEG XL and recompressed JPEG (...110, ...111), which the default plan proposes where files have
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
"""What storescu 3.6.7 proposes unless told otherwise: as many as fit with two contexts for each."""
