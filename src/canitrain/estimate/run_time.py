"""Step, epoch and whole run: the slower of training and feed, plus validation and fixed costs."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.dataset import Dataset
from canitrain.core.fact import value_or_none
from canitrain.core.feed import Feed, FeedRates
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu, Hardware, StorageKind
from canitrain.core.interval import Interval, exactly
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import Bottleneck, StepParts, Time
from canitrain.core.time_calibration import LevelWidth, RunCosts, TimeCalibration
from canitrain.core.units import HOUR_S
from canitrain.estimate.convolution_time import has_grouped_convolutions
from canitrain.estimate.cpu_time import training_cores
from canitrain.estimate.launches import host_slowness
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import StepTime, step_time
from canitrain.estimate.time_evidence import is_fitted, time_evidence

ONE_GPU_VALIDATION = frozenset({"yolov5", "ultralytics"})
"""Libraries whose training script validates in the first process only (source: their ``train.py``)."""
_W_PER_KW = 1000.0


class _Step(Struct, frozen=True, kw_only=True):
    """A step with the feed: its interval and what it waits for."""

    step_s: Interval
    parts: StepParts
    bottleneck: Bottleneck


class _DeviceSteps(Struct, frozen=True, kw_only=True):
    """A step without the feed; its ends are those of the evidence and of how fast the host may launch."""

    expected: StepTime
    low_s: float
    high_s: float


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
    bench = hardware.bench

    slowness = exactly(1.0) if isinstance(device, Cpu) else host_slowness(hardware, calibration.launch)

    def device_step(images: int, host: float) -> StepTime:
        shape = time_shape(profile, recipe, dataset, images)
        return step_time(
            profile,
            recipe,
            shape,
            device,
            slowness=host,
            bench=bench,
            calibration=calibration,
            handover=feed.handover,
        )

    def device_steps(images: int) -> _DeviceSteps:
        by_host = {host: device_step(images, host) for host in (slowness.low, slowness.expected, slowness.high)}
        return _DeviceSteps(
            expected=by_host[slowness.expected],
            low_s=by_host[slowness.low].training_s * width.low_ratio,
            high_s=by_host[slowness.high].training_s * width.high_ratio,
        )

    def fed(images: int, steps: _DeviceSteps, rates: FeedRates) -> _Step:
        return _with_feed(steps, feed, rates, batch_size=images, recipe=recipe, device=device, width=width)

    whole = device_steps(batch_size)
    full = whole.expected
    later = fed(batch_size, whole, feed.later if recipe.epochs > 1 else feed.first)

    steps, rest = divmod(dataset.images, batch_size * recipe.all_gpus)
    rest_a_gpu = math.ceil(rest / recipe.all_gpus)
    last = device_steps(rest_a_gpu) if rest else None
    costs = calibration.run
    validation_s = _validation_s(profile, recipe, dataset, batch_size=batch_size, step=full, feed=feed, costs=costs)
    fixed_s = validation_s + costs.epoch_s.value + _checkpoint_s(profile, recipe, hardware, calibration)
    fixed = Interval(low=fixed_s * width.low_ratio, expected=fixed_s, high=fixed_s * width.high_ratio)

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
        validation_s=validation_s,
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


def _with_feed(
    steps: _DeviceSteps,
    feed: Feed,
    rates: FeedRates,
    *,
    batch_size: int,
    recipe: Recipe,
    device: GpuSpec | Cpu,
    width: LevelWidth,
) -> _Step:
    """The step as the slowest of training, loader and storage, or as their sum where nothing loads beside it.

    On a CPU loading shares the cores and is part of the device's seconds. Loader processes on too few cores are no
    slower than none: a training process that waits for them leaves them its core.
    """
    step = steps.expected
    images = batch_size * recipe.gpus
    on_cpu = isinstance(device, Cpu)
    sharing_s = feed.image_s * images / training_cores(device) if isinstance(device, Cpu) else 0.0
    compute_s = step.compute_s + sharing_s
    loading = _seconds(images, rates.loader_images_per_s)
    storing = _seconds(images, rates.storage_images_per_s)
    if on_cpu:
        loading = Interval(low=0.0, expected=0.0, high=0.0)
    parts = StepParts(
        compute_s=compute_s,
        launches_s=step.launches_s,
        loader_s=loading.expected,
        storage_s=storing.expected,
        communication_s=step.communication_s,
        optimizer_s=step.optimizer_s,
        waits_s=step.waits_s,
        handover_s=step.handover_s,
        loads_between_steps=not feed.overlaps,
    )
    together = max if feed.overlaps else _plus
    training = Interval(
        low=steps.low_s + sharing_s * width.low_ratio,
        expected=parts.training_s,
        high=steps.high_s + sharing_s * width.high_ratio,
    )
    if feed.overlaps:
        loading = _taking_turns_at_worst(loading, training, feed.turns_ratio)
        parts = replace(parts, loader_s=loading.expected)
    return _Step(
        step_s=Interval(
            low=together(training.low, loading.low, storing.low),
            expected=parts.step_s,
            high=together(training.high, loading.high, storing.high),
        ),
        parts=parts,
        bottleneck=_bottleneck(step, parts, on_cpu=on_cpu),
    )


def _taking_turns_at_worst(loading: Interval, training: Interval, turns_ratio: float) -> Interval:
    """Seconds until the next batch is there: ``loading`` beside ``training``, or after it where that is sooner."""
    return Interval(
        low=min(loading.low, training.low + loading.low / turns_ratio),
        expected=min(loading.expected, training.expected + loading.expected / turns_ratio),
        high=min(loading.high, training.high + loading.high / turns_ratio),
    )


def _plus(training_s: float, loading_s: float, storing_s: float) -> float:
    return training_s + loading_s + storing_s


def _seconds(images: int, rate: Interval) -> Interval:
    return Interval(low=images / rate.high, expected=images / rate.expected, high=images / rate.low)


def _bottleneck(step: StepTime, parts: StepParts, *, on_cpu: bool) -> Bottleneck:
    """The part that would have to shrink first; a device busy with starting kernels is bound by launches too."""
    if on_cpu:
        device = Bottleneck.CPU_COMPUTE
    elif step.start_bound:
        device = Bottleneck.LAUNCHES
    else:
        device = Bottleneck.GPU_MEMORY_BANDWIDTH if step.bandwidth_bound else Bottleneck.GPU_COMPUTE
    working = {
        Bottleneck.LAUNCHES: parts.launches_s,
        Bottleneck.NETWORK if step.network_bound else Bottleneck.COMMUNICATION: parts.communication_s,
    }
    working[device] = max(working.get(device, 0.0), parts.compute_s)
    waiting = {Bottleneck.DECODE: parts.loader_s, Bottleneck.STORAGE: parts.storage_s}
    if parts.loads_between_steps:
        candidates = working | waiting
    else:
        candidates = waiting if max(waiting.values()) > parts.training_s else working
    return max(candidates, key=lambda name: candidates[name])


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
    gpus, nodes = (recipe.all_gpus, recipe.nodes)
    if profile.implementation.library in ONE_GPU_VALIDATION:
        gpus, nodes = (1, 1)
    loaded_per_s = nodes * feed.validation_images_per_s.expected
    image_s = max(step.forward_s, step.forward_launches_s) / (batch_size * gpus)
    working_s = image_s + costs.validation_host_image_s.value / gpus
    loading_s = 1 / loaded_per_s
    in_turns_s = working_s + loading_s / feed.turns_ratio
    return images * (min(max(working_s, loading_s), in_turns_s) if feed.overlaps else in_turns_s)


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
