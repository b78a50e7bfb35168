"""A measured step puts the device's seconds right, and what waits for images stays as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from canitrain import catalog
from canitrain.core.interval import Interval
from canitrain.core.question import Question, RunEstimate
from canitrain.core.report import Bottleneck, StepParts, Time
from canitrain.core.target import CpuTarget, GpuTarget
from canitrain.estimate.measured_here import Correction, corrected

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))

from made_up import CARD, GPU, HARDWARE, REPORT

CALIBRATION = catalog.load_calibration()
GPU_TARGET = GpuTarget(gpus=(GPU,), weakest=GPU, card=CARD, total_bytes=None, budget_bytes=None, budget_reason="")
CPU_TARGET = CpuTarget(cpu=HARDWARE.cpu, chosen=True)
PROFILE = catalog.load_model("fasterrcnn")


def put_right(
    ratio: float,
    *,
    bottleneck: Bottleneck = Bottleneck.GPU_COMPUTE,
    target: GpuTarget | CpuTarget = GPU_TARGET,
    loader_s: float = 0.2,
    storage_s: float = 0.1,
    between: bool = False,
) -> tuple[Time, Time]:
    """A step of 1 s on the device, before and after it was measured to take ``ratio`` times as long."""
    parts = StepParts(
        compute_s=1.0,
        launches_s=0.5,
        loader_s=loader_s,
        storage_s=storage_s,
        communication_s=0.0,
        optimizer_s=0.1,
        loads_between_steps=between,
    )
    expected_s = parts.step_s
    spread = Interval(low=0.5, expected=1.0, high=2.0)
    before = Time(
        step_s=spread.scaled(expected_s),
        epoch_s=spread.scaled(100 * expected_s),
        total_s=spread.scaled(1000 * expected_s),
        images_per_s=4 / expected_s,
        bottleneck=bottleneck,
        parts=parts,
        validation_s=10.0,
        kinds_s={"conv": 0.9, "optimizer": 0.1},
        energy_kwh=3.0,
        cost=5.0,
    )
    question = Question(hardware=HARDWARE, profile=PROFILE, dataset=REPORT.dataset, recipe=REPORT.recipe, target=target)
    assert REPORT.memory is not None
    run = RunEstimate(batch_size=4, memory=REPORT.memory, time=before)
    # Launches were hidden behind the second that the device took.
    correction = Correction(
        target=target,
        time_ratio=ratio,
        most_hidden_ratio=ratio * 1.0 / 0.5,
        by_launches=False,
        memory_ratio=None,
        detail="",
    )
    return before, corrected(run, question, correction, CALIBRATION).time


def test_every_figure_of_the_run_follows_the_step() -> None:
    before, after = put_right(2.0)
    assert after.step_s.expected == pytest.approx(2.0)
    # Of launches the step says only that they took no longer.
    assert (after.parts.compute_s, after.parts.launches_s, after.parts.optimizer_s) == pytest.approx((2.0, 0.5, 0.2))
    assert (after.parts.loader_s, after.parts.storage_s) == (0.2, 0.1)
    assert after.kinds_s == pytest.approx({"conv": 1.8, "optimizer": 0.2})
    assert after.epoch_s.expected == pytest.approx(2 * before.epoch_s.expected)
    assert after.total_s.expected == pytest.approx(2 * before.total_s.expected)
    assert after.images_per_s == pytest.approx(2.0)
    assert (after.validation_s, after.energy_kwh, after.cost) == pytest.approx((20.0, 6.0, 10.0))


def test_a_measured_device_has_the_width_of_a_measurement() -> None:
    _, after = put_right(2.0)
    width = next(row for row in CALIBRATION.time.width if row.level.value == "measured-here")
    assert after.step_s.low == pytest.approx(2.0 * width.low_ratio)
    assert after.step_s.high == pytest.approx(2.0 * width.high_ratio)


@pytest.mark.parametrize(("loader_s", "between"), [(3.0, False), (0.2, True)])
def test_a_step_that_waits_for_images_keeps_the_width_of_its_feed(loader_s: float, *, between: bool) -> None:
    _, after = put_right(2.0, loader_s=loader_s, between=between)
    assert after.step_s.low == pytest.approx(0.5 * after.step_s.expected)
    assert after.step_s.high == pytest.approx(2.0 * after.step_s.expected)


@pytest.mark.parametrize(
    ("ratio", "loader_s", "storage_s", "told", "found"),
    [
        (2.0, 0.2, 0.1, Bottleneck.LAUNCHES, Bottleneck.LAUNCHES),
        (0.1, 0.2, 0.1, Bottleneck.GPU_COMPUTE, Bottleneck.DECODE),
        (0.1, 0.1, 0.2, Bottleneck.GPU_COMPUTE, Bottleneck.STORAGE),
        (2.0, 1.5, 0.1, Bottleneck.DECODE, Bottleneck.GPU_COMPUTE),
        (1.1, 1.5, 0.1, Bottleneck.DECODE, Bottleneck.DECODE),
        (2.0, 2.0, 0.1, Bottleneck.DECODE, Bottleneck.GPU_COMPUTE),  # as fast as each other: nothing waits for images
    ],
)
def test_the_slowest_part_is_told_anew(
    ratio: float, loader_s: float, storage_s: float, told: Bottleneck, found: Bottleneck
) -> None:
    assert put_right(ratio, bottleneck=told, loader_s=loader_s, storage_s=storage_s)[1].bottleneck is found


def test_a_processor_that_no_longer_waits_for_its_disk_computes() -> None:
    _, after = put_right(2.0, bottleneck=Bottleneck.STORAGE, target=CPU_TARGET, loader_s=0.0, storage_s=1.5)
    assert after.bottleneck is Bottleneck.CPU_COMPUTE


def test_a_measurement_says_nothing_of_another_device() -> None:
    before, _ = put_right(2.0)
    question = Question(
        hardware=HARDWARE, profile=PROFILE, dataset=REPORT.dataset, recipe=REPORT.recipe, target=CPU_TARGET
    )
    assert REPORT.memory is not None
    run = RunEstimate(batch_size=4, memory=REPORT.memory, time=before)
    correction = Correction(
        target=replace(GPU_TARGET),
        time_ratio=2.0,
        most_hidden_ratio=4.0,
        by_launches=False,
        memory_ratio=2.0,
        detail="",
    )
    assert corrected(run, question, correction, CALIBRATION) is run
