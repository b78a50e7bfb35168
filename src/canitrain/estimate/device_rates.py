"""A GPU or a CPU as the roofline sees it: one peak and one curve for each kind of work, and one bandwidth."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from canitrain.core.gpu import Generation, GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.profile import Precision, WorkKind
from canitrain.core.time_calibration import Curve, GenerationFactor, Layout, Rate, TimeCalibration

NO_MATRIX_UNITS = frozenset(
    {Generation.KEPLER, Generation.MAXWELL, Generation.PASCAL, Generation.GCN, Generation.RDNA, Generation.RDNA2}
)
"""Architectures on which autocast gains no arithmetic speed (source: vendors' architecture white papers).

GP100 has a doubled vector rate for half precision, but cuDNN accumulates in fp32 for training and does not use it.
"""
CONVOLUTIONS = frozenset({WorkKind.CONV, WorkKind.DEPTHWISE_CONV})
OPERAND_BYTES = {Rate.FP32: 4, Rate.TF32: 4, Rate.FP16: 2, Rate.CPU: 4}
"""Bytes of one number as kernels load it, by rate: two operands for two FLOPs."""
DENSE = frozenset({WorkKind.CONV, WorkKind.GEMM})
"""Work that matrix units can take."""


class DeviceRates(Struct, frozen=True, kw_only=True):
    """What one device can do; ``flops_per_s`` has an entry for every kind."""

    flops_per_s: dict[WorkKind, float]
    memory_bytes_per_s: float
    curves: dict[WorkKind, Curve]
    grouped: Curve
    """For convolutions with several channels a group."""


def rate_of(kind: WorkKind, precision: Precision, spec: GpuSpec) -> Rate:
    """The rate that ``kind`` runs at on this card.

    PyTorch allows TF32 in cuDNN by default and not in matrix products (docs: CUDA semantics, TensorFloat-32).
    """
    if precision is Precision.AMP and kind in CONVOLUTIONS | {WorkKind.GEMM, WorkKind.NORM, WorkKind.ELEMENTWISE}:
        return Rate.FP32 if spec.generation in NO_MATRIX_UNITS or spec.fp16_flops_per_s is None else Rate.FP16
    return Rate.TF32 if kind in CONVOLUTIONS and spec.tf32_flops_per_s is not None else Rate.FP32


def gpu_rates(spec: GpuSpec, precision: Precision, calibration: TimeCalibration, *, channels_last: bool) -> DeviceRates:
    """Peaks (dense, datasheet) and curves of a card in one precision and layout."""
    layout = Layout.NHWC if channels_last else Layout.NCHW
    rates = {kind: rate_of(kind, precision, spec) for kind in WorkKind}

    def curve(rate: Rate, kind: WorkKind, *, grouped: bool = False) -> Curve:
        shared = find_curve(calibration.curve, rate, kind, layout, grouped=grouped)
        return _adapted(shared, calibration.generation, spec.generation)

    cycles_per_s = spec.multiprocessors * spec.boost_hz
    issue_bytes_per_s = cycles_per_s * calibration.multiprocessor_bytes_per_cycle.value
    feed_bytes_per_s = cycles_per_s * calibration.operand_bytes_per_cycle.value

    def fed_flops_per_s(rate: Rate, kind: WorkKind) -> float:
        return 1 / (1 / peak_flops_per_s(spec, kind, rate) + operand_bytes(rate, kind) / feed_bytes_per_s)

    return DeviceRates(
        flops_per_s={kind: fed_flops_per_s(rate, kind) for kind, rate in rates.items()},
        memory_bytes_per_s=1 / (1 / spec.memory_bytes_per_s + 1 / issue_bytes_per_s),
        curves={kind: curve(rate, kind) for kind, rate in rates.items()},
        grouped=curve(rates[WorkKind.DEPTHWISE_CONV], WorkKind.DEPTHWISE_CONV, grouped=True),
    )


def _adapted(curve: Curve, factors: tuple[GenerationFactor, ...], generation: Generation) -> Curve:
    """``curve`` as this generation reaches it."""
    own = next((row for row in factors if row.generation is generation and row.rate is curve.rate), None)
    if own is None:
        return curve
    return msgspec.structs.replace(
        curve,
        compute_ratio=curve.compute_ratio * own.compute_factor,
        bandwidth_ratio=curve.bandwidth_ratio * own.bandwidth_factor,
    )


def operand_bytes(rate: Rate, kind: WorkKind) -> float:
    """Bytes of operands a FLOP that matrix units or vector units of dense work are fed: two numbers a MAC."""
    return OPERAND_BYTES[rate] if kind in DENSE else 0.0


def effective_precision(precision: Precision, device: GpuSpec | Cpu) -> Precision:
    """The precision whose time a run takes: AMP gains nothing without matrix units, and a CPU trains in fp32."""
    if isinstance(device, Cpu) or device.generation in NO_MATRIX_UNITS:
        return Precision.FP32
    return precision


def peak_flops_per_s(spec: GpuSpec, kind: WorkKind, rate: Rate) -> float:
    """Depthwise and pointwise kernels use the vector units whatever the number format."""
    if kind not in DENSE:
        return spec.fp32_flops_per_s
    match rate:
        case Rate.FP16:
            return max(spec.fp16_flops_per_s or 0.0, spec.fp32_flops_per_s)
        case Rate.TF32:
            return max(spec.tf32_flops_per_s or 0.0, spec.fp32_flops_per_s)
        case Rate.FP32 | Rate.CPU:
            return spec.fp32_flops_per_s


def find_curve(
    curves: tuple[Curve, ...], rate: Rate, kind: WorkKind, layout: Layout, *, grouped: bool = False
) -> Curve:
    """The row for ``rate`` and ``kind``: the one of ``layout`` before one that names none.

    Raises:
        LookupError: the calibration has no row for this rate and kind (a test walks all of them).
    """
    fitting = [
        curve
        for curve in curves
        if (curve.rate, curve.kind, curve.grouped) == (rate, kind, grouped) and curve.layout in {layout, None}
    ]
    if not fitting:
        raise LookupError(f"no efficiency curve for {rate.value} {kind.value} {layout.value}")
    return max(fitting, key=lambda curve: curve.layout is not None)
