"""The names of transfer syntaxes and SOP classes: DCMTK's, versions 3.6.5 to 3.7.0, and PS3.6's keywords.

Association configuration files and readable negotiation use them. DCMTK 3.6.7's name of a UID comes first, if it has
one. Case matters. The table is large: import this module only where names are needed.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TABLE = """\
1.2.840.10008.1.2 LittleEndianImplicit ImplicitVRLittleEndian
1.2.840.10008.1.2.1 LittleEndianExplicit ExplicitVRLittleEndian
1.2.840.10008.1.2.1.98 EncapsulatedUncompressedLittleEndianExplicit EncapsulatedUncompressedExplicitVRLittleEndian
1.2.840.10008.1.2.1.99 DeflatedLittleEndianExplicit DeflatedExplicitVRLittleEndian
1.2.840.10008.1.2.2 BigEndianExplicit ExplicitVRBigEndian
1.2.840.10008.1.2.4.50 JPEGBaseline JPEGBaseline8Bit
1.2.840.10008.1.2.4.51 JPEGExtended:Process2+4 JPEGExtended12Bit
1.2.840.10008.1.2.4.52 JPEGExtended:Process3+5 JPEGExtended35
1.2.840.10008.1.2.4.53 JPEGSpectralSelection:Non-hierarchical:Process6+8 JPEGSpectralSelectionNonHierarchical68
1.2.840.10008.1.2.4.54 JPEGSpectralSelection:Non-hierarchical:Process7+9 JPEGSpectralSelectionNonHierarchical79
1.2.840.10008.1.2.4.55 JPEGFullProgression:Non-hierarchical:Process10+12 JPEGFullProgressionNonHierarchical1012
1.2.840.10008.1.2.4.56 JPEGFullProgression:Non-hierarchical:Process11+13 JPEGFullProgressionNonHierarchical1113
1.2.840.10008.1.2.4.57 JPEGLossless:Non-hierarchical:Process14 JPEGLossless
1.2.840.10008.1.2.4.58 JPEGLossless:Non-hierarchical:Process15 JPEGLosslessNonHierarchical15
1.2.840.10008.1.2.4.59 JPEGExtended:Hierarchical:Process16+18 JPEGExtendedHierarchical1618
1.2.840.10008.1.2.4.60 JPEGExtended:Hierarchical:Process17+19 JPEGExtendedHierarchical1719
1.2.840.10008.1.2.4.61 JPEGSpectralSelection:Hierarchical:Process20+22 JPEGSpectralSelectionHierarchical2022
1.2.840.10008.1.2.4.62 JPEGSpectralSelection:Hierarchical:Process21+23 JPEGSpectralSelectionHierarchical2123
1.2.840.10008.1.2.4.63 JPEGFullProgression:Hierarchical:Process24+26 JPEGFullProgressionHierarchical2426
1.2.840.10008.1.2.4.64 JPEGFullProgression:Hierarchical:Process25+27 JPEGFullProgressionHierarchical2527
1.2.840.10008.1.2.4.65 JPEGLossless:Hierarchical:Process28 JPEGLosslessHierarchical28
1.2.840.10008.1.2.4.66 JPEGLossless:Hierarchical:Process29 JPEGLosslessHierarchical29
1.2.840.10008.1.2.4.70 JPEGLossless:Non-hierarchical-1stOrderPrediction JPEGLosslessSV1
1.2.840.10008.1.2.4.80 JPEGLSLossless
1.2.840.10008.1.2.4.81 JPEGLSLossy JPEGLSNearLossless
1.2.840.10008.1.2.4.90 JPEG2000LosslessOnly JPEG2000Lossless
1.2.840.10008.1.2.4.91 JPEG2000
1.2.840.10008.1.2.4.92 JPEG2000MulticomponentLosslessOnly JPEG2000MCLossless
1.2.840.10008.1.2.4.93 JPEG2000Multicomponent JPEG2000MC
1.2.840.10008.1.2.4.94 JPIPReferenced
1.2.840.10008.1.2.4.95 JPIPReferencedDeflate
1.2.840.10008.1.2.4.100 MPEG2MainProfile@MainLevel MPEG2MPML
1.2.840.10008.1.2.4.100.1 FragmentableMPEG2MainProfile/MainLevel MPEG2MPMLF
1.2.840.10008.1.2.4.101 MPEG2MainProfile@HighLevel MPEG2MPHL
1.2.840.10008.1.2.4.101.1 FragmentableMPEG2MainProfile/HighLevel MPEG2MPHLF
1.2.840.10008.1.2.4.102 MPEG4HighProfile/Level4.1 MPEG4HP41
1.2.840.10008.1.2.4.102.1 FragmentableMPEG4HighProfile/Level4.1 MPEG4HP41F
1.2.840.10008.1.2.4.103 MPEG4BDcompatibleHighProfile/Level4.1 MPEG4HP41BD
1.2.840.10008.1.2.4.103.1 FragmentableMPEG4BDcompatibleHighProfile/Level4.1 MPEG4HP41BDF
1.2.840.10008.1.2.4.104 MPEG4HighProfile/Level4.2For2DVideo MPEG4HP422D
1.2.840.10008.1.2.4.104.1 FragmentableMPEG4HighProfile/Level4.2For2DVideo MPEG4HP422DF
1.2.840.10008.1.2.4.105 MPEG4HighProfile/Level4.2For3DVideo MPEG4HP423D
1.2.840.10008.1.2.4.105.1 FragmentableMPEG4HighProfile/Level4.2For3DVideo MPEG4HP423DF
1.2.840.10008.1.2.4.106 MPEG4StereoHighProfile/Level4.2 MPEG4HP42STEREO
1.2.840.10008.1.2.4.106.1 FragmentableMPEG4StereoHighProfile/Level4.2 MPEG4HP42STEREOF
1.2.840.10008.1.2.4.107 HEVCMainProfile/Level5.1 HEVCMP51
1.2.840.10008.1.2.4.108 HEVCMain10Profile/Level5.1 HEVCM10P51
1.2.840.10008.1.2.4.110 JPEGXLLossless
1.2.840.10008.1.2.4.111 JPEGXLJPEGRecompression
1.2.840.10008.1.2.4.112 JPEGXL
1.2.840.10008.1.2.4.201 HighThroughputJPEG2000ImageCompressionLosslessOnly HTJ2KLossless
1.2.840.10008.1.2.4.202 HighThroughputJPEG2000withRPCLOptionsImageCompressionLosslessOnly HTJ2KLosslessRPCL
1.2.840.10008.1.2.4.203 HighThroughputJPEG2000ImageCompression HTJ2K
1.2.840.10008.1.2.4.204 JPIPHTJ2KReferenced
1.2.840.10008.1.2.4.205 JPIPHTJ2KReferencedDeflate
1.2.840.10008.1.2.5 RLELossless
1.2.840.10008.1.2.6.1 RFC2557MIMEEncapsulation RETIRED_RFC2557MIMEEncapsulation
1.2.840.10008.1.2.6.2 XMLEncoding RETIRED_XMLEncoding
1.2.840.10008.1.2.7.1 SMPTEST2110-20:UncompressedProgressiveActiveVideo SMPTEST211020UncompressedProgressiveActiveVideo
1.2.840.10008.1.2.7.2 SMPTEST2110-20:UncompressedInterlacedActiveVideo SMPTEST211020UncompressedInterlacedActiveVideo
1.2.840.10008.1.2.7.3 SMPTEST2110-30:PCMDigitalAudio SMPTEST211030PCMDigitalAudio
1.2.840.10008.1.2.8.1 DeflatedImageFrameCompression
1.2.840.113619.5.2 PrivateGELittleEndianImplicitWithBigEndianPixelData
1.2.840.10008.1.1 VerificationSOPClass Verification
1.2.840.10008.1.3.10 MediaStorageDirectoryStorage
1.2.840.10008.1.9 RETIRED_BasicStudyContentNotificationSOPClass BasicStudyContentNotification
1.2.840.10008.1.20.1 StorageCommitmentPushModelSOPClass StorageCommitmentPushModel
1.2.840.10008.1.20.2 RETIRED_StorageCommitmentPullModelSOPClass StorageCommitmentPullModel
1.2.840.10008.1.40 ProceduralEventLoggingSOPClass ProceduralEventLogging
1.2.840.10008.1.42 SubstanceAdministrationLoggingSOPClass SubstanceAdministrationLogging
1.2.840.10008.3.1.2.1.1 RETIRED_DetachedPatientManagementSOPClass DetachedPatientManagement
1.2.840.10008.3.1.2.1.4 RETIRED_DetachedPatientManagementMetaSOPClass DetachedPatientManagementMeta
1.2.840.10008.3.1.2.2.1 RETIRED_DetachedVisitManagementSOPClass DetachedVisitManagement
1.2.840.10008.3.1.2.3.1 RETIRED_DetachedStudyManagementSOPClass DetachedStudyManagement
1.2.840.10008.3.1.2.3.2 RETIRED_StudyComponentManagementSOPClass StudyComponentManagement
1.2.840.10008.3.1.2.3.3 ModalityPerformedProcedureStepSOPClass ModalityPerformedProcedureStep
1.2.840.10008.3.1.2.3.4 ModalityPerformedProcedureStepRetrieveSOPClass ModalityPerformedProcedureStepRetrieve
1.2.840.10008.3.1.2.3.5 ModalityPerformedProcedureStepNotificationSOPClass ModalityPerformedProcedureStepNotification
1.2.840.10008.3.1.2.5.1 RETIRED_DetachedResultsManagementSOPClass DetachedResultsManagement
1.2.840.10008.3.1.2.5.4 RETIRED_DetachedResultsManagementMetaSOPClass DetachedResultsManagementMeta
1.2.840.10008.3.1.2.5.5 RETIRED_DetachedStudyManagementMetaSOPClass DetachedStudyManagementMeta
1.2.840.10008.3.1.2.6.1 RETIRED_DetachedInterpretationManagementSOPClass DetachedInterpretationManagement
1.2.840.10008.5.1.1.1 BasicFilmSessionSOPClass BasicFilmSession
1.2.840.10008.5.1.1.2 BasicFilmBoxSOPClass BasicFilmBox
1.2.840.10008.5.1.1.4 BasicGrayscaleImageBoxSOPClass BasicGrayscaleImageBox
1.2.840.10008.5.1.1.4.1 BasicColorImageBoxSOPClass BasicColorImageBox
1.2.840.10008.5.1.1.4.2 RETIRED_ReferencedImageBoxSOPClass ReferencedImageBox
1.2.840.10008.5.1.1.9 BasicGrayscalePrintManagementMetaSOPClass BasicGrayscalePrintManagementMeta
1.2.840.10008.5.1.1.9.1 RETIRED_ReferencedGrayscalePrintManagementMetaSOPClass ReferencedGrayscalePrintManagementMeta
1.2.840.10008.5.1.1.14 PrintJobSOPClass PrintJob
1.2.840.10008.5.1.1.15 BasicAnnotationBoxSOPClass BasicAnnotationBox
1.2.840.10008.5.1.1.16 PrinterSOPClass Printer
1.2.840.10008.5.1.1.16.376 PrinterConfigurationRetrievalSOPClass PrinterConfigurationRetrieval
1.2.840.10008.5.1.1.18 BasicColorPrintManagementMetaSOPClass BasicColorPrintManagementMeta
1.2.840.10008.5.1.1.18.1 RETIRED_ReferencedColorPrintManagementMetaSOPClass ReferencedColorPrintManagementMeta
1.2.840.10008.5.1.1.22 VOILUTBoxSOPClass VOILUTBox
1.2.840.10008.5.1.1.23 PresentationLUTSOPClass PresentationLUT
1.2.840.10008.5.1.1.24 RETIRED_ImageOverlayBoxSOPClass ImageOverlayBox
1.2.840.10008.5.1.1.24.1 RETIRED_BasicPrintImageOverlayBoxSOPClass BasicPrintImageOverlayBox
1.2.840.10008.5.1.1.26 RETIRED_PrintQueueManagementSOPClass PrintQueueManagement
1.2.840.10008.5.1.1.27 RETIRED_StoredPrintStorage StoredPrintStorage
1.2.840.10008.5.1.1.29 RETIRED_HardcopyGrayscaleImageStorage HardcopyGrayscaleImageStorage
1.2.840.10008.5.1.1.30 RETIRED_HardcopyColorImageStorage HardcopyColorImageStorage
1.2.840.10008.5.1.1.31 RETIRED_PullPrintRequestSOPClass PullPrintRequest
1.2.840.10008.5.1.1.32 RETIRED_PullStoredPrintManagementMetaSOPClass PullStoredPrintManagementMeta
1.2.840.10008.5.1.1.33 MediaCreationManagementSOPClass MediaCreationManagement
1.2.840.10008.5.1.1.40 DisplaySystemSOPClass DisplaySystem
1.2.840.10008.5.1.4.1.1.1 ComputedRadiographyImageStorage
1.2.840.10008.5.1.4.1.1.1.1 DigitalXRayImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.1.1.1 DigitalXRayImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.1.2 DigitalMammographyXRayImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.1.2.1 DigitalMammographyXRayImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.1.3 DigitalIntraOralXRayImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.1.3.1 DigitalIntraOralXRayImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.2 CTImageStorage
1.2.840.10008.5.1.4.1.1.2.1 EnhancedCTImageStorage
1.2.840.10008.5.1.4.1.1.2.2 LegacyConvertedEnhancedCTImageStorage
1.2.840.10008.5.1.4.1.1.3 RETIRED_UltrasoundMultiframeImageStorage UltrasoundMultiFrameImageStorageRetired
1.2.840.10008.5.1.4.1.1.3.1 UltrasoundMultiframeImageStorage UltrasoundMultiFrameImageStorage
1.2.840.10008.5.1.4.1.1.4 MRImageStorage
1.2.840.10008.5.1.4.1.1.4.1 EnhancedMRImageStorage
1.2.840.10008.5.1.4.1.1.4.2 MRSpectroscopyStorage
1.2.840.10008.5.1.4.1.1.4.3 EnhancedMRColorImageStorage
1.2.840.10008.5.1.4.1.1.4.4 LegacyConvertedEnhancedMRImageStorage
1.2.840.10008.5.1.4.1.1.5 RETIRED_NuclearMedicineImageStorage NuclearMedicineImageStorageRetired
1.2.840.10008.5.1.4.1.1.6 RETIRED_UltrasoundImageStorage UltrasoundImageStorageRetired
1.2.840.10008.5.1.4.1.1.6.1 UltrasoundImageStorage
1.2.840.10008.5.1.4.1.1.6.2 EnhancedUSVolumeStorage
1.2.840.10008.5.1.4.1.1.6.3 PhotoacousticImageStorage
1.2.840.10008.5.1.4.1.1.7 SecondaryCaptureImageStorage
1.2.840.10008.5.1.4.1.1.7.1 MultiframeSingleBitSecondaryCaptureImageStorage \
    MultiFrameSingleBitSecondaryCaptureImageStorage
1.2.840.10008.5.1.4.1.1.7.2 MultiframeGrayscaleByteSecondaryCaptureImageStorage \
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage
1.2.840.10008.5.1.4.1.1.7.3 MultiframeGrayscaleWordSecondaryCaptureImageStorage \
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage
1.2.840.10008.5.1.4.1.1.7.4 MultiframeTrueColorSecondaryCaptureImageStorage \
    MultiFrameTrueColorSecondaryCaptureImageStorage
1.2.840.10008.5.1.4.1.1.8 RETIRED_StandaloneOverlayStorage StandaloneOverlayStorage
1.2.840.10008.5.1.4.1.1.9 RETIRED_StandaloneCurveStorage StandaloneCurveStorage
1.2.840.10008.5.1.4.1.1.9.1 DRAFT_WaveformStorage WaveformStorageTrial
1.2.840.10008.5.1.4.1.1.9.1.1 TwelveLeadECGWaveformStorage
1.2.840.10008.5.1.4.1.1.9.1.2 GeneralECGWaveformStorage
1.2.840.10008.5.1.4.1.1.9.1.3 AmbulatoryECGWaveformStorage
1.2.840.10008.5.1.4.1.1.9.1.4 General32BitECGWaveformStorage General32bitECGWaveformStorage
1.2.840.10008.5.1.4.1.1.9.2.1 HemodynamicWaveformStorage
1.2.840.10008.5.1.4.1.1.9.3.1 CardiacElectrophysiologyWaveformStorage
1.2.840.10008.5.1.4.1.1.9.4.1 BasicVoiceAudioWaveformStorage
1.2.840.10008.5.1.4.1.1.9.4.2 GeneralAudioWaveformStorage
1.2.840.10008.5.1.4.1.1.9.5.1 ArterialPulseWaveformStorage
1.2.840.10008.5.1.4.1.1.9.6.1 RespiratoryWaveformStorage
1.2.840.10008.5.1.4.1.1.9.6.2 MultichannelRespiratoryWaveformStorage
1.2.840.10008.5.1.4.1.1.9.7.1 RoutineScalpElectroencephalogramWaveformStorage
1.2.840.10008.5.1.4.1.1.9.7.2 ElectromyogramWaveformStorage
1.2.840.10008.5.1.4.1.1.9.7.3 ElectrooculogramWaveformStorage
1.2.840.10008.5.1.4.1.1.9.7.4 SleepElectroencephalogramWaveformStorage
1.2.840.10008.5.1.4.1.1.9.8.1 BodyPositionWaveformStorage
1.2.840.10008.5.1.4.1.1.9.100.1 WaveformPresentationStateStorage
1.2.840.10008.5.1.4.1.1.9.100.2 WaveformAcquisitionPresentationStateStorage
1.2.840.10008.5.1.4.1.1.10 RETIRED_StandaloneModalityLUTStorage StandaloneModalityLUTStorage
1.2.840.10008.5.1.4.1.1.11 RETIRED_StandaloneVOILUTStorage StandaloneVOILUTStorage
1.2.840.10008.5.1.4.1.1.11.1 GrayscaleSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.2 ColorSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.3 PseudoColorSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.4 BlendingSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.5 XAXRFGrayscaleSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.6 GrayscalePlanarMPRVolumetricPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.7 CompositingPlanarMPRVolumetricPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.8 AdvancedBlendingPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.9 VolumeRenderingVolumetricPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.10 SegmentedVolumeRenderingVolumetricPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.11 MultipleVolumeRenderingVolumetricPresentationStateStorage
1.2.840.10008.5.1.4.1.1.11.12 VariableModalityLUTSoftcopyPresentationStateStorage
1.2.840.10008.5.1.4.1.1.12.1 XRayAngiographicImageStorage
1.2.840.10008.5.1.4.1.1.12.1.1 EnhancedXAImageStorage
1.2.840.10008.5.1.4.1.1.12.2 XRayRadiofluoroscopicImageStorage
1.2.840.10008.5.1.4.1.1.12.2.1 EnhancedXRFImageStorage
1.2.840.10008.5.1.4.1.1.12.3 RETIRED_XRayAngiographicBiPlaneImageStorage XRayAngiographicBiPlaneImageStorage
1.2.840.10008.5.1.4.1.1.13.1.1 XRay3DAngiographicImageStorage
1.2.840.10008.5.1.4.1.1.13.1.2 XRay3DCraniofacialImageStorage
1.2.840.10008.5.1.4.1.1.13.1.3 BreastTomosynthesisImageStorage
1.2.840.10008.5.1.4.1.1.13.1.4 BreastProjectionXRayImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.13.1.5 BreastProjectionXRayImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.14.1 IntravascularOpticalCoherenceTomographyImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.14.2 IntravascularOpticalCoherenceTomographyImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.20 NuclearMedicineImageStorage
1.2.840.10008.5.1.4.1.1.30 ParametricMapStorage
1.2.840.10008.5.1.4.1.1.66 RawDataStorage
1.2.840.10008.5.1.4.1.1.66.1 SpatialRegistrationStorage
1.2.840.10008.5.1.4.1.1.66.2 SpatialFiducialsStorage
1.2.840.10008.5.1.4.1.1.66.3 DeformableSpatialRegistrationStorage
1.2.840.10008.5.1.4.1.1.66.4 SegmentationStorage
1.2.840.10008.5.1.4.1.1.66.5 SurfaceSegmentationStorage
1.2.840.10008.5.1.4.1.1.66.6 TractographyResultsStorage
1.2.840.10008.5.1.4.1.1.66.7 LabelMapSegmentationStorage
1.2.840.10008.5.1.4.1.1.66.8 HeightMapSegmentationStorage
1.2.840.10008.5.1.4.1.1.67 RealWorldValueMappingStorage
1.2.840.10008.5.1.4.1.1.68.1 SurfaceScanMeshStorage
1.2.840.10008.5.1.4.1.1.68.2 SurfaceScanPointCloudStorage
1.2.840.10008.5.1.4.1.1.77.1 RETIRED_VLImageStorage VLImageStorageTrial
1.2.840.10008.5.1.4.1.1.77.1.1 VLEndoscopicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.1.1 VideoEndoscopicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.2 VLMicroscopicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.2.1 VideoMicroscopicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.3 VLSlideCoordinatesMicroscopicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.4 VLPhotographicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.4.1 VideoPhotographicImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.1 OphthalmicPhotography8BitImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.2 OphthalmicPhotography16BitImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.3 StereometricRelationshipStorage
1.2.840.10008.5.1.4.1.1.77.1.5.4 OphthalmicTomographyImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.5 WideFieldOphthalmicPhotographyStereographicProjectionImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.6 WideFieldOphthalmicPhotography3DCoordinatesImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.7 OphthalmicOpticalCoherenceTomographyEnFaceImageStorage
1.2.840.10008.5.1.4.1.1.77.1.5.8 OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage
1.2.840.10008.5.1.4.1.1.77.1.6 VLWholeSlideMicroscopyImageStorage
1.2.840.10008.5.1.4.1.1.77.1.7 DermoscopicPhotographyImageStorage
1.2.840.10008.5.1.4.1.1.77.1.8 ConfocalMicroscopyImageStorage
1.2.840.10008.5.1.4.1.1.77.1.9 ConfocalMicroscopyTiledPyramidalImageStorage
1.2.840.10008.5.1.4.1.1.77.2 RETIRED_VLMultiframeImageStorage VLMultiFrameImageStorageTrial
1.2.840.10008.5.1.4.1.1.78.1 LensometryMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.2 AutorefractionMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.3 KeratometryMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.4 SubjectiveRefractionMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.5 VisualAcuityMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.6 SpectaclePrescriptionReportStorage
1.2.840.10008.5.1.4.1.1.78.7 OphthalmicAxialMeasurementsStorage
1.2.840.10008.5.1.4.1.1.78.8 IntraocularLensCalculationsStorage
1.2.840.10008.5.1.4.1.1.79.1 MacularGridThicknessAndVolumeReportStorage
1.2.840.10008.5.1.4.1.1.80.1 OphthalmicVisualFieldStaticPerimetryMeasurementsStorage
1.2.840.10008.5.1.4.1.1.81.1 OphthalmicThicknessMapStorage
1.2.840.10008.5.1.4.1.1.82.1 CornealTopographyMapStorage
1.2.840.10008.5.1.4.1.1.88.1 DRAFT_SRTextStorage TextSRStorageTrial
1.2.840.10008.5.1.4.1.1.88.2 DRAFT_SRAudioStorage AudioSRStorageTrial
1.2.840.10008.5.1.4.1.1.88.3 DRAFT_SRDetailStorage DetailSRStorageTrial
1.2.840.10008.5.1.4.1.1.88.4 DRAFT_SRComprehensiveStorage ComprehensiveSRStorageTrial
1.2.840.10008.5.1.4.1.1.88.11 BasicTextSRStorage
1.2.840.10008.5.1.4.1.1.88.22 EnhancedSRStorage
1.2.840.10008.5.1.4.1.1.88.33 ComprehensiveSRStorage
1.2.840.10008.5.1.4.1.1.88.34 Comprehensive3DSRStorage
1.2.840.10008.5.1.4.1.1.88.35 ExtensibleSRStorage
1.2.840.10008.5.1.4.1.1.88.40 ProcedureLogStorage
1.2.840.10008.5.1.4.1.1.88.50 MammographyCADSRStorage
1.2.840.10008.5.1.4.1.1.88.59 KeyObjectSelectionDocumentStorage
1.2.840.10008.5.1.4.1.1.88.65 ChestCADSRStorage
1.2.840.10008.5.1.4.1.1.88.67 XRayRadiationDoseSRStorage
1.2.840.10008.5.1.4.1.1.88.68 RadiopharmaceuticalRadiationDoseSRStorage
1.2.840.10008.5.1.4.1.1.88.69 ColonCADSRStorage
1.2.840.10008.5.1.4.1.1.88.70 ImplantationPlanSRDocumentStorage ImplantationPlanSRStorage
1.2.840.10008.5.1.4.1.1.88.71 AcquisitionContextSRStorage
1.2.840.10008.5.1.4.1.1.88.72 SimplifiedAdultEchoSRStorage
1.2.840.10008.5.1.4.1.1.88.73 PatientRadiationDoseSRStorage
1.2.840.10008.5.1.4.1.1.88.74 PlannedImagingAgentAdministrationSRStorage
1.2.840.10008.5.1.4.1.1.88.75 PerformedImagingAgentAdministrationSRStorage
1.2.840.10008.5.1.4.1.1.88.76 EnhancedXRayRadiationDoseSRStorage
1.2.840.10008.5.1.4.1.1.88.77 WaveformAnnotationSRStorage
1.2.840.10008.5.1.4.1.1.90.1 ContentAssessmentResultsStorage
1.2.840.10008.5.1.4.1.1.91.1 MicroscopyBulkSimpleAnnotationsStorage
1.2.840.10008.5.1.4.1.1.104.1 EncapsulatedPDFStorage
1.2.840.10008.5.1.4.1.1.104.2 EncapsulatedCDAStorage
1.2.840.10008.5.1.4.1.1.104.3 EncapsulatedSTLStorage
1.2.840.10008.5.1.4.1.1.104.4 EncapsulatedOBJStorage
1.2.840.10008.5.1.4.1.1.104.5 EncapsulatedMTLStorage
1.2.840.10008.5.1.4.1.1.128 PositronEmissionTomographyImageStorage
1.2.840.10008.5.1.4.1.1.128.1 LegacyConvertedEnhancedPETImageStorage
1.2.840.10008.5.1.4.1.1.129 RETIRED_StandalonePETCurveStorage StandalonePETCurveStorage
1.2.840.10008.5.1.4.1.1.130 EnhancedPETImageStorage
1.2.840.10008.5.1.4.1.1.131 BasicStructuredDisplayStorage
1.2.840.10008.5.1.4.1.1.200.1 CTDefinedProcedureProtocolStorage
1.2.840.10008.5.1.4.1.1.200.2 CTPerformedProcedureProtocolStorage
1.2.840.10008.5.1.4.1.1.200.3 ProtocolApprovalStorage
1.2.840.10008.5.1.4.1.1.200.4 FINDProtocolApprovalInformationModel ProtocolApprovalInformationModelFind
1.2.840.10008.5.1.4.1.1.200.5 MOVEProtocolApprovalInformationModel ProtocolApprovalInformationModelMove
1.2.840.10008.5.1.4.1.1.200.6 GETProtocolApprovalInformationModel ProtocolApprovalInformationModelGet
1.2.840.10008.5.1.4.1.1.200.7 XADefinedProcedureProtocolStorage
1.2.840.10008.5.1.4.1.1.200.8 XAPerformedProcedureProtocolStorage
1.2.840.10008.5.1.4.1.1.201.1 InventoryStorage
1.2.840.10008.5.1.4.1.1.201.2 FINDInventory InventoryFind
1.2.840.10008.5.1.4.1.1.201.3 MOVEInventory InventoryMove
1.2.840.10008.5.1.4.1.1.201.4 GETInventory InventoryGet
1.2.840.10008.5.1.4.1.1.201.5 InventoryCreation
1.2.840.10008.5.1.4.1.1.201.6 RepositoryQuery
1.2.840.10008.5.1.4.1.1.481.1 RTImageStorage
1.2.840.10008.5.1.4.1.1.481.2 RTDoseStorage
1.2.840.10008.5.1.4.1.1.481.3 RTStructureSetStorage
1.2.840.10008.5.1.4.1.1.481.4 RTBeamsTreatmentRecordStorage
1.2.840.10008.5.1.4.1.1.481.5 RTPlanStorage
1.2.840.10008.5.1.4.1.1.481.6 RTBrachyTreatmentRecordStorage
1.2.840.10008.5.1.4.1.1.481.7 RTTreatmentSummaryRecordStorage
1.2.840.10008.5.1.4.1.1.481.8 RTIonPlanStorage
1.2.840.10008.5.1.4.1.1.481.9 RTIonBeamsTreatmentRecordStorage
1.2.840.10008.5.1.4.1.1.481.10 RTPhysicianIntentStorage
1.2.840.10008.5.1.4.1.1.481.11 RTSegmentAnnotationStorage
1.2.840.10008.5.1.4.1.1.481.12 RTRadiationSetStorage
1.2.840.10008.5.1.4.1.1.481.13 CArmPhotonElectronRadiationStorage
1.2.840.10008.5.1.4.1.1.481.14 TomotherapeuticRadiationStorage
1.2.840.10008.5.1.4.1.1.481.15 RoboticArmRadiationStorage
1.2.840.10008.5.1.4.1.1.481.16 RTRadiationRecordSetStorage
1.2.840.10008.5.1.4.1.1.481.17 RTRadiationSalvageRecordStorage
1.2.840.10008.5.1.4.1.1.481.18 TomotherapeuticRadiationRecordStorage
1.2.840.10008.5.1.4.1.1.481.19 CArmPhotonElectronRadiationRecordStorage
1.2.840.10008.5.1.4.1.1.481.20 RoboticRadiationRecordStorage
1.2.840.10008.5.1.4.1.1.481.21 RTRadiationSetDeliveryInstructionStorage
1.2.840.10008.5.1.4.1.1.481.22 RTTreatmentPreparationStorage
1.2.840.10008.5.1.4.1.1.481.23 EnhancedRTImageStorage
1.2.840.10008.5.1.4.1.1.481.24 EnhancedContinuousRTImageStorage
1.2.840.10008.5.1.4.1.1.481.25 RTPatientPositionAcquisitionInstructionStorage
1.2.840.10008.5.1.4.1.1.501.1 DICOS_CTImageStorage DICOSCTImageStorage
1.2.840.10008.5.1.4.1.1.501.2.1 DICOS_DigitalXRayImageStorageForPresentation DICOSDigitalXRayImageStorageForPresentation
1.2.840.10008.5.1.4.1.1.501.2.2 DICOS_DigitalXRayImageStorageForProcessing DICOSDigitalXRayImageStorageForProcessing
1.2.840.10008.5.1.4.1.1.501.3 DICOS_ThreatDetectionReportStorage DICOSThreatDetectionReportStorage
1.2.840.10008.5.1.4.1.1.501.4 DICOS_2DAITStorage DICOS2DAITStorage
1.2.840.10008.5.1.4.1.1.501.5 DICOS_3DAITStorage DICOS3DAITStorage
1.2.840.10008.5.1.4.1.1.501.6 DICOS_QuadrupoleResonanceStorage DICOSQuadrupoleResonanceStorage
1.2.840.10008.5.1.4.1.1.601.1 DICONDE_EddyCurrentImageStorage EddyCurrentImageStorage
1.2.840.10008.5.1.4.1.1.601.2 DICONDE_EddyCurrentMultiframeImageStorage EddyCurrentMultiFrameImageStorage
1.2.840.10008.5.1.4.1.1.601.3 DICONDE_ThermographyImageStorage ThermographyImageStorage
1.2.840.10008.5.1.4.1.1.601.4 DICONDE_ThermographyMultiFrameImageStorage ThermographyMultiFrameImageStorage
1.2.840.10008.5.1.4.1.1.601.5 DICONDE_UltrasoundWaveformStorage UltrasoundWaveformStorage
1.2.840.10008.5.1.4.1.2.1.1 FINDPatientRootQueryRetrieveInformationModel PatientRootQueryRetrieveInformationModelFind
1.2.840.10008.5.1.4.1.2.1.2 MOVEPatientRootQueryRetrieveInformationModel PatientRootQueryRetrieveInformationModelMove
1.2.840.10008.5.1.4.1.2.1.3 GETPatientRootQueryRetrieveInformationModel PatientRootQueryRetrieveInformationModelGet
1.2.840.10008.5.1.4.1.2.2.1 FINDStudyRootQueryRetrieveInformationModel StudyRootQueryRetrieveInformationModelFind
1.2.840.10008.5.1.4.1.2.2.2 MOVEStudyRootQueryRetrieveInformationModel StudyRootQueryRetrieveInformationModelMove
1.2.840.10008.5.1.4.1.2.2.3 GETStudyRootQueryRetrieveInformationModel StudyRootQueryRetrieveInformationModelGet
1.2.840.10008.5.1.4.1.2.3.1 RETIRED_FINDPatientStudyOnlyQueryRetrieveInformationModel \
    PatientStudyOnlyQueryRetrieveInformationModelFind
1.2.840.10008.5.1.4.1.2.3.2 RETIRED_MOVEPatientStudyOnlyQueryRetrieveInformationModel \
    PatientStudyOnlyQueryRetrieveInformationModelMove
1.2.840.10008.5.1.4.1.2.3.3 RETIRED_GETPatientStudyOnlyQueryRetrieveInformationModel \
    PatientStudyOnlyQueryRetrieveInformationModelGet
1.2.840.10008.5.1.4.1.2.4.2 MOVECompositeInstanceRootRetrieve CompositeInstanceRootRetrieveMove
1.2.840.10008.5.1.4.1.2.4.3 GETCompositeInstanceRootRetrieve CompositeInstanceRootRetrieveGet
1.2.840.10008.5.1.4.1.2.5.3 GETCompositeInstanceRetrieveWithoutBulkData CompositeInstanceRetrieveWithoutBulkDataGet
1.2.840.10008.5.1.4.20.1 FINDDefinedProcedureProtocolInformationModel DefinedProcedureProtocolInformationModelFind
1.2.840.10008.5.1.4.20.2 MOVEDefinedProcedureProtocolInformationModel DefinedProcedureProtocolInformationModelMove
1.2.840.10008.5.1.4.20.3 GETDefinedProcedureProtocolInformationModel DefinedProcedureProtocolInformationModelGet
1.2.840.10008.5.1.4.31 FINDModalityWorklistInformationModel ModalityWorklistInformationModelFind
1.2.840.10008.5.1.4.32 RETIRED_GeneralPurposeWorklistManagementMetaSOPClass GeneralPurposeWorklistManagementMeta
1.2.840.10008.5.1.4.32.1 RETIRED_FINDGeneralPurposeWorklistInformationModel GeneralPurposeWorklistInformationModelFind
1.2.840.10008.5.1.4.32.2 RETIRED_GeneralPurposeScheduledProcedureStepSOPClass GeneralPurposeScheduledProcedureStep
1.2.840.10008.5.1.4.32.3 RETIRED_GeneralPurposePerformedProcedureStepSOPClass GeneralPurposePerformedProcedureStep
1.2.840.10008.5.1.4.33 InstanceAvailabilityNotificationSOPClass InstanceAvailabilityNotification
1.2.840.10008.5.1.4.34.1 DRAFT_RTBeamsDeliveryInstructionStorage RTBeamsDeliveryInstructionStorageTrial
1.2.840.10008.5.1.4.34.2 DRAFT_RTConventionalMachineVerification RTConventionalMachineVerificationTrial
1.2.840.10008.5.1.4.34.3 DRAFT_RTIonMachineVerification RTIonMachineVerificationTrial
1.2.840.10008.5.1.4.34.4.1 DRAFT_UnifiedProcedureStepPushSOPClass UnifiedProcedureStepPushTrial
1.2.840.10008.5.1.4.34.4.2 DRAFT_UnifiedProcedureStepWatchSOPClass UnifiedProcedureStepWatchTrial
1.2.840.10008.5.1.4.34.4.3 DRAFT_UnifiedProcedureStepPullSOPClass UnifiedProcedureStepPullTrial
1.2.840.10008.5.1.4.34.4.4 DRAFT_UnifiedProcedureStepEventSOPClass UnifiedProcedureStepEventTrial
1.2.840.10008.5.1.4.34.6.1 UnifiedProcedureStepPushSOPClass UnifiedProcedureStepPush
1.2.840.10008.5.1.4.34.6.2 UnifiedProcedureStepWatchSOPClass UnifiedProcedureStepWatch
1.2.840.10008.5.1.4.34.6.3 UnifiedProcedureStepPullSOPClass UnifiedProcedureStepPull
1.2.840.10008.5.1.4.34.6.4 UnifiedProcedureStepEventSOPClass UnifiedProcedureStepEvent
1.2.840.10008.5.1.4.34.6.5 UnifiedProcedureStepQuerySOPClass UnifiedProcedureStepQuery
1.2.840.10008.5.1.4.34.7 RTBeamsDeliveryInstructionStorage
1.2.840.10008.5.1.4.34.8 RTConventionalMachineVerification
1.2.840.10008.5.1.4.34.9 RTIonMachineVerification
1.2.840.10008.5.1.4.34.10 RTBrachyApplicationSetupDeliveryInstructionStorage
1.2.840.10008.5.1.4.37.1 GeneralRelevantPatientInformationQuery
1.2.840.10008.5.1.4.37.2 BreastImagingRelevantPatientInformationQuery
1.2.840.10008.5.1.4.37.3 CardiacRelevantPatientInformationQuery
1.2.840.10008.5.1.4.38.1 HangingProtocolStorage
1.2.840.10008.5.1.4.38.2 FINDHangingProtocolInformationModel HangingProtocolInformationModelFind
1.2.840.10008.5.1.4.38.3 MOVEHangingProtocolInformationModel HangingProtocolInformationModelMove
1.2.840.10008.5.1.4.38.4 GETHangingProtocolInformationModel HangingProtocolInformationModelGet
1.2.840.10008.5.1.4.39.1 ColorPaletteStorage
1.2.840.10008.5.1.4.39.2 FINDColorPaletteInformationModel ColorPaletteQueryRetrieveInformationModelFind
1.2.840.10008.5.1.4.39.3 MOVEColorPaletteInformationModel ColorPaletteQueryRetrieveInformationModelMove
1.2.840.10008.5.1.4.39.4 GETColorPaletteInformationModel ColorPaletteQueryRetrieveInformationModelGet
1.2.840.10008.5.1.4.41 ProductCharacteristicsQuerySOPClass ProductCharacteristicsQuery
1.2.840.10008.5.1.4.42 SubstanceApprovalQuerySOPClass SubstanceApprovalQuery
1.2.840.10008.5.1.4.43.1 GenericImplantTemplateStorage
1.2.840.10008.5.1.4.43.2 FINDGenericImplantTemplateInformationModel GenericImplantTemplateInformationModelFind
1.2.840.10008.5.1.4.43.3 MOVEGenericImplantTemplateInformationModel GenericImplantTemplateInformationModelMove
1.2.840.10008.5.1.4.43.4 GETGenericImplantTemplateInformationModel GenericImplantTemplateInformationModelGet
1.2.840.10008.5.1.4.44.1 ImplantAssemblyTemplateStorage
1.2.840.10008.5.1.4.44.2 FINDImplantAssemblyTemplateInformationModel ImplantAssemblyTemplateInformationModelFind
1.2.840.10008.5.1.4.44.3 MOVEImplantAssemblyTemplateInformationModel ImplantAssemblyTemplateInformationModelMove
1.2.840.10008.5.1.4.44.4 GETImplantAssemblyTemplateInformationModel ImplantAssemblyTemplateInformationModelGet
1.2.840.10008.5.1.4.45.1 ImplantTemplateGroupStorage
1.2.840.10008.5.1.4.45.2 FINDImplantTemplateGroupInformationModel ImplantTemplateGroupInformationModelFind
1.2.840.10008.5.1.4.45.3 MOVEImplantTemplateGroupInformationModel ImplantTemplateGroupInformationModelMove
1.2.840.10008.5.1.4.45.4 GETImplantTemplateGroupInformationModel ImplantTemplateGroupInformationModelGet
1.2.840.10008.10.1 VideoEndoscopicImageRealTimeCommunication
1.2.840.10008.10.2 VideoPhotographicImageRealTimeCommunication
1.2.840.10008.10.3 AudioWaveformRealTimeCommunication
1.2.840.10008.10.4 RenditionSelectionDocumentRealTimeCommunication
"""
"""UIDs and their names: transfer syntaxes, then SOP classes."""

_EXPLICIT = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Explicit VR little and big endian."""


def name_of(uid: str) -> str:
    """The name of a UID; a UID without a name is its own."""
    names = _names().get(uid)
    return names[0] if names else uid


def uid_of(name: str) -> str | None:
    """The UID of a name, if there is one.

    ``LocalEndianExplicit`` and ``OppositeEndianExplicit`` depend on the machine, as in DCMTK.
    """
    return _uids().get(name)


def names() -> Iterable[str]:
    """All names."""
    return _uids()


@cache
def _names() -> dict[str, list[str]]:
    return {uid: names for uid, *names in map(str.split, _TABLE.splitlines())}


@cache
def _uids() -> dict[str, str]:
    local, opposite = _EXPLICIT if sys.byteorder == "little" else reversed(_EXPLICIT)
    uids = {"LocalEndianExplicit": local, "OppositeEndianExplicit": opposite}
    return uids | {name: uid for uid, names in _names().items() for name in names}
