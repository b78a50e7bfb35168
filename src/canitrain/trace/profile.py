"""``trace_subject``: a model's profile, from traces at small shapes, checked at others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
from msgspec import structs
from torch import nn

from canitrain.core.errors import InputError
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import ModelProfile, Precision, SizeRule, Trace
from canitrain.trace.convolutions import merge
from canitrain.trace.fit import Fitter
from canitrain.trace.peaks import pick_peaks
from canitrain.trace.pool import Allocations, Weights, fixed_bytes
from canitrain.trace.slack import fit_slack, replay_slack
from canitrain.trace.stage_table import stage_table
from canitrain.trace.step import StepRecord, record_step
from canitrain.trace.subject import Built, Shape, Subject
from canitrain.trace.validation import fit_validation

PRECISIONS = (Precision.FP32, Precision.AMP)
MANY_IMAGES = 8
"""Of a batch of which those detectors are recorded too that match boxes and take losses image by image: what that
makes is gone before the next image, and so no larger in a large batch."""


def trace_subject(subject: Subject, precisions: Sequence[Precision] = PRECISIONS) -> ModelProfile:
    """Trace ``subject`` in every precision; where that fails, its fallback.

    Raises:
        InputError: the polynomials miss a check shape by more than ``subject.tolerance``.
    """
    if subject.fallback is None:
        return _trace_subject(subject, precisions)
    try:
        return _trace_subject(subject, precisions)
    except (InputError, RuntimeError, ValueError, AssertionError):
        # A library refuses image sizes in ways of its own.
        return trace_subject(subject.fallback, precisions)


def _trace_subject(subject: Subject, precisions: Sequence[Precision]) -> ModelProfile:
    traces: dict[Precision, Trace] = {}
    notes = subject.notes
    for precision in precisions:
        with torch.device("meta") if subject.meta else nullcontext():
            built = subject.build(precision)
        try:
            traces[precision] = trace_built(subject, built, precision)
        except RuntimeError as error:  # of torch, whose operators do not take every type
            if not (subject.amp_may_fail and traces and precision is Precision.AMP):
                raise
            notes += (
                f"under AMP it does not run when traced, so it holds for fp32 only: {' '.join(str(error).split())}",
            )
    return _profile(replace(subject, notes=notes), built, traces)


def trace_built(subject: Subject, built: Built, precision: Precision) -> Trace:
    """The trace of one precision.

    Raises:
        InputError: as ``trace_subject``.
    """

    def record(shape: Shape) -> StepRecord:
        return record_step(
            built,
            shape,
            amp=precision is Precision.AMP,
            meta=subject.meta,
            gradients_until_backward=subject.gradients_until_backward,
        )

    records = [record(shape) for shape in subject.fit_shapes]
    fitter = Fitter(subject.fit_shapes, subject.basis)
    convolutions = merge(fitter, records)
    draft = Trace(
        stages=stage_table(fitter, built, records),
        peaks=pick_peaks(fitter, records, convolutions),
        convolutions=convolutions.merged,
        cast_weight_bytes=records[0].cast_weight_bytes,
        fit_shapes=subject.fit_shapes,
        check_shapes=subject.check_shapes,
        check_live_error=(),
        check_flops_error=(),
    )
    real = [record(shape) for shape in subject.check_shapes]
    checks = [_errors(draft, each) for each in real]
    for shape, errors in zip(subject.check_shapes, checks, strict=True):
        for quantity, error in zip(("peak live bytes", "FLOPs"), errors, strict=True):
            if abs(error) > subject.tolerance:
                raise InputError(
                    f"{subject.name} {precision.value}: the replay of {quantity} at {shape} is off by {error:+.2%},"
                    f" more than {subject.tolerance:.0%}",
                    hint="have build() return a canitrain.trace.subject.Subject with other fit_shapes or basis terms",
                )
    near = _nearest(subject, real).shape
    others = [*records, record(_doubled(near))] if subject.meta else records
    if subject.size_rule is SizeRule.SHORTER_SIDE:
        others = [*others, record((MANY_IMAGES, *near[1:]))]
    pooled = with_slack(draft, subject, built, real, others)
    return _with_checks(pooled, checks, validation_of(subject, built, real))


def _doubled(shape: Shape) -> Shape:
    """Twice the images."""
    batch, height, width, boxes = shape
    return 2 * batch, height, width, boxes


def with_slack(
    draft: Trace, subject: Subject, built: Built, records: Sequence[StepRecord], others: Sequence[StepRecord] = ()
) -> Trace:
    """``draft`` with the pool's slack, replayed from the one of ``records`` that is nearest to the default size.

    A record of another batch of the same images, among ``others`` too, tells what does not grow with the batch.
    """
    nearest = _nearest(subject, records)
    if subject.size_rule is SizeRule.SHORTER_SIDE:
        alike = [other for other in others if other.shape[1:] == nearest.shape[1:]]
        steps = {record.shape[0]: record.allocations for record in (*alike, nearest)}
        return structs.replace(draft, slack_bytes=fit_slack(nearest.shape, steps, _weights(built), subject.basis))
    allocations = _with_fixed(nearest, (*records, *others))
    return structs.replace(draft, slack_replays=replay_slack(nearest.shape, allocations, _weights(built)))


def _with_fixed(record: StepRecord, others: Sequence[StepRecord]) -> Allocations:
    """The allocations of ``record`` with their fixed bytes, where another batch of the same images ran alike."""
    mine = record.allocations
    for other in others:
        theirs = other.allocations
        alike = other.shape[1:] == record.shape[1:] and other.shape[0] != record.shape[0]
        if alike and theirs.events == mine.events:
            return replace(mine, fixed=fixed_bytes(mine.sizes, record.shape[0], theirs.sizes, other.shape[0]))
    return mine


def validation_of(subject: Subject, built: Built, records: Sequence[StepRecord]) -> Polynomial:
    """What the first validation adds to the pool, replayed after the record nearest to the default size."""
    if built.validation is None:
        return Polynomial()
    nearest = _nearest(subject, records)
    return fit_validation(built, built.validation, nearest, _weights(built), subject.basis)


def _nearest(subject: Subject, records: Sequence[StepRecord]) -> StepRecord:
    usual = subject.defaults.image_size.shorter * subject.defaults.image_size.longer
    return min(records, key=lambda record: abs(record.shape[1] * record.shape[2] - usual))


def _weights(built: Built) -> Weights:
    parameters = list(built.model.parameters())
    return Weights(
        all_bytes=tuple(map(_size, parameters)),
        trainable_bytes=tuple(_size(parameter) for parameter in parameters if parameter.requires_grad),
    )


def _with_checks(draft: Trace, checks: Sequence[tuple[float, float]], validation: Polynomial) -> Trace:
    return structs.replace(
        draft,
        validation_bytes=validation,
        check_live_error=tuple(round(live, 6) for live, _ in checks),
        check_flops_error=tuple(round(flops, 6) for _, flops in checks),
    )


def replay_peak_bytes(trace: Trace, shape: Shape) -> float:
    """Highest live bytes with weight gradients that ``trace`` says at (batch, height, width, boxes)."""
    at = batch_shape(shape)
    return max(peak.live_bytes.at(at) + peak.gradient_bytes for peak in trace.peaks)


def replay_flops(trace: Trace, shape: Shape) -> float:
    """FLOPs of the step that ``trace`` says at (batch, height, width, boxes)."""
    at = batch_shape(shape)
    return sum(
        work.flops.at(at) for stage in trace.stages for work in (*stage.forward.values(), *stage.backward.values())
    )


def batch_shape(shape: Shape) -> BatchShape:
    """(batch, height, width, boxes) as the polynomials take it."""
    batch, height, width, boxes = shape
    return BatchShape(batch_size=batch, pixels=height * width, boxes=boxes)


def _errors(trace: Trace, record: StepRecord) -> tuple[float, float]:
    """Replayed / traced - 1 of peak live bytes and of FLOPs."""
    flops = replay_flops(trace, record.shape) / record.flops - 1 if record.flops else 0.0
    return replay_peak_bytes(trace, record.shape) / record.peak_bytes - 1, flops


def _profile(subject: Subject, built: Built, traces: dict[Precision, Trace]) -> ModelProfile:
    parameters = list(built.model.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    return ModelProfile(
        name=subject.name,
        title=subject.title,
        family=subject.family,
        aliases=subject.aliases,
        implementation=subject.implementation,
        defaults=subject.defaults,
        size_rule=subject.size_rule,
        divisor=subject.divisor,
        classes=subject.classes,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable_parameters=sum(parameter.numel() for parameter in trainable),
        parameter_bytes=_bytes(parameters),
        trainable_parameter_bytes=_bytes(trainable),
        buffer_bytes=_bytes(list(built.model.buffers())),
        parameter_tensors=len(parameters),
        trainable_parameter_tensors=len(trainable),
        largest_parameter_bytes=max(map(_size, parameters), default=0),
        traced_on=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        traces=traces,
        notes=subject.notes,
    )


def _size(parameter: nn.Parameter) -> int:
    return int(parameter.numel() * parameter.element_size())


def _bytes(tensors: Sequence[nn.Parameter]) -> int:
    return sum(map(_size, tensors))
