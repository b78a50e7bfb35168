"""The words for every enum, one table each, so that all formats say the same."""

from __future__ import annotations

from canitrain.core.evidence import EvidenceLevel
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import ImageSize, Precision
from canitrain.core.recipe import CacheMode, Optimizer
from canitrain.core.report import Bottleneck, Resource, Status

STATUS = {Status.GO: "GO", Status.TIGHT: "TIGHT", Status.NO_GO: "NO-GO", Status.UNKNOWN: "UNKNOWN"}

RESOURCE = {
    Resource.GPU_MEMORY: "GPU",
    Resource.RAM: "RAM",
    Resource.SHM: "/dev/shm",  # noqa: S108  # a label, no path that is opened
    Resource.DISK: "Disk",
    Resource.TIME: "Time",
    Resource.SOFTWARE: "Software",
    Resource.HARDWARE: "Hardware",
}

BOTTLENECK = {
    Bottleneck.GPU_COMPUTE: "the GPU's arithmetic",
    Bottleneck.GPU_MEMORY_BANDWIDTH: "the GPU's memory bandwidth",
    Bottleneck.LAUNCHES: "the CPU launching GPU kernels",
    Bottleneck.CPU_COMPUTE: "the CPU's arithmetic",
    Bottleneck.DECODE: "the loader decoding images",
    Bottleneck.STORAGE: "the disk reading images",
    Bottleneck.COMMUNICATION: "the GPUs exchanging gradients",
    Bottleneck.NETWORK: "the network between the nodes",
}

EVIDENCE = {
    EvidenceLevel.MEASURED_HERE: "measured here",
    EvidenceLevel.CALIBRATED: "calibrated",
    EvidenceLevel.GENERATION: "from related hardware",
    EvidenceLevel.DATASHEET: "from the datasheet",
}

GPU_PART = {
    "optimizer": "optimizer state",
    "ema": "EMA copy",
    "workspace": "workspace of convolutions",
    "slack": "slack of torch's memory pool",
    "validation": "added by validation",
    "context": "context of the driver",
}
"""Parts of device memory whose name in the report's JSON says too little; docs/memory.md explains each."""

OPTIMIZER = {
    Optimizer.SGD: "SGD",
    Optimizer.SGD_MOMENTUM: "SGD with momentum",
    Optimizer.ADAM: "Adam",
    Optimizer.ADAMW: "AdamW",
    Optimizer.RMSPROP: "RMSprop",
}

PRECISION = {Precision.FP32: "fp32", Precision.AMP: "AMP"}

CACHE = {CacheMode.NONE: "no cache", CacheMode.RAM: "images cached in RAM", CacheMode.DISK: "images cached on disk"}

STORAGE = {
    StorageKind.HDD: "a hard disk",
    StorageKind.SSD: "an SSD",
    StorageKind.NVME: "NVMe",
    StorageKind.NETWORK: "a network file system",
    StorageKind.MEMORY: "a file system in memory",
}


def image_size(size: ImageSize) -> str:
    """``640 px`` or ``800 x 1333 px``."""
    return f"{size.shorter} px" if size.shorter == size.longer else f"{size.shorter} x {size.longer} px"
