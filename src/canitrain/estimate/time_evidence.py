"""What a time estimate rests on."""

from __future__ import annotations

from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.profile import ModelProfile
from canitrain.core.time_calibration import TimeCalibration


def time_evidence(profile: ModelProfile, device: GpuSpec | Cpu, calibration: TimeCalibration) -> Evidence:
    """Calibrated where the card and the implementation were in the fit, else a relative, else the datasheet."""
    if isinstance(device, Cpu):
        return Evidence(level=EvidenceLevel.DATASHEET, detail=calibration.cpu_fit)
    if device.generation not in calibration.fitted_generations:
        detail = f"datasheet of {device.name}, efficiency of other architectures"
        return Evidence(level=EvidenceLevel.DATASHEET, detail=detail)
    if device.name not in calibration.fitted_cards:
        detail = f"{device.generation.value} efficiency on the datasheet of {device.name}; {calibration.fit}"
        return Evidence(level=EvidenceLevel.GENERATION, detail=detail)
    if profile.implementation.library not in calibration.fitted_libraries:
        detail = f"{device.name} with other libraries than {profile.implementation.library}; {calibration.fit}"
        return Evidence(level=EvidenceLevel.GENERATION, detail=detail)
    return Evidence(level=EvidenceLevel.CALIBRATED, detail=f"{device.name}; {calibration.fit}")
