"""A training step and the images it waits for: which is slower, and what one would have to mend first."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.feed import CoreShares, Feed, FeedRates
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.interval import Interval
from canitrain.core.recipe import Recipe
from canitrain.core.report import Bottleneck, StepParts
from canitrain.core.time_calibration import LevelWidth
from canitrain.estimate.cpu_time import training_cores
from canitrain.estimate.shared_cores import held_ratio, loading_beside_s
from canitrain.estimate.step_time import StepTime


class FedStep(Struct, frozen=True, kw_only=True):
    """A step with the feed: its interval and what it waits for."""

    step_s: Interval
    parts: StepParts
    bottleneck: Bottleneck


class DeviceSteps(Struct, frozen=True, kw_only=True):
    """A step without the feed, by the quickest, the likeliest and the slowest host there may be."""

    low: StepTime
    expected: StepTime
    high: StepTime


def fed_step(
    steps: DeviceSteps,
    feed: Feed,
    rates: FeedRates,
    *,
    batch_size: int,
    recipe: Recipe,
    device: GpuSpec | Cpu,
    width: LevelWidth,
) -> FedStep:
    """The step as the slowest of training, loader and storage, or as their sum where nothing loads beside it.

    On a CPU loading shares the cores and is part of the device's seconds.
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
        low=(steps.low.training_s + sharing_s) * width.low_ratio,
        expected=parts.training_s,
        high=(steps.high.training_s + sharing_s) * width.high_ratio,
    )
    if feed.overlaps and not on_cpu:
        loading = _beside(loading, training, steps, feed.shares)
        parts = replace(parts, loader_s=loading.expected)
    return FedStep(
        step_s=Interval(
            low=together(training.low, loading.low, storing.low),
            expected=parts.step_s,
            high=together(training.high, loading.high, storing.high),
        ),
        parts=parts,
        bottleneck=_bottleneck(step, parts, on_cpu=on_cpu),
    )


def _beside(loading: Interval, training: Interval, steps: DeviceSteps, shares: CoreShares) -> Interval:
    """Seconds until the next batch is there, on cores of which ``training`` holds a share, as each host launches."""

    def beside_s(loading_s: float, training_s: float, step: StepTime) -> float:
        held = held_ratio(shares, (step.launches_s + step.handover_s) / step.training_s)
        return loading_beside_s(loading_s, training_s, held, shares)

    expected_s = beside_s(loading.expected, training.expected, steps.expected)
    # Shares of two hosts that are the same in the end may differ by a rounding.
    return Interval(
        low=min(expected_s, beside_s(loading.low, training.low, steps.low)),
        expected=expected_s,
        high=max(expected_s, beside_s(loading.high, training.high, steps.high)),
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
