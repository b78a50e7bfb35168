"""Peaks and efficiency curves: of cards by precision and architecture, of processors by cores and vectors."""

from __future__ import annotations

import msgspec
import pytest
from pencil import CALIBRATION, CARD, CPU, DATASET, HARDWARE, PROFILE, RECIPE, feed, known

from canitrain.core.gpu import Generation
from canitrain.core.hardware import Bench
from canitrain.core.profile import Precision, WorkKind
from canitrain.core.time_calibration import Layout, Rate
from canitrain.estimate.cpu_time import cpu_rates
from canitrain.estimate.device_rates import find_curve, gpu_rates, rate_of
from canitrain.estimate.roofline import kernel_times
from canitrain.estimate.run_time import run_time

replace = msgspec.structs.replace


def timed(recipe=RECIPE, batch_size=16, device=CARD, fed=None):
    return run_time(PROFILE, recipe, DATASET, batch_size, device, HARDWARE, fed or feed(), CALIBRATION)


def test_a_group_of_kernels_takes_its_slower_roof_and_its_starts():
    curve = replace(CALIBRATION.curve[0], compute_ratio=0.5, bandwidth_ratio=0.8, copy_ratio=0.1, kernel_s=1e-5)
    compute_s, traffic_s, fixed_s = kernel_times(1e12, 4e9, 100, flops_per_s=1e13, bytes_per_s=1e11, curve=curve)
    # 1e12 / (1e13 x 0.5); 4e9 / (1e11 x 0.8); 4e9 x 0.1 / 1e11 + 100 x 1e-5
    assert (compute_s, traffic_s, fixed_s) == pytest.approx((0.2, 0.05, 0.005))


@pytest.mark.parametrize("kind", WorkKind)
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("generation", Generation)
def test_every_kind_of_work_has_a_curve_on_every_architecture(kind, precision, generation):
    card = replace(CARD, generation=generation)
    for channels_last in (False, True):
        rates = gpu_rates(card, precision, CALIBRATION, channels_last=channels_last)
        assert rates.flops_per_s[kind] > 0
        assert rates.curves[kind].compute_ratio > 0
        assert rates.curves[kind].bandwidth_ratio > 0


def test_convolutions_run_in_tf32_and_matrix_products_in_fp32_on_ampere():
    assert rate_of(WorkKind.CONV, Precision.FP32, CARD) is Rate.TF32
    assert rate_of(WorkKind.GEMM, Precision.FP32, CARD) is Rate.FP32


def test_a_missing_curve_is_named():
    with pytest.raises(LookupError, match="fp16 conv nchw"):
        find_curve((), Rate.FP16, WorkKind.CONV, Layout.NCHW)


def test_pascal_gains_nothing_from_amp():
    pascal = replace(CARD, generation=Generation.PASCAL, tf32_flops_per_s=None, fp16_flops_per_s=25.4e12)
    amp = timed(replace(RECIPE, precision=Precision.AMP), device=pascal)
    # The gradient scaler still reads and writes every gradient.
    assert timed(device=pascal).step_s.expected <= amp.step_s.expected < 1.01 * timed(device=pascal).step_s.expected


def test_cpu_peak_is_cores_times_clock_times_vector_width():
    rates = cpu_rates(CPU, None, CALIBRATION)
    clock_hz = max(4.5e9 * CALIBRATION.cpu.turbo_ratio.value, 3.0e9)
    together = 8 / (1 + 7 * CALIBRATION.cpu.core_loss_ratio.value)
    # 8 physical cores of 16 threads, AVX2 with FMA: 32 FLOPs a cycle.
    assert rates.flops_per_s[WorkKind.CONV] == pytest.approx(together * clock_hz * 32)


def test_another_core_and_wider_vectors_never_slow_a_cpu():
    wide = replace(CPU, vector_extensions=known(("avx2", "fma", "avx512f")))
    fewer = replace(CPU, usable_cores=known(2.0))
    assert timed(device=wide).step_s.expected < timed(device=CPU).step_s.expected < timed(device=fewer).step_s.expected


def test_a_measured_bandwidth_replaces_the_default():
    unknown = HARDWARE.ram.swap_bytes
    bench = Bench(
        decode_s_per_megapixel=unknown,
        sequential_read_bytes_per_s=unknown,
        random_read_bytes_per_s=unknown,
        memory_bytes_per_s=known(77e9),
    )
    assert cpu_rates(CPU, bench, CALIBRATION).memory_bytes_per_s == pytest.approx(77e9)
