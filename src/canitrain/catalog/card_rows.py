"""The rows of ``profiles/gpus/<vendor>.toml``, in the units of datasheets, and the card that each stands for."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path
from canitrain.catalog.rates import find_architecture, peaks
from canitrain.core.errors import CatalogError
from canitrain.core.gpu import GpuSpec, Vendor
from canitrain.core.units import GB_BYTES, GIB_BYTES, MHZ, MIB_BYTES

_TFLOPS = 1e12
_LANE_BYTES_PER_S = {"1.0": 0.25e9, "2.0": 0.5e9, "3.0": 0.985e9, "4.0": 1.969e9, "5.0": 3.938e9}
"""PCIe, one direction, after line coding. Source: PCI-SIG, 2.5 to 32 GT/s with 8b/10b or 128b/130b."""


class CardRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Datasheet facts of one card; peaks follow from ``target``, multiprocessors and clock unless stated."""

    name: str
    target: str
    """CUDA compute capability, gfx target or generation: the row of ``gpu_rates.toml``."""
    aliases: tuple[str, ...] = ()
    detected_names: tuple[str, ...] = ()
    memory_gib: float
    bandwidth_gb_per_s: float
    multiprocessors: int
    boost_mhz: float
    l2_mib: float | None = None
    pcie: str | None = None
    """``4.0 x16``."""
    link_gb_per_s: float | None = None
    """One direction, all links."""
    link_bridge: bool = False
    tdp_w: float | None = None
    year: int | None = None
    laptop: bool = False
    unified_memory: bool = False
    inline_ecc: bool = False
    fp32_tflops: float | None = None
    tf32_tflops: float | None = None
    fp16_tflops: float | None = None
    bf16_tflops: float | None = None
    source: str


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    gpu: tuple[CardRow, ...]


def read_rows(vendor: Vendor) -> tuple[CardRow, ...]:
    """The rows of one vendor.

    Raises:
        CatalogError: the file does not decode.
    """
    return decode_toml(profiles_path() / "gpus" / f"{vendor.value}.toml", _File).gpu


def spec_of(row: CardRow, vendor: Vendor) -> GpuSpec:
    """The card of ``row`` in base units, peaks filled in.

    Raises:
        CatalogError: ``gpu_rates.toml`` has no rule for its target.
    """
    architecture = find_architecture(row.target, row.name)
    if architecture is None:
        raise CatalogError(
            f"{row.name}: no rates for {row.target!r}", hint="add it to profiles/calibration/gpu_rates.toml"
        )
    boost_hz = row.boost_mhz * MHZ
    rates = msgspec.structs.asdict(peaks(architecture, row.multiprocessors, boost_hz))
    stated = {
        "fp32_flops_per_s": row.fp32_tflops,
        "tf32_flops_per_s": row.tf32_tflops,
        "fp16_flops_per_s": row.fp16_tflops,
        "bf16_flops_per_s": row.bf16_tflops,
    }
    rates |= {key: value * _TFLOPS for key, value in stated.items() if value is not None}
    return GpuSpec(
        name=row.name,
        vendor=vendor,
        generation=architecture.generation,
        aliases=row.aliases,
        detected_names=row.detected_names,
        memory_bytes=round(row.memory_gib * GIB_BYTES),
        memory_bytes_per_s=row.bandwidth_gb_per_s * GB_BYTES,
        multiprocessors=row.multiprocessors,
        boost_hz=boost_hz,
        l2_bytes=None if row.l2_mib is None else round(row.l2_mib * MIB_BYTES),
        compute_capability=row.target if row.target != architecture.generation.value else None,
        pcie_bytes_per_s=None if row.pcie is None else _pcie_bytes_per_s(row.pcie),
        link_bytes_per_s=None if row.link_gb_per_s is None else row.link_gb_per_s * GB_BYTES,
        link_bridge=row.link_bridge,
        tdp_w=row.tdp_w,
        year=row.year,
        laptop=row.laptop,
        unified_memory=row.unified_memory,
        inline_ecc=row.inline_ecc,
        source=f"{row.source}; peaks: {architecture.source}",
        **rates,
    )


def _pcie_bytes_per_s(text: str) -> float:
    """One direction of a link written ``4.0 x16``."""
    version, _, lanes = text.partition(" x")
    return _LANE_BYTES_PER_S[version] * int(lanes)
