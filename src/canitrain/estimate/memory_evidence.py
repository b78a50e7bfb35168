"""What a GPU memory estimate rests on."""

from __future__ import annotations

from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.gpu import GpuSpec, Vendor
from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.profile import ModelProfile


def memory_level(profile: ModelProfile, card: GpuSpec, calibration: MemoryCalibration) -> EvidenceLevel:
    """``calibrated`` where runs of this library on this generation were fitted, ``datasheet`` for other vendors."""
    if card.vendor is not Vendor.NVIDIA:
        return EvidenceLevel.DATASHEET
    fitted = card.generation in calibration.fitted_generations
    if fitted and profile.implementation.library in calibration.fitted_libraries:
        return EvidenceLevel.CALIBRATED
    return EvidenceLevel.GENERATION


def memory_evidence(profile: ModelProfile, card: GpuSpec, calibration: MemoryCalibration) -> Evidence:
    """The level and, in one line, what was fitted and how far off it is."""
    level = memory_level(profile, card, calibration)
    spread = calibration.spread[level]
    library = f"live tensors traced from {profile.implementation.release}"
    return Evidence(level=level, detail=f"{library}; {spread.high.source}")
