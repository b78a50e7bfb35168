"""The end of a training step: unscaling, the optimizer, the moving average."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from canitrain.core.profile import Precision
from canitrain.core.recipe import Optimizer
from canitrain.measure.measured import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

LEARNING_RATE = 1e-6
"""So small that no measured run leaves the numbers it started from; the arithmetic is the same at any rate."""
MOMENTUM = 0.9
FIRST_SCALE = 1.0
"""Of the loss in mixed precision: torch's 65536 overflows in the first steps, which then skip the optimizer."""
EMA_DECAY = 0.9999


class Updater:
    """Optimizer, gradient scaler and EMA copy of one model."""

    def __init__(self, model: nn.Module, training: Training, device: torch.device) -> None:
        """Make the optimizer of ``training`` over the parameters that are trained."""
        import torch  # noqa: PLC0415 - heavy

        self._model = model
        self._optimizer = _optimizer(
            training.optimizer, [parameter for parameter in model.parameters() if parameter.requires_grad]
        )
        scales = training.precision is Precision.AMP and device.type == "cuda"
        self._scaler = torch.amp.GradScaler(device.type, init_scale=FIRST_SCALE, enabled=scales)
        self._average = copy.deepcopy(model).eval().requires_grad_(requires_grad=False) if training.ema else None

    def free_gradients(self) -> None:
        """As ``optimizer.zero_grad()`` does."""
        self._optimizer.zero_grad(set_to_none=True)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """``loss`` times the scale of mixed precision."""
        scaled: torch.Tensor = self._scaler.scale(loss)
        return scaled

    def update(self) -> None:
        """One step of the optimizer, and of the moving average where there is one."""
        import torch  # noqa: PLC0415 - heavy

        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._average is None:
            return
        current = self._model.state_dict()
        with torch.no_grad():
            for name, value in self._average.state_dict().items():
                if value.is_floating_point():
                    value.mul_(EMA_DECAY).add_(current[name], alpha=1 - EMA_DECAY)


def _optimizer(kind: Optimizer, parameters: list[Any]) -> torch.optim.Optimizer:
    from torch import optim  # noqa: PLC0415 - heavy

    match kind:
        case Optimizer.SGD:
            return optim.SGD(parameters, lr=LEARNING_RATE)
        case Optimizer.SGD_MOMENTUM:
            return optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM)
        case Optimizer.ADAM:
            return optim.Adam(parameters, lr=LEARNING_RATE)
        case Optimizer.ADAMW:
            return optim.AdamW(parameters, lr=LEARNING_RATE)
        case Optimizer.RMSPROP:
            return optim.RMSprop(parameters, lr=LEARNING_RATE)
