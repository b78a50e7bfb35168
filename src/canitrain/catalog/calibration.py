"""The constants of ``profiles/calibration/``."""

from __future__ import annotations

from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path
from canitrain.core.calibration import Calibration
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.time_calibration import TimeCalibration


def load_calibration() -> Calibration:
    """All three files, decoded.

    Raises:
        CatalogError: one of them does not decode.
    """
    folder = profiles_path() / "calibration"
    return Calibration(
        memory=decode_toml(folder / "memory.toml", MemoryCalibration),
        time=decode_toml(folder / "time.toml", TimeCalibration),
        host=decode_toml(folder / "host.toml", HostCalibration),
    )
