"""Memory that a convolution takes while it runs, beside its own tensors.

Matrix units want channels last: for tensors in torch's default layout cuDNN converts input and output (or their
gradients), each a copy. Plain fp32 kernels need little, except that Winograd's transform the whole input and output:
tiles of 4 x 4 outputs become 6 x 6 numbers. Source: cuDNN developer guide, tensor cores and layouts; cuDNN API,
algorithm WINOGRAD_NONFUSED; Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016), F(4 x 4, 3 x 3).
"""

from __future__ import annotations

import enum
from typing import assert_never

from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.memory_calibration import MemoryCalibration, Workspace
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Convolution, Precision
from canitrain.estimate.line import Line

_NO_MATRIX_UNITS = frozenset({Generation.KEPLER, Generation.MAXWELL, Generation.PASCAL, Generation.GCN})
_HALF_ONLY = frozenset({Generation.VOLTA, Generation.TURING})


def uses_matrix_units(card: GpuSpec, precision: Precision) -> bool:
    """Whether convolutions of ``precision`` run on the card's matrix units (fp32 as TF32 from Ampere on)."""
    if card.vendor is not Vendor.NVIDIA:
        return precision is Precision.AMP
    if card.generation in _NO_MATRIX_UNITS:
        return False
    return precision is Precision.AMP or card.generation not in _HALF_ONLY


class WorkspaceKind(enum.Enum):
    """Convolutions by the workspace that they take."""

    DENSE = "dense"
    GROUPED = "grouped"
    OTHER = "other"


IMAGE_CHANNELS = 4
"""A convolution that reads at most this many channels is the first of a network."""


def workspace_kind(convolution: Convolution) -> WorkspaceKind:
    """Which coefficient applies to ``convolution``."""
    rows, columns = convolution.kernel
    depthwise = convolution.groups == convolution.in_channels
    if rows * columns == 1 or depthwise or convolution.in_channels <= IMAGE_CHANNELS:
        return WorkspaceKind.OTHER
    return WorkspaceKind.DENSE if convolution.groups == 1 else WorkspaceKind.GROUPED


def tensors_line(convolution: Convolution, shape: BatchShape, copies: float = 1.0) -> Line:
    """``copies`` times one convolution's input and output in bytes, as a line in the batch size at ``shape``."""
    element_bytes = convolution.element_bytes * copies
    read_fixed, read_per_image = convolution.input_pixels.affine(shape)
    written_fixed, written_per_image = convolution.output_pixels.affine(shape)
    channels_in, channels_out = convolution.in_channels * element_bytes, convolution.out_channels * element_bytes
    return Line(
        fixed=read_fixed * channels_in + written_fixed * channels_out,
        per_image=read_per_image * channels_in + written_per_image * channels_out,
    )


def workspace_line(convolution: Convolution, shape: BatchShape, factors: Workspace) -> Line:
    """Workspace of one convolution in bytes, as a line in the batch size."""
    match workspace_kind(convolution):
        case WorkspaceKind.DENSE if factors.winograd is not None and is_winograd(convolution):
            seldom = factors.winograd_seldom if is_seldom_winograd(convolution) else None
            copies = (seldom or factors.winograd).value
        case WorkspaceKind.DENSE:
            copies = factors.dense.value
        case WorkspaceKind.GROUPED:
            copies = factors.grouped.value
        case WorkspaceKind.OTHER:
            copies = factors.other.value
        case kind:
            assert_never(kind)
    return tensors_line(convolution, shape, copies)


WINOGRAD_CHANNELS = 32
"""A warp's worth: with fewer channels on either side the A100 runs show no transforms (cs3darknet_s, resnet33ts)."""


def is_winograd(convolution: Convolution) -> bool:
    """Whether Winograd's minimal filtering applies: where it can, over enough channels on either side."""
    return convolution.can_be_winograd and min(convolution.in_channels, convolution.out_channels) >= WINOGRAD_CHANNELS


NARROW_CHANNELS = 64
"""The narrower of the usual tiles of a matrix product. Winograd turns a convolution into products of channels by
channels, which pay off where a side is wider: the A100 runs of GENet, EfficientNet-EL and MaxxViT show its workspace at
every batch, VGG and ResNets with 64 to 64 channels at some."""


def is_seldom_winograd(convolution: Convolution) -> bool:
    """Whether the plain product mostly wins against Winograd's filtering.

    It does with few channels on both sides, and in half precision, where matrix units are twice as fast as in TF32
    (no run was fitted there).
    """
    return convolution.half or max(convolution.in_channels, convolution.out_channels) <= NARROW_CHANNELS


def is_erratic(convolution: Convolution, shape: BatchShape, calibration: MemoryCalibration) -> bool:
    """Whether ``convolution`` is of the sort whose workspace jumps from one batch size to the next."""
    return (
        convolution.groups > 1
        and convolution.in_channels >= calibration.erratic_channels.value
        and sum(convolution.input_pixels.affine(shape)) >= calibration.erratic_pixels.value
    )


def factors_for(card: GpuSpec, precision: Precision, calibration: MemoryCalibration) -> Workspace:
    """The workspace coefficients that apply on ``card``."""
    return calibration.matrix_workspace if uses_matrix_units(card, precision) else calibration.vector_workspace
