"""The probe in one screen: every source in turn, then the warnings."""

from __future__ import annotations

import os
from pathlib import Path

from canitrain.core.hardware import Hardware
from canitrain.probe.cpu import read_cpu
from canitrain.probe.environment import read_surroundings
from canitrain.probe.host import Host
from canitrain.probe.limits import read_limits
from canitrain.probe.memory import read_ram
from canitrain.probe.nvidia import read_nvidia
from canitrain.probe.software import read_software
from canitrain.probe.sources import ThisMachine
from canitrain.probe.storage import read_storage


def probe(data_path: Path) -> Hardware:
    """This machine, with the storage that holds ``data_path``. Never raises; ends within ``host.TOTAL_LIMIT_S``."""
    return probe_host(Host(ThisMachine()), os.path.abspath(data_path))  # noqa: PTH100 - no link is followed, no file asked


def probe_host(host: Host, data_path: str) -> Hardware:
    """The machine behind ``host``; ``data_path`` is absolute."""
    limits = read_limits(host)
    nvidia = read_nvidia(host)
    return Hardware(
        origin="this machine",
        cpu=read_cpu(host, limits),
        ram=read_ram(host, limits),
        storage=read_storage(host, data_path),
        gpus=nvidia.gpus,
        software=read_software(host, nvidia.driver, read_surroundings(host)),
    )
