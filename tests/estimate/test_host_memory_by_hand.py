"""Single terms of RAM, /dev/shm and disk: batches that wait, a step on the CPU, the ends of the intervals."""

from __future__ import annotations

import pytest
from host_cases import calibration, coco, machine, model, run
from msgspec.structs import replace

from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Peak, Phase, Precision, SizeRule
from canitrain.core.recipe import Strategy
from canitrain.estimate.disk import disk_need
from canitrain.estimate.host_memory import host_memory

CALIBRATION, COCO = calibration(), coco()
PROCESS = CALIBRATION.process
STEP = PROCESS.cpu_step
BOXES_BYTES = COCO.boxes_mean * 6 * 4
"""Image, class and four coordinates of each box."""


def ram(profile=None, recipe=None, *, batch_size=16, on_cpu=False):
    return host_memory(profile or model(), recipe or run(), COCO, machine(), batch_size, CALIBRATION, on_cpu=on_cpu)


def step_of(*peaks, trace=Precision.FP32):
    """A model of 4 MB of weights with those moments."""
    plain = model()
    return replace(plain, traces={trace: replace(plain.traces[Precision.FP32], peaks=peaks)})


def step_bytes(profile, **changes):
    """RAM of a step on the CPU before what allocator and oneDNN add to it."""
    recipe = replace(run(), **changes)
    return ram(profile, recipe, on_cpu=True).parts["training"] / STEP.ratio.value


@pytest.mark.parametrize(
    ("library", "item_bytes"), [("yolov5", 1), ("timm", 1), ("effdet", 1), ("ultralytics", 1), ("torchvision", 4)]
)
def test_loaders_hand_over_bytes_or_floats(library, item_bytes):
    sample_bytes = 640 * 640 * 3 * item_bytes + BOXES_BYTES
    prefetched_bytes = 8 * PROCESS.prefetched_batches.value * 16 * sample_bytes
    assert ram(model(library=library)).parts["prefetch"] == pytest.approx(prefetched_bytes)


@pytest.mark.parametrize(("changes", "processes"), [({}, 1), ({"gpus": 3}, 3), ({"gpus": 3, "strategy": "dp"}, 1)])
def test_each_training_process_pins_its_batches(changes, processes):
    changes = changes | ({"strategy": Strategy.DP} if "strategy" in changes else {})
    sample_bytes = 640 * 640 * 3 + BOXES_BYTES
    pinned_bytes = processes * PROCESS.pinned_batches.value * 16 * sample_bytes
    assert ram(recipe=run(**changes)).parts["pinned"] == pytest.approx(pinned_bytes)


@pytest.mark.parametrize(
    ("size_rule", "ratio"), [(SizeRule.SQUARE, 1.0), (SizeRule.SHORTER_SIDE, PROCESS.largest_batch_ratio.value)]
)
def test_shm_has_to_hold_the_largest_batches_and_at_least_one_a_worker(size_rule, ratio):
    found = ram(model(size_rule=size_rule, library="torchvision"))
    batch_bytes = found.parts["prefetch"] / (8 * PROCESS.prefetched_batches.value)
    assert found.shm_bytes.low == pytest.approx(8 * batch_bytes)
    assert found.shm_bytes.expected == pytest.approx(found.parts["prefetch"])
    assert found.shm_bytes.high == pytest.approx(ratio * found.parts["prefetch"])


def test_a_cache_is_arithmetic_a_step_was_measured_and_processes_are_uncertain():
    found = ram(on_cpu=True)
    step = found.parts["training"] / STEP.ratio.value
    rest = sum(found.parts.values()) - found.parts["training"] - found.parts["cache"]
    assert found.ram_bytes.low == pytest.approx(step * STEP.low_ratio.value + rest * PROCESS.low_ratio.value)
    assert found.ram_bytes.high == pytest.approx(step * STEP.high_ratio.value + rest * PROCESS.high_ratio.value)


def test_no_step_is_in_ram_where_a_gpu_trains():
    assert ram().parts["training"] == 0


def test_the_fullest_moment_of_a_step_counts_with_its_gradients():
    # 16 images; weights and momentum of 4 MB each
    early = Peak(stage="all", phase=Phase.FORWARD, live_bytes=Polynomial(b=2e6))
    late = Peak(stage="all", phase=Phase.BACKWARD, live_bytes=Polynomial(b=1.9e6), gradient_bytes=3_000_000)
    assert step_bytes(step_of(early, late)) == pytest.approx(8e6 + 16 * 1.9e6 + 3e6)
    assert step_bytes(step_of(early)) == pytest.approx(8e6 + 16 * 2e6)


def test_gradients_that_are_accumulated_are_there_throughout():
    early = Peak(stage="all", phase=Phase.FORWARD, live_bytes=Polynomial(b=2e6))
    late = Peak(stage="all", phase=Phase.BACKWARD, live_bytes=Polynomial(b=1.9e6), gradient_bytes=3_000_000)
    # A batch of 16 has to be gone through four times; the gradients are 4 MB.
    found = step_bytes(step_of(early, late), effective_batch_size=64)
    assert found == pytest.approx(8e6 + 16 * 2e6 + 4e6)


@pytest.mark.parametrize("effective_batch_size", [16, 64])
def test_an_update_may_take_more_than_any_moment(effective_batch_size):
    nothing = Peak(stage="all", phase=Phase.FORWARD, live_bytes=Polynomial())
    # weights, momentum, gradients and one temporary copy of 4 MB each
    assert step_bytes(step_of(nothing), effective_batch_size=effective_batch_size) == pytest.approx(16e6)


def test_a_cpu_trains_in_fp32_where_that_was_traced():
    half = Peak(stage="all", phase=Phase.FORWARD, live_bytes=Polynomial(b=1e6))
    full = replace(half, live_bytes=Polynomial(b=2e6))
    only_half, both = step_of(half, trace=Precision.AMP), step_of(full)
    both = replace(both, traces=only_half.traces | both.traces)
    assert step_bytes(both, precision=Precision.AMP) == pytest.approx(8e6 + 16 * 2e6)
    assert step_bytes(only_half, precision=Precision.AMP) == pytest.approx(8e6 + 16 * 1e6)


def test_what_a_run_writes_may_be_half_and_what_there_is_to_download_is_certain():
    buffered = replace(model(), buffer_bytes=500_000)
    found = disk_need(buffered, run(ema=True), COCO, machine(), CALIBRATION)
    # weights, buffers, momentum, and the EMA copy of weights and buffers
    checkpoint_bytes = 4e6 + 5e5 + 4e6 + 4.5e6
    written_bytes = CALIBRATION.disk.checkpoints.value * checkpoint_bytes + CALIBRATION.disk.log_bytes.value
    dataset_bytes = (COCO.images + COCO.validation_images) * COCO.image_bytes
    assert found.parts["cache"] == 0
    assert found.disk_bytes.expected == pytest.approx(dataset_bytes + written_bytes)
    assert found.disk_bytes.low == pytest.approx(dataset_bytes + written_bytes / 2)
    assert found.disk_bytes.high == pytest.approx(dataset_bytes + written_bytes * CALIBRATION.disk.high_ratio.value)


def test_a_dataset_that_is_there_is_not_written():
    there = replace(COCO, path="/data/coco")
    assert disk_need(model(), run(), there, machine(), CALIBRATION).parts["dataset"] == 0
