"""Makes a step on any device choose the operators that CUDA would: its autocast lists, fused attention, fused dropout.

torch.autocast has other lists for the CPU and none for the meta device. So the CUDA lists are registered as Python
kernels under a dispatch key that no backend in this process uses (``AutocastPrivateUse1``), which sits above autograd
just as the real ones do: operators inside C++ composites are reached too.

Source: ATen/autocast_mode.h of torch 2.13 (the AT_FORALL lists), torch docs "CUDA Op-Specific Behavior".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.library import Library, fallthrough_kernel

_KEY_NAME = "AutocastPrivateUse1"
_KEY = getattr(torch._C.DispatchKey, _KEY_NAME)  # noqa: SLF001 - torch has no public door to dispatch keys
_KEY_SET = torch._C.DispatchKeySet(_KEY)  # noqa: SLF001

HALF = (
    "_convolution", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d.input",
    "conv_transpose3d.input", "convolution", "prelu", "addmm", "addmv", "addr", "matmul", "einsum", "mm", "mv",
    "linalg_vecdot", "linear", "addbmm", "baddbmm", "bmm", "chain_matmul", "linalg_multi_dot",
)  # fmt: skip
"""Run in fp16 (AT_FORALL_LOWER_PRECISION_FP); scaled_dot_product_attention has its own kernel below."""

FULL = (
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar", "softplus", "layer_norm", "native_layer_norm",
    "rms_norm", "group_norm", "frobenius_norm.dim", "nuclear_norm", "nuclear_norm.dim", "cosine_similarity",
    "poisson_nll_loss", "cosine_embedding_loss", "nll_loss", "nll_loss2d", "hinge_embedding_loss", "kl_div",
    "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss", "margin_ranking_loss", "multilabel_margin_loss",
    "soft_margin_loss", "triplet_margin_loss", "multi_margin_loss", "binary_cross_entropy_with_logits", "dist",
    "pdist", "cdist", "renorm", "logsumexp", "upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_nearest2d",
    "_upsample_nearest_exact2d", "upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_linear1d",
    "upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_trilinear3d", "upsample_bicubic2d",
    "_upsample_bicubic2d_aa",
)  # fmt: skip
"""Run in fp32, inputs cast (AT_FORALL_FP32)."""

FULL_OUTPUT = (
    "prod", "prod.dim_int", "cumprod", "cumsum", "linalg_vector_norm", "linalg_matrix_norm",
    "linalg_matrix_norm.str_ord", "sum", "sum.dim_IntList",
)  # fmt: skip
"""Read fp16, accumulate and write fp32 in one kernel (AT_FORALL_FP32_SET_OPT_DTYPE); softmax has its own below."""

WIDEST = (
    "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "vdot", "grid_sampler", "index_put", "tensordot",
    "scatter_add",
)  # fmt: skip
"""Cast all inputs to the widest among them (AT_FORALL_PROMOTE)."""

_FLASH_HEAD_MULTIPLE = 8
"""Attention pads the head dimension up to this (ATen/native/transformers/attention.cpp, pad_last_dim)."""


class _Casts:
    """Whether AMP is on, and the half-precision copies of weights that it keeps until it ends."""

    def __init__(self) -> None:
        self.enabled = False
        self.weights: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def half(self, value: Any) -> Any:  # noqa: ANN401 - any operator argument
        """``value`` with its fp32 tensors in fp16; copies of trainable leaf weights are kept, as autocast does."""
        if isinstance(value, torch.Tensor):
            if value.dtype is not torch.float32:
                return value
            if not (value.requires_grad and value.is_leaf):
                return value.to(torch.float16)
            kept = self.weights.get(id(value))
            if kept is None:
                kept = self.weights[id(value)] = (value, value.to(torch.float16))
            return kept[1]
        return type(value)(self.half(item) for item in value) if isinstance(value, list | tuple) else value


_CASTS = _Casts()


def _to_full(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    return type(value)(_to_full(item) for item in value) if isinstance(value, list | tuple) else value


def _below() -> Any:  # noqa: ANN401 - a C++ guard
    return torch._C._ExcludeDispatchKeyGuard(_KEY_SET)  # noqa: SLF001


def _cast_kernel(operator: Any, cast: Callable[[Any], Any]) -> Callable[..., Any]:  # noqa: ANN401
    def kernel(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _below():
            if not _CASTS.enabled:
                return operator(*args, **kwargs)
            return operator(*map(cast, args), **{name: cast(value) for name, value in kwargs.items()})

    return kernel


def _full_output_kernel(operator: Any) -> Callable[..., Any]:  # noqa: ANN401
    def kernel(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _below():
            if _CASTS.enabled and tensor.dtype is torch.float16:
                kwargs["dtype"] = kwargs.get("dtype") or torch.float32
            return operator(tensor, *args, **kwargs)

    return kernel


def _widest(args: tuple[Any, ...]) -> tuple[Any, ...]:
    tensors = [value for value in args if isinstance(value, torch.Tensor)]
    return tuple(map(_to_full, args)) if any(tensor.dtype is torch.float32 for tensor in tensors) else args


def _widest_kernel(operator: Any) -> Callable[..., Any]:  # noqa: ANN401
    def kernel(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _below():
            return operator(*(_widest(args) if _CASTS.enabled else args), **kwargs)

    return kernel


def _softmax_kernel(operator: Any, fused: Any) -> Callable[..., Any]:  # noqa: ANN401
    def kernel(tensor: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """CUDA reads fp16 and writes fp32 in one kernel, without a converted copy."""
        with _below():
            wanted = dtype or (torch.float32 if _CASTS.enabled else None)
            if tensor.dtype is torch.float16 and wanted is torch.float32:
                return fused(tensor, dim, True)  # noqa: FBT003 - aten's signature
            return operator(tensor, dim, dtype)

    return kernel


def _dropout_kernel(tensor: torch.Tensor, probability: float, train: bool) -> torch.Tensor:  # noqa: FBT001
    """CUDA keeps a mask of one byte an element; the CPU's composite keeps one of the tensor's own type."""
    with _below():
        if train and 0.0 < probability < 1.0:
            return torch.ops.aten.native_dropout(tensor, probability, True)[0]  # noqa: FBT003
        return torch.ops.aten.dropout(tensor, probability, train)


def _attention_kernel(  # noqa: PLR0917 - the signature is aten's
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - aten's signature
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Flash attention in fp16 without a mask, the memory-efficient kernel otherwise: neither keeps the score matrix."""
    aten = torch.ops.aten
    with _below():
        if _CASTS.enabled:
            query, key, value, attn_mask = (_CASTS.half(tensor) for tensor in (query, key, value, attn_mask))
        if query.dim() != 4 or enable_gqa:  # noqa: PLR2004 - batch, heads, tokens, channels
            return aten.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
        channels = query.shape[-1]
        scale = scale or 1.0 / math.sqrt(channels)
        if query.dtype is torch.float16 and attn_mask is None:
            padding = -channels % _FLASH_HEAD_MULTIPLE
            if padding:
                query, key, value = (torch.nn.functional.pad(tensor, (0, padding)) for tensor in (query, key, value))
            output = aten._scaled_dot_product_flash_attention(  # noqa: SLF001
                query,
                key,
                value,
                dropout_p,
                is_causal,
                False,  # noqa: FBT003 - aten's signature
                scale=scale,
            )[0]
            return output[..., :channels] if padding else output
        if attn_mask is not None:
            attn_mask = _additive(attn_mask, query).expand(*query.shape[:3], key.shape[2])
        return aten._scaled_dot_product_efficient_attention(  # noqa: SLF001
            query,
            key,
            value,
            attn_mask,
            query.requires_grad or key.requires_grad,
            dropout_p,
            is_causal,
            scale=scale,
        )[0]


def _additive(mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    return (
        torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -math.inf) if mask.dtype is torch.bool else mask
    )


def _roi_align_kernel(features: torch.Tensor, boxes: torch.Tensor, *args: Any) -> torch.Tensor:  # noqa: ANN401
    """Compute in fp32 as torchvision does and casts back (csrc/ops/autocast/roi_align_kernel.cpp)."""
    with _below():
        if not _CASTS.enabled:
            return torch.ops.torchvision.roi_align(features, boxes, *args)
        return torch.ops.torchvision.roi_align(_to_full(features), _to_full(boxes), *args).to(features.dtype)


def _nms_kernel(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    with _below():
        return torch.ops.torchvision.nms(_to_full(boxes), _to_full(scores), threshold)


def _overload(name: str) -> Any:  # noqa: ANN401 - an OpOverload, or None where this torch has no such operator
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet, None), overload or "default", None)


@functools.cache
def _register_aten() -> tuple[Library, ...]:
    """The kernels, registered once a process; without the dispatch key switched on nothing ever calls them."""
    fallback = Library("_", "IMPL")  # kept alive by the cache
    fallback.fallback(fallthrough_kernel, _KEY_NAME)
    aten = Library("aten", "IMPL")
    makers: tuple[tuple[tuple[str, ...], Callable[[Any], Callable[..., Any]]], ...] = (
        (HALF, functools.partial(_cast_kernel, cast=_CASTS.half)),
        (FULL, functools.partial(_cast_kernel, cast=_to_full)),
        (FULL_OUTPUT, _full_output_kernel),
        (WIDEST, _widest_kernel),
    )
    kernels: dict[str, Callable[..., Any]] = {}
    for names, make in makers:
        kernels |= {name: make(operator) for name in names if (operator := _overload(name)) is not None}
    for name in ("softmax", "log_softmax"):
        kernels[f"{name}.int"] = _softmax_kernel(_overload(f"{name}.int"), getattr(torch.ops.aten, f"_{name}"))
    kernels |= {"dropout": _dropout_kernel, "scaled_dot_product_attention": _attention_kernel}
    for name, kernel in kernels.items():
        aten.impl(name, kernel, _KEY_NAME)
    return fallback, aten


@functools.cache
def _register_torchvision() -> Library | None:
    """Autocast kernels of torchvision's operators, where it is loaded."""
    if not hasattr(torch.ops.torchvision, "roi_align"):
        return None
    library = Library("torchvision", "IMPL")
    library.impl("roi_align", _roi_align_kernel, _KEY_NAME)
    library.impl("nms", _nms_kernel, _KEY_NAME)
    return library


@contextmanager
def cuda_operators(*, amp: bool) -> Iterator[None]:
    """Inside, choose operators as CUDA does; with ``amp`` as in ``torch.autocast("cuda", torch.float16)``."""
    _register_aten()
    if hasattr(torch.ops.torchvision, "roi_align"):
        _register_torchvision()
    torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, False)  # noqa: SLF001, FBT003
    _CASTS.enabled = amp
    try:
        with torch._C._IncludeDispatchKeyGuard(_KEY):  # noqa: SLF001
            yield
    finally:
        _CASTS.enabled = False
        _CASTS.weights.clear()
        torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, True)  # noqa: SLF001, FBT003


def cached_weights() -> list[torch.Tensor]:
    """The half-precision weight copies that autocast holds now."""
    return [copy for _, copy in _CASTS.weights.values()]


def cached_weight_bytes() -> int:
    """Bytes of the half-precision weight copies that autocast holds now."""
    return sum(copy.untyped_storage().nbytes() for copy in cached_weights())
