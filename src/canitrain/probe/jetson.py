"""NVIDIA Jetson modules, whose GPU shares the main memory and which NVML describes poorly or not at all."""

from __future__ import annotations

import re

from msgspec import structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Ram
from canitrain.core.units import GIB_BYTES
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, derive

CAPABILITIES = {"Thor": "11.0", "Orin": "8.7", "Xavier": "7.2", "TX2": "6.2", "TX1": "5.3", "Nano": "5.3"}
"""Compute capability by module family, first match. Source: NVIDIA's "CUDA GPUs", Jetson products."""
SIZES_GIB = (4, 8, 16, 32, 64, 128)
"""Memory of the modules as they are sold; Linux sees a little less."""


def read_jetson(host: Host, ram: Ram) -> Known[tuple[Gpu, ...]]:
    """The module's GPU, or none where this is no Jetson."""
    model = host.read("/proc/device-tree/model")
    if isinstance(model, Unknown) or "Jetson" not in model.value:
        return Known(value=(), source="/proc/device-tree/model")
    title = re.sub(r"\s+(Developer Kit|Engineering Reference.*)$", "", model.value.strip("\0 ").removeprefix("NVIDIA "))
    size = derive(ram.total_bytes, lambda total: next(gib for gib in SIZES_GIB if gib * GIB_BYTES >= total))
    name = f"{title} {size.value}GB" if isinstance(size, Known) and "GB" not in title else title
    gpu = sparse_gpu(name, Vendor.NVIDIA, model.source, unstated="a Jetson's driver does not state it")
    return Known(
        value=(
            structs.replace(
                gpu,
                total_bytes=ram.total_bytes,
                free_bytes=ram.usable_bytes,
                compute_capability=derive(
                    model, lambda text: next(number for family, number in CAPABILITIES.items() if family in text)
                ),
            ),
        ),
        source=model.source,
    )
