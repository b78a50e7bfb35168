"""What was measured on this machine puts estimates right: by how much, for which runs, and where not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from canitrain import catalog
from canitrain.check import check
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.accuracy import Measurement, MemoryKind
from canitrain.core.evidence import EvidenceLevel
from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware
from canitrain.core.report import Bottleneck, Report, Time
from canitrain.estimate.measured_here import device_step_s

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))

from made_up import HARDWARE

PROFILE = catalog.load_model("yolov5s")
PAGEABLE = catalog.load_model("ssdlite320")
"""Its loop takes batches over itself."""
CALIBRATION = catalog.load_calibration()


def machine(gpu: str = "Tesla T4") -> Hardware:
    return replace(HARDWARE, gpus=Known(value=catalog.describe_gpus(gpu) if gpu else (), source="made up"))


def report(*measurements: Measurement, hardware: Hardware | None = None, **options: Any) -> Report:
    host = hardware or machine()
    profile = options.pop("profile", PROFILE)
    recipe = decide_recipe(RecipeOptions(batch_size=options.pop("batch_size", 16), **options), profile, host)
    dataset = replace(catalog.load_dataset("coco"), images=5000)
    return check(host, profile, dataset, recipe, CALIBRATION, (), measurements)


def row(**changes: Any) -> Measurement:
    standard = Measurement(
        row=2,
        model="yolov5s",
        image_size="640",
        batch_size=16,
        gpus=1,
        gpu="Tesla T4",
        precision="amp",
        optimizer="sgd-momentum",
        memory_kind=MemoryKind.DEVICE,
        memory_bytes=None,
        step_s=None,
        images_per_s=None,
        source=None,
    )
    return replace(standard, **changes)


def compute_s(found: Report) -> float:
    assert found.time is not None
    return found.time.parts.compute_s


def device_bytes(found: Report) -> float:
    assert found.memory is not None
    assert found.memory.gpu is not None
    return found.memory.gpu.device_bytes.expected


def test_without_a_given_batch_the_run_nearest_to_the_recipes_counts() -> None:
    # YOLOv5's effective batch is 64.
    found = report(row(batch_size=60, step_s=2.0), row(batch_size=4, step_s=9.0), batch_size=None)
    assert "batch 60" in found.evidence.time.detail


def test_of_two_runs_as_near_only_the_last_counts() -> None:
    memory_only, time_only = row(batch_size=14, memory_bytes=9e9), row(batch_size=18, step_s=2.0)
    found = report(memory_only, time_only)
    assert found.evidence.time.level is EvidenceLevel.MEASURED_HERE
    # What the run of 14 images took says nothing of the estimate at 18.
    assert found.evidence.memory.level is not EvidenceLevel.MEASURED_HERE
    assert "batch 18, 2.00 s a step" in found.evidence.time.detail


def test_what_one_gpu_took_says_nothing_of_what_several_exchange() -> None:
    one, two = report(), report(hardware=machine("2x Tesla T4"))
    assert one.memory is not None
    assert one.memory.gpu is not None
    assert two.memory is not None
    assert two.memory.gpu is not None
    assert one.time is not None
    before_validation = device_bytes(one) - one.memory.gpu.parts["validation"]
    exact = row(memory_bytes=before_validation, step_s=device_step_s(one.time))
    found = report(exact, hardware=machine("2x Tesla T4"))
    # One GPU took what was estimated for one: the estimate for two stands, buckets and exchange included.
    assert device_bytes(found) == pytest.approx(device_bytes(two))
    assert compute_s(found) == pytest.approx(compute_s(two))


def test_a_measured_step_is_the_estimate() -> None:
    slow_s = 2.0
    found = report(row(step_s=slow_s))

    assert found.time is not None
    assert found.time.step_s.expected == pytest.approx(slow_s)
    assert found.evidence.time.level is EvidenceLevel.MEASURED_HERE
    assert found.evidence.memory.level is not EvidenceLevel.MEASURED_HERE
    assert sum(found.time.kinds_s.values()) == pytest.approx(found.time.parts.compute_s)


def test_what_validation_adds_comes_on_top_of_what_was_measured_before_it() -> None:
    before, after = (report(row(memory_bytes=6e9, validated=validated)) for validated in (False, True))
    assert before.memory.gpu is not None
    assert device_bytes(before) == pytest.approx(6e9 + before.memory.gpu.parts["validation"])
    assert before.memory.gpu.parts["validation"] > 0
    assert device_bytes(after) == pytest.approx(6e9)


def test_measured_memory_is_the_estimate_and_its_parts_still_add_up() -> None:
    found = report(row(memory_bytes=6e9, validated=True))

    assert device_bytes(found) == pytest.approx(6e9)
    assert found.memory is not None
    assert found.memory.gpu is not None
    assert sum(found.memory.gpu.parts.values()) == pytest.approx(6e9)
    assert found.evidence.memory.level is EvidenceLevel.MEASURED_HERE


def test_the_interval_narrows() -> None:
    def width(found: Report) -> float:
        assert found.memory is not None
        assert found.memory.gpu is not None
        device = found.memory.gpu.device_bytes
        return (device.high - device.low) / device.expected

    assert width(report(row(memory_bytes=6e9))) < width(report())


def test_other_batches_move_by_the_same_ratio() -> None:
    before = report(batch_size=16)
    measured = row(memory_bytes=2 * device_bytes(before), validated=True)

    assert device_bytes(report(measured, batch_size=4)) == pytest.approx(2 * device_bytes(report(batch_size=4)))
    assert device_bytes(report(measured)) == pytest.approx(2 * device_bytes(before))


def test_the_nearest_and_then_the_last_measurement_counts() -> None:
    far, older, newer = (row(batch_size=2, step_s=9.0), row(step_s=3.0), row(step_s=2.0))
    found = report(far, older, newer)

    assert found.time is not None
    assert found.time.step_s.expected == pytest.approx(2.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "yolov5m"},
        {"image_size": "320"},
        {"precision": "fp32"},
        {"optimizer": "adam"},
        {"gpu": "Tesla V100"},
        {"gpu": "cpu"},
    ],
)
def test_a_measurement_of_another_run_changes_nothing(changes: dict[str, str]) -> None:
    assert report(row(step_s=9.0, memory_bytes=9e9, **changes)) == report()


def test_a_fast_device_leaves_the_loader_as_bottleneck() -> None:
    found = report(row(step_s=1e-4))

    assert found.time is not None
    assert found.time.bottleneck.value in ("decode", "storage")
    assert found.time.step_s.expected > 1e-4


def test_a_cpu_is_put_right_too_and_loading_keeps_its_share() -> None:
    host = machine("")
    before = report(hardware=host)
    assert before.time is not None
    loading_s = before.time.kinds_s["loading"]
    found = report(row(gpu="cpu", precision="fp32", memory_kind=None, step_s=50.0), hardware=host)

    assert compute_s(found) == pytest.approx(50.0 + loading_s)
    assert found.evidence.time.level is EvidenceLevel.MEASURED_HERE


def test_a_hand_over_that_was_not_measured_stays_in_the_step() -> None:
    before = report(profile=PAGEABLE, workers=16)
    assert before.time is not None
    assert before.time.parts.handover_s > 0
    name, size = PAGEABLE.name, PAGEABLE.defaults.image_size.text
    exact = row(model=name, image_size=size, precision="fp32", step_s=device_step_s(before.time))
    found = report(exact, profile=PAGEABLE, workers=16)

    assert found.time is not None
    assert found.evidence.time.level is EvidenceLevel.MEASURED_HERE
    assert found.time.parts.handover_s == pytest.approx(before.time.parts.handover_s)
    assert found.time.step_s.expected == pytest.approx(before.time.step_s.expected)


FAST = "GeForce RTX 4090"
"""Waits for launches at small batches, computes at large ones."""


def step_s(batch_size: int) -> float:
    found = report(hardware=machine(FAST), batch_size=batch_size)
    assert found.time is not None
    return device_step_s(found.time)


def times(batch_size: int, *measurements: Measurement) -> Time:
    found = report(*measurements, hardware=machine(FAST), batch_size=batch_size)
    assert found.time is not None
    return found.time


def test_a_step_that_waited_for_launches_says_nothing_of_the_card() -> None:
    slow_host = row(gpu=FAST, batch_size=2, step_s=2 * step_s(2))
    estimated, found = times(64), times(64, slow_host)

    assert found.parts.compute_s == pytest.approx(estimated.parts.compute_s)
    assert found.parts.launches_s == pytest.approx(2 * estimated.parts.launches_s)
    assert times(2, slow_host).step_s.expected == pytest.approx(slow_host.step_s)
    assert times(2, slow_host).bottleneck is Bottleneck.LAUNCHES


def test_a_step_of_the_card_says_nothing_of_launches() -> None:
    slow_card = row(gpu=FAST, batch_size=64, step_s=1.2 * step_s(64))
    estimated, found = times(2), times(2, slow_card)

    assert found.parts.launches_s == pytest.approx(estimated.parts.launches_s)
    assert found.parts.compute_s == pytest.approx(1.2 * estimated.parts.compute_s)
    # The host may be as slow as before.
    assert found.step_s.high / found.step_s.expected == pytest.approx(estimated.step_s.high / estimated.step_s.expected)


@pytest.mark.parametrize("batch_size", [2, 16, 64])
@pytest.mark.parametrize("ratio", [0.1, 0.8, 1.0, 5.0])
def test_at_the_measured_batch_the_step_is_the_measured_one_with_a_narrow_interval(
    batch_size: int, ratio: float
) -> None:
    measured = row(gpu=FAST, batch_size=batch_size, step_s=ratio * step_s(batch_size))
    found = times(batch_size, measured)

    assert device_step_s(found) == pytest.approx(measured.step_s)
    if found.bottleneck not in {Bottleneck.DECODE, Bottleneck.STORAGE}:
        assert found.step_s.high < 1.2 * found.step_s.expected


def test_launches_that_were_measured_are_no_longer_warned_of() -> None:
    def warned(*measurements: Measurement) -> bool:
        found = report(*measurements, hardware=machine(FAST), batch_size=2)
        return any("launches, estimated" in warning for warning in found.warnings)

    assert warned()
    assert not warned(row(gpu=FAST, batch_size=2, step_s=step_s(2)))
