"""Estimates put right by what ``canitrain measure`` saw on this machine (DESIGN 3.3: the best evidence there is)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.accuracy import CPU_NAME, Measurement, MemoryKind
from canitrain.core.calibration import Calibration
from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.interval import Interval
from canitrain.core.question import Question, RunEstimate
from canitrain.core.report import OF_THE_CARD, Bottleneck, EvidenceSummary, GpuMemory, Memory, StepParts, Time
from canitrain.core.target import CpuTarget, GpuTarget
from canitrain.core.time_calibration import LevelWidth
from canitrain.core.units import format_bytes, format_duration

LOADING = "loading"
"""The share of a CPU's seconds that goes into loading images."""
_WAITS_FOR_IMAGES = (Bottleneck.DECODE, Bottleneck.STORAGE)
_SAME = 1 + 1e-9
"""Of two sums of the same numbers."""


class Correction(Struct, frozen=True, kw_only=True):
    """Measured / estimated, each ``None`` where it was not measured, and which run that was."""

    target: GpuTarget | CpuTarget
    time_ratio: float | None
    """Of the slower of device and launching host, which is what a step shows."""
    most_hidden_ratio: float
    """The most that the other of the two can be: it was not seen, so that it took no longer."""
    by_launches: bool
    """Whether launches were the slower in the measured step."""
    memory_ratio: float | None
    detail: str


def find_correction(
    question: Question, estimate_at: Sequence[RunEstimate], measurements: Iterable[Measurement]
) -> Correction | None:
    """What the measurement nearest to the run says, ``None`` where there is none of this model, recipe and device.

    Args:
        question: the run.
        estimate_at: uncorrected estimates at the batch sizes that were measured.
        measurements: what was measured on this machine; of equally near ones the last counts.
    """
    estimates = {estimate.batch_size: estimate for estimate in estimate_at}
    found = [row for row in measurements if row.batch_size in estimates and is_of(question, row)]
    if not found:
        return None
    wanted = question.recipe.batch_size or question.recipe.effective_batch_size
    measured_at = min(reversed(found), key=lambda row: abs(row.batch_size - wanted)).batch_size
    rows = [row for row in found if row.batch_size == measured_at]
    estimate = estimates[measured_at]
    step_s = next((row.step_s for row in reversed(rows) if row.step_s), None)
    on_device = next((row for row in reversed(rows) if row.memory_kind is MemoryKind.DEVICE), None)
    device = None if on_device is None else on_device.memory_bytes
    ratio = None if step_s is None else step_s / device_step_s(estimate.time)
    hidden_s, slower_s = sorted((_computed_s(estimate.time), estimate.time.parts.launches_s))
    gpu = estimate.memory.gpu
    told = [f"batch {measured_at}"]
    told += [f"{format_duration(step_s)} a step"] if step_s else []
    told += [format_bytes(device)] if device else []
    return Correction(
        target=question.target,
        time_ratio=ratio,
        most_hidden_ratio=ratio * slower_s / hidden_s if ratio and hidden_s else math.inf,
        by_launches=estimate.time.parts.launches_s > _computed_s(estimate.time),
        memory_ratio=device / counted_bytes(gpu, on_device) if device and on_device and gpu else None,
        detail=f"canitrain measure on this machine: {', '.join(told)}",
    )


def is_of(question: Question, row: Measurement) -> bool:
    """Whether ``row`` measured this model, size, precision, optimizer and device."""
    recipe, size = question.recipe, question.recipe.image_size
    sizes = {size.text, f"{size.shorter}x{size.longer}"}
    return (
        row.model == question.profile.name
        and row.image_size in sizes
        and row.precision == recipe.precision.value
        and row.optimizer == recipe.optimizer.value
        and row.gpu.removeprefix("NVIDIA ") == device_name(question.target)
    )


def corrected(
    run: RunEstimate, question: Question, correction: Correction | None, calibration: Calibration
) -> RunEstimate:
    """``run`` with what was measured times measured / estimated; unchanged on another device."""
    if correction is None or device_name(question.target) != device_name(correction.target):
        return run
    time = run.time
    if correction.time_ratio is not None:
        width = next(row for row in calibration.time.width if row.level is EvidenceLevel.MEASURED_HERE)
        device = Bottleneck.CPU_COMPUTE if question.on_cpu else Bottleneck.GPU_COMPUTE
        time = _time(time, correction, correction.time_ratio, width, device)
    memory = corrected_memory(run.memory, question, correction, calibration)
    return RunEstimate(batch_size=run.batch_size, memory=memory, time=time)


def corrected_memory(
    memory: Memory, question: Question, correction: Correction | None, calibration: Calibration
) -> Memory:
    """``memory`` with the GPU's figures times measured / estimated; unchanged on another device."""
    if correction is None or correction.memory_ratio is None or memory.gpu is None:
        return memory
    if device_name(question.target) != device_name(correction.target):
        return memory
    spread = calibration.memory.spread[EvidenceLevel.MEASURED_HERE]
    return replace(memory, gpu=_memory(memory.gpu, correction.memory_ratio, spread.low.value, spread.high.value))


def corrected_evidence(evidence: EvidenceSummary, correction: Correction | None) -> EvidenceSummary:
    """``evidence``, measured here where it was."""
    if correction is None:
        return evidence
    here = Evidence(level=EvidenceLevel.MEASURED_HERE, detail=correction.detail)
    return EvidenceSummary(
        memory=evidence.memory if correction.memory_ratio is None else here,
        time=evidence.time if correction.time_ratio is None else here,
    )


def device_name(target: GpuTarget | CpuTarget) -> str:
    """As a measurement names it, without the vendor."""
    return CPU_NAME if isinstance(target, CpuTarget) else target.weakest.name.removeprefix("NVIDIA ")


def counted_bytes(gpu: GpuMemory, row: Measurement) -> float:
    """The device figure, without what validation adds where ``row`` was measured before any."""
    return gpu.device_bytes.expected - (0.0 if row.validated else gpu.parts.get("validation", 0.0))


def device_step_s(time: Time) -> float:
    """Seconds of a step without loader, disk, hand-over and exchange, which ``canitrain measure`` does not have."""
    return max(_computed_s(time), time.parts.launches_s) + time.parts.waits_s


def _computed_s(time: Time) -> float:
    return time.parts.compute_s - time.kinds_s.get(LOADING, 0.0)


def _time(time: Time, correction: Correction, ratio: float, width: LevelWidth, device: Bottleneck) -> Time:
    """``time`` by what a step showed: its slower part times ``ratio``, the other as far as it was seen.

    A step that waits for launches says little of how fast the card is, nor the other way round: at a batch where the
    other part may be the slower, the interval stays that of the estimate. Exchange, hand-over and what waits for images
    are not measured. ``device`` is what a step waits for that no longer waits for images.
    """
    before = time.parts
    hidden = min(1.0, correction.most_hidden_ratio)
    compute_ratio, launch_ratio = (hidden, ratio) if correction.by_launches else (ratio, hidden)
    kinds_s = {kind: kind_s * (1.0 if kind == LOADING else compute_ratio) for kind, kind_s in time.kinds_s.items()}
    after = StepParts(
        compute_s=sum(kinds_s.values()),
        launches_s=before.launches_s * launch_ratio,
        loader_s=before.loader_s,
        storage_s=before.storage_s,
        communication_s=before.communication_s,
        optimizer_s=before.optimizer_s * compute_ratio,
        waits_s=before.waits_s * ratio,
        handover_s=before.handover_s,
        loads_between_steps=before.loads_between_steps,
    )
    factor = after.step_s / before.step_s
    waiting = {Bottleneck.DECODE: after.loader_s, Bottleneck.STORAGE: after.storage_s}
    slowest = max(waiting, key=lambda each: waiting[each])
    fed = after.training_s >= waiting[slowest]
    bottleneck = _bottleneck(time, after, device) if fed else slowest
    computed_s = sum(kind_s for kind, kind_s in kinds_s.items() if kind != LOADING)
    seen_s = after.launches_s if correction.by_launches else computed_s
    hidden_s = _computed_s(time) if correction.by_launches else before.launches_s
    most_hidden_s = hidden_s * min(time.step_s.high / time.step_s.expected, correction.most_hidden_ratio)
    seen = most_hidden_s <= seen_s * _SAME

    def scaled(interval: Interval) -> Interval:
        moved = interval.scaled(factor)
        if not fed or not seen or after.loads_between_steps:
            return moved
        return Interval(
            low=moved.expected * width.low_ratio,
            expected=moved.expected,
            high=moved.expected * width.high_ratio,
        )

    return replace(
        time,
        step_s=scaled(time.step_s),
        epoch_s=scaled(time.epoch_s),
        total_s=scaled(time.total_s),
        images_per_s=time.images_per_s / factor,
        bottleneck=bottleneck,
        parts=after,
        validation_s=time.validation_s * factor,
        kinds_s=kinds_s,
        energy_kwh=None if time.energy_kwh is None else time.energy_kwh * factor,
        cost=None if time.cost is None else time.cost * factor,
    )


def _bottleneck(time: Time, after: StepParts, device: Bottleneck) -> Bottleneck:
    """What the step of ``after`` waits for, which does not wait for images."""
    by_launches = after.launches_s > after.compute_s
    if by_launches and time.bottleneck in {*_WAITS_FOR_IMAGES, *OF_THE_CARD}:
        return Bottleneck.LAUNCHES
    launched = time.bottleneck is Bottleneck.LAUNCHES and time.parts.launches_s > time.parts.compute_s
    return device if time.bottleneck in _WAITS_FOR_IMAGES or (launched and not by_launches) else time.bottleneck


def _memory(memory: GpuMemory, ratio: float, low_ratio: float, high_ratio: float) -> GpuMemory:
    def around(interval: Interval) -> Interval:
        expected = interval.expected * ratio
        return Interval(low=expected * low_ratio, expected=expected, high=expected * high_ratio)

    return replace(
        memory,
        allocated_bytes=around(memory.allocated_bytes),
        reserved_bytes=around(memory.reserved_bytes),
        device_bytes=around(memory.device_bytes),
        required_bytes=around(memory.required_bytes),
        parts={name: size_bytes * ratio for name, size_bytes in memory.parts.items()},
    )
