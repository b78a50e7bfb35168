"""Elementwise operators by shape only, where the result plainly looks like an operand.

On ``meta`` torch answers these through layers of Python; they are most of what a step runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

_NAMES = {
    "add", "sub", "mul", "div", "neg", "exp", "sqrt", "rsqrt", "relu", "sigmoid", "tanh", "gelu", "silu", "hardswish",
    "hardsigmoid", "hardtanh", "leaky_relu", "elu", "mish", "softplus", "clamp", "clamp_min", "clone",
    "threshold_backward", "sigmoid_backward", "tanh_backward", "gelu_backward", "silu_backward", "hardswish_backward",
    "hardsigmoid_backward", "hardtanh_backward", "leaky_relu_backward", "mish_backward",
}  # fmt: skip
"""Floating operands of one type give that type; and so do their in-place twins, with a ``_`` at the end."""


def look_alike(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The operand that the result of operator ``name`` has the shape, type and layout of, or ``None`` where unsure.

    Args:
        name: of the aten schema, without the namespace.
        args: positional arguments.
        kwargs: the others; none may be a tensor or change type or layout.
    """
    if name.removesuffix("_") not in _NAMES or not kwargs.keys() <= {"alpha", "approximate"}:
        return None
    tensors = [value for value in args if isinstance(value, torch.Tensor)]
    first = tensors[0]
    if not first.is_floating_point() or any(tensor.dtype is not first.dtype for tensor in tensors):
        return None
    if name.endswith("_"):
        return first
    full = max(tensors, key=torch.Tensor.dim)
    dense = full.is_contiguous()
    for tensor in tensors:
        if tensor is full:
            continue
        if tensor.shape != full.shape:
            if not dense or not _broadcasts(tensor, full):
                return None
        elif tensor.stride() != full.stride():
            return None
    return full if dense or _fills_its_storage(full) else None


def _broadcasts(small: torch.Tensor, full: torch.Tensor) -> bool:
    """Whether ``small`` stretches to the shape of ``full``."""
    if small.dim() == 0:
        return True
    return all(mine in (1, its) for mine, its in zip(small.shape, full.shape[-small.dim() :], strict=True))


def _fills_its_storage(tensor: torch.Tensor) -> bool:
    """Whether ``tensor`` is a permutation of a dense one, so that a result keeps its strides."""
    return bool(tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes())
