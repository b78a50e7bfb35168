"""Heavy operators by shape only: results of the right shape, type and layout, without the arithmetic.

On ``meta`` tensors this is quicker than torch's own Python shape functions; on the CPU the results are zeros whose
pages are never touched, so that a step of tens of gigabytes runs in little memory.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any

import torch

Args = Sequence[Any]

_LARGE_ELEMENTS = 1 << 14
"""CPU tensors of at least this many elements are hollowed where they are feature maps (four dimensions or more)."""


_MAPPED_BYTES = 1 << 16
"""From this size on, zeros on the CPU are pages that the kernel maps only when they are touched."""


def _zeros(elements: int, dtype: torch.dtype) -> torch.Tensor:
    """``elements`` zeros in one dimension on the CPU, untouched where they are many."""
    size_bytes = elements * dtype.itemsize
    if size_bytes < _MAPPED_BYTES:
        return torch.zeros(elements, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, size_bytes), dtype=dtype)


def _blank(shape: Sequence[int], like: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    dtype = dtype or like.dtype
    if like.device.type == "meta":
        return torch.empty(shape, dtype=dtype, device="meta")
    return _zeros(math.prod(shape), dtype).view(shape)


def blank_like(like: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Zeros of the shape and layout of ``like``; on its device."""
    blank = torch.empty_like(like, dtype=dtype, device="meta")
    return blank if like.device.type == "meta" else _from_meta(blank)


def _convolution(args: Args) -> torch.Tensor:
    inputs, weight, _, stride, padding, dilation, transposed, output_padding, groups = args[:9]
    kernel, pixels = weight.shape[2:], inputs.shape[2:]
    stride, padding, dilation = (
        tuple(value) * (len(kernel) if len(value) == 1 else 1) for value in (stride, padding, dilation)
    )
    if transposed:
        extra = tuple(output_padding) * (len(kernel) if len(output_padding) == 1 else 1)
        sizes = [
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, k, s, p, d, e in zip(pixels, kernel, stride, padding, dilation, extra, strict=True)
        ]
        channels = weight.shape[1] * groups
    else:
        sizes = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(pixels, kernel, stride, padding, dilation, strict=True)
        ]
        channels = weight.shape[0]
    expected = weight.shape[0] if transposed else weight.shape[1] * groups
    if inputs.shape[1] != expected or min(sizes) < 1:
        raise RuntimeError(
            f"a convolution of {expected} channels and kernel {tuple(kernel)} cannot take {tuple(inputs.shape)}"
        )
    shape = (inputs.shape[0], channels, *sizes)
    if inputs.dim() == 4 and _channels_last(inputs, weight):  # noqa: PLR2004 - batch, channels, height, width
        layout = torch.empty(shape, dtype=inputs.dtype, device="meta", memory_format=torch.channels_last)
        return layout if inputs.device.type == "meta" else _from_meta(layout)
    return _blank(shape, inputs)


def _channels_last(*tensors: torch.Tensor) -> bool:
    """Whether cuDNN would answer in NHWC: an operand is laid out so, and not by accident of a dimension of size one."""
    return any(
        not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last) for tensor in tensors
    )


def _convolution_backward(args: Args) -> tuple[torch.Tensor | None, ...]:
    grad, inputs, weight, bias_sizes, mask = args[0], args[1], args[2], args[3], args[10]
    return (
        blank_like(inputs) if mask[0] else None,
        blank_like(weight) if mask[1] else None,
        _blank(bias_sizes or (grad.shape[1],), grad, weight.dtype) if mask[2] else None,
    )


def _batch_norm(args: Args) -> tuple[torch.Tensor, ...]:
    inputs, weight, training = args[0], args[1], args[5]
    if weight is not None and len(weight) != inputs.shape[1]:
        raise RuntimeError(f"a batch norm of {len(weight)} channels cannot take {tuple(inputs.shape)}")
    kept = (inputs.shape[1],) if training else (0,)
    statistics = weight.dtype if weight is not None else torch.float32
    return blank_like(inputs), _blank(kept, inputs, statistics), _blank(kept, inputs, statistics)


def _batch_norm_backward(args: Args) -> tuple[torch.Tensor | None, ...]:
    inputs, weight, mask = args[1], args[2], args[9]
    statistics = weight.dtype if weight is not None else torch.float32
    channels = (inputs.shape[1],)
    return (
        blank_like(inputs) if mask[0] else None,
        _blank(channels, inputs, statistics) if mask[1] else None,
        _blank(channels, inputs, statistics) if mask[2] else None,
    )


def _layer_norm(args: Args) -> tuple[torch.Tensor, ...]:
    inputs, normalized = args[0], args[1]
    kept = (*inputs.shape[: inputs.dim() - len(normalized)], *(1 for _ in normalized))
    return _blank(inputs.shape, inputs), _blank(kept, inputs, torch.float32), _blank(kept, inputs, torch.float32)


def _layer_norm_backward(args: Args) -> tuple[torch.Tensor | None, ...]:
    inputs, normalized, weight, bias, mask = args[1], args[2], args[5], args[6], args[7]
    return (
        _blank(inputs.shape, inputs) if mask[0] else None,
        _blank(normalized, inputs, weight.dtype) if mask[1] else None,
        _blank(normalized, inputs, bias.dtype) if mask[2] else None,
    )


def _group_norm(args: Args) -> tuple[torch.Tensor, ...]:
    inputs, batch, groups = args[0], args[3], args[6]
    return blank_like(inputs), _blank((batch, groups), inputs), _blank((batch, groups), inputs)


def _group_norm_backward(args: Args) -> tuple[torch.Tensor | None, ...]:
    inputs, channels, mask = args[1], args[6], args[9]
    return (
        blank_like(inputs) if mask[0] else None,
        _blank((channels,), inputs) if mask[1] else None,
        _blank((channels,), inputs) if mask[2] else None,
    )


def _native_dropout(args: Args) -> tuple[torch.Tensor, torch.Tensor]:
    return blank_like(args[0]), blank_like(args[0], torch.bool)


def _half_to_float(args: Args) -> torch.Tensor:
    return _blank(args[0].shape, args[0], torch.float32 if args[2] else args[0].dtype)


def _softmax_backward(args: Args) -> torch.Tensor:
    return _blank(args[0].shape, args[0], args[3])


def _mm(args: Args) -> torch.Tensor:
    if args[0].shape[-1] != args[1].shape[-2]:
        raise RuntimeError(f"matrices of shapes {tuple(args[0].shape)} and {tuple(args[1].shape)} cannot be multiplied")
    return _blank((*args[0].shape[:-1], args[1].shape[-1]), args[0])


def _addmm(args: Args) -> torch.Tensor:
    return _mm(args[1:])


_BY_SHAPE: dict[str, Callable[[Args], Any]] = {
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "native_batch_norm": _batch_norm,
    "native_batch_norm_backward": _batch_norm_backward,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "native_group_norm": _group_norm,
    "native_group_norm_backward": _group_norm_backward,
    "native_dropout": _native_dropout,
    "_softmax": _half_to_float,
    "_log_softmax": _half_to_float,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _softmax_backward,
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "baddbmm": _addmm,
}


def by_shape(name: str) -> Callable[[Args], Any] | None:
    """The shape function of an aten operator, or ``None``."""
    return _BY_SHAPE.get(name)


def is_feature_map(value: Any) -> bool:  # noqa: ANN401 - any operator argument
    """Whether ``value`` is a large floating tensor with batch, channels and pixels: nothing decides on its values."""
    return (
        isinstance(value, torch.Tensor)
        and value.dim() >= 4  # noqa: PLR2004 - batch, channels, height, width
        and value.is_floating_point()
        and value.numel() >= _LARGE_ELEMENTS
    )


def to_meta(value: Any) -> Any:  # noqa: ANN401
    """``value`` with every tensor in it replaced by a ``meta`` one of the same strides."""
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return type(value)(to_meta(item) for item in value) if isinstance(value, list | tuple) else value


def _from_meta(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, torch.Tensor):
        # as_strided keeps the layout that the kernel would have chosen.
        elements = value.untyped_storage().nbytes() // max(value.element_size(), 1)
        return _zeros(elements, value.dtype).as_strided(value.shape, value.stride())
    return type(value)(map(_from_meta, value)) if isinstance(value, list | tuple) else value


def run_hollow(func: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """``func`` on ``meta`` for the shape, then zeros of it on the CPU; in-place operators give their argument."""
    shadow = {name: to_meta(value) for name, value in kwargs.items()}
    if "device" in shadow:
        shadow["device"] = torch.device("meta")
    if func._schema.is_mutable and func._schema.name.endswith("_"):  # noqa: SLF001
        return args[0]
    return _from_meta(func(*(to_meta(value) for value in args), **shadow))
