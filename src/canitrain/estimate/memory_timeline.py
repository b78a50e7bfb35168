"""The memory timeline of ``--explain``: which stages hold what, and where the step is fullest."""

from __future__ import annotations

from collections.abc import Mapping

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase
from canitrain.core.recipe import Freeze, Recipe
from canitrain.core.report import StageMemory
from canitrain.estimate.step_memory import saved_line


def memory_timeline(
    profile: ModelProfile, recipe: Recipe, shape: BatchShape, stages_s: Mapping[str, float]
) -> tuple[StageMemory, ...]:
    """One entry a stage in execution order: what it keeps for backward and the highest live bytes while it runs.

    Live bytes are activations, temporaries and the batch. ``None`` where no candidate peak lies in that half of the
    stage. ``stages_s`` are the device's seconds by stage, forward and backward.
    """
    trace = profile.traces[recipe.precision]
    highest: dict[tuple[str, Phase], float] = {}
    for peak in trace.peaks:
        key = (peak.stage, peak.phase)
        highest[key] = max(highest.get(key, 0.0), peak.live_bytes.at(shape))
    return tuple(
        StageMemory(
            stage=stage.name,
            saved_bytes=0.0
            if recipe.freeze is Freeze.BACKBONE and stage.backbone
            else saved_line(stage, shape).at(shape.batch_size),
            forward_peak_bytes=highest.get((stage.name, Phase.FORWARD)),
            backward_peak_bytes=highest.get((stage.name, Phase.BACKWARD)),
            step_s=stages_s.get(stage.name, 0.0),
        )
        for stage in trace.stages
    )
