"""Device seconds of the traced work: max(FLOPs / peak, bytes / bandwidth), each with its efficiency."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Phase, Trace, Work, WorkKind
from canitrain.core.recipe import Freeze, Recipe
from canitrain.core.time_calibration import Curve
from canitrain.estimate.device_rates import DeviceRates
from canitrain.estimate.positives import positive_share


class GroupTime(Struct, frozen=True, kw_only=True):
    """All kernels of one kind in one phase of one stage."""

    stage: str
    phase: Phase
    kind: WorkKind
    time_s: float
    start_s: float
    """Of ``time_s``: starts of kernels, however little they do."""
    kernels: float
    bandwidth_bound: bool


def group_times(
    trace: Trace, shape: BatchShape, recipe: Recipe, device: DeviceRates, *, positives_per_box: float
) -> tuple[GroupTime, ...]:
    """Every group of one training step, forward then backward, a stage after the other.

    A frozen backbone has no backward pass. Activation checkpointing repeats the forward pass inside the backward.
    Stages that follow positive samples do the mean image's share of the traced work, in as many kernels.
    """
    groups: list[GroupTime] = []
    device = _mixed(device, grouped_ratio(trace, shape))
    for stage in trace.stages:
        forward = [(Phase.FORWARD, kind, work) for kind, work in stage.forward.items()]
        frozen = recipe.freeze is Freeze.BACKBONE and stage.backbone
        backward = [] if frozen else [(Phase.BACKWARD, kind, work) for kind, work in stage.backward.items()]
        again = [(Phase.BACKWARD, kind, work) for _, kind, work in forward] if recipe.checkpointing and backward else []
        share = positive_share(stage.positives, shape.boxes, positives_per_box) if stage.positives else 1.0
        groups += [
            _group_time(stage.name, phase, kind, work=work, share=share, shape=shape, device=device)
            for phase, kind, work in (*forward, *again, *backward)
        ]
    return tuple(groups)


def _mixed(device: DeviceRates, grouped: float) -> DeviceRates:
    """``device`` with the curve of a mixture: ``grouped`` of its grouped work has several channels a group."""
    if not grouped:
        return device
    own, other = device.curves[WorkKind.DEPTHWISE_CONV], device.grouped
    mixture = msgspec.structs.replace(
        own,
        compute_ratio=1 / (grouped / other.compute_ratio + (1 - grouped) / own.compute_ratio),
        bandwidth_ratio=1 / (grouped / other.bandwidth_ratio + (1 - grouped) / own.bandwidth_ratio),
        kernel_s=grouped * other.kernel_s + (1 - grouped) * own.kernel_s,
        copy_ratio=grouped * other.copy_ratio + (1 - grouped) * own.copy_ratio,
    )
    return msgspec.structs.replace(device, curves=device.curves | {WorkKind.DEPTHWISE_CONV: mixture})


def grouped_ratio(trace: Trace, shape: BatchShape) -> float:
    """Share of the grouped convolutions' FLOPs with more than one input channel a group: not depthwise."""
    depthwise = grouped = 0.0
    for convolution in trace.convolutions:
        if convolution.groups == 1:
            continue
        channels = convolution.in_channels // convolution.groups
        work = convolution.count.at(shape) * convolution.output_pixels.at(shape) * convolution.out_channels
        work *= channels * convolution.kernel[0] * convolution.kernel[1]
        if channels > 1:
            grouped += work
        else:
            depthwise += work
    return grouped / (grouped + depthwise) if grouped else 0.0


def _group_time(
    stage: str, phase: Phase, kind: WorkKind, *, work: Work, share: float, shape: BatchShape, device: DeviceRates
) -> GroupTime:
    kernels = work.kernels.at(shape)
    compute_s, traffic_s, fixed_s = kernel_times(
        work.flops.at(shape) * share,
        work.bytes.at(shape) * share,
        kernels,
        flops_per_s=device.flops_per_s[kind],
        bytes_per_s=device.memory_bytes_per_s,
        curve=device.curves[kind],
    )
    return GroupTime(
        stage=stage,
        phase=phase,
        kind=kind,
        time_s=max(compute_s, traffic_s) + fixed_s,
        start_s=kernels * device.curves[kind].kernel_s,
        kernels=kernels,
        bandwidth_bound=traffic_s > compute_s,
    )


def kernel_times(
    flops: float, size_bytes: float, kernels: float, *, flops_per_s: float, bytes_per_s: float, curve: Curve
) -> tuple[float, float, float]:
    """Seconds of arithmetic, of memory traffic (the larger counts), and those that come on top (copies, starts)."""
    return (
        flops / (flops_per_s * curve.compute_ratio),
        size_bytes / (bytes_per_s * curve.bandwidth_ratio),
        size_bytes * curve.copy_ratio / bytes_per_s + kernels * curve.kernel_s,
    )
