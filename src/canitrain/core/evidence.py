"""Where an estimate comes from."""

from __future__ import annotations

import enum

from msgspec import Struct


class EvidenceLevel(enum.Enum):
    """Best first; the interval widens down the list."""

    MEASURED_HERE = "measured-here"
    CALIBRATED = "calibrated"
    GENERATION = "generation"
    DATASHEET = "datasheet"


class Evidence(Struct, frozen=True, kw_only=True):
    """What an estimate rests on: ``detail`` names the fit, its runs and its residual, in one line."""

    level: EvidenceLevel
    detail: str


class Coefficient(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of ``profiles/calibration/``: never bare in code."""

    value: float
    unit: str
    source: str
    """A datasheet, a documentation page, or what it was fitted on."""
    residual: str = ""
    """Of a fit: cross-validated median and 95th percentile."""
