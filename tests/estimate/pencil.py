"""Hand-made nouns for the time tests."""

from __future__ import annotations

from pathlib import Path

import msgspec

from canitrain.core.dataset import Dataset
from canitrain.core.fact import Known, Unknown
from canitrain.core.feed import CoreShares, Feed, FeedRates
from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.hardware import Cpu, Driver, Hardware, Ram, Software, Storage, StorageKind
from canitrain.core.interval import exactly
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import (
    Defaults,
    ImageSize,
    Implementation,
    ModelProfile,
    Precision,
    SizeRule,
    Stage,
    Trace,
    Work,
    WorkKind,
)
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.core.time_calibration import TimeCalibration

NOT_KNOWN = Unknown(reason="made by hand")
CALIBRATION = msgspec.toml.decode(
    (Path(__file__).parents[2] / "profiles" / "calibration" / "time.toml").read_bytes(), type=TimeCalibration
)


def known(value):
    return Known(value=value, source="made by hand")


CARD = GpuSpec(
    name="GeForce RTX 3060", vendor=Vendor.NVIDIA, generation=Generation.AMPERE, memory_bytes=12 * 2**30,
    memory_bytes_per_s=360e9, fp32_flops_per_s=12.7e12, tf32_flops_per_s=12.7e12, fp16_flops_per_s=25.5e12,
    bf16_flops_per_s=25.5e12, multiprocessors=28, boost_hz=1.777e9, pcie_bytes_per_s=31.5e9, tdp_w=170.0, source="hand",
)  # fmt: skip
CPU = Cpu(
    model=known("hand"), architecture=known("x86_64"), physical_cores=known(8), logical_cores=known(16),
    usable_cores=known(16.0), base_hz=known(3.0e9), max_hz=known(4.5e9), vector_extensions=known(("avx2", "fma")),
)  # fmt: skip
HARDWARE = Hardware(
    origin="described",
    cpu=CPU,
    ram=Ram(
        total_bytes=known(32 * 2**30), available_bytes=known(30 * 2**30), usable_bytes=known(30 * 2**30),
        swap_bytes=NOT_KNOWN, shm_bytes=NOT_KNOWN,
    ),
    storage=Storage(
        path="data", kind=known(StorageKind.NVME), device=NOT_KNOWN, filesystem=NOT_KNOWN, total_bytes=NOT_KNOWN,
        free_bytes=NOT_KNOWN, free_inodes=NOT_KNOWN, writable=NOT_KNOWN,
    ),
    gpus=known(()),
    software=Software(
        python="3.11", os="linux", torch=NOT_KNOWN, driver=Driver(version=NOT_KNOWN, cuda_version=NOT_KNOWN)
    ),
)  # fmt: skip
CONV = Work(flops=Polynomial(bp=200_000.0), bytes=Polynomial(one=2e7, bp=1_000.0), kernels=Polynomial(one=50.0))
POINTWISE = Work(flops=Polynomial(bp=1_000.0), bytes=Polynomial(bp=2_000.0), kernels=Polynomial(one=80.0))
FORWARD = {WorkKind.CONV: CONV, WorkKind.ELEMENTWISE: POINTWISE}
TRACE = Trace(
    stages=(
        Stage(name="backbone", backbone=True, parameter_bytes=20_000_000, trainable_parameter_bytes=20_000_000,
              forward=FORWARD, backward=FORWARD),
        Stage(name="head", parameter_bytes=4_000_000, trainable_parameter_bytes=4_000_000, forward=FORWARD,
              backward=FORWARD),
    ),
    peaks=(), convolutions=(), fit_shapes=(), check_shapes=(), check_live_error=(), check_flops_error=(),
)  # fmt: skip
PROFILE = ModelProfile(
    name="pencil", title="Pencil", family="pencil",
    implementation=Implementation(library="pencil", version="1", torch="2", spec="pencil", license="none"),
    defaults=Defaults(
        image_size=ImageSize(shorter=640, longer=640), batch_size=16, effective_batch_size=16, epochs=10,
        optimizer="sgd", precision=Precision.FP32, ema=False, workers=4, source="hand",
    ),
    size_rule=SizeRule.SQUARE, classes=80, parameters=6_000_000, trainable_parameters=6_000_000,
    parameter_bytes=24_000_000, trainable_parameter_bytes=24_000_000, buffer_bytes=0, parameter_tensors=100,
    trainable_parameter_tensors=100, largest_parameter_bytes=1_000_000, traced_on="2026-11-23",
    traces={Precision.FP32: TRACE, Precision.AMP: TRACE},
)  # fmt: skip
DATASET = Dataset(
    name="hand", images=1_000, validation_images=100, image_bytes=160_000.0, image_pixels=300_000.0,
    aspect_ratios=(1.0, 1.0), boxes_mean=7.0, boxes_max=50.0, classes=80, source="hand",
)  # fmt: skip
RECIPE = Recipe(
    precision=Precision.FP32, optimizer=Optimizer.SGD_MOMENTUM, image_size=ImageSize(shorter=640, longer=640),
    batch_size=None, effective_batch_size=16, epochs=10, workers=4, ema=False, max_time_s=604_800.0,
)  # fmt: skip
OUT_OF_THE_WAY = CoreShares()


def feed(
    loader_images_per_s: float = 1e6,
    storage_images_per_s: float = 1e6,
    *,
    overlaps: bool = True,
    shares: CoreShares = OUT_OF_THE_WAY,
) -> Feed:
    rates = FeedRates(
        loader_images_per_s=exactly(loader_images_per_s), storage_images_per_s=exactly(storage_images_per_s)
    )
    return Feed(
        first=rates, later=rates, image_s=0.004, validation_images_per_s=exactly(1e6), workers=4,
        overlaps=overlaps, shares=shares, cached_ratio=1.0,
    )  # fmt: skip
