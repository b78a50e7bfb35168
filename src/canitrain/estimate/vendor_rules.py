"""What torch and each vendor's convolution library make of a card: defaults and kernels, no measured speeds.

No timed run of AMD, Intel or Apple was at hand. What is below is read from the libraries' source and the vendors' own
documents; how well their kernels do otherwise is taken to be what NVIDIA's reach.
"""

from __future__ import annotations

from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.profile import Precision, WorkKind
from canitrain.core.time_calibration import Rate, TimeCalibration

DENSE = frozenset({WorkKind.CONV, WorkKind.GEMM})
"""Work that matrix units can take."""
NO_MATRIX_UNITS = frozenset({
    Generation.KEPLER, Generation.MAXWELL, Generation.PASCAL, Generation.GCN, Generation.RDNA,
})  # fmt: skip
"""Architectures on which autocast gains no arithmetic speed (source: vendors' architecture white papers).

GP100 has a doubled vector rate for half precision, but cuDNN accumulates in fp32 for training and does not use it.
Vega 10 (gfx900) lacks the dot product that sums in fp32, and MIOpen has no fp16 kernels of its own for it.
"""
HALF_ON_VECTOR_UNITS = frozenset({Generation.RDNA2, Generation.APPLE_SILICON})
"""No matrix units that torch uses, but kernels in half precision on vector units, shaped like those in fp32.

Source: MIOpen's conv_winoRxS.cpp (fp16 by ``v_dot2_f32_f16`` on gfx906, gfx103x), Metal's ``half`` at fp32's rate.
"""
HALF_BY_DOT_PRODUCT = "gfx906"
"""The target of the GCN generation that has it. Source: AMD Vega 7 nm instruction set, ``V_DOT2_F32_F16``."""
MATRIX_FP32 = frozenset({Generation.CDNA, Generation.CDNA2, Generation.CDNA3, Generation.CDNA4})
"""Whose fp32 convolutions and matrix products run on matrix units in full fp32.

MIOpen's implicit GEMM kernels (``conv_asm_implicit_gemm_gtc_*``, ``*_xdlops``) take fp32 there. Its ``ConvBinWinoRxS``
uses the vector units, at half of that rate on all of them, and by its own model (``ShaderModel``) saves 1.9 times the
products at most: as fast, so no gain is counted. Nor is one for gfx942's Winograd on matrix units
(``conv_wino_rage_RxS.cpp``, 2025): it states no speed (``GetWti``) by which MIOpen could choose it unmeasured.
"""
WINOGRAD_VENDORS = frozenset({Vendor.NVIDIA, Vendor.AMD})
"""Whose convolution libraries choose Winograd transforms in training.

cuDNN developer guide; MIOpen's ``ConvBinWinoRxS``: gfx9, gfx10, gfx11, since v40.6 gfx12, forward and both gradients.
oneDNN takes them on GPUs only where asked for, and torch asks for direct ones; Apple documents none.
"""
TF32_VENDORS = frozenset({Vendor.NVIDIA})
"""On whose cards torch runs fp32 convolutions in TF32 unless told otherwise.

Source: aten's Context.h: ``allow_tf32_cudnn = true``, ``allow_tf32_onednn = false``; Conv_miopen.cpp asks for fp32.
"""


def half_on_vector_units(spec: GpuSpec) -> bool:
    """Whether AMP runs on the card's vector units, in kernels like those of fp32."""
    return spec.generation in HALF_ON_VECTOR_UNITS or spec.compute_capability == HALF_BY_DOT_PRODUCT


def gains_from_amp(spec: GpuSpec) -> bool:
    """Whether work under autocast differs from that in fp32 at all: in arithmetic, or in bytes alone."""
    return half_on_vector_units(spec) or (spec.generation not in NO_MATRIX_UNITS and spec.fp16_flops_per_s is not None)


def takes_tf32(spec: GpuSpec) -> bool:
    """Whether fp32 convolutions run in TF32 by torch's defaults."""
    return spec.tf32_flops_per_s is not None and spec.vendor in TF32_VENDORS


def takes_winograd(spec: GpuSpec, rate: Rate) -> bool:
    """Whether convolutions at ``rate`` (fp32's also stands for half precision on vector units) are done so."""
    return rate is Rate.FP32 and spec.vendor in WINOGRAD_VENDORS and spec.generation not in MATRIX_FP32


def dense_ratio(spec: GpuSpec, kind: WorkKind, rate: Rate, precision: Precision, calibration: TimeCalibration) -> float:
    """What kernels of ``kind`` can reach / the card's peak at ``rate``.

    The datasheet's fp32 is not always the rate of the units that convolutions use: CDNA's matrix units do twice as much
    as its vector units, and RDNA 3's doubled rate needs pairs of instructions that MIOpen's kernels do not contain.
    """
    if kind not in DENSE or rate is not Rate.FP32:
        return 1.0
    if precision is Precision.AMP and half_on_vector_units(spec):
        return (spec.fp16_flops_per_s or spec.fp32_flops_per_s) / spec.fp32_flops_per_s
    stated = calibration.dense_fp32_ratio.get(spec.generation)
    return 1.0 if stated is None else stated.value
