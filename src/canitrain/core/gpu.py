"""A graphics card or accelerator by its datasheet."""

from __future__ import annotations

import enum

from msgspec import Struct

INLINE_ECC_PARTS = 16
"""One of so many parts of GDDR holds error correction. Source: NVIDIA Tesla board specifications (6.25 % of memory)."""


class Vendor(enum.Enum):
    """Who makes the chip, which decides the software stack that trains on it."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    APPLE = "apple"


class Generation(enum.Enum):
    """Architectures that behave alike: which number formats the matrix units take, how kernels are launched."""

    KEPLER = "kepler"
    MAXWELL = "maxwell"
    PASCAL = "pascal"
    VOLTA = "volta"
    TURING = "turing"
    AMPERE = "ampere"
    ADA = "ada"
    HOPPER = "hopper"
    BLACKWELL = "blackwell"
    GCN = "gcn"
    CDNA = "cdna"
    CDNA2 = "cdna2"
    CDNA3 = "cdna3"
    CDNA4 = "cdna4"
    RDNA = "rdna"
    RDNA2 = "rdna2"
    RDNA3 = "rdna3"
    RDNA4 = "rdna4"
    XE_HPG = "xe-hpg"
    XE_HPC = "xe-hpc"
    XE2 = "xe2"
    APPLE_SILICON = "apple-silicon"


class GpuSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One card (or one SKU of it) as the datasheet states it. Peaks are dense, boost clock, 1 MAC = 2 FLOPs.

    ``None`` means that the card has no such unit (a Pascal card has no tensor rate) or that nobody states it.
    """

    name: str
    """As NVML or the vendor's tool reports it, without the vendor: ``GeForce RTX 3060``, ``A100-SXM4-40GB``."""
    vendor: Vendor
    generation: Generation
    aliases: tuple[str, ...] = ()
    """What people type: ``a100 40gb``, ``3060``."""
    detected_names: tuple[str, ...] = ()
    """Exact names under which drivers report it, besides ``name``."""
    memory_bytes: int
    """Nominal memory; what a process can use is a little less."""
    memory_bytes_per_s: float
    fp32_flops_per_s: float
    """Vector fp32, no matrix units."""
    tf32_flops_per_s: float | None = None
    fp16_flops_per_s: float | None = None
    """Matrix units with fp16 inputs and fp32 accumulation where the vendor states it, else vector fp16."""
    bf16_flops_per_s: float | None = None
    multiprocessors: int
    """SMs (NVIDIA), CUs (AMD), Xe cores (Intel), GPU cores (Apple)."""
    boost_hz: float
    l2_bytes: int | None = None
    compute_capability: str | None = None
    """NVIDIA: ``8.6``. AMD: the gfx target, ``gfx90a``."""
    pcie_bytes_per_s: float | None = None
    """One direction."""
    link_bytes_per_s: float | None = None
    """NVLink, Infinity Fabric or Xe Link between cards, one direction, all links of a card together."""
    link_bridge: bool = False
    """Its links take a bridge, which is sold apart and joins two cards (a few kinds: four), not all of a host.

    Source: NVIDIA on NVLink bridges, AMD on Infinity Fabric Link bridges.
    """
    tdp_w: float | None = None
    year: int | None = None
    laptop: bool = False
    unified_memory: bool = False
    """Memory shared with the CPU (Apple, Jetson)."""
    inline_ecc: bool = False
    """Error correction is on from the factory and takes a sixteenth of the memory (GDDR data centre cards)."""
    source: str
    """Where the row is from: datasheet name or page, and the rule where a peak is derived."""

    @property
    def usable_bytes(self) -> int:
        """What a driver reports as total: ``memory_bytes`` less error correction."""
        return self.memory_bytes - (self.memory_bytes // INLINE_ECC_PARTS if self.inline_ecc else 0)


def speed_unknown(name: str) -> str:
    """What catalog and verdict say of a card of no known speed, in the same words, so that it is told once."""
    return f"{name} is not in the GPU catalog and its driver does not tell enough to work out its speed"
