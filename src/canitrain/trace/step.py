"""Runs one steady training step under the recorder and condenses it to numbers by operator."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch

from canitrain.core.profile import Phase
from canitrain.core.units import FP16_BYTES, FP32_BYTES
from canitrain.trace.autocast import cached_weight_bytes, cached_weights, cuda_operators
from canitrain.trace.pool import ALLOCATED, CONVOLVED, FREED, Allocations
from canitrain.trace.recorder import ALLOC, FREE, OperatorRun, StepRecorder
from canitrain.trace.stages import StageTracker, divide
from canitrain.trace.subject import Built, Shape, Validation

IMAGE_CHANNELS = 4
"""A convolution that reads at most this many channels is the first of a network."""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One traced step at one shape."""

    shape: Shape
    stages: tuple[str, ...]
    runs: list[OperatorRun]
    """In execution order."""
    live_bytes: list[int]
    """After each run's results appeared and before its inputs went: no weights, buffers or weight gradients."""
    gradient_bytes: list[int]
    """Weight gradients at the same moments."""
    saved_bytes: tuple[int, ...]
    """By stage: alive when backward begins."""
    cast_weight_bytes: int
    allocations: Allocations

    @property
    def peak_bytes(self) -> int:
        """The highest live bytes with weight gradients."""
        return max(live + gradient for live, gradient in zip(self.live_bytes, self.gradient_bytes, strict=True))

    @property
    def flops(self) -> float:
        """Of the whole step."""
        return sum(run.flops for run in self.runs)


def record_step(
    built: Built, shape: Shape, *, amp: bool, meta: bool, gradients_until_backward: bool = False
) -> StepRecord:
    """Trace forward, loss and backward of ``built`` at ``shape``; gradients do not exist before, and are freed after.

    Args:
        built: the model (on ``meta`` where ``meta`` is set) and its step.
        shape: (batch, height, width, boxes).
        amp: as inside ``torch.autocast("cuda", torch.float16)``.
        meta: make the batch on the ``meta`` device.
        gradients_until_backward: the last step's gradients live on throughout the forward pass.
    """
    model = built.model
    model.zero_grad(set_to_none=True)
    tracker = StageTracker(model, built.stages or divide(model))
    persistent = [*model.parameters(), *model.buffers()]
    recorder = StepRecorder(tracker, iter(persistent))
    with torch.device("meta") if meta else nullcontext(), tracker.following(), recorder:
        with cuda_operators(amp=amp):
            loss = built.step(*shape)
            cast_weight_bytes = cached_weight_bytes()
            casts = {recorder.number_of(copy) for copy in cached_weights()}
        recorder.begin_backward()
        loss.backward()
    gradients = {
        number
        for parameter in model.parameters()
        if parameter.grad is not None and (number := recorder.number_of(parameter.grad)) is not None
    }
    del loss
    model.zero_grad(set_to_none=True)
    held_bytes = sum(recorder.sizes[number] for number in gradients) if gradients_until_backward else 0
    return _condense(
        recorder,
        gradients,
        shape=shape,
        cast_weight_bytes=cast_weight_bytes,
        held_bytes=held_bytes,
        casts=casts,
    )


def _condense(
    recorder: StepRecorder,
    gradients: set[int],
    *,
    shape: Shape,
    cast_weight_bytes: int,
    held_bytes: int,
    casts: set[int | None],
) -> StepRecord:
    freed = {number for kind, number in recorder.events if kind == FREE}
    # What outlives the step without being a gradient was kept by the model: no part of a steady step.
    kept = {number for number in range(len(recorder.sizes)) if number not in freed and number not in gradients}
    live, gradient = 0, 0
    lives, gradient_lives = [], []
    saved = [0] * len(recorder.tracker.names)
    for position, (kind, number) in enumerate(recorder.events):
        if kind not in (ALLOC, FREE):
            lives.append(live + recorder.runs[number].copied_bytes)
            gradient_lives.append(gradient + (held_bytes if position < recorder.forward_end else 0))
            continue
        if number in kept:
            continue
        size = recorder.sizes[number] if kind == ALLOC else -recorder.sizes[number]
        if number in gradients:
            gradient += size
        else:
            live += size
        if position < recorder.forward_end:
            saved[recorder.owners[number]] += size
    return StepRecord(
        shape=shape,
        stages=recorder.tracker.names,
        runs=recorder.runs,
        live_bytes=lives,
        gradient_bytes=gradient_lives,
        saved_bytes=tuple(saved),
        cast_weight_bytes=cast_weight_bytes,
        allocations=replace(
            _allocations(recorder, gradients, kept),
            # Half-precision weights do not grow with the batch.
            fixed=tuple(size if number in casts else 0 for number, size in enumerate(recorder.sizes)),
        ),
    )


def record_validation(built: Built, validation: Validation, shape: Shape) -> Allocations:
    """Trace one validation batch at (batch, height, width, boxes)."""
    model = validation.model
    tracker = StageTracker(model, built.stages or divide(model))
    recorder = StepRecorder(tracker, iter([*model.parameters(), *model.buffers()]))
    with torch.no_grad(), tracker.following(), recorder, cuda_operators(amp=False):
        validation.step(*shape)
    return _allocations(recorder, set(), set(), converting=(Phase.FORWARD,))


def _allocations(
    recorder: StepRecorder, gradients: set[int], kept: set[int], converting: tuple[Phase, ...] = (Phase.BACKWARD,)
) -> Allocations:
    events: list[tuple[int, int]] = []
    workspaces: list[int] = []
    for kind, number in recorder.events:
        if kind in (ALLOC, FREE):
            if number not in kept:
                events.append((ALLOCATED if kind == ALLOC else FREED, number))
        elif recorder.runs[number].phase in converting and (converted := _converted_bytes(recorder.runs[number])):
            events.append((CONVOLVED, len(workspaces)))
            workspaces.append(converted)
    return Allocations(
        events=tuple(events),
        sizes=tuple(recorder.sizes),
        gradients=frozenset(gradients),
        workspaces=tuple(workspaces),
    )


def _converted_bytes(run: OperatorRun) -> int:
    """Input and output of a convolution that converts layouts: k x k, neither depthwise nor the first."""
    call = run.convolution
    if call is None:
        return 0
    key = call.key
    if key.kernel == (1, 1) or key.groups == key.in_channels or key.in_channels <= IMAGE_CHANNELS:
        return 0
    element_bytes = FP16_BYTES if key.half else FP32_BYTES
    return element_bytes * (key.in_channels * call.input_pixels + key.out_channels * call.output_pixels)
