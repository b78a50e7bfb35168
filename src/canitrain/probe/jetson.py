"""NVIDIA Jetson modules, whose GPU shares the main memory and which NVML describes poorly or not at all."""

from __future__ import annotations

import re
from typing import TypeVar

from msgspec import structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Ram
from canitrain.core.units import GIB_BYTES
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, derive

CAPABILITIES = {
    "Thor": "11.0", "T5000": "11.0", "T4000": "11.0", "Orin": "8.7", "Xavier": "7.2", "Jetson-AGX": "7.2",
    "TX2": "6.2", "TX1": "5.3", "Nano": "5.3",
}  # fmt: skip
"""Compute capability by module family, first match. Source: NVIDIA's "CUDA GPUs", Jetson products."""
_JETSON = re.compile(r"Jetson|NVIDIA Orin")
"""JetPack 5 calls the smaller ones ``NVIDIA Orin Nano Developer Kit``."""
_KIT = re.compile(r"\s+(?:Engineering Reference\s+)?Developer Kit")
"""Not a part of the name; ``Super`` after it is, and means higher clocks."""
SIZES_GIB = (2, 4, 8, 16, 32, 64, 128)
"""Memory of the modules as they are sold; Linux sees a little less."""


T = TypeVar("T")


def read_jetson(host: Host, ram: Ram) -> Known[tuple[Gpu, ...]]:
    """The module's GPU, or none where this is no Jetson."""
    model = host.read("/proc/device-tree/model")
    if isinstance(model, Unknown) or not _JETSON.search(model.value):
        return Known(value=(), source="/proc/device-tree/model")
    title = _KIT.sub("", model.value.strip("\0 ").removeprefix("NVIDIA "))
    size = derive(ram.total_bytes, lambda total: _first([gib for gib in SIZES_GIB if gib * GIB_BYTES >= total]))
    name = f"{title} {size.value}GB" if isinstance(size, Known) and "GB" not in title else title
    gpu = sparse_gpu(name, Vendor.NVIDIA, model.source, unstated="a Jetson's driver does not state it")
    return Known(
        value=(
            structs.replace(
                gpu,
                total_bytes=ram.total_bytes,
                free_bytes=ram.usable_bytes,
                compute_capability=derive(
                    model, lambda text: _first([number for family, number in CAPABILITIES.items() if family in text])
                ),
            ),
        ),
        source=model.source,
    )


def _first(fitting: list[T]) -> T:
    """The first of ``fitting``; raises IndexError where nothing fits, as a module yet to come."""
    return fitting[0]
