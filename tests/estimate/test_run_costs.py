"""What a run pays beside its steps, to the second: the last batch, validation, checkpoints, power, money."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, CARD, CPU, DATASET, HARDWARE, PROFILE, RECIPE, feed, known

from canitrain.core.fact import Unknown
from canitrain.core.feed import CoreShares, Feed, FeedRates
from canitrain.core.hardware import StorageKind
from canitrain.core.interval import exactly
from canitrain.core.recipe import Optimizer
from canitrain.core.report import Time
from canitrain.estimate.launches import host_slowness
from canitrain.estimate.run_time import run_time
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import StepTime, step_time

COSTS = CALIBRATION.run


def timed(
    recipe=RECIPE, batch_size=250, *, dataset=DATASET, profile=PROFILE, hardware=HARDWARE, fed=None, card=CARD
) -> Time:
    return run_time(profile, recipe, dataset, batch_size, CARD, hardware, fed or feed(), CALIBRATION)


def device_step(recipe=RECIPE, batch_size=250, hardware=HARDWARE) -> StepTime:
    shape = time_shape(PROFILE, recipe, DATASET, batch_size)
    slowness = host_slowness(hardware, CALIBRATION.launch).expected
    return step_time(PROFILE, recipe, shape, CARD, slowness=slowness, bench=None, calibration=CALIBRATION)


def checkpoint_s(time: Time) -> float:
    """What an epoch of four whole batches takes beside its steps, its validation and its restart."""
    return time.epoch_s.expected - 4 * time.step_s.expected - time.validation_s - COSTS.epoch_s.value


@pytest.mark.parametrize(
    ("optimizer", "ema", "copies"),
    [
        # the weights, the optimizer's state, the EMA copy
        (Optimizer.SGD, False, 1),
        (Optimizer.SGD_MOMENTUM, False, 2),
        (Optimizer.ADAM, False, 3),
        (Optimizer.SGD, True, 2),
        (Optimizer.ADAMW, True, 4),
    ],
)
def test_a_checkpoint_is_written_once_an_epoch(optimizer, ema, copies):
    time = timed(replace(RECIPE, optimizer=optimizer, ema=ema))
    written_s = copies * 24_000_000 / COSTS.checkpoint_bytes_per_s[StorageKind.NVME].value
    assert checkpoint_s(time) == pytest.approx(written_s, rel=1e-6)


def test_a_disk_of_unknown_kind_writes_checkpoints_like_a_hard_disk():
    storage = replace(HARDWARE.storage, kind=Unknown(reason="a virtual disk"))
    time = timed(hardware=replace(HARDWARE, storage=storage))
    # weights and momentum
    written_s = 2 * 24_000_000 / COSTS.checkpoint_bytes_per_s[StorageKind.HDD].value
    assert checkpoint_s(time) == pytest.approx(written_s, rel=1e-6)


def test_the_last_batch_has_what_is_left_on_each_gpu():
    two = replace(RECIPE, gpus=2)
    time, short = timed(two, 150), timed(two, 50)
    # 1000 images: three batches of 2 x 150, one of 2 x 50. Whole batches of 100 leave nothing.
    fixed_s = timed(two, 250).epoch_s.expected - 2 * timed(two, 250).step_s.expected - timed(two, 250).validation_s
    expected_s = 3 * time.step_s.expected + short.step_s.expected + time.validation_s + fixed_s
    assert time.epoch_s.expected == pytest.approx(expected_s)


@pytest.mark.parametrize(("epochs", "rate"), [(1, 5.0), (2, 20.0)])
def test_a_run_of_one_epoch_speaks_of_its_first_step(epochs, rate):
    fast = exactly(1e6)
    slow = Feed(
        first=FeedRates(loader_images_per_s=fast, storage_images_per_s=exactly(5.0)),
        later=FeedRates(loader_images_per_s=fast, storage_images_per_s=exactly(20.0)),
        image_s=0.004,
        validation_images_per_s=fast,
        workers=4,
        overlaps=True,
        cached_ratio=1.0,
    )
    time = timed(replace(RECIPE, epochs=epochs), fed=slow)
    assert time.step_s.expected == pytest.approx(250 / rate)
    assert time.images_per_s == pytest.approx(rate)
    # The first epoch has four steps of 250 images at 5 a second, whatever comes later.
    beside_s = time.epoch_s.expected - 4 * time.step_s.expected
    first_s, later_s = 4 * 250 / 5.0 + beside_s, (epochs - 1) * time.epoch_s.expected
    assert time.total_s.expected == pytest.approx(first_s + later_s + COSTS.warm_up_s.value)


@pytest.mark.parametrize(
    ("library", "gpus", "sharing"),
    [("pencil", 1, 1), ("pencil", 4, 4), ("yolov5", 4, 1), ("ultralytics", 4, 1)],
)
def test_validation_is_a_forward_pass_and_the_hosts_share_of_each_image(library, gpus, sharing):
    profile = replace(PROFILE, implementation=replace(PROFILE.implementation, library=library))
    time = timed(replace(RECIPE, gpus=gpus), profile=profile)
    step = device_step(replace(RECIPE, gpus=gpus))
    image_s = max(step.forward_s, step.forward_launches_s) / (250 * sharing)
    host_s = COSTS.validation_host_image_s.value / sharing
    assert time.validation_s == pytest.approx(100 * (image_s + host_s))


def test_validation_waits_for_images_that_load_slower_than_that():
    fed = replace(feed(), validation_images_per_s=exactly(2.0))
    assert timed(fed=fed).validation_s == pytest.approx(50.0)  # 100 images at 2 a second


@pytest.mark.parametrize(("library", "at_once"), [("pencil", 4), ("yolov5", 1)])
def test_validation_leaves_the_loader_the_cores_that_its_processes_do_not_hold(library, at_once):
    # Four cards, a core each: the loader loses what they launch, and half of what they wait for their devices.
    # Where one validates for all, the other three wait for it.
    shares = CoreShares(launching_ratio=1.0, spinning_ratio=0.5)
    fed = replace(feed(shares=shares), validation_images_per_s=exactly(2.0))
    profile = replace(PROFILE, implementation=replace(PROFILE.implementation, library=library))
    recipe = replace(RECIPE, gpus=4)
    step = device_step(recipe)
    launching_s = step.forward_launches_s / 250 + COSTS.validation_host_image_s.value
    working_s = max(step.forward_s - step.forward_launches_s, 0.0) / 250 + launching_s
    held_s = (working_s / at_once + launching_s / 4) / 2
    assert timed(recipe, profile=profile, fed=fed).validation_s == pytest.approx(100 * (0.5 + held_s))


def test_small_models_validate_as_fast_as_the_host_launches():
    slow = replace(HARDWARE, cpu=replace(CPU, max_hz=known(3e8), base_hz=known(3e8)))
    step = device_step(batch_size=1, hardware=slow)
    assert step.forward_launches_s > 1.2 * step.forward_s
    expected_s = 100 * (step.forward_launches_s + COSTS.validation_host_image_s.value)
    time = timed(batch_size=1, hardware=slow)
    assert time.validation_s == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("changes", "images"), [({"validation": False}, 100), ({"validation": True}, 0), ({"validation": False}, 0)]
)
def test_nothing_to_validate_takes_no_time(changes, images):
    time = timed(replace(RECIPE, **changes), dataset=replace(DATASET, validation_images=images))
    assert time.validation_s == 0


def test_a_waiting_gpu_draws_its_idle_power():
    # 2 x 250 images at 20 a second, and the exchange meanwhile
    time = timed(replace(RECIPE, gpus=2), fed=feed(loader_images_per_s=20.0))
    assert time.step_s.expected == pytest.approx(25.0)
    # 1,000 images on 2 x 250 are 2 steps an epoch; then 100 images are validated, 50 on each card.
    validating_s = device_step(replace(RECIPE, gpus=2)).forward_s * 50 / 250
    busy = RECIPE.epochs * (2 * time.parts.compute_s + validating_s) / time.total_s.expected
    assert 0 < busy < 0.5
    share = COSTS.load_power_ratio.value * busy + COSTS.idle_power_ratio.value * (1 - busy)
    assert time.energy_kwh == pytest.approx(2 * 170 * share * time.total_s.expected / 3.6e6)


def test_a_gpu_draws_its_idle_power_while_a_run_starts():
    one_image = replace(DATASET, images=1, validation_images=0)
    time = timed(replace(RECIPE, epochs=1), dataset=one_image, batch_size=1)
    assert time.step_s.expected < 0.01 * time.total_s.expected
    idle_kwh = 170 * COSTS.idle_power_ratio.value * time.total_s.expected / 3.6e6
    assert time.energy_kwh == pytest.approx(idle_kwh, rel=0.03)


def test_every_end_of_the_interval_counts_the_exchange_and_what_an_epoch_costs_beside_its_steps():
    alone, several = timed(), timed(replace(RECIPE, gpus=4))
    low = alone.step_s.low / alone.step_s.expected
    high = alone.step_s.high / alone.step_s.expected
    assert several.parts.communication_s > 0
    assert (several.step_s.low, several.step_s.high) == pytest.approx(
        (several.step_s.expected * low, several.step_s.expected * high)
    )
    for time in (alone, several):
        assert (time.epoch_s.low, time.epoch_s.high) == pytest.approx(
            (time.epoch_s.expected * low, time.epoch_s.expected * high)
        )
        # The start is as it is.
        start_s = COSTS.warm_up_s.value
        assert time.total_s.low == pytest.approx((time.total_s.expected - start_s) * low + start_s)
        assert time.total_s.high == pytest.approx((time.total_s.expected - start_s) * high + start_s)
