"""A report with pencil-made numbers, for tests of renderers only."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from canitrain.core.dataset import Dataset
from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.hardware import Cpu, Driver, Gpu, Hardware, Ram, Software, Storage, StorageKind
from canitrain.core.interval import Interval
from canitrain.core.model_summary import ModelSummary
from canitrain.core.profile import ImageSize, Implementation, Precision
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.core.report import (
    Advice,
    BatchRow,
    Bottleneck,
    CardOption,
    DiskNeed,
    EvidenceSummary,
    GpuMemory,
    HostMemory,
    Memory,
    Reason,
    Recommendation,
    Report,
    Resource,
    StageMemory,
    Status,
    StepParts,
    Time,
    Verdict,
)

GIB = 2**30
NOT_READ = Unknown(reason="made up")


def known(value: Any) -> Known[Any]:
    return Known(value=value, source="made up")


def around(expected: float, share: float = 0.06) -> Interval:
    return Interval(low=expected * (1 - share), expected=expected, high=expected * (1 + share))


CARD = GpuSpec(
    name="GeForce RTX 3060",
    vendor=Vendor.NVIDIA,
    generation=Generation.AMPERE,
    memory_bytes=12 * GIB,
    memory_bytes_per_s=360e9,
    fp32_flops_per_s=12.74e12,
    multiprocessors=28,
    boost_hz=1.777e9,
    source="made up",
)

GPU = Gpu(
    index=0,
    name="GeForce RTX 3060",
    vendor=known("nvidia"),
    uuid=NOT_READ,
    total_bytes=known(12 * GIB),
    free_bytes=known(11 * GIB),
    compute_capability=known("8.6"),
    multiprocessors=known(28),
    boost_hz=known(1.777e9),
    memory_hz=NOT_READ,
    memory_bus_bits=NOT_READ,
    pcie_bytes_per_s=NOT_READ,
    power_limit_w=NOT_READ,
    laptop=known(False),  # noqa: FBT003
    spec=CARD,
)

HARDWARE = Hardware(
    origin="this machine",
    cpu=Cpu(
        model=known("AMD Ryzen 5 5600X 6-Core Processor"),
        architecture=known("x86_64"),
        physical_cores=known(6),
        logical_cores=known(12),
        usable_cores=known(12.0),
        base_hz=known(3.7e9),
        max_hz=known(4.6e9),
        vector_extensions=known(("avx2", "fma")),
    ),
    ram=Ram(
        total_bytes=known(32 * GIB),
        available_bytes=known(24 * GIB),
        usable_bytes=known(24 * GIB),
        swap_bytes=known(0),
        shm_bytes=known(16 * GIB),
    ),
    storage=Storage(
        path="/data",
        kind=known(StorageKind.NVME),
        device=known("nvme0n1"),
        filesystem=known("ext4"),
        total_bytes=known(1000 * GIB),
        free_bytes=known(410 * GIB),
        free_inodes=known(10**7),
        writable=known(True),  # noqa: FBT003
    ),
    gpus=known((GPU,)),
    software=Software(
        python="3.11.8",
        os="Linux",
        torch=Unknown(reason="torch is not installed"),
        driver=Driver(version=known("550.54"), cuda_version=known("12.4")),
    ),
)

GPU_PARTS = {
    "weights": 0.16 * GIB,
    "gradients": 0.16 * GIB,
    "optimizer": 0.16 * GIB,
    "activations": 5.0 * GIB,
    "workspace": 1.6 * GIB,
    "slack": 0.4 * GIB,
    "context": 0.62 * GIB,
}  # 0.16 * 3 + 5 + 1.6 + 0.4 + 0.62 = 8.1

MEMORY = Memory(
    gpu=GpuMemory(
        allocated_bytes=around(6.1 * GIB),
        reserved_bytes=around(7.48 * GIB),
        device_bytes=around(8.1 * GIB),
        required_bytes=around(5.9 * GIB),
        budget_bytes=11.2 * GIB,
        total_bytes=12.0 * GIB,
        parts=GPU_PARTS,
    ),
    host=HostMemory(
        ram_bytes=around(9.4 * GIB),
        ram_budget_bytes=24.1 * GIB,
        shm_bytes=around(0.3 * GIB),
        shm_budget_bytes=16.0 * GIB,
        parts={"process": 5.0 * GIB, "workers": 4.4 * GIB},
    ),
    disk=DiskNeed(disk_bytes=around(6.2 * GIB, 0.0), disk_budget_bytes=410.0 * GIB, parts={"checkpoints": 6.2 * GIB}),
)

TIME = Time(
    step_s=around(0.53),
    epoch_s=around(2700.0),
    total_s=around(19 * 3600.0, 0.1),
    images_per_s=7.5,
    bottleneck=Bottleneck.GPU_COMPUTE,
    parts=StepParts(
        compute_s=0.53, launches_s=0.04, loader_s=0.09, storage_s=0.01, communication_s=0.0, optimizer_s=0.01
    ),
    validation_s=120.0,
    kinds_s={"conv": 0.4, "elementwise": 0.13},
)

IMAGE_SIZE = ImageSize(shorter=800, longer=1333)

REPORT = Report(
    version="0.1.0",
    verdict=Verdict(
        status=Status.GO,
        reasons=(
            Reason(resource=Resource.GPU_MEMORY, status=Status.GO, message="8.6 GiB at most of 11.2 GiB free"),
            Reason(resource=Resource.TIME, status=Status.GO, message="19 h of 7 days"),
        ),
        exit_code=0,
    ),
    recommendation=Recommendation(
        batch_size=4,
        precision=Precision.FP32,
        accumulation_steps=4,
        workers=4,
        image_size=IMAGE_SIZE,
        batch_reason="GPU memory",
    ),
    model=ModelSummary(
        name="fasterrcnn_resnet50_fpn",
        title="Faster R-CNN R50-FPN",
        family="fasterrcnn",
        implementation=Implementation(
            library="torchvision", version="0.29", torch="2.15", spec="torchvision:x", license="BSD-3-Clause"
        ),
        parameters=41_755_286,
        trainable_parameters=41_532_886,
        classes=91,
    ),
    dataset=Dataset(
        name="coco",
        images=20000,
        validation_images=1000,
        image_bytes=160e3,
        image_pixels=273e3,
        aspect_ratios=(0.5, 1.33, 2.0),
        boxes_mean=7.3,
        boxes_max=93,
        classes=80,
        source="made up",
    ),
    recipe=Recipe(
        precision=Precision.FP32,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=IMAGE_SIZE,
        batch_size=None,
        effective_batch_size=16,
        epochs=26,
        workers=4,
        ema=False,
        max_time_s=7 * 86400.0,
    ),
    hardware=HARDWARE,
    device="GeForce RTX 3060",
    batch_size=4,
    evidence=EvidenceSummary(
        memory=Evidence(level=EvidenceLevel.CALIBRATED, detail="38 measured runs, 3.1 % median"),
        time=Evidence(level=EvidenceLevel.GENERATION, detail="Ampere, 11 % median"),
    ),
    memory=MEMORY,
    time=TIME,
    batches=tuple(
        BatchRow(batch_size=size, status=status, device_bytes=gib * GIB, step_s=size / rate, images_per_s=rate)
        for size, gib, rate, status in (
            (1, 4.3, 6.0, Status.GO),
            (2, 5.6, 6.9, Status.GO),
            (4, 8.1, 7.5, Status.GO),
            (6, 10.7, 7.7, Status.TIGHT),
            (8, 13.2, 7.8, Status.NO_GO),
        )
    ),
    advice=(
        Advice(
            change="--image-size 640x1066",
            effect="-2.8 GiB, 1.5x faster, costs small objects",
            memory_bytes=-2.8 * GIB,
            speedup_ratio=1.5,
            status=Status.GO,
        ),
    ),
    cards=(CardOption(name="L4", status=Status.GO, batch_size=16, device_bytes=20.0 * GIB, total_s=40000.0),),
    explain=(
        StageMemory(
            stage="backbone.layer1", saved_bytes=1e9, forward_peak_bytes=2e9, backward_peak_bytes=3e9, step_s=0.1
        ),
        StageMemory(stage="rpn", saved_bytes=1e8, forward_peak_bytes=4e9, backward_peak_bytes=None, step_s=0.1),
    ),
    warnings=("torch is not installed here: pip install torch",),
)


def with_status(status: Status, resource: Resource = Resource.GPU_MEMORY, message: str = "as made up") -> Report:
    """The report with one reason of that status."""
    reason = Reason(resource=resource, status=status, message=message)
    return replace(REPORT, verdict=Verdict(status=status, reasons=(reason,), exit_code=0))
