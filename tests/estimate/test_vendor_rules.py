"""What torch and the vendors' libraries make of a card, where that is not what NVIDIA's cards do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, DATASET, HARDWARE, PROFILE, RECIPE, feed

from canitrain.catalog import find_card
from canitrain.core.gpu import Generation
from canitrain.core.profile import Precision, WorkKind
from canitrain.core.time_calibration import Rate
from canitrain.estimate.device_rates import effective_precision, gpu_rates, rate_of
from canitrain.estimate.run_time import run_time

CONV, GEMM = WorkKind.CONV, WorkKind.GEMM


def rates(name, precision=Precision.FP32):
    return gpu_rates(find_card(name), precision, CALIBRATION, channels_last=False)


def fed(peak, multiprocessors, boost_hz, operand_bytes=4):
    """Peak and operands one after the other, as every dense rate is counted."""
    return 1 / (1 / peak + operand_bytes / (multiprocessors * boost_hz * CALIBRATION.operand_bytes_per_cycle.value))


@pytest.mark.parametrize("name", ["MI300X", "Max 1550", "Arc B580"])
def test_only_nvidia_cards_run_fp32_convolutions_in_tf32_by_default(name):
    card = find_card(name)
    assert card.tf32_flops_per_s is not None
    assert rate_of(CONV, Precision.FP32, card) is Rate.FP32
    assert rate_of(CONV, Precision.FP32, find_card("A100 40GB")) is Rate.TF32


@pytest.mark.parametrize("name", ["Arc B580", "M2 Max", "MI100", "MI210", "MI300X", "MI355X"])
def test_no_winograd_where_the_library_takes_none_or_matrix_units_are_as_fast(name):
    assert rates(name).shapes.winograd_ratio == 1


@pytest.mark.parametrize("name", ["V100 16GB", "MI50", "RX 6900 XT", "RX 7900 XTX", "RX 9070 XT"])
def test_winograd_in_fp32_on_vector_units(name):
    assert rates(name).shapes.winograd_ratio == CALIBRATION.convolution.winograd_ratio.value


@pytest.mark.parametrize("kind", [CONV, GEMM])
def test_fp32_on_matrix_units_is_twice_the_vector_rate_of_cdna(kind):
    # MI210: 104 CUs x 256 FLOPs x 1.7 GHz = 45.3 TFLOPS, as its datasheet says of matrix fp32.
    assert rates("MI210").flops_per_s[kind] == pytest.approx(fed(104 * 256 * 1.7e9, 104, 1.7e9), rel=1e-3)
    # Norms stay on the vector units, and CDNA 3 does 256 on both.
    assert rates("MI210").flops_per_s[WorkKind.NORM] == pytest.approx(104 * 128 * 1.7e9, rel=1e-3)
    assert rates("MI300X").flops_per_s[kind] == pytest.approx(fed(304 * 256 * 2.1e9, 304, 2.1e9), rel=1e-3)


@pytest.mark.parametrize(("name", "cus", "boost_hz"), [("RX 7900 XTX", 96, 2.498e9), ("RX 9070 XT", 64, 2.97e9)])
def test_dual_issue_is_not_counted_on(name, cus, boost_hz):
    assert rates(name).flops_per_s[CONV] == pytest.approx(fed(cus * 128 * boost_hz, cus, boost_hz), rel=1e-3)


@pytest.mark.parametrize("name", ["RX 6900 XT", "MI50"])
def test_half_precision_by_dot_products_doubles_the_vector_rate_in_kernels_like_those_of_fp32(name):
    card, amp = find_card(name), rates(name, Precision.AMP)
    assert rate_of(CONV, Precision.AMP, card) is Rate.FP32
    cycles = card.multiprocessors, card.boost_hz
    assert amp.flops_per_s[CONV] == pytest.approx(fed(2 * card.fp32_flops_per_s, *cycles), rel=1e-3)
    assert amp.shapes == rates(name).shapes
    assert amp.curves[CONV].copy_ratio == 0
    # The tensors have two bytes a number.
    assert effective_precision(Precision.AMP, card) is Precision.AMP


def test_half_precision_on_apple_saves_bytes_alone():
    card = find_card("M2 Max")
    assert rates("M2 Max", Precision.AMP).flops_per_s == rates("M2 Max").flops_per_s
    assert effective_precision(Precision.AMP, card) is Precision.AMP


@pytest.mark.parametrize("name", ["RX Vega 64", "GTX 1080 Ti", "P100 16GB"])
def test_cards_without_such_instructions_gain_nothing_from_amp(name):
    assert effective_precision(Precision.AMP, find_card(name)) is Precision.FP32


def test_in_one_mode_cards_of_two_vendors_with_like_peaks_take_like_times():
    # Vector units with Winograd on both, the same peaks and caches: the rest of the row says nothing on speed.
    v100 = replace(find_card("V100 16GB"), tdp_w=None)
    twin = replace(v100, vendor=find_card("MI50").vendor, generation=Generation.GCN, compute_capability="gfx906")
    times = [
        run_time(PROFILE, RECIPE, DATASET, 16, card, HARDWARE, feed(), CALIBRATION).parts.compute_s
        for card in (v100, twin)
    ]
    assert times[0] == pytest.approx(times[1])
