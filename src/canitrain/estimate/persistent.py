"""What stays on the card between steps: weights, buffers, gradients, optimizer state, the EMA copy."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Freeze, Optimizer, Recipe, Strategy
from canitrain.core.units import ALLOCATOR_ROUND_BYTES


class OptimizerCost(Struct, frozen=True, kw_only=True):
    """Copies of the trainable weights that an optimizer of ``torch.optim`` holds."""

    state_copies: int
    """Held between steps, on the card."""
    temporary_copies: int
    """Made by the foreach implementation during ``step()``, alive together at its fullest moment."""


OPTIMIZERS: dict[Optimizer, OptimizerCost] = {
    Optimizer.SGD: OptimizerCost(state_copies=0, temporary_copies=1),
    Optimizer.SGD_MOMENTUM: OptimizerCost(state_copies=1, temporary_copies=1),
    Optimizer.ADAM: OptimizerCost(state_copies=2, temporary_copies=1),
    Optimizer.ADAMW: OptimizerCost(state_copies=2, temporary_copies=1),
    Optimizer.RMSPROP: OptimizerCost(state_copies=2, temporary_copies=2),
}
"""With weight decay, as detector recipes set it, which makes a temporary copy of the gradients (not in AdamW).

Square roots are temporaries too: Adam makes them after it has dropped the gradients' copy, RMSprop (counted with
momentum) before. Held by a test against ``torch.optim``. Source: torch/optim/*.py, the ``_multi_tensor`` functions.
"""


class Persistent(Struct, frozen=True, kw_only=True):
    """Bytes that do not depend on the batch."""

    weights_bytes: float
    buffers_bytes: float
    optimizer_bytes: float
    ema_bytes: float
    gradients_bytes: float
    """All weight gradients of one step."""
    gradients_held: bool
    """Whether they exist throughout the step (accumulation) or appear as backward goes."""
    exchange_bytes: float
    """DDP's buckets: a second copy of the gradients, which stays when ``zero_grad`` frees the first."""
    step_temporary_bytes: float
    """Made by the optimizer's step."""

    @property
    def held_bytes(self) -> float:
        """Everything but the gradients that exists at every moment of the step."""
        return self.weights_bytes + self.buffers_bytes + self.optimizer_bytes + self.ema_bytes + self.exchange_bytes

    def moment_gradients_bytes(self, produced_bytes: float) -> float:
        """Gradients at a moment when this step's backward pass has ``produced_bytes`` of them."""
        return self.gradients_bytes if self.gradients_held else min(produced_bytes, self.gradients_bytes)


def persistent(profile: ModelProfile, recipe: Recipe) -> Persistent:
    """The batch-independent bytes of ``profile`` trained by ``recipe`` on one GPU."""
    trainable_bytes = float(profile.trainable_parameter_bytes - frozen_bytes(profile, recipe))
    tensor_rounding_bytes = profile.trainable_parameter_tensors * ALLOCATOR_ROUND_BYTES / 2
    weights_bytes = float(profile.parameter_bytes)
    copy_bytes = trainable_bytes + min(tensor_rounding_bytes, trainable_bytes)
    cost = OPTIMIZERS[recipe.optimizer]
    temporary_bytes = cost.temporary_copies * copy_bytes if recipe.foreach else float(profile.largest_parameter_bytes)
    distributed = recipe.all_gpus > 1
    return Persistent(
        weights_bytes=weights_bytes,
        buffers_bytes=float(profile.buffer_bytes),
        optimizer_bytes=cost.state_copies * copy_bytes,
        ema_bytes=weights_bytes + profile.buffer_bytes if recipe.ema else 0.0,
        gradients_bytes=copy_bytes,
        gradients_held=accumulates(profile, recipe),
        exchange_bytes=trainable_bytes if distributed and recipe.strategy is Strategy.DDP else 0.0,
        step_temporary_bytes=temporary_bytes,
    )


def frozen_bytes(profile: ModelProfile, recipe: Recipe) -> int:
    """Bytes of the weights that ``recipe`` freezes beyond the implementation's own choice."""
    if recipe.freeze is Freeze.NONE:
        return 0
    stages = next(iter(profile.traces.values())).stages
    return sum(stage.trainable_parameter_bytes for stage in stages if stage.backbone)


def accumulates(profile: ModelProfile, recipe: Recipe) -> bool:
    """Whether several backward passes share one optimizer step, so that gradients outlive a pass.

    Decided by the recipe, not by the batch at hand, so that a larger batch never needs less memory.
    """
    batch_size = recipe.batch_size or profile.defaults.batch_size
    return recipe.effective_batch_size > batch_size * recipe.all_gpus
