"""What stays on the card between steps, against torch's own optimizers."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import memory_cases as cases
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from canitrain.core.recipe import Optimizer
from canitrain.estimate.persistent import OPTIMIZERS, persistent

BUILDERS = {
    Optimizer.SGD: lambda weights: torch.optim.SGD(weights, lr=0.1, weight_decay=1e-4, foreach=True),
    Optimizer.SGD_MOMENTUM: lambda weights: torch.optim.SGD(
        weights, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, foreach=True
    ),
    Optimizer.ADAM: lambda weights: torch.optim.Adam(weights, lr=0.1, weight_decay=1e-4, foreach=True),
    Optimizer.ADAMW: lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=1e-4, foreach=True),
    Optimizer.RMSPROP: lambda weights: torch.optim.RMSprop(
        weights, lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True
    ),
}
WEIGHTS_BYTES = 4 * (64 * 64 + 64) * 8


class LiveOutputs(TorchDispatchMode):
    """Follows the bytes of storages that operators allocate, from the first on."""

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = self.peak_bytes = 0
        self.known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in given:
                self.follow(tensor)
        return result

    def follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self.forget, size)

    def forget(self, size: int) -> None:
        self.live_bytes -= size


def stepped(optimizer: Optimizer) -> torch.optim.Optimizer:
    model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(8)))
    rule = BUILDERS[optimizer](model.parameters())
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    rule.step()
    return rule


@pytest.mark.parametrize("optimizer", Optimizer)
def test_optimizer_state_is_what_torch_keeps(optimizer):
    rule = stepped(optimizer)
    state_bytes = sum(
        tensor.nbytes
        for state in rule.state.values()
        for tensor in state.values()
        if isinstance(tensor, torch.Tensor) and tensor.ndim > 0  # step counters are scalars, on the CPU
    )
    assert state_bytes == OPTIMIZERS[optimizer].state_copies * WEIGHTS_BYTES


@pytest.mark.parametrize("optimizer", Optimizer)
def test_foreach_temporaries_are_what_torch_makes(optimizer):
    rule = stepped(optimizer)
    gc.collect()
    with LiveOutputs() as outputs:
        rule.step()
    copies = outputs.peak_bytes / WEIGHTS_BYTES
    assert copies == pytest.approx(OPTIMIZERS[optimizer].temporary_copies, abs=0.05)


def test_state_and_gradients_are_rounded_to_the_allocator_block():
    # 4096 bytes in 2 tensors, each rounded up by 256 bytes on average: 4608 a copy
    held = persistent(cases.profile(), cases.recipe(optimizer=Optimizer.ADAMW))
    assert (held.gradients_bytes, held.optimizer_bytes, held.step_temporary_bytes) == (4608, 9216, 4608)
