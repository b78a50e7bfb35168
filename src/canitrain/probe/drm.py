"""Graphics devices that the kernel's DRM layer lists under ``/sys/class/drm``, of every vendor."""

from __future__ import annotations

import re

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.probe.host import Host, derive, is_absent

DRM = "/sys/class/drm"
AMD, INTEL, NVIDIA = 0x1002, 0x8086, 0x10DE
"""PCI vendor numbers. Source: the PCI ID repository."""


class DrmCard(Struct, frozen=True, kw_only=True):
    """One ``cardN``: PCI vendor and device, and its folder under ``/sys``."""

    folder: str
    vendor: int
    device: int


def drm_cards(host: Host) -> Known[tuple[DrmCard, ...]] | Unknown:
    """Every graphics device; ``Known(())`` where the kernel has no DRM."""
    names = host.names(DRM)
    if isinstance(names, Unknown):
        return Known(value=(), source=DRM) if is_absent(names) else names
    cards = []
    for name in sorted(
        (name for name in names.value if re.fullmatch(r"card\d+", name)), key=lambda text: int(text[4:])
    ):
        folder = f"{DRM}/{name}/device"
        vendor = derive(host.read(f"{folder}/vendor"), lambda text: int(text, 16))
        if isinstance(vendor, Unknown):
            if is_absent(vendor):
                continue  # a display of an SoC or a virtual one: not on PCI
            return vendor
        device = derive(host.read(f"{folder}/device"), lambda text: int(text, 16))
        if isinstance(device, Unknown):
            return device
        cards.append(DrmCard(folder=folder, vendor=vendor.value, device=device.value))
    return Known(value=tuple(cards), source=DRM)
