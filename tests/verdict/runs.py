"""Questions and estimates with pencil-made numbers, for tests of rules, batches and advice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))

from made_up import CARD, GIB, GPU, HARDWARE, IMAGE_SIZE, REPORT, TIME, around, known
from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.interval import Interval, exactly
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Defaults, ModelProfile, Precision, SizeRule, Stage, Trace
from canitrain.core.question import Estimator, MemoryEstimate, Question, RunEstimate
from canitrain.core.report import DiskNeed, GpuMemory, HostMemory, Memory
from canitrain.core.target import CpuTarget, GpuTarget

__all__ = [
    "CARD",
    "GIB",
    "GPU",
    "HARDWARE",
    "REPORT",
    "around",
    "cpu_question",
    "estimate",
    "estimator",
    "known",
    "question",
    "run",
]

_TRACE = Trace(
    stages=(Stage(name="backbone", backbone=True, saved_bytes=Polynomial(b=1.0)), Stage(name="head")),
    peaks=(),
    convolutions=(),
    fit_shapes=(),
    check_shapes=(),
    check_live_error=(),
    check_flops_error=(),
)

PROFILE = ModelProfile(
    name="pencil",
    title="Pencil",
    family="pencil",
    implementation=REPORT.model.implementation,
    defaults=Defaults(
        image_size=IMAGE_SIZE,
        batch_size=2,
        effective_batch_size=16,
        epochs=26,
        optimizer="sgd-momentum",
        precision=Precision.FP32,
        ema=False,
        workers=4,
        source="made up",
    ),
    size_rule=SizeRule.SHORTER_SIDE,
    divisor=32,
    classes=91,
    parameters=10,
    trainable_parameters=10,
    parameter_bytes=40,
    trainable_parameter_bytes=40,
    buffer_bytes=0,
    parameter_tensors=1,
    trainable_parameter_tensors=1,
    largest_parameter_bytes=40,
    traced_on="2026-11-23",
    traces={Precision.FP32: _TRACE, Precision.AMP: _TRACE},
)


def question(*, free_gib: float | None = 11.0, hardware: Any = HARDWARE, **recipe: Any) -> Question:
    budget_bytes = None if free_gib is None else free_gib * GIB
    target = GpuTarget(
        gpus=(GPU,),
        weakest=GPU,
        card=CARD,
        total_bytes=12.0 * GIB,
        budget_bytes=budget_bytes,
        budget_reason="the free memory could not be read",
    )
    return Question(
        hardware=hardware,
        profile=PROFILE,
        dataset=REPORT.dataset,
        recipe=replace(REPORT.recipe, **recipe),
        target=target,
    )


def cpu_question(**recipe: Any) -> Question:
    return replace(question(**recipe), target=CpuTarget(cpu=HARDWARE.cpu, chosen=False))


def run(
    *,
    device: Interval | None = None,
    required: Interval | None = None,
    budget_bytes: float | None = 11.0 * GIB,
    ram: Interval | None = None,
    ram_budget_bytes: float | None = 24.0 * GIB,
    shm: Interval | None = None,
    shm_budget_bytes: float | None = 16.0 * GIB,
    disk_bytes: float = 1.0 * GIB,
    disk_budget_bytes: float | None = 400.0 * GIB,
    total: Interval | None = None,
    batch_size: int = 4,
    images_per_s: float = 10.0,
) -> RunEstimate:
    device = device or around(8.0 * GIB)
    required = required or device.scaled(0.8)
    ram = ram or around(9.0 * GIB)
    return RunEstimate(
        batch_size=batch_size,
        memory=Memory(
            gpu=GpuMemory(
                allocated_bytes=device.scaled(0.7),
                reserved_bytes=device.scaled(0.9),
                device_bytes=device,
                required_bytes=required,
                budget_bytes=budget_bytes,
                total_bytes=12.0 * GIB,
                parts={"activations": device.expected},
            ),
            host=HostMemory(
                ram_bytes=ram,
                ram_budget_bytes=ram_budget_bytes,
                shm_bytes=shm or exactly(0.0),
                shm_budget_bytes=shm_budget_bytes,
                parts={"main": ram.expected},
            ),
            disk=DiskNeed(disk_bytes=exactly(disk_bytes), disk_budget_bytes=disk_budget_bytes, parts={}),
        ),
        time=replace(TIME, total_s=total or around(3600.0), images_per_s=images_per_s),
    )


class _Double(Struct, frozen=True):
    """An ``Estimator`` that answers with ``run``."""

    run: Callable[[Question, int], RunEstimate]

    def __call__(self, asked: Question, batch_size: int, /) -> RunEstimate:
        return self.run(asked, batch_size)

    def memory(self, asked: Question, /) -> Callable[[int], MemoryEstimate]:
        return lambda batch_size: self.run(asked, batch_size)


def estimator(run: Callable[[Question, int], RunEstimate]) -> Estimator:
    return _Double(run)


@estimator
def estimate(asked: Question, batch_size: int) -> RunEstimate:
    """1 GiB an image and 1 GiB fixed, +-10 %, throughput that saturates: b images take 1 + b seconds of work / 10."""
    expected = (1.0 + batch_size) * GIB
    budget_bytes = asked.target.budget_bytes if isinstance(asked.target, GpuTarget) else None
    rate = 10.0 * batch_size / (batch_size + 1.0)
    return run(
        device=around(expected, 0.1),
        budget_bytes=budget_bytes,
        batch_size=batch_size,
        images_per_s=rate,
        total=around(asked.dataset.images * asked.recipe.epochs / rate, 0.1),
    )
