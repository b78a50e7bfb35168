"""One training step: device, host launches and exchange between GPUs, before any waiting for images."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Bench, Cpu
from canitrain.core.loop import Handover
from canitrain.core.network import NetworkUse
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase, Precision, Stage, Trace, WorkKind
from canitrain.core.recipe import Recipe, Strategy
from canitrain.core.time_calibration import LaunchCosts, TimeCalibration
from canitrain.estimate.communication import Exchange, exchange, launched_replicas, straggling_s
from canitrain.estimate.cpu_time import cpu_rates
from canitrain.estimate.device_rates import DeviceRates, effective_precision, gpu_rates
from canitrain.estimate.launches import around_kernels_s, stage_launches_s
from canitrain.estimate.roofline import GroupTime, group_times
from canitrain.estimate.timeline import Segment, looped, together_s
from canitrain.estimate.update_time import trained_parameter_bytes, update_work

NO_HANDOVER = Handover()
RGB_FP32_BYTES = 12
"""Three channels of four bytes: one input pixel."""


class StepTime(Struct, frozen=True, kw_only=True, dict=True):
    """Seconds of one step on one device, without the loader; sums over the groups are made once."""

    groups: tuple[GroupTime, ...]
    optimizer_s: float
    """Update, gradient scaler and EMA on the device, averaged over the accumulation steps."""
    launches_s: float
    """Whole step, host; 0 on a CPU, whose kernels carry their own start."""
    waits_s: float
    """What device and host wait for each other, on top of the slower of the two."""
    forward_launches_s: float
    handover_s: float = 0.0
    """What the step takes longer because its loop hands batches over between steps, or reads results."""
    communication_s: float
    network: NetworkUse | None = None
    network_bound: bool = False
    """Whether what the nodes send each other holds the step up more than the GPUs of one node do."""

    @functools.cached_property
    def compute_s(self) -> float:
        """Device seconds: forward, backward and update."""
        return sum(group.time_s for group in self.groups) + self.optimizer_s

    @property
    def training_s(self) -> float:
        """The whole step, as long as images come in time."""
        return max(self.compute_s, self.launches_s) + self.waits_s + self.handover_s + self.communication_s

    @functools.cached_property
    def forward_s(self) -> float:
        """Device seconds of the forward pass alone, loss included."""
        return sum(group.time_s for group in self.groups if group.phase is Phase.FORWARD)

    @property
    def bandwidth_bound(self) -> bool:
        """Whether most of the device's time goes to kernels that wait for its memory."""
        waiting_s = sum(group.time_s for group in self.groups if group.bandwidth_bound) + self.optimizer_s
        return waiting_s > self.compute_s / 2

    @property
    def start_bound(self) -> bool:
        """Whether most of the device's time goes to starting kernels: they are too small for it."""
        return sum(group.start_s for group in self.groups) > self.compute_s / 2

    def kinds_s(self) -> dict[str, float]:
        """Device seconds by kind of work and ``optimizer``; they sum to ``compute_s``."""
        kinds = {kind.value: sum(g.time_s for g in self.groups if g.kind is kind) for kind in WorkKind}
        return {name: time_s for name, time_s in kinds.items() if time_s} | {"optimizer": self.optimizer_s}

    def stages_s(self) -> dict[str, float]:
        """Device seconds by stage, forward and backward, in execution order."""
        stages: dict[str, float] = {}
        for group in self.groups:
            stages[group.stage] = stages.get(group.stage, 0.0) + group.time_s
        return stages


class _DeviceWork(Struct, frozen=True, kw_only=True):
    """What the device does in a step, whatever host launches it."""

    groups: tuple[GroupTime, ...]
    forward: tuple[Segment, ...]
    """As today's host launches it, as ``backward``."""
    backward: tuple[Segment, ...]
    optimizer_s: float
    update_kernels: float
    """Of optimizer, scaler and EMA, averaged over the accumulation steps."""


def step_time(
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    device: GpuSpec | Cpu,
    *,
    slowness: float,
    bench: Bench | None,
    calibration: TimeCalibration,
    handover: Handover = NO_HANDOVER,
) -> StepTime:
    """One step at ``shape`` (images a GPU) on ``device``, whose host launches ``slowness`` times as slowly as today's.

    A CPU trains in fp32 whatever the recipe's precision, and launches nothing.
    """
    hosts = (slowness,)
    return step_times(
        profile, recipe, shape, device, hosts=hosts, bench=bench, calibration=calibration, handover=handover
    )[slowness]


def step_times(
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    device: GpuSpec | Cpu,
    *,
    hosts: Iterable[float],
    bench: Bench | None,
    calibration: TimeCalibration,
    handover: Handover = NO_HANDOVER,
) -> dict[float, StepTime]:
    """As ``step_time``, by the slowness of each of ``hosts``."""
    if isinstance(device, Cpu):
        step = _cpu_step_time(profile, recipe, shape, cpu_rates(device, bench, calibration), calibration)
        return dict.fromkeys(hosts, step)
    precision = effective_precision(recipe.precision, device)
    rates = gpu_rates(device, precision, calibration, channels_last=recipe.channels_last)
    trace = profile.traces[precision]
    per_box = calibration.positives_per_box.value
    update = update_work(profile, recipe, calibration)
    steps = accumulation_steps(recipe, shape.batch_size)
    groups = group_times(trace, shape, recipe, rates, positives_per_box=per_box)
    forward, backward = _segments(trace, groups, shape, calibration.launch)
    work = _DeviceWork(
        groups=groups,
        forward=forward,
        backward=backward,
        optimizer_s=_traffic_s(update.traffic_bytes, rates) / steps,
        update_kernels=update.kernels / steps,
    )
    return {
        slowness: _launched(profile, recipe, shape, device, slowness, work, calibration, handover)
        for slowness in dict.fromkeys(hosts)
    }


def _launched(  # noqa: PLR0917  what step_times was given, and the work
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    card: GpuSpec,
    slowness: float,
    work: _DeviceWork,
    calibration: TimeCalibration,
    handover: Handover,
) -> StepTime:
    """``work`` as one host launches it, exchange and hand-over included."""
    launch = calibration.launch
    replicas = launched_replicas(recipe.strategy, recipe.all_gpus)
    forward, backward = (
        [replace(segment, host_s=slowness * replicas * segment.host_s) for segment in segments]
        for segments in (work.forward, work.backward)
    )
    shared = exchange(
        recipe.strategy,
        gpus=recipe.all_gpus,
        nodes=recipe.nodes,
        network_bytes_per_s=recipe.network_bytes_per_s,
        gradient_bytes=trained_parameter_bytes(profile, recipe),
        parameter_tensors=profile.parameter_tensors,
        batch_bytes=shape.batch_size * recipe.gpus * shape.pixels * RGB_FP32_BYTES,
        # A bucket leaves once its gradients are there, whether the device or the host's launches take their time.
        backward_s=together_s((*forward, *backward)) - together_s(forward),
        card=card,
        links=calibration.links,
        overlaps=not handover.delays_exchange,
    )
    # DataParallel's replicas share one loop and one update.
    around_s = slowness * around_kernels_s(work.update_kernels, launch) + shared.host_s
    launches_s = sum(segment.host_s for segment in (*forward, *backward)) + around_s
    # The gradient scaler reads whether a gradient overflowed before it lets the optimizer step.
    waits = 1.0 if recipe.precision is Precision.AMP else 0.0
    after = (
        Segment(host_s=0.0, device_s=0.0, waits=waits),
        Segment(host_s=around_s, device_s=work.optimizer_s),
    )
    alone_s = together_s((*forward, *backward, *after))
    in_loop_s = together_s(looped(forward, backward, after, handover, shape.batch_size))
    straggling = calibration.links.straggler_ratio[profile.size_rule].value
    handover_s = max(0.0, in_loop_s - alone_s)
    waiting_s = straggling_s(alone_s, recipe.all_gpus, straggling)
    waiting_s += straggling_s(handover_s, recipe.all_gpus, handover.late_ratio)
    exposed_s = shared.exposed_s
    if recipe.strategy is Strategy.DDP:
        # The device's stream waits for the exchange; the host launches the update meanwhile.
        exposed_s = together_s((*forward, *backward, Segment(host_s=0.0, device_s=exposed_s), *after)) - alone_s
    device_s = sum(group.time_s for group in work.groups) + work.optimizer_s
    forward_s = sum(segment.host_s for segment in forward) / replicas + slowness * around_kernels_s(0.0, launch)
    return StepTime(
        groups=work.groups,
        optimizer_s=work.optimizer_s,
        launches_s=launches_s,
        waits_s=max(0.0, alone_s - max(device_s, launches_s)),
        forward_launches_s=forward_s,
        handover_s=handover_s,
        communication_s=exposed_s + waiting_s,
        network=_network(recipe, shared, exposed_s, calibration),
        network_bound=shared.network_bound and exposed_s > waiting_s,
    )


def _segments(
    trace: Trace, groups: Sequence[GroupTime], shape: BatchShape, launch: LaunchCosts
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Stages forward in order, then backward from the last to the first, where nothing waits; on today's host."""
    of_stage: dict[tuple[str, Phase], list[GroupTime]] = {
        (stage.name, phase): [] for stage in trace.stages for phase in Phase
    }
    for group in groups:
        of_stage[group.stage, group.phase].append(group)

    def segment(stage: Stage, phase: Phase) -> Segment:
        own = of_stage[stage.name, phase]
        kernels = dict.fromkeys(WorkKind, 0.0)
        for group in own:
            kernels[group.kind] += group.kernels
        return Segment(
            host_s=stage_launches_s(phase, kernels, launch),
            device_s=sum(group.time_s for group in own),
            waits=stage.waits.at(shape) if phase is Phase.FORWARD else 0.0,
        )

    return (
        tuple(segment(stage, Phase.FORWARD) for stage in trace.stages),
        tuple(segment(stage, Phase.BACKWARD) for stage in reversed(trace.stages)),
    )


def _network(recipe: Recipe, shared: Exchange, exposed_s: float, calibration: TimeCalibration) -> NetworkUse | None:
    if recipe.nodes == 1:
        return None
    return NetworkUse(
        nodes=recipe.nodes,
        bytes_per_s=recipe.network_bytes_per_s or calibration.links.network_bytes_per_s.value,
        assumed=recipe.network_bytes_per_s is None,
        sent_bytes=shared.sent_bytes,
        exchange_s=shared.ring_s,
        exposed_s=exposed_s,
    )


def _cpu_step_time(
    profile: ModelProfile, recipe: Recipe, shape: BatchShape, rates: DeviceRates, calibration: TimeCalibration
) -> StepTime:
    per_box = calibration.positives_per_box.value
    groups = group_times(profile.traces[Precision.FP32], shape, recipe, rates, positives_per_box=per_box)
    update = update_work(profile, recipe, calibration)
    steps = accumulation_steps(recipe, shape.batch_size)
    start_s = update.kernels * rates.curves[WorkKind.ELEMENTWISE].kernel_s
    return StepTime(
        groups=groups,
        optimizer_s=(_traffic_s(update.traffic_bytes, rates) + start_s) / steps,
        launches_s=0.0,
        waits_s=0.0,
        forward_launches_s=0.0,
        communication_s=0.0,
    )


def _traffic_s(size_bytes: float, rates: DeviceRates) -> float:
    return size_bytes / (rates.memory_bytes_per_s * rates.curves[WorkKind.ELEMENTWISE].bandwidth_ratio)


def accumulation_steps(recipe: Recipe, batch_size: int) -> int:
    """Steps between two updates, so that the recipe's effective batch is kept."""
    return max(1, round(recipe.effective_batch_size / (batch_size * recipe.all_gpus)))
