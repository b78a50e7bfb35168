"""What a time estimate rests on."""

from __future__ import annotations

from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.profile import ModelProfile
from canitrain.core.time_calibration import TimeCalibration

LAPTOP = "; a laptop's maker sets its clock, up to 20 % off the catalog's"
"""Source: NVIDIA's ranges of boost clocks for one laptop card, of which the catalog takes the middle."""


def is_fitted(profile: ModelProfile, calibration: TimeCalibration) -> bool:
    """Whether timed runs of the model's library were in the fit."""
    return profile.implementation.library in calibration.fitted_libraries


def time_evidence(profile: ModelProfile, device: GpuSpec | Cpu, calibration: TimeCalibration) -> Evidence:
    """Calibrated where the card and the implementation were in the fit, else a relative, else the datasheet."""
    fitted = is_fitted(profile, calibration)
    beside = "" if fitted else f"; no run of {profile.implementation.library} was in the fit: interval widened"
    if isinstance(device, Cpu):
        return Evidence(level=EvidenceLevel.DATASHEET, detail=calibration.cpu_fit + beside)
    beside += LAPTOP if device.laptop else ""
    if device.generation not in calibration.fitted_generations:
        detail = f"datasheet of {device.name}, efficiency of other architectures{beside}"
        return Evidence(level=EvidenceLevel.DATASHEET, detail=detail)
    if device.name not in calibration.fitted_cards:
        detail = f"{device.generation.value} efficiency on the datasheet of {device.name}; {calibration.fit}{beside}"
        return Evidence(level=EvidenceLevel.GENERATION, detail=detail)
    if not fitted:
        return Evidence(level=EvidenceLevel.GENERATION, detail=f"{device.name}; {calibration.fit}{beside}")
    return Evidence(level=EvidenceLevel.CALIBRATED, detail=f"{device.name}; {calibration.fit}{beside}")
