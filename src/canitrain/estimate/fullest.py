"""Which moment of the step decides how much GPU memory it takes."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.question import Question
from canitrain.core.report import StageMemory
from canitrain.core.target import CpuTarget
from canitrain.estimate.shapes import memory_shape
from canitrain.estimate.step_memory import Moment, step_memory


def mark_fullest(
    rows: tuple[StageMemory, ...], question: Question, batch_size: int, calibration: MemoryCalibration
) -> tuple[StageMemory, ...]:
    """``rows`` with the fullest moment marked: live bytes, gradients and a workspace, which the rows do not show.

    None is marked on a CPU, or where the optimizer's update takes more than any moment of the passes.
    """
    fullest = _fullest(question, batch_size, calibration)
    return tuple(
        replace(row, fullest=fullest.phase) if fullest is not None and row.stage == fullest.stage else row
        for row in rows
    )


def _fullest(question: Question, batch_size: int, calibration: MemoryCalibration) -> Moment | None:
    target = question.target
    if isinstance(target, CpuTarget):
        return None
    shape = memory_shape(question.profile, question.recipe, question.dataset, batch_size)
    step = step_memory(question.profile, question.recipe, shape, target.card, calibration)
    held = step.persistent

    def bytes_at(moment: Moment) -> float:
        gradients_bytes = held.moment_gradients_bytes(moment.gradients_bytes)
        return gradients_bytes + moment.live.at(batch_size) + moment.workspace.at(batch_size)

    fullest = max(step.moments, key=bytes_at, default=None)
    gathered_bytes = step.gathered.at(batch_size)
    update_bytes = held.moment_gradients_bytes(held.gradients_bytes) + held.step_temporary_bytes
    if fullest is None or bytes_at(fullest) + gathered_bytes < update_bytes:
        return None
    return fullest
