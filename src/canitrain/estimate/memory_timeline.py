"""The memory timeline of ``--explain``: which stages hold what, and where the step is fullest."""

from __future__ import annotations

from collections.abc import Mapping

from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase
from canitrain.core.recipe import Recipe
from canitrain.core.report import StageMemory
from canitrain.estimate.step_memory import live_bytes, recipe_peaks, relief_by_stage, saved_bytes


def memory_timeline(
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    stages_s: Mapping[str, float],
    calibration: MemoryCalibration,
) -> tuple[StageMemory, ...]:
    """One entry a stage in execution order: what it keeps for backward and the highest live bytes while it runs.

    Both by ``recipe``: a frozen backbone keeps nothing and has no backward pass, a checkpointed stage keeps its input.
    Live bytes are activations, temporaries and the batch. ``None`` where no candidate peak lies in that half of the
    stage. ``stages_s`` are the device's seconds by stage, forward and backward.
    """
    trace = profile.traces[recipe.precision]
    highest: dict[tuple[str, Phase], float] = {}
    relief = relief_by_stage(trace, recipe, calibration)
    for peak in recipe_peaks(trace, recipe):
        key = (peak.stage, peak.phase)
        highest[key] = max(highest.get(key, 0.0), live_bytes(peak, relief).at(shape))
    return tuple(
        StageMemory(
            stage=stage.name,
            saved_bytes=saved_bytes(stage, recipe, calibration).at(shape),
            forward_peak_bytes=highest.get((stage.name, Phase.FORWARD)),
            backward_peak_bytes=highest.get((stage.name, Phase.BACKWARD)),
            step_s=stages_s.get(stage.name, 0.0),
        )
        for stage in trace.stages
    )
