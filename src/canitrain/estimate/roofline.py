"""Device seconds of the traced work: FLOPs / peak and bytes / bandwidth, each with its efficiency."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Phase, Trace, Work, WorkKind
from canitrain.core.recipe import Freeze, Recipe
from canitrain.core.time_calibration import Curve
from canitrain.estimate.convolution_time import convolution_times
from canitrain.estimate.device_rates import CONVOLUTIONS, DeviceRates
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
    stretches = _stretches(trace, shape, device)
    for stage in trace.stages:
        ahead = [(kind, work, stretches.get((Phase.FORWARD, kind), 1.0)) for kind, work in stage.forward.items()]
        back = [(kind, work, stretches.get((Phase.BACKWARD, kind), 1.0)) for kind, work in stage.backward.items()]
        forward = [(Phase.FORWARD, *one) for one in ahead]
        frozen = recipe.freeze is Freeze.BACKBONE and stage.backbone
        backward = [] if frozen else [(Phase.BACKWARD, *one) for one in back]
        again = [(Phase.BACKWARD, *one) for one in ahead] if recipe.checkpointing and backward else []
        share = positive_share(stage.positives, shape.boxes, positives_per_box) if stage.positives else 1.0
        groups += [
            _group_time(stage.name, phase, kind, work=work, share=share, stretch=stretch, shape=shape, device=device)
            for phase, kind, work, stretch in (*forward, *again, *backward)
        ]
    return tuple(groups)


def _stretches(trace: Trace, shape: BatchShape, device: DeviceRates) -> dict[tuple[Phase, WorkKind], float]:
    """Seconds of the convolutions by their shapes / seconds of the stages' sums, by phase and kind.

    The sums know which stage works, the shapes how long it takes: so all stages together take what the shapes say.
    """
    sums: dict[tuple[Phase, WorkKind], float] = {}
    for stage in trace.stages:
        for phase, works in ((Phase.FORWARD, stage.forward), (Phase.BACKWARD, stage.backward)):
            for kind in CONVOLUTIONS & works.keys():
                compute_s, traffic_s, fixed_s = _kernel_times(kind, works[kind], 1.0, shape, device)
                start_s = works[kind].kernels.at(shape) * device.curves[kind].kernel_s
                total_s = device.together_s(compute_s, traffic_s) + fixed_s - start_s
                sums[phase, kind] = sums.get((phase, kind), 0.0) + total_s
    return {
        key: total_s / sums[key] for key, total_s in convolution_times(trace, shape, device).items() if sums.get(key)
    }


def _kernel_times(
    kind: WorkKind, work: Work, share: float, shape: BatchShape, device: DeviceRates
) -> tuple[float, float, float]:
    kernels, size_bytes = work.kernels.at(shape), work.bytes.at(shape) * share
    traffic_s = device.traffic_s(size_bytes, size_bytes / max(kernels, 1.0))
    return kernel_times(
        work.flops.at(shape) * share,
        size_bytes,
        kernels,
        flops_per_s=device.flops_per_s[kind],
        bytes_per_s=size_bytes / traffic_s if traffic_s else device.memory_bytes_per_s,
        curve=device.curves[kind],
    )


def _group_time(
    stage: str,
    phase: Phase,
    kind: WorkKind,
    *,
    work: Work,
    share: float,
    stretch: float,
    shape: BatchShape,
    device: DeviceRates,
) -> GroupTime:
    kernels = work.kernels.at(shape)
    start_s = kernels * device.curves[kind].kernel_s
    compute_s, traffic_s, fixed_s = _kernel_times(kind, work, share, shape, device)
    average_s = device.together_s(compute_s, traffic_s) + fixed_s
    return GroupTime(
        stage=stage,
        phase=phase,
        kind=kind,
        time_s=average_s + (average_s - start_s) * (stretch - 1),
        start_s=start_s,
        kernels=kernels,
        bandwidth_bound=traffic_s > compute_s,
    )


def kernel_times(
    flops: float, size_bytes: float, kernels: float, *, flops_per_s: float, bytes_per_s: float, curve: Curve
) -> tuple[float, float, float]:
    """Seconds of arithmetic, of memory traffic (they hide each other), and those on top (copies, starts)."""
    return (
        flops / (flops_per_s * curve.compute_ratio),
        size_bytes / (bytes_per_s * curve.bandwidth_ratio),
        size_bytes * curve.copy_ratio / bytes_per_s + kernels * curve.kernel_s,
    )
