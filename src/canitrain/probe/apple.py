"""Apple silicon's GPU: cores from the I/O registry, memory from what Metal lets a process use."""

from __future__ import annotations

import re

from msgspec import structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Ram
from canitrain.core.unified_memory import gpu_share_bytes
from canitrain.core.units import MIB_BYTES
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, derive, positive


def read_apple(host: Host, ram: Ram) -> Known[tuple[Gpu, ...]] | Unknown:
    """The GPU of an Apple chip; none on an Intel Mac, whose Radeon torch no longer trains on."""
    if isinstance(host.platform, Unknown):
        return host.platform
    if host.platform.value.machine != "arm64":
        return Known(value=(), source="an Intel Mac has no GPU that torch trains on")
    registry = host.run("ioreg", "-r", "-d", "1", "-c", "AGXAccelerator")
    name = derive(registry, lambda text: re.findall(r'"model" = "(Apple [^"]+)"', text)[0])
    if isinstance(name, Unknown):
        return name
    gpu = sparse_gpu(name.value, Vendor.APPLE, "ioreg", unstated="macOS does not state it")
    total = _share(host, ram.total_bytes)
    return Known(
        value=(
            structs.replace(
                gpu,
                total_bytes=total,
                free_bytes=_free(total, ram.usable_bytes),
                multiprocessors=derive(
                    registry, lambda text: positive(re.findall(r'"gpu-core-count" = (\d+)', text)[0])
                ),
                laptop=derive(host.run("sysctl", "-n", "hw.model"), lambda model: "Book" in model),
            ),
        ),
        source="ioreg",
    )


def _share(host: Host, total: Known[int] | Unknown) -> Known[int] | Unknown:
    """What the GPU may take of unified memory: the owner's limit where one is set, else Metal's share."""
    limit = derive(host.run("sysctl", "-n", "iogpu.wired_limit_mb"), int)
    if isinstance(limit, Known) and limit.value > 0:
        return Known(value=limit.value * MIB_BYTES, source=limit.source)
    return derive(
        total,
        lambda size: gpu_share_bytes(Vendor.APPLE, size),
        "share of unified memory that Metal recommends",
    )


def _free(total: Known[int] | Unknown, available: Known[int] | Unknown) -> Known[int] | Unknown:
    """Unified memory is free for the GPU only so far as it is free at all."""
    if isinstance(total, Unknown):
        return total
    return derive(available, lambda room: min(room, total.value))
