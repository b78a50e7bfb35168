"""One call of a convolution operator, forward or backward, as aten's arguments describe it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

_IMAGE_DIMENSIONS = 4
"""Batch, channels, height, width."""


class ConvolutionKey(NamedTuple):
    """What two convolutions of one shape share, besides their pixels. Names as in ``core.profile.Convolution``."""

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    transposed: bool
    half: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionCall:
    """A call; the two gradients are asked in backward only."""

    key: ConvolutionKey
    input_pixels: int
    """Batch x height x width."""
    output_pixels: int
    weight_gradient: bool = False
    input_gradient: bool = False


def forward_call(args: Sequence[Any], output: torch.Tensor) -> ConvolutionCall:
    """The call ``aten.convolution(*args) -> output``."""
    inputs, weight, _, stride, _, dilation, transposed, _, groups = args[:9]
    return ConvolutionCall(
        key=_key(inputs, weight, stride, dilation, transposed=transposed, groups=groups),
        input_pixels=_pixels(inputs),
        output_pixels=_pixels(output),
    )


def backward_call(args: Sequence[Any]) -> ConvolutionCall:
    """The call ``aten.convolution_backward(*args)``."""
    gradient, inputs, weight, _, stride, _, dilation, transposed, _, groups, mask = args[:11]
    return ConvolutionCall(
        key=_key(inputs, weight, stride, dilation, transposed=transposed, groups=groups),
        input_pixels=_pixels(inputs),
        output_pixels=_pixels(gradient),
        weight_gradient=bool(mask[1]),
        input_gradient=bool(mask[0]),
    )


def _key(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    stride: Sequence[int],
    dilation: Sequence[int],
    *,
    transposed: bool,
    groups: int,
) -> ConvolutionKey:
    height, width = weight.shape[2:] if weight.dim() == _IMAGE_DIMENSIONS else (1, weight.shape[-1])
    return ConvolutionKey(
        in_channels=inputs.shape[1],
        out_channels=weight.shape[1] * groups if transposed else weight.shape[0],
        kernel=(height, width),
        stride=stride[0],
        dilation=dilation[0],
        groups=groups,
        transposed=transposed,
        half=inputs.dtype in (torch.float16, torch.bfloat16),
    )


def _pixels(tensor: torch.Tensor) -> int:
    return int(tensor.shape[0] * math.prod(tensor.shape[2:]))
