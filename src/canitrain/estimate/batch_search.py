"""Which batch sizes fit, and which is the largest that does."""

from __future__ import annotations

from collections.abc import Callable

from canitrain.core.gpu import GpuSpec
from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.memory_status import memory_status
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import Status
from canitrain.estimate.gpu_memory import DeviceTerms, step_figures
from canitrain.estimate.step_memory import step_memory

LARGEST_BATCH = 2**20
"""Where the search stops: no dataset fills a larger batch."""


def largest_batch(
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    card: GpuSpec,
    calibration: MemoryCalibration,
    *,
    budget_bytes: float,
    limit: int = LARGEST_BATCH,
    status: Status = Status.GO,
) -> int | None:
    """The largest batch up to ``limit`` whose memory is ``status`` or better, or ``None`` where not even one image is.

    ``shape`` gives pixels and boxes; its batch size is not read. Exact, because memory never falls with the batch.
    """
    step = step_memory(profile, recipe, shape, card, calibration)
    terms = DeviceTerms.of(profile, recipe, card, calibration)
    allowed = (Status.GO,) if status is Status.GO else (Status.GO, Status.TIGHT)
    return _last(
        lambda batch_size: memory_status(step_figures(step, terms, batch_size), budget_bytes) in allowed, limit
    )


def _last(fits: Callable[[int], bool], limit: int) -> int | None:
    """The largest number in ``1 .. limit`` for which ``fits`` holds, given that it holds up to there and not beyond."""
    if limit < 1 or not fits(1):
        return None
    low, high = 1, 2
    while high <= limit and fits(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
