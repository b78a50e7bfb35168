"""Whether anything of NVIDIA's is in the machine: known before its library is loaded, and when that fails."""

from __future__ import annotations

import re

from canitrain.core.fact import Known, Unknown
from canitrain.probe.drm import NVIDIA
from canitrain.probe.host import Host, derive, is_absent

PCI = "/sys/bus/pci/devices"
DISPLAY = 0x03
"""PCI class of display controllers. Source: PCI Code and ID Assignment Specification."""


def trace_of_a_card(host: Host) -> Known[None] | Unknown:
    """Nothing (known) where there is certainly no card, else what shows that there may be one."""
    match host.system:
        case "Linux":
            driver = _trace_of_a_driver(host)
            return _trace_on_the_bus(host) if driver is None else Unknown(reason=driver)
        case "Darwin":
            return Known(value=None, source="macOS has no NVIDIA driver")
        case _:
            return Unknown(reason="only NVML knows")


def _trace_of_a_driver(host: Host) -> str | None:
    """What shows that an NVIDIA driver is there, or ``None``."""
    if any(isinstance(host.names(folder), Known) for folder in ("/proc/driver/nvidia", "/sys/module/nvidia")):
        return "the NVIDIA driver is loaded but does not answer"
    nodes = host.names("/dev")
    if isinstance(nodes, Unknown):
        return nodes.reason
    if any(re.fullmatch(r"nvidia\d+|nvhost-gpu", name) for name in nodes.value):
        return "/dev has an NVIDIA card but its driver does not answer"
    if "dxg" in nodes.value:  # WSL2's door to Windows' cards of any vendor
        libraries = host.names("/usr/lib/wsl/lib")
        if isinstance(libraries, Unknown) or any("nvidia" in name for name in libraries.value):
            return "WSL2 has a card whose driver does not answer"
    return None


def _trace_on_the_bus(host: Host) -> Known[None] | Unknown:
    """An NVIDIA display device on the PCI bus, or a device there that could not be looked at."""
    devices = host.names(PCI)
    if isinstance(devices, Unknown):
        return Known(value=None, source="no PCI bus") if is_absent(devices) else devices
    for name in devices.value:
        vendor = derive(host.read(f"{PCI}/{name}/vendor"), lambda text: int(text, 16))
        kind = derive(host.read(f"{PCI}/{name}/class"), lambda text: int(text, 16) >> 16)
        if isinstance(vendor, Unknown):
            return vendor
        if vendor.value == NVIDIA and (isinstance(kind, Unknown) or kind.value == DISPLAY):
            return Unknown(reason="an NVIDIA card is on the PCI bus but has no working driver")
    return Known(value=None, source=PCI)
