"""The machine: what a probe found, what a file says, or what was described on the command line."""

from __future__ import annotations

import enum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import GpuSpec

THIS_MACHINE, DESCRIBED = "this machine", "described"
"""Values of ``Hardware.origin`` besides a file's name."""
TYPED, OF_THE_CHIP = "command line", "unified memory of the described chip"
"""Sources of facts that options describe."""


class StorageKind(enum.Enum):
    """What the data directory lies on."""

    HDD = "hdd"
    SSD = "ssd"
    NVME = "nvme"
    NETWORK = "network"
    MEMORY = "memory"


class Bound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit on this process: ``name`` says whose (``cgroup v2 cpu.max``, ``affinity``, ``SLURM_CPUS_PER_TASK``)."""

    name: str
    value: float


class Cpu(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processor, and how much of it this process may use."""

    model: Known[str] | Unknown
    architecture: Known[str] | Unknown
    physical_cores: Known[int] | Unknown
    logical_cores: Known[int] | Unknown
    usable_cores: Known[float] | Unknown
    """The least of the logical cores and every bound: what a training job really gets."""
    bounds: tuple[Bound, ...] = ()
    base_hz: Known[float] | Unknown
    max_hz: Known[float] | Unknown
    vector_extensions: Known[tuple[str, ...]] | Unknown
    """Of ``sse4_2, avx, avx2, fma, avx512f, avx512_bf16, amx_bf16, neon, sve`` those present."""


class Ram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Main memory. ``usable_bytes`` is the least of what is available and what limits leave."""

    total_bytes: Known[int] | Unknown
    available_bytes: Known[int] | Unknown
    usable_bytes: Known[int] | Unknown
    bounds: tuple[Bound, ...] = ()
    swap_bytes: Known[int] | Unknown
    shm_bytes: Known[int] | Unknown
    """Free bytes of ``/dev/shm``, through which data loader workers hand over batches."""


class Storage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file system of the data directory."""

    path: str
    kind: Known[StorageKind] | Unknown
    device: Known[str] | Unknown
    filesystem: Known[str] | Unknown
    total_bytes: Known[int] | Unknown
    free_bytes: Known[int] | Unknown
    free_inodes: Known[int] | Unknown
    writable: Known[bool] | Unknown


class GpuProcess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process that holds memory of a card."""

    pid: int
    name: Known[str] | Unknown
    memory_bytes: Known[int] | Unknown


class Gpu(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device that a framework would see: a card, a MIG slice, an integrated GPU."""

    index: int
    name: str
    vendor: Known[str] | Unknown
    uuid: Known[str] | Unknown
    total_bytes: Known[int] | Unknown
    free_bytes: Known[int] | Unknown
    compute_capability: Known[str] | Unknown
    multiprocessors: Known[int] | Unknown
    boost_hz: Known[float] | Unknown
    memory_hz: Known[float] | Unknown
    memory_bus_bits: Known[int] | Unknown
    pcie_bytes_per_s: Known[float] | Unknown
    power_limit_w: Known[float] | Unknown
    mig: bool = False
    laptop: Known[bool] | Unknown
    processes: tuple[GpuProcess, ...] = ()
    notes: tuple[str, ...] = ()
    """Oddities worth a warning: ECC errors, thermal slowdown, PCIe link narrower than it can be."""
    obstacles: tuple[str, ...] = ()
    """What keeps the installed torch from using this card in particular (no code for it), with the fix."""
    spec: GpuSpec | None = None
    """The catalog's row or one derived from the facts above; filled in by the catalog, not by the probe."""


class Driver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The NVIDIA driver."""

    version: Known[str] | Unknown
    cuda_version: Known[str] | Unknown
    """The newest CUDA that the driver serves, ``12.4``."""


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An installed Python package, read from its metadata without importing it."""

    name: str
    version: str
    build: str | None = None
    """torch: ``cpu``, ``cu128``, ``rocm6.2``, ``xpu`` or ``None`` where the version does not say."""


class Software(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is installed, without importing any of it."""

    python: str
    os: str
    torch: Known[Package] | Unknown
    libraries: tuple[Package, ...] = ()
    """Of torchvision, timm, effdet, yolov5, ultralytics, tensorflow those installed."""
    driver: Driver
    notes: tuple[str, ...] = ()
    """Container, WSL2, Slurm or Kubernetes, as detected."""
    obstacles: tuple[str, ...] = ()
    """What keeps torch from using any of the cards that are there (its build, the driver), with the fix."""


class Bench(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates that ``canitrain probe --bench`` measured; they replace the defaults of the calibration."""

    decode_s_per_megapixel: Known[float] | Unknown
    sequential_read_bytes_per_s: Known[float] | Unknown
    random_read_bytes_per_s: Known[float] | Unknown
    memory_bytes_per_s: Known[float] | Unknown

    def elsewhere(self) -> Bench:
        """What still holds with the images on another storage: the rates of processor and memory."""
        unread = Unknown(reason="measured on another storage")
        return replace(self, sequential_read_bytes_per_s=unread, random_read_bytes_per_s=unread)


class Hardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole machine. ``gpus`` is ``Known(())`` where there certainly is none, ``Unknown`` where the probe failed."""

    schema: Literal["canitrain.hardware/1"] = "canitrain.hardware/1"
    origin: str
    """``this machine``, the file it was read from, or ``described``."""
    cpu: Cpu
    ram: Ram
    storage: Storage
    gpus: Known[tuple[Gpu, ...]] | Unknown
    software: Software
    bench: Bench | None = None
    warnings: tuple[str, ...] = ()
    """What the probe noticed that a person should know, each with its fix."""
