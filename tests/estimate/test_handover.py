"""Batches that the training process itself takes over and copies, and losses that its loop reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pencil import CALIBRATION, CARD, DATASET, PROFILE, RECIPE

from canitrain.core.errors import InputError
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.loop import Handover, StepPart
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Precision
from canitrain.estimate.handover import handover
from canitrain.estimate.step_time import StepTime, step_time

HOST = msgspec.toml.decode(
    (Path(__file__).parents[2] / "profiles" / "calibration" / "host.toml").read_bytes(), type=HostCalibration
)
COSTS = HOST.handover
IMAGES = 8
SLOW = Handover(batch_s=0.01, image_s=0.02)
"""A batch of eight: 0.17 s of the host."""


def of_library(name: str):
    own = msgspec.structs.replace(PROFILE.implementation, library=name)
    return msgspec.structs.replace(PROFILE, implementation=own)


def in_loop(loop: str | None, library: str = "pencil", workers: int = 4) -> Handover:
    recipe = msgspec.structs.replace(RECIPE, loop=loop, workers=workers)
    return handover(of_library(library), recipe, DATASET, HOST)


def timed(given_batch: Handover, precision: Precision = Precision.FP32, launch_s: float = 1e-6) -> StepTime:
    costs = CALIBRATION.launch
    names = ("library_kernel_s", "layer_kernel_s", "code_kernel_s", "backward_kernel_s")
    own = {name: msgspec.structs.replace(getattr(costs, name), value=launch_s) for name in names}
    launch = msgspec.structs.replace(costs, **own)
    return step_time(
        PROFILE,
        msgspec.structs.replace(RECIPE, precision=precision),
        BatchShape(batch_size=IMAGES, pixels=640.0 * 640, boxes=7.0),
        CARD,
        slowness=1.0,
        bench=None,
        calibration=msgspec.structs.replace(CALIBRATION, launch=launch),
        handover=given_batch,
    )


def test_torchvision_takes_an_image_over_tensor_by_tensor_and_copies_it_as_stored():
    # Image, boxes, labels, masks, area, iscrowd: 6 tensors; 0.3 megapixels of 3 floats and 7 objects' bytes: 5.7 MB.
    found = in_loop(None, "torchvision")

    assert found.batch_s == COSTS.batch_s.value
    assert found.image_s == pytest.approx(6 * COSTS.tensor_s.value + 5.7e6 / COSTS.mapped_bytes_per_s.value)
    assert found.copied_image_s == pytest.approx(5.7e6 / COSTS.copied_bytes_per_s.value)
    assert found.reads_after == {StepPart.FORWARD, StepPart.UPDATE}


def test_detectron2_takes_single_images_over_and_puts_batches_together_itself():
    # 640 x 640 as trained, three bytes a pixel.
    found = in_loop("detectron2", "torchvision")
    image_bytes = 640 * 640 * 3

    taken_s = COSTS.batch_s.value + 3 * COSTS.tensor_s.value + image_bytes / COSTS.mapped_bytes_per_s.value
    assert found.taken_s(IMAGES) == pytest.approx(IMAGES * taken_s)


@pytest.mark.parametrize("loop", [None, "maskrcnn-benchmark"])
def test_without_loader_processes_nothing_is_taken_over_but_still_copied(loop):
    alone, beside = (in_loop(loop, "torchvision", workers=workers) for workers in (0, 1))

    assert alone.taken_s(IMAGES) == 0.0
    assert alone.copied_s(IMAGES) == beside.copied_s(IMAGES) > 0.0


def test_a_loop_whose_logs_say_what_a_batch_costs_counts_no_tensors():
    # It copies images as it trains on them: 640 x 640 of 12 bytes.
    found = in_loop("maskrcnn-benchmark", "torchvision")

    assert (found.batch_s, found.image_s) == (0.0, 5.7e-3)
    assert found.copied_image_s == pytest.approx(640 * 640 * 12 / COSTS.copied_bytes_per_s.value)


def test_pinned_batches_cost_the_training_process_nothing():
    for loop in (in_loop(None, "yolov5"), in_loop(None, "timm"), in_loop("pinned", "torchvision"), in_loop(None)):
        assert (loop.taken_s(IMAGES), loop.copied_s(IMAGES)) == (0.0, 0.0)


def test_a_loop_that_is_not_known_names_those_that_are():
    with pytest.raises(InputError) as refused:
        in_loop("lightning")

    assert "'lightning'" in str(refused.value)
    assert "detectron2" in refused.value.hint


def test_in_fp32_the_device_is_still_busy_while_the_next_batch_is_taken_over():
    # The step is one of the device, whose queue the host left full: 0.17 s hide behind it.
    step = timed(SLOW)

    assert step.compute_s > 0.17
    assert step.handover_s == 0.0


def test_under_amp_the_scaler_has_just_waited_and_only_the_update_is_left_to_hide_it():
    step = timed(SLOW, Precision.AMP)

    assert step.handover_s == pytest.approx(0.17 - step.optimizer_s, rel=0.05)


def test_a_loop_that_reads_its_loss_after_the_update_hides_nothing():
    step = timed(msgspec.structs.replace(SLOW, reads_after=frozenset({StepPart.UPDATE})))

    assert step.handover_s == pytest.approx(0.17)


def test_a_copy_from_pageable_memory_hides_behind_nothing():
    assert timed(Handover(copied_image_s=0.001)).handover_s == pytest.approx(0.008, rel=0.01)


def test_a_loss_that_is_read_after_the_forward_pass_costs_the_host_its_head_start():
    # Launches of 1 ms a kernel are the slower part: forward and backward pass then follow each other, and the device's
    # share of the last forward kernels is no longer hidden beside the launches of the backward pass.
    read = timed(Handover(reads_after=frozenset({StepPart.FORWARD})), launch_s=1e-4)
    free = timed(Handover(), launch_s=1e-4)

    assert free.handover_s == 0.0
    assert 0.0 <= read.handover_s <= free.forward_s


@given(
    st.floats(0.0, 0.1),
    st.floats(0.0, 0.1),
    st.frozensets(st.sampled_from(StepPart)),
    st.sampled_from(Precision),
)
def test_a_handover_never_shortens_a_step_nor_adds_more_than_itself_and_its_waits(image_s, copied_s, reads, precision):
    own = Handover(image_s=image_s, copied_image_s=copied_s, reads_after=reads)
    step = timed(own, precision, launch_s=1e-4)
    most_s = own.taken_s(IMAGES) + own.copied_s(IMAGES) + len(reads) * min(step.compute_s, step.launches_s)

    assert 0.0 <= step.handover_s <= most_s + 1e-9


def test_every_loop_says_where_its_facts_are_from():
    assert all(loop.source for loop in HOST.loop)
    assert len({loop.name for loop in HOST.loop}) == len(HOST.loop)


def several(loop: Handover, gpus: int, precision: Precision = Precision.AMP) -> StepTime:
    return step_time(
        PROFILE,
        msgspec.structs.replace(RECIPE, precision=precision, gpus=gpus, effective_batch_size=IMAGES * gpus),
        BatchShape(batch_size=IMAGES, pixels=640.0 * 640, boxes=7.0),
        CARD,
        slowness=1.0,
        bench=None,
        calibration=CALIBRATION,
        handover=loop,
    )


def test_several_processes_wait_for_the_batch_that_comes_last():
    late = msgspec.structs.replace(SLOW, late_ratio=0.25)
    found, usual = several(late, 4), several(SLOW, 4)

    # Two doublings, each a quarter of what is not hidden.
    assert found.communication_s - usual.communication_s == pytest.approx(2 * 0.25 * usual.handover_s)
    assert found.handover_s == usual.handover_s > 0.1
    assert several(late, 1) == several(SLOW, 1)


def test_only_the_loop_whose_logs_tell_of_waiting_waits_for_late_batches_or_delays_its_exchange():
    told = {loop.name for loop in HOST.loop if in_loop(loop.name).late_ratio}
    delayed = {loop.name for loop in HOST.loop if in_loop(loop.name).delays_exchange}

    assert told == delayed == {"maskrcnn-benchmark"}


def test_an_exchange_after_the_backward_pass_lengthens_the_step():
    delayed = several(Handover(delays_exchange=True), 2)

    assert delayed.communication_s > several(Handover(), 2).communication_s
    assert several(Handover(delays_exchange=True), 1) == several(Handover(), 1)


@given(st.integers(1, 16), st.floats(0, 0.1), st.floats(0, 1), st.booleans())
def test_more_equal_gpus_never_shorten_a_step(gpus, image_s, late_ratio, delays):
    loop = Handover(image_s=image_s, late_ratio=late_ratio, delays_exchange=delays)
    few, many = several(loop, gpus), several(loop, gpus + 1)

    assert many.communication_s >= few.communication_s
    assert many.handover_s == few.handover_s
