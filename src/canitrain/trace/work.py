"""What one operator costs on a GPU: its kind of work, FLOPs, bytes moved and kernels launched."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from canitrain.core.profile import WorkKind
from canitrain.core.units import FLOPS_PER_MAC

Shape = Sequence[int]

_GEMM = {"mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "addbmm", "_grouped_mm"}
_ATTENTION = {"_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"}
_ATTENTION_BACKWARD = {f"{name}_backward" for name in _ATTENTION}
_NORM = {
    "native_batch_norm", "native_batch_norm_backward", "native_layer_norm", "native_layer_norm_backward",
    "native_group_norm", "native_group_norm_backward", "_batch_norm_with_update", "batch_norm_backward",
    "_fused_rms_norm", "_fused_rms_norm_backward",
}  # fmt: skip
_ELEMENTWISE = {
    "_to_copy", "clone", "copy_", "fill_", "zero_", "cat", "stack", "native_dropout", "native_dropout_backward",
    "threshold_backward", "gelu_backward", "silu_backward", "hardswish_backward", "hardsigmoid_backward",
    "hardtanh_backward", "leaky_relu_backward", "elu_backward", "sigmoid_backward", "tanh_backward", "mish_backward",
    "softplus_backward", "constant_pad_nd", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like",
    "new_zeros", "new_ones", "new_full", "rand", "randn", "randint", "bernoulli_", "normal_", "uniform_", "roll",
    "_prelu_kernel_backward", "contiguous", "slice_backward", "select_backward", "slice_scatter", "select_scatter",
    "log_sigmoid_backward", "flip", "glu", "glu_backward", "repeat",
}  # fmt: skip
_NO_KERNEL = {
    "empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "_local_scalar_dense", "lift_fresh",
    "_unsafe_view", "detach", "detach_", "alias", "set_", "resize_", "is_same_size", "_reshape_alias",
    "_has_compatible_shallow_copy_type",
}  # fmt: skip
_KERNELS = {
    "native_layer_norm_backward": 2, "native_group_norm": 2, "native_group_norm_backward": 3, "nonzero": 4, "sort": 3,
    "topk": 3, "nms": 2, "index_put": 3, "index_put_": 3, "_index_put_impl_": 3, "unique2": 4, "_unique2": 4,
    "max_pool2d_with_indices_backward": 2, "cumsum": 2, "embedding_dense_backward": 4, "randperm": 3,
    "_roi_align_backward": 2, "slice_backward": 2, "select_backward": 2,
    **dict.fromkeys(_ATTENTION_BACKWARD, 3),
}  # fmt: skip
"""Kernels of the operators that launch more than one, read from their CUDA sources in torch 2.13."""


_READS_VALUES = {"_local_scalar_dense", "nonzero", "masked_select", "unique2", "_unique2", "equal", "is_nonzero"}
_WAITS = _READS_VALUES | {"nms"}
"""The host stops until the device has the result: it is a number in Python, or says how large the output is."""
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""With a mask they look for its true elements first, which is such a wait (ATen/native/IndexingUtils.h)."""

_NEEDS_DENSE = {
    "convolution", "convolution_backward", "native_batch_norm", "native_batch_norm_backward",
    "max_pool2d_with_indices_backward",
}  # fmt: skip
"""Call ``contiguous()`` on their first two operands (ATen/native/cudnn, Convolution.cpp, DilatedMaxPool2d.cu)."""


class Operator:
    """The facts of an operator that do not depend on its arguments; one for each ``OpOverload``, cached."""

    __slots__ = (
        "convolution",
        "flops",
        "indexes",
        "is_view",
        "kernels",
        "kind",
        "name",
        "needs_dense",
        "reads_values",
        "waits",
    )

    def __init__(self, func: Any) -> None:  # noqa: ANN401 - an OpOverload
        """Look ``func`` up in the tables above."""
        self.name: str = func._schema.name.rpartition("::")[2]  # noqa: SLF001 - torch has no public name of it
        self.is_view: bool = func.is_view or self.name in ("_unsafe_view", "_reshape_alias")
        self.kind = _kind(self.name, pointwise=torch.Tag.pointwise in func.tags)
        self.kernels = 0 if self.name in _NO_KERNEL or self.is_view else _KERNELS.get(self.name, 1)
        self.flops: Callable[..., float] | None = _FLOPS.get(self.name)
        self.reads_values = self.name in _READS_VALUES
        """Its result decides what runs next, or its shape depends on values: never hollow."""
        self.waits = self.name in _WAITS
        self.indexes = self.name in _INDEXING
        self.needs_dense = self.name in _NEEDS_DENSE
        self.convolution = self.name in ("convolution", "convolution_backward")


def _kind(name: str, *, pointwise: bool) -> WorkKind:
    if name in _GEMM or name in _ATTENTION or name in _ATTENTION_BACKWARD:
        return WorkKind.GEMM
    if name in _NORM:
        return WorkKind.NORM
    return WorkKind.ELEMENTWISE if pointwise or name in _ELEMENTWISE else WorkKind.OTHER


@functools.cache
def operator_facts(func: Any) -> Operator:  # noqa: ANN401 - an OpOverload
    """The cached ``Operator`` of an ``OpOverload``."""
    return Operator(func)


def convolution_flops(weight: Shape, output: Shape, *, transposed: bool, input_shape: Shape) -> int:
    """FLOPs of one pass of a convolution: forward, or either gradient, which all have the same count.

    Args:
        weight: (out, in / groups, *kernel), or (in, out / groups, *kernel) where transposed.
        output: (batch, out, *pixels).
        transposed: each input pixel is multiplied with the kernel instead of each output pixel.
        input_shape: (batch, in, *pixels).
    """
    driven = input_shape if transposed else output
    return FLOPS_PER_MAC * math.prod(weight) * driven[0] * math.prod(driven[2:])


def _forward_convolution(args: Sequence[Any], out: Any) -> int:  # noqa: ANN401
    return convolution_flops(args[1].shape, out.shape, transposed=args[6], input_shape=args[0].shape)


def _backward_convolution(args: Sequence[Any], _: Any) -> int:  # noqa: ANN401
    grad, inputs, weight, *_rest = args
    each = convolution_flops(weight.shape, grad.shape, transposed=args[7], input_shape=inputs.shape)
    return each * (bool(args[10][0]) + bool(args[10][1]))


def _mm(args: Sequence[Any], _: Any) -> int:  # noqa: ANN401
    return int(FLOPS_PER_MAC * math.prod(args[0].shape) * args[1].shape[-1])


def _addmm(args: Sequence[Any], _: Any) -> int:  # noqa: ANN401
    return _mm(args[1:], None)


def _attention(products: int, args: Sequence[Any]) -> int:
    """``products`` matrix products, each batch x heads x queries x keys x channels."""
    query, key = args[0].shape, args[1].shape
    return int(products * FLOPS_PER_MAC * math.prod(query) * key[-2])


_FLOPS: dict[str, Callable[..., float]] = {
    "convolution": _forward_convolution,
    "convolution_backward": _backward_convolution,
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "baddbmm": _addmm,
    **dict.fromkeys(_ATTENTION, lambda args, _: _attention(2, args)),
    # Scores are computed again: five products.
    **dict.fromkeys(_ATTENTION_BACKWARD, lambda args, _: _attention(5, args[1:])),
}
