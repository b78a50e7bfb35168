"""One training step's memory at fixed pixels and boxes, reduced to lines in the batch size.

Polynomials are evaluated once here; asking for another batch then costs a few multiplications.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from canitrain.core.gpu import GpuSpec
from canitrain.core.memory_calibration import MemoryCalibration
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import ModelProfile, Peak, Phase, Stage, Trace
from canitrain.core.recipe import Freeze, Recipe, Strategy
from canitrain.estimate.line import Line, upper_envelope
from canitrain.estimate.persistent import Persistent, persistent
from canitrain.estimate.slack import ReplayedSlack, replayed_slack
from canitrain.estimate.workspace import factors_for, is_erratic, workspace_line

NOTHING = Line(fixed=0.0, per_image=0.0)


class Moment(Struct, frozen=True, kw_only=True):
    """A candidate for the peak: bytes beside the persistent ones."""

    stage: str
    phase: Phase
    live: Line
    gradients_bytes: float
    workspace: Line


class StepMemory(Struct, frozen=True, kw_only=True):
    """Everything that the four figures are computed from."""

    persistent: Persistent
    moments: tuple[Moment, ...]
    """Those that can be the fullest."""
    workspaces: tuple[Line, ...]
    """Of every convolution of the step, none below another at every batch."""
    slack: Line | ReplayedSlack | None
    """What the pool keeps beyond allocated bytes, as replayed when the model was traced."""
    sizeless_image_bytes: float
    """The most that one more image takes at any moment whatever its size; zero where slack does not follow pixels."""
    validation: Line
    """What the first validation adds to the pool; nothing where the recipe does not validate."""
    erratic: bool
    """Whether there are convolutions whose workspace jumps."""
    gathered: Line
    """DataParallel: what GPU 0 holds for the others."""


def step_memory(
    profile: ModelProfile, recipe: Recipe, shape: BatchShape, card: GpuSpec, calibration: MemoryCalibration
) -> StepMemory:
    """Reduce ``profile`` trained by ``recipe`` to lines in the batch, at ``shape``'s pixels and boxes."""
    trace = profile.traces[recipe.precision]
    factors = factors_for(card, recipe.precision, calibration)
    workspaces = tuple(workspace_line(convolution, shape, factors) for convolution in trace.convolutions)
    held = persistent(profile, recipe)
    relief = relief_by_stage(trace, recipe, calibration)
    peaks = [(peak, live_bytes(peak, relief)) for peak in recipe_peaks(trace, recipe)]
    moments = (
        Moment(
            stage=peak.stage,
            phase=peak.phase,
            live=line_of(live, shape),
            gradients_bytes=float(peak.gradient_bytes),
            workspace=NOTHING if peak.convolution is None else workspaces[peak.convolution],
        )
        for peak, live in peaks
    )
    return StepMemory(
        persistent=held,
        moments=_candidates(moments, held),
        workspaces=upper_envelope(workspaces, lambda line: line),
        slack=_slack(trace, shape),
        sizeless_image_bytes=_sizeless_image_bytes(trace, recipe, shape, [live for _, live in peaks]),
        validation=_validation(trace, recipe, shape),
        erratic=any(is_erratic(convolution, shape, calibration) for convolution in trace.convolutions),
        gathered=_gathered(trace, recipe, shape, held),
    )


def _candidates(moments: Iterable[Moment], held: Persistent) -> tuple[Moment, ...]:
    """The moments that are fullest at some batch size, with or without their workspace."""

    def live(moment: Moment) -> Line:
        gradients_bytes = held.moment_gradients_bytes(moment.gradients_bytes)
        return Line(fixed=moment.live.fixed + gradients_bytes, per_image=moment.live.per_image)

    def full(moment: Moment) -> Line:
        return live(moment).plus(moment.workspace)

    each = tuple(moments)
    return (*upper_envelope(each, live), *upper_envelope(each, full))


def _slack(trace: Trace, shape: BatchShape) -> Line | ReplayedSlack | None:
    if trace.slack_replays is not None:
        return replayed_slack(trace.slack_replays, shape.pixels, follows_pixels=_follows_pixels(trace))
    if trace.slack_bytes == Polynomial():
        return None
    return line_of(trace.slack_bytes, shape)


def _follows_pixels(trace: Trace) -> bool:
    """Whether the model was traced at several image sizes."""
    return any(peak.live_bytes.follows_pixels for peak in trace.peaks)


def _sizeless_image_bytes(trace: Trace, recipe: Recipe, shape: BatchShape, lives: Iterable[Polynomial]) -> float:
    if trace.slack_replays is None or not _follows_pixels(trace):
        return 0.0
    alive_bytes = max((_sizeless(live, shape) for live in lives), default=0.0)
    return alive_bytes + _others(recipe) * _sizeless(trace.stages[-1].saved_bytes, shape)


def _sizeless(quantity: Polynomial, shape: BatchShape) -> float:
    """What one more image adds to ``quantity`` whatever its size."""
    return quantity.b + quantity.bn * shape.boxes_of_others


def _validation(trace: Trace, recipe: Recipe, shape: BatchShape) -> Line:
    if not recipe.validation:
        return NOTHING
    return line_of(trace.validation_bytes, shape)


def line_of(quantity: Polynomial, shape: BatchShape) -> Line:
    """``quantity`` by the batch size, at the pixels and boxes of ``shape``."""
    fixed, per_image = quantity.affine(shape)
    return Line(fixed=fixed, per_image=per_image)


def recipe_peaks(trace: Trace, recipe: Recipe) -> Iterator[Peak]:
    """The moments that ``recipe`` has: a frozen backbone has no backward pass."""
    frozen = {stage.name for stage in trace.stages if stage.backbone and recipe.freeze is Freeze.BACKBONE}
    return (peak for peak in trace.peaks if not (peak.phase is Phase.BACKWARD and peak.stage in frozen))


def live_bytes(peak: Peak, relief: Mapping[str, Polynomial]) -> Polynomial:
    """What lives at ``peak`` under the recipe that gives ``relief``."""
    return peak.live_bytes.less(relief[peak.stage]) if peak.stage in relief else peak.live_bytes


def saved_bytes(stage: Stage, recipe: Recipe, calibration: MemoryCalibration) -> Polynomial:
    """What ``stage`` keeps for backward: frozen nothing, checkpointed its input."""
    if recipe.freeze is Freeze.BACKBONE and stage.backbone:
        return Polynomial()
    if recipe.checkpointing:
        return Polynomial().plus(stage.saved_bytes, calibration.checkpoint_kept_ratio.value)
    return stage.saved_bytes


def relief_by_stage(trace: Trace, recipe: Recipe, calibration: MemoryCalibration) -> dict[str, Polynomial]:
    """Bytes that a moment in each stage does not hold, because of freezing or checkpointing; empty without them.

    While a stage runs, forward or backward, the stages before it hold what they saved.
    """
    if recipe.freeze is Freeze.NONE and not recipe.checkpointing:
        return {}
    relief: dict[str, Polynomial] = {}
    before = Polynomial()
    for stage in trace.stages:
        relief[stage.name] = before
        before = before.plus(stage.saved_bytes.less(saved_bytes(stage, recipe, calibration)))
    return relief


def _gathered(trace: Trace, recipe: Recipe, shape: BatchShape, held: Persistent) -> Line:
    """What DataParallel adds to GPU 0: the others' outputs and loss, and their gradients while they are summed."""
    if not _others(recipe):
        return NOTHING
    loss = line_of(trace.stages[-1].saved_bytes, shape).scaled(_others(recipe))
    return loss.plus(Line(fixed=held.gradients_bytes, per_image=0.0))


def _others(recipe: Recipe) -> int:
    """GPUs whose outputs DataParallel gathers on GPU 0."""
    return recipe.gpus - 1 if recipe.strategy is Strategy.DP else 0
