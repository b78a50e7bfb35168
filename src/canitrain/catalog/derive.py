"""A card that the catalog lacks, worked out from what its driver reports, by the rules of the catalog."""

from __future__ import annotations

import msgspec

from canitrain.catalog.rates import find_architecture, peaks
from canitrain.core.fact import Known, value_or_none
from canitrain.core.gpu import GpuSpec, Vendor
from canitrain.core.hardware import Gpu

_TRANSFERS_PER_CLOCK = 2
"""GDDR and HBM move data on both edges of the memory clock that NVML reports. Source: CUDA samples, deviceQuery."""
_BITS_PER_BYTE = 8


def derive(gpu: Gpu, name: str) -> GpuSpec | None:
    """The specification of ``gpu`` (``name`` without the vendor), or ``None`` where a fact that it needs is missing.

    Known limitations: NVML's highest clock lies above the boost clock of a GeForce datasheet by a share that varies by
    card; ``gpu_rates.toml`` has one share a generation. The L2 cache and links between cards stay open.
    """
    target, multiprocessors = value_or_none(gpu.compute_capability), value_or_none(gpu.multiprocessors)
    highest_hz, memory_bytes = value_or_none(gpu.boost_hz), value_or_none(gpu.total_bytes)
    memory_bytes_per_s = bandwidth_of(gpu)
    architecture = find_architecture(target, name) if target else None
    if not (architecture and multiprocessors and highest_hz and memory_bytes and memory_bytes_per_s):
        return None
    boost_hz = highest_hz * architecture.boost_ratio
    return GpuSpec(
        name=name,
        vendor=_vendor(gpu),
        generation=architecture.generation,
        memory_bytes=memory_bytes,
        memory_bytes_per_s=memory_bytes_per_s,
        multiprocessors=multiprocessors,
        boost_hz=boost_hz,
        compute_capability=target,
        pcie_bytes_per_s=value_or_none(gpu.pcie_bytes_per_s),
        tdp_w=value_or_none(gpu.power_limit_w),
        laptop=value_or_none(gpu.laptop) or False,
        source="derived: multiprocessors, clocks and bus width from the driver, rates of its generation",
        **msgspec.structs.asdict(peaks(architecture, multiprocessors, boost_hz)),
    )


def bandwidth_of(gpu: Gpu) -> float | None:
    """Bytes a second from memory clock and bus width, or ``None`` where the driver tells neither."""
    if not (isinstance(gpu.memory_hz, Known) and isinstance(gpu.memory_bus_bits, Known)):
        return None
    return gpu.memory_hz.value * _TRANSFERS_PER_CLOCK * gpu.memory_bus_bits.value / _BITS_PER_BYTE


def resized(card: GpuSpec, multiprocessors: int, memory_bytes: int, memory_ratio: float, source: str) -> GpuSpec:
    """``card`` with another number of multiprocessors and memory: a MIG slice, or an Apple chip with fewer cores.

    Args:
        card: the whole card.
        multiprocessors: how many the device has.
        memory_bytes: what the device has.
        memory_ratio: its share of the whole card's bandwidth, 0 to 1.
        source: what to say of the change.
    """
    share = multiprocessors / card.multiprocessors

    def scaled(rate: float | None) -> float | None:
        return None if rate is None else rate * share

    return msgspec.structs.replace(
        card,
        multiprocessors=multiprocessors,
        memory_bytes=memory_bytes,
        memory_bytes_per_s=card.memory_bytes_per_s * memory_ratio,
        fp32_flops_per_s=card.fp32_flops_per_s * share,
        tf32_flops_per_s=scaled(card.tf32_flops_per_s),
        fp16_flops_per_s=scaled(card.fp16_flops_per_s),
        bf16_flops_per_s=scaled(card.bf16_flops_per_s),
        source=f"{card.source}; {source}",
    )


def _vendor(gpu: Gpu) -> Vendor:
    known = value_or_none(gpu.vendor)
    return next((vendor for vendor in Vendor if vendor.value == str(known).lower()), Vendor.NVIDIA)
