"""GPU memory of one training step: four figures (DESIGN 3.1) and the parts of the device figure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.evidence import EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.interval import Interval
from canitrain.core.memory_calibration import Context, MemoryCalibration, Spread
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import GpuMemory
from canitrain.estimate.memory_evidence import memory_level
from canitrain.estimate.persistent import Persistent
from canitrain.estimate.slack import Floor, ReplayedSlack
from canitrain.estimate.step_memory import Moment, StepMemory, step_memory


def gpu_memory(
    profile: ModelProfile,
    recipe: Recipe,
    shape: BatchShape,
    card: GpuSpec,
    calibration: MemoryCalibration,
    *,
    total_bytes: float | None,
    budget_bytes: float | None,
) -> GpuMemory:
    """What training ``profile`` by ``recipe`` on batches of ``shape`` takes of one ``card``.

    Args:
        profile: The traced model.
        recipe: Precision, optimizer and the options that change memory.
        shape: The largest batch that occurs (``shapes.memory_shape``).
        card: Decides workspaces and context.
        calibration: Fitted coefficients.
        total_bytes: Memory of the card, ``None`` where unknown; passed on.
        budget_bytes: What the run may use, ``None`` where unknown; passed on.
    """
    terms = DeviceTerms.of(profile, recipe, card, calibration)
    step = step_memory(profile, recipe, shape, card, calibration)
    floor = pool_floor(step, terms)
    return step_figures(step, terms, shape.batch_size, floor=floor, total_bytes=total_bytes, budget_bytes=budget_bytes)


class DeviceTerms(Struct, frozen=True, kw_only=True):
    """What the card and the calibration add, and how far off they may be."""

    context: Context
    blas_bytes: float
    slack_live_ratio: float
    slack_weights_bytes: float
    slack_untraced_ratio: float
    validation_high_ratio: float
    required_low_ratio: float
    spread: Spread
    spread_erratic: Spread

    @classmethod
    def of(cls, profile: ModelProfile, recipe: Recipe, card: GpuSpec, calibration: MemoryCalibration) -> DeviceTerms:
        """Look up the terms for ``profile`` on ``card``."""
        multi_scale_ratio = calibration.slack_multi_scale_ratio.value if recipe.multi_scale else 0.0
        level = memory_level(profile, card, calibration)
        return cls(
            context=_context(card, calibration, level),
            blas_bytes=calibration.blas_workspace.get(card.generation, calibration.blas_workspace_default).value,
            slack_live_ratio=calibration.slack_live_ratio.value + multi_scale_ratio,
            slack_weights_bytes=calibration.slack_weights_ratio.value * profile.trainable_parameter_bytes,
            slack_untraced_ratio=calibration.slack_untraced_ratio.value,
            validation_high_ratio=calibration.validation_high_ratio.value,
            required_low_ratio=calibration.required_low_ratio.value,
            spread=calibration.spread[level],
            spread_erratic=calibration.spread_erratic[level],
        )


def _context(card: GpuSpec, calibration: MemoryCalibration, level: EvidenceLevel) -> Context:
    """The card's context; where the fit does not speak of card and library, kernels may also load lazily."""
    context = calibration.context.get(card.generation, calibration.context_other)
    if level in (EvidenceLevel.GENERATION, EvidenceLevel.DATASHEET):
        return replace(context, low=context.least)
    return context


class _Fullest(Struct, frozen=True, kw_only=True):
    """The moment with most allocated bytes."""

    gradients_bytes: float
    live_bytes: float
    workspace_bytes: float
    temporary_bytes: float

    @property
    def total_bytes(self) -> float:
        return self.gradients_bytes + self.live_bytes + self.workspace_bytes + self.temporary_bytes


class _Pool(Struct, frozen=True, kw_only=True):
    """What torch's memory pool holds while the model trains."""

    fullest: _Fullest
    widest_bytes: float
    """The largest workspace of any convolution."""
    least_bytes: float
    """Allocated without any workspace."""
    allocated_bytes: float
    plain_bytes: float
    """The whole pool before the first validation, without any workspace."""


def _pool(step: StepMemory, terms: DeviceTerms, batch_size: float) -> _Pool:
    held = step.persistent
    gathered_bytes = step.gathered.at(batch_size)
    update = _Fullest(
        gradients_bytes=held.moment_gradients_bytes(held.gradients_bytes),
        live_bytes=0.0,
        workspace_bytes=0.0,
        temporary_bytes=held.step_temporary_bytes,
    )
    moments = [_at(moment, held, batch_size, gathered_bytes) for moment in step.moments]
    fullest = max((*moments, update), key=lambda each: each.total_bytes)
    passes_bytes = max((each.total_bytes - each.workspace_bytes for each in moments), default=0.0)
    live_bytes = max(passes_bytes, update.total_bytes)
    widest_bytes = max((line.at(batch_size) for line in step.workspaces), default=0.0)

    persistent_bytes = held.held_bytes + terms.blas_bytes
    slack_bytes = terms.slack_untraced_ratio * live_bytes if step.slack is None else step.slack.at(batch_size)
    # The update's temporaries find room in what the backward pass left behind, as far as it reaches.
    pooled_bytes = persistent_bytes + max(passes_bytes + slack_bytes, update.total_bytes)
    return _Pool(
        fullest=fullest,
        widest_bytes=widest_bytes,
        least_bytes=persistent_bytes + live_bytes,
        allocated_bytes=persistent_bytes + fullest.total_bytes,
        plain_bytes=pooled_bytes + terms.slack_live_ratio * live_bytes + terms.slack_weights_bytes,
    )


def pool_floor(step: StepMemory, terms: DeviceTerms) -> Floor:
    """The pool without workspaces at the batches of a replayed slack: more images or pixels are not put below them.

    Where slack falls, it falls from one of those batches on: between two of them it is straight, all else convex in
    the batch, and in the pixels too. As many pixels in all leave the same slack in fewer large images, which is the
    pool at such a batch, and in more smaller ones: they take at most what images need whatever their size on top.
    Both grow with batch and pixels, so that the higher of pool and floor does. Workspaces grow anyway, and may be
    missing at the lower end.
    """
    if not isinstance(step.slack, ReplayedSlack):
        return Floor()
    return Floor(
        pools=tuple((each, _pool(step, terms, each).plain_bytes) for each in step.slack.batches),
        image_bytes=(1 + terms.slack_live_ratio) * step.sizeless_image_bytes,
    )


def step_figures(
    step: StepMemory,
    terms: DeviceTerms,
    batch_size: int,
    *,
    floor: Floor,
    total_bytes: float | None = None,
    budget_bytes: float | None = None,
) -> GpuMemory:
    """The four figures for ``batch_size`` images: never less than for fewer or smaller ones, given ``pool_floor``."""
    held = step.persistent
    pool = _pool(step, terms, batch_size)
    fullest, widest_bytes = pool.fullest, pool.widest_bytes
    least_bytes, allocated_bytes = pool.least_bytes, pool.allocated_bytes
    trained_bytes = max(pool.plain_bytes, floor.at(batch_size)) + widest_bytes
    validation_bytes = step.validation.at(batch_size)
    reserved_bytes = trained_bytes + validation_bytes
    context = terms.context
    spread = terms.spread_erratic if step.erratic else terms.spread
    around = spread.around(reserved_bytes, widest_bytes)
    # The lower end holds before the first validation too.
    reserved = replace(
        around,
        low=spread.around(trained_bytes, widest_bytes).low,
        high=around.high + (terms.validation_high_ratio - 1) * validation_bytes,
    )
    # Below: the part of the workspace that lifts the peak. It grows with the batch; one moment's own may not.
    allocated = replace(
        spread.around(allocated_bytes, widest_bytes),
        low=spread.around(allocated_bytes, allocated_bytes - least_bytes).low,
    )
    device = _with_context(reserved, context)
    required = _with_context(spread.around(least_bytes, 0.0), context)
    required_low = min(least_bytes * terms.required_low_ratio + context.least.value, required.expected, device.low)
    return GpuMemory(
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        device_bytes=device,
        required_bytes=Interval(low=required_low, expected=required.expected, high=required.high),
        budget_bytes=budget_bytes,
        total_bytes=total_bytes,
        parts={
            "weights": held.weights_bytes,
            "buffers": held.buffers_bytes,
            "gradients": fullest.gradients_bytes + held.exchange_bytes,
            "optimizer": held.optimizer_bytes + fullest.temporary_bytes,
            "ema": held.ema_bytes,
            "activations": fullest.live_bytes,
            "workspace": fullest.workspace_bytes + terms.blas_bytes,
            "slack": trained_bytes - allocated_bytes,
            "validation": validation_bytes,
            "context": context.expected.value,
        },
    )


def _at(moment: Moment, held: Persistent, batch_size: float, gathered_bytes: float) -> _Fullest:
    return _Fullest(
        gradients_bytes=held.moment_gradients_bytes(moment.gradients_bytes),
        live_bytes=moment.live.at(batch_size) + gathered_bytes,
        workspace_bytes=moment.workspace.at(batch_size),
        temporary_bytes=0.0,
    )


def _with_context(pool: Interval, context: Context) -> Interval:
    """``pool`` as the device sees it: each end with its own context."""
    return Interval(
        low=pool.low + context.low.value,
        expected=pool.expected + context.expected.value,
        high=pool.high + context.high.value,
    )
