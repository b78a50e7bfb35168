"""What a time estimate rests on."""

from __future__ import annotations

from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.profile import ModelProfile
from canitrain.core.time_calibration import TimeCalibration
from canitrain.core.units import GHZ
from canitrain.estimate.sustained_clock import sustained_hz

LAPTOP = "; a laptop's maker sets its clock, up to 20 % off the catalog's"
"""Source: NVIDIA's ranges of boost clocks for one laptop card, of which the catalog takes the middle."""

WORTH_TELLING = 0.95
"""Share of its printed clock below which a card's evidence says what its power holds: the rule itself is off by 7 %."""


def is_fitted(profile: ModelProfile, calibration: TimeCalibration) -> bool:
    """Whether timed runs of the model's library were in the fit."""
    return profile.implementation.library in calibration.fitted_libraries


def time_evidence(profile: ModelProfile, device: GpuSpec | Cpu, calibration: TimeCalibration) -> Evidence:
    """Calibrated where the card and the implementation were in the fit, else a relative, else the datasheet."""
    fitted = is_fitted(profile, calibration)
    beside = "" if fitted else f"; no run of {profile.implementation.library} was in the fit: interval widened"
    if isinstance(device, Cpu):
        return Evidence(level=EvidenceLevel.DATASHEET, detail=calibration.cpu_fit + beside)
    beside += (LAPTOP if device.laptop else "") + _clock(device, calibration)
    if device.generation not in calibration.fitted_generations:
        detail = f"datasheet of {device.name}, efficiency of other architectures{beside}"
        return Evidence(level=EvidenceLevel.DATASHEET, detail=detail)
    if device.name not in calibration.fitted_cards:
        detail = f"{device.generation.value} efficiency on the datasheet of {device.name}; {calibration.fit}{beside}"
        return Evidence(level=EvidenceLevel.GENERATION, detail=detail)
    if not fitted:
        return Evidence(level=EvidenceLevel.GENERATION, detail=f"{device.name}; {calibration.fit}{beside}")
    return Evidence(level=EvidenceLevel.CALIBRATED, detail=f"{device.name}; {calibration.fit}{beside}")


def _clock(card: GpuSpec, calibration: TimeCalibration) -> str:
    """What is said of a card that cannot hold its printed clock, to be read after other details."""
    held_hz = sustained_hz(card, calibration)
    if held_hz >= WORTH_TELLING * card.boost_hz:
        return ""
    return f"; {card.tdp_w:.0f} W hold about {held_hz / GHZ:.2f} of its {card.boost_hz / GHZ:.2f} GHz"
