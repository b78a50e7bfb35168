"""Step, epoch and whole run: the slower of training and feed, plus validation and fixed costs."""

from __future__ import annotations

import math

from msgspec.structs import replace

from canitrain.core.dataset import Dataset
from canitrain.core.fact import value_or_none
from canitrain.core.feed import Feed, FeedRates
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu, Hardware, StorageKind
from canitrain.core.interval import Interval, exactly
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import StepParts, Time
from canitrain.core.time_calibration import LevelWidth, RunCosts, TimeCalibration
from canitrain.core.units import HOUR_S
from canitrain.estimate.convolution_time import has_grouped_convolutions
from canitrain.estimate.fed_step import DeviceSteps, FedStep, fed_step
from canitrain.estimate.launches import host_slowness
from canitrain.estimate.resident_memory import training_processes
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.shared_cores import crowding_ratio, held_ratio, loading_beside_s
from canitrain.estimate.step_time import StepTime, step_times
from canitrain.estimate.time_evidence import is_fitted, time_evidence

ONE_GPU_VALIDATION = frozenset({"yolov5", "ultralytics"})
"""Libraries whose training script validates in the first process only (source: their ``train.py``)."""
_W_PER_KW = 1000.0


def run_time(  # noqa: PLR0917  the door agreed with check.py
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    batch_size: int,
    device: GpuSpec | Cpu,
    hardware: Hardware,
    feed: Feed,
    calibration: TimeCalibration,
) -> Time:
    """Seconds of a step, an epoch with validation, and the run; energy and cost where they can be said.

    Args:
        profile: The traced implementation.
        recipe: A decided run; ``gpus`` of ``device`` in each of ``nodes`` share a step.
        dataset: How many images an epoch has.
        batch_size: Images a GPU and step.
        device: The card, or the processor where the run trains on it.
        hardware: Each host: its CPU launches, its storage takes the checkpoints.
        feed: What the input pipeline of one host delivers to its own GPUs.
        calibration: ``profiles/calibration/time.toml``.

    Returns:
        A steady step (of a later epoch, where there is more than one), the mean epoch and the total.
    """
    width = _width(profile, recipe, device, calibration)
    slowness = exactly(1.0)
    if not isinstance(device, Cpu):
        slowness = host_slowness(hardware, calibration.launch).scaled(crowding_ratio(recipe, hardware.cpu))

    def device_steps(images: int) -> DeviceSteps:
        by_host = step_times(
            profile,
            recipe,
            time_shape(profile, recipe, dataset, images),
            device,
            hosts=(slowness.low, slowness.expected, slowness.high),
            bench=hardware.bench,
            calibration=calibration,
            handover=feed.handover,
        )
        low, expected, high = (by_host[each] for each in (slowness.low, slowness.expected, slowness.high))
        return DeviceSteps(low=low, expected=expected, high=high)

    def fed(images: int, steps: DeviceSteps, rates: FeedRates) -> FedStep:
        return fed_step(steps, feed, rates, batch_size=images, recipe=recipe, device=device, width=width)

    whole = device_steps(batch_size)
    full = whole.expected
    later = fed(batch_size, whole, feed.later if recipe.epochs > 1 else feed.first)

    steps, rest = divmod(dataset.images, batch_size * recipe.all_gpus)
    rest_a_gpu = math.ceil(rest / recipe.all_gpus)
    last = device_steps(rest_a_gpu) if rest else None
    costs = calibration.run
    validations_s = [
        _validation_s(profile, recipe, dataset, batch_size=batch_size, step=step, feed=feed, costs=costs)
        for step in (whole.low, whole.expected, whole.high)
    ]
    beside_s = costs.epoch_s.value + _checkpoint_s(profile, recipe, hardware, calibration)
    low_s, fixed_s, high_s = (validation_s + beside_s for validation_s in validations_s)
    fixed = Interval(low=low_s * width.low_ratio, expected=fixed_s, high=high_s * width.high_ratio)

    def epoch(rates: FeedRates) -> Interval:
        short = exactly(0.0) if last is None else fed(rest_a_gpu, last, rates).step_s
        return _sum(fed(batch_size, whole, rates).step_s.scaled(steps), short, fixed)

    first_epoch_s = epoch(feed.first)
    epoch_s = epoch(feed.later) if recipe.epochs > 1 else first_epoch_s
    total_s = _sum(first_epoch_s, epoch_s.scaled(recipe.epochs - 1), exactly(costs.warm_up_s.value))
    short_s = 0.0 if last is None else last.expected.compute_s
    validating_s = _validated_images(recipe, dataset) * full.forward_s / (batch_size * recipe.all_gpus)
    busy_s = recipe.epochs * (steps * full.compute_s + short_s + validating_s)
    return Time(
        step_s=later.step_s,
        epoch_s=epoch_s,
        total_s=total_s,
        images_per_s=batch_size * recipe.all_gpus / later.step_s.expected,
        bottleneck=later.bottleneck,
        parts=later.parts,
        validation_s=validations_s[1],
        kinds_s=_kinds_s(full, later.parts),
        energy_kwh=_energy_kwh(device, recipe, busy_s, total_s.expected, costs),
        cost=None
        if recipe.price_per_hour is None
        else recipe.price_per_hour * recipe.nodes * total_s.expected / HOUR_S,
        network=full.network,
    )


def _width(profile: ModelProfile, recipe: Recipe, device: GpuSpec | Cpu, calibration: TimeCalibration) -> LevelWidth:
    """The width of the evidence, and at least that of implementations which no fit had seen.

    Grouped convolutions (ResNeXt, RegNet) have quick kernels in NHWC for some shapes and slow ones for others.
    """
    level = time_evidence(profile, device, calibration).level
    width = next(row for row in calibration.width if row.level is level)
    cases = [] if is_fitted(profile, calibration) else [calibration.unfitted_width]
    if recipe.channels_last and has_grouped_convolutions(profile):
        cases.append(calibration.grouped_channels_last_width)
    return replace(
        width,
        low_ratio=min([width.low_ratio, *(case.low_ratio for case in cases)]),
        high_ratio=max([width.high_ratio, *(case.high_ratio for case in cases)]),
    )


def _validation_s(
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    *,
    batch_size: int,
    step: StepTime,
    feed: Feed,
    costs: RunCosts,
) -> float:
    """Forward pass over the validation images with the host's share, and their loading, together as in training."""
    images = _validated_images(recipe, dataset)
    if not images:
        return 0.0
    gpus, nodes, processes = (recipe.all_gpus, recipe.nodes, 1)
    if profile.implementation.library in ONE_GPU_VALIDATION:
        # The others of its host wait for the one, and spin.
        gpus, nodes, processes = (1, 1, training_processes(recipe))
    loading_s = 1 / (nodes * feed.validation_images_per_s.expected)
    host_s = (step.forward_launches_s / batch_size + costs.validation_host_image_s.value) / gpus
    working_s = max(step.forward_s - step.forward_launches_s, 0.0) / (batch_size * gpus) + host_s
    if not feed.overlaps:
        return images * (working_s + loading_s)
    held = held_ratio(feed.shares, host_s / processes / working_s)
    return images * max(working_s, loading_beside_s(loading_s, working_s, held, feed.shares))


def _validated_images(recipe: Recipe, dataset: Dataset) -> int:
    """Of one epoch."""
    return dataset.validation_images if recipe.validation else 0


def _checkpoint_s(profile: ModelProfile, recipe: Recipe, hardware: Hardware, calibration: TimeCalibration) -> float:
    """Writing weights, EMA copy and optimizer state once an epoch; a disk of unknown kind counts as a slow one."""
    kind = value_or_none(hardware.storage.kind) or StorageKind.HDD
    state = next(row for row in calibration.optimizer if row.optimizer is recipe.optimizer).state_copies
    copies = 1 + state + (1 if recipe.ema else 0)
    return profile.parameter_bytes * copies / calibration.run.checkpoint_bytes_per_s[kind].value


def _sum(*spans: Interval) -> Interval:
    return Interval(
        low=sum(span.low for span in spans),
        expected=sum(span.expected for span in spans),
        high=sum(span.high for span in spans),
    )


def _kinds_s(step: StepTime, parts: StepParts) -> dict[str, float]:
    """By kind of work; ``loading`` is what the loader takes from a CPU that also trains."""
    loading_s = parts.compute_s - step.compute_s
    return step.kinds_s() | ({"loading": loading_s} if loading_s > 0 else {})


def _energy_kwh(device: GpuSpec | Cpu, recipe: Recipe, busy_s: float, total_s: float, costs: RunCosts) -> float | None:
    """Of the GPUs alone, each computing for ``busy_s`` of ``total_s``; ``None`` where nobody states the power."""
    if isinstance(device, Cpu) or device.tdp_w is None:
        return None
    busy = min(1.0, busy_s / total_s)
    share = costs.load_power_ratio.value * busy + costs.idle_power_ratio.value * (1 - busy)
    return device.tdp_w * share * recipe.all_gpus * total_s / HOUR_S / _W_PER_KW
