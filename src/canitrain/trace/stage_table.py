"""The stages of a profile: what each computes, saves and waits for, as polynomials over the traced steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from canitrain.core.profile import Phase, Stage, Work, WorkKind
from canitrain.trace.fit import Fitter
from canitrain.trace.stages import StageTracker, divide
from canitrain.trace.step import StepRecord
from canitrain.trace.subject import Built


@dataclass
class _Sizes:
    """Parameter bytes of a stage."""

    total: int = 0
    trainable: int = 0


def stage_table(fitter: Fitter, built: Built, records: Sequence[StepRecord]) -> tuple[Stage, ...]:
    """Every stage that computes or has parameters, in execution order, fitted over ``records``."""
    names = records[0].stages
    sizes = _parameter_sizes(built, names)
    totals = [_totals(record) for record in records]
    cells = sorted({cell for of_record in totals for cell in of_record}, key=lambda cell: cell[2].value)
    work: dict[tuple[int, Phase], dict[WorkKind, Work]] = defaultdict(dict)
    for stage, phase, kind in cells:
        rows = [of_record.get((stage, phase, kind), (0.0, 0.0, 0.0)) for of_record in totals]
        flops, moved, kernels = (fitter.fit(values) for values in zip(*rows, strict=True))
        work[stage, phase][kind] = Work(flops=flops, bytes=moved, kernels=kernels)
    stages = []
    for number in _execution_order(records[0]):
        name = names[number]
        saved = fitter.fit([record.saved_bytes[number] for record in records])
        forward, backward = work[number, Phase.FORWARD], work[number, Phase.BACKWARD]
        if forward or backward or sizes[number].total:
            stages.append(
                Stage(
                    name=name,
                    backbone=_inside(name, built.backbone),
                    parameter_bytes=sizes[number].total,
                    trainable_parameter_bytes=sizes[number].trainable,
                    saved_bytes=saved,
                    positives=_positives(name, built),
                    waits=fitter.fit([_waits(record, number) for record in records]),
                    forward=forward,
                    backward=backward,
                )
            )
    return tuple(stages)


def _waits(record: StepRecord, stage: int) -> int:
    return sum(run.waits for run in record.runs if run.stage == stage and run.phase is Phase.FORWARD)


def _positives(stage: str, built: Built) -> int:
    return next((count for prefix, count in built.positives.items() if stage.startswith(prefix)), 0)


def _inside(stage: str, prefixes: Sequence[str]) -> bool:
    """Whether every module path of ``stage`` lies under one of ``prefixes``."""
    wanted = [path for prefix in prefixes for path in prefix.split("+")]
    return all(any(path == prefix or path.startswith(f"{prefix}.") for prefix in wanted) for path in stage.split("+"))


def _execution_order(record: StepRecord) -> list[int]:
    """Input first, loss last, the others as they first ran (those that never did at the end)."""
    first: dict[int, int] = {}
    for position, run in enumerate(record.runs):
        first.setdefault(run.stage, position)
    inner = sorted(range(1, len(record.stages) - 1), key=lambda number: first.get(number, len(record.runs)))
    return [0, *inner, len(record.stages) - 1]


def _totals(record: StepRecord) -> dict[tuple[int, Phase, WorkKind], tuple[float, float, float]]:
    totals: dict[tuple[int, Phase, WorkKind], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for run in record.runs:
        if run.kernels:
            cell = totals[run.stage, run.phase, run.kind]
            cell[0] += run.flops
            cell[1] += run.bytes
            cell[2] += run.kernels
    return {key: (cell[0], cell[1], cell[2]) for key, cell in totals.items()}


def _parameter_sizes(built: Built, names: Sequence[str]) -> list[_Sizes]:
    tracker = StageTracker(built.model, built.stages or divide(built.model))
    sizes = [_Sizes() for _ in names]
    for path, parameter in built.model.named_parameters():
        size = sizes[tracker.stage_of_path(path)]
        size.total += parameter.numel() * parameter.element_size()
        if parameter.requires_grad:
            size.trainable += parameter.numel() * parameter.element_size()
    return sizes
