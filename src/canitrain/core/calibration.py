"""Every fitted or physical constant of the estimators, as one record."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.host_calibration import HostCalibration
from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.time_calibration import TimeCalibration


class Calibration(Struct, frozen=True, kw_only=True):
    """One field a file of ``profiles/calibration/``."""

    memory: MemoryCalibration
    time: TimeCalibration
    host: HostCalibration
