"""A GPU or a CPU as the roofline sees it: one peak and one curve for each kind of work, and one bandwidth."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu
from canitrain.core.profile import Precision, WorkKind
from canitrain.core.time_calibration import (
    ConvolutionShapes,
    Curve,
    Layout,
    Rate,
    TimeCalibration,
)
from canitrain.estimate.sustained_clock import at_sustained_clock
from canitrain.estimate.vendor_rules import (
    DENSE,
    dense_ratio,
    gains_from_amp,
    half_on_vector_units,
    takes_tf32,
    takes_winograd,
)

CONVOLUTIONS = frozenset({WorkKind.CONV, WorkKind.DEPTHWISE_CONV})
OPERAND_BYTES = {Rate.FP32: 4, Rate.TF32: 4, Rate.FP16: 2, Rate.CPU: 4}
"""Bytes of one number as kernels load it, by rate: two operands for two FLOPs."""


class ShapeLimits(Struct, frozen=True, kw_only=True):
    """How shapes of convolutions limit this device at one precision; see ``ConvolutionShapes``."""

    outputs: float
    terms: float
    group_outputs: float
    winograd_ratio: float
    unaligned_ratio: float
    copy_channels: float


class DeviceRates(Struct, frozen=True, kw_only=True):
    """What one device can do; ``flops_per_s`` has an entry for every kind."""

    flops_per_s: dict[WorkKind, float]
    memory_bytes_per_s: float
    """Of kernels that find nothing in the cache."""
    dram_bytes_per_s: float = math.inf
    """What the memory itself delivers, where more multiprocessors could ask for more."""
    curves: dict[WorkKind, Curve]
    grouped: Curve
    """For convolutions with several channels a group."""
    cached_bytes: float = 0.0
    """A kernel that moves as many finds half of them in the cache."""
    overlap_power: float = math.inf
    shapes: ShapeLimits | None = None
    """``None``: every convolution as the average one."""

    def traffic_s(self, size_bytes: float, kernel_bytes: float) -> float:
        """Seconds that the memory needs for ``size_bytes``, moved by kernels of ``kernel_bytes`` each."""
        found = self.cached_bytes / (self.cached_bytes + kernel_bytes) if kernel_bytes else 0.0
        return size_bytes * (1 / self.memory_bytes_per_s - found / self.dram_bytes_per_s)

    def together_s(self, compute_s: float, traffic_s: float) -> float:
        """Seconds of arithmetic and memory traffic that hide each other: the larger, or somewhat more."""
        larger, smaller = max(compute_s, traffic_s), min(compute_s, traffic_s)
        if not smaller or self.overlap_power == math.inf:
            return larger
        return larger * math.pow(1 + math.pow(smaller / larger, self.overlap_power), 1 / self.overlap_power)


def rate_of(kind: WorkKind, precision: Precision, spec: GpuSpec) -> Rate:
    """The rate that ``kind`` runs at on this card.

    PyTorch allows TF32 in cuDNN by default and not in matrix products (docs: CUDA semantics, TensorFloat-32), nor in
    the convolution libraries of AMD and Intel.
    """
    if precision is Precision.AMP and kind in CONVOLUTIONS | {WorkKind.GEMM, WorkKind.NORM, WorkKind.ELEMENTWISE}:
        like_fp32 = not gains_from_amp(spec) or (kind in CONVOLUTIONS | DENSE and half_on_vector_units(spec))
        return Rate.FP32 if like_fp32 else Rate.FP16
    return Rate.TF32 if kind in CONVOLUTIONS and takes_tf32(spec) else Rate.FP32


def working(spec: GpuSpec, calibration: TimeCalibration) -> GpuSpec:
    """``spec`` as it works under load: the clock that its power holds, the bandwidth that error correction leaves."""
    left = calibration.inline_ecc_ratio.value if spec.inline_ecc else 1.0
    held = at_sustained_clock(spec, calibration)
    return replace(held, memory_bytes_per_s=held.memory_bytes_per_s * left)


def gpu_rates(spec: GpuSpec, precision: Precision, calibration: TimeCalibration, *, channels_last: bool) -> DeviceRates:
    """Peaks (dense, datasheet) and curves of a card in one precision and layout."""
    layout = Layout.NHWC if channels_last else Layout.NCHW
    spec = working(spec, calibration)
    rates = {kind: rate_of(kind, precision, spec) for kind in WorkKind}

    def curve(rate: Rate, kind: WorkKind, *, grouped: bool = False) -> Curve:
        return find_curve(calibration.curve, rate, kind, layout, grouped=grouped)

    cycles_per_s = spec.multiprocessors * spec.boost_hz
    issue_bytes_per_s = cycles_per_s * calibration.multiprocessor_bytes_per_cycle.value
    feed_bytes_per_s = cycles_per_s * calibration.operand_bytes_per_cycle.value

    def fed_flops_per_s(rate: Rate, kind: WorkKind) -> float:
        peak = peak_flops_per_s(spec, kind, rate) * dense_ratio(spec, kind, rate, precision, calibration)
        return 1 / (1 / peak + operand_bytes(rate, kind) / feed_bytes_per_s)

    return DeviceRates(
        flops_per_s={kind: fed_flops_per_s(rate, kind) for kind, rate in rates.items()},
        memory_bytes_per_s=1 / (1 / spec.memory_bytes_per_s + 1 / issue_bytes_per_s),
        curves={kind: curve(rate, kind) for kind, rate in rates.items()},
        grouped=curve(rates[WorkKind.DEPTHWISE_CONV], WorkKind.DEPTHWISE_CONV, grouped=True),
        dram_bytes_per_s=spec.memory_bytes_per_s,
        cached_bytes=(spec.l2_bytes or 0.0) * calibration.cache_ratio.value,
        overlap_power=calibration.overlap_power.value,
        shapes=_shape_limits(rates[WorkKind.CONV], calibration.convolution, spec),
    )


def _shape_limits(rate: Rate, shapes: ConvolutionShapes, spec: GpuSpec) -> ShapeLimits:
    matrix = rate in {Rate.FP16, Rate.TF32}
    return ShapeLimits(
        outputs=(shapes.matrix_outputs if matrix else shapes.vector_outputs).value,
        terms=(shapes.matrix_terms if matrix else shapes.vector_terms).value,
        group_outputs=shapes.group_outputs.value,
        copy_channels=shapes.copy_channels.value,
        winograd_ratio=shapes.winograd_ratio.value if takes_winograd(spec, rate) else 1.0,
        unaligned_ratio=shapes.unaligned_ratio.value if rate is Rate.FP16 else 1.0,
    )


def operand_bytes(rate: Rate, kind: WorkKind) -> float:
    """Bytes of operands a FLOP that matrix units or vector units of dense work are fed: two numbers a MAC."""
    return OPERAND_BYTES[rate] if kind in DENSE else 0.0


def effective_precision(precision: Precision, device: GpuSpec | Cpu) -> Precision:
    """The precision whose time a run takes: AMP gains nothing without matrix units, and a CPU trains in fp32."""
    return Precision.FP32 if isinstance(device, Cpu) or not gains_from_amp(device) else precision


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
