"""Memory that a convolution takes while it runs, beside its own tensors.

Matrix units want channels last: for a tensor in torch's default layout cuDNN converts input, weights and output (or
their gradients), each a copy. Plain fp32 kernels need little. Source: cuDNN developer guide, tensor cores and layouts.
"""

from __future__ import annotations

from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.memory_calibration import MemoryCalibration, Workspace
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Precision
from canitrain.estimate.line import Line

FP32_BYTES, HALF_BYTES = 4, 2

_NO_MATRIX_UNITS = frozenset({Generation.KEPLER, Generation.MAXWELL, Generation.PASCAL, Generation.GCN})
_HALF_ONLY = frozenset({Generation.VOLTA, Generation.TURING})


def uses_matrix_units(card: GpuSpec, precision: Precision) -> bool:
    """Whether convolutions of ``precision`` run on the card's matrix units (fp32 as TF32 from Ampere on)."""
    if card.vendor is not Vendor.NVIDIA:
        return precision is Precision.AMP
    if card.generation in _NO_MATRIX_UNITS:
        return False
    return precision is Precision.AMP or card.generation not in _HALF_ONLY


def workspace_line(convolution: Convolution, shape: BatchShape, factors: Workspace) -> Line:
    """Workspace of one convolution in bytes, as a line in the batch size at ``shape``'s pixels and boxes."""
    element_bytes = HALF_BYTES if convolution.half else FP32_BYTES
    rows, columns = convolution.kernel
    if convolution.groups > 1:
        copies = factors.grouped.value
    elif rows * columns > 1:
        copies = factors.dense.value
    else:
        copies = factors.pointwise.value
    weights_bytes = (
        element_bytes * rows * columns * convolution.in_channels * convolution.out_channels / convolution.groups
    )
    tensors = (
        _line(convolution.input_pixels, shape)
        .scaled(convolution.in_channels * element_bytes * copies)
        .plus(_line(convolution.output_pixels, shape).scaled(convolution.out_channels * element_bytes * copies))
    )
    return tensors.plus(Line(fixed=weights_bytes * factors.weights.value, per_image=0.0))


def factors_for(card: GpuSpec, precision: Precision, calibration: MemoryCalibration) -> Workspace:
    """The workspace coefficients that apply on ``card``."""
    return calibration.matrix_workspace if uses_matrix_units(card, precision) else calibration.vector_workspace


def _line(polynomial: Polynomial, shape: BatchShape) -> Line:
    fixed, per_image = polynomial.affine(shape.pixels, shape.boxes)
    return Line(fixed=fixed, per_image=per_image)
