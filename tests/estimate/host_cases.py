"""Pencil-made machines, models and runs for the tests of feed, RAM and disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from canitrain.core.dataset import Dataset
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench, Cpu, Driver, Hardware, Ram, Software, Storage, StorageKind
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import (
    Defaults,
    ImageSize,
    Implementation,
    ModelProfile,
    Peak,
    Phase,
    Precision,
    SizeRule,
    Stage,
    Trace,
)
from canitrain.core.recipe import CacheMode, Optimizer, Recipe, Strategy

PROFILES = Path(__file__).parents[2] / "profiles"
NOT_READ = Unknown(reason="not read")


def calibration() -> HostCalibration:
    """The calibration that ships."""
    return msgspec.toml.decode((PROFILES / "calibration" / "host.toml").read_bytes(), type=HostCalibration)


def coco() -> Dataset:
    """The dataset that ``--images`` alone means."""
    return msgspec.toml.decode((PROFILES / "datasets" / "coco.toml").read_bytes(), type=Dataset)


def machine(
    *,
    cores: float | None = 16,
    ram_bytes: int | None = 64 * 2**30,
    kind: StorageKind | None = StorageKind.NVME,
    bench: Bench | None = None,
    os: str = "Linux 6.8",
    python: str = "3.12.3",
) -> Hardware:
    """A machine of which only the given facts are known."""

    def known(value: object) -> object:
        return NOT_READ if value is None else Known(value=value, source="test")

    return Hardware(
        origin="test",
        cpu=Cpu(
            model=NOT_READ,
            architecture=NOT_READ,
            physical_cores=NOT_READ,
            logical_cores=NOT_READ,
            usable_cores=known(cores),
            base_hz=NOT_READ,
            max_hz=NOT_READ,
            vector_extensions=NOT_READ,
        ),
        ram=Ram(
            total_bytes=NOT_READ,
            available_bytes=NOT_READ,
            usable_bytes=known(ram_bytes),
            swap_bytes=NOT_READ,
            shm_bytes=known(64 * 2**20),
        ),
        storage=Storage(
            path="/data",
            kind=known(kind),
            device=NOT_READ,
            filesystem=NOT_READ,
            total_bytes=NOT_READ,
            free_bytes=known(10**12),
            free_inodes=NOT_READ,
            writable=NOT_READ,
        ),
        gpus=Known(value=(), source="test"),
        software=Software(python=python, os=os, torch=NOT_READ, driver=Driver(version=NOT_READ, cuda_version=NOT_READ)),
        bench=bench,
    )


def model(*, mosaic_images: int = 4, size_rule: SizeRule = SizeRule.SQUARE, library: str = "yolov5") -> ModelProfile:
    """A model of 1,000,000 float32 weights whose step peaks at 1,000 bytes a pixel."""
    return ModelProfile(
        name="toy",
        title="Toy",
        family="toy",
        implementation=Implementation(library=library, version="1", torch="2", spec="toy", license="MIT"),
        defaults=Defaults(
            image_size=ImageSize(shorter=640, longer=640),
            batch_size=16,
            effective_batch_size=16,
            epochs=10,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=8,
            mosaic_images=mosaic_images,
            source="test",
        ),
        size_rule=size_rule,
        classes=80,
        parameters=1_000_000,
        trainable_parameters=1_000_000,
        parameter_bytes=4_000_000,
        trainable_parameter_bytes=4_000_000,
        buffer_bytes=0,
        parameter_tensors=0,
        trainable_parameter_tensors=0,
        largest_parameter_bytes=0,
        traced_on="2026-11-23",
        traces={
            Precision.FP32: Trace(
                stages=(Stage(name="all"),),
                peaks=(Peak(stage="all", phase=Phase.BACKWARD, live_bytes=Polynomial(bp=1000.0)),),
                convolutions=(),
                fit_shapes=(),
                check_shapes=(),
                check_live_error=(),
                check_flops_error=(),
            )
        },
    )


def run(
    *,
    workers: int = 8,
    gpus: int = 1,
    cache: CacheMode = CacheMode.NONE,
    strategy: Strategy = Strategy.DDP,
    ema: bool = False,
) -> Recipe:
    """A run at 640 x 640 with batch 16 and SGD with momentum."""
    return Recipe(
        precision=Precision.FP32,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=ImageSize(shorter=640, longer=640),
        batch_size=16,
        effective_batch_size=16 * gpus,
        epochs=10,
        workers=workers,
        ema=ema,
        cache=cache,
        gpus=gpus,
        strategy=strategy,
        max_time_s=1e9,
    )
