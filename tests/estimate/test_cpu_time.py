"""A processor's peaks, by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, CPU, NOT_KNOWN, known

from canitrain.core.hardware import Bench
from canitrain.core.profile import WorkKind
from canitrain.estimate.cpu_time import clock_hz, cpu_rates, flops_per_cycle, training_cores

RATES = CALIBRATION.cpu


@pytest.mark.parametrize(
    ("usable", "logical", "physical", "cores"),
    [
        (16.0, 16, 8, 8.0),  # threads add no vector units
        (3.5, 16, 8, 3.5),
        (None, 4, 8, 4.0),
        (None, None, 8, 8.0),
        (6.0, 16, None, 6.0),
        (None, None, None, 1.0),
    ],
)
def test_training_fills_the_vector_units_that_it_may_use(usable, logical, physical, cores):
    facts = {"usable_cores": usable, "logical_cores": logical, "physical_cores": physical}
    cpu = replace(CPU, **{name: NOT_KNOWN if value is None else known(value) for name, value in facts.items()})
    assert training_cores(cpu) == cores


@pytest.mark.parametrize(
    ("max_hz", "base_hz", "held_hz"),
    [
        (4.5e9, 3.0e9, max(4.5e9 * RATES.turbo_ratio.value, 3.0e9)),
        (4.5e9, 4.4e9, 4.4e9),  # the base clock is held by all cores
        (4.5e9, None, 4.5e9 * RATES.turbo_ratio.value),
        (None, 2.0e9, 2.0e9),
        (None, None, RATES.default_hz.value),
    ],
)
def test_the_clock_is_what_all_cores_hold(max_hz, base_hz, held_hz):
    facts = {"max_hz": max_hz, "base_hz": base_hz}
    cpu = replace(CPU, **{name: NOT_KNOWN if value is None else known(value) for name, value in facts.items()})
    assert clock_hz(cpu, RATES) == held_hz


@pytest.mark.parametrize(
    ("extensions", "best"),
    [
        (("sse4_2", "avx", "avx2", "fma"), "avx2"),
        (("avx2", "avx512f"), "avx512f"),
        (("neon", "sve"), "sve"),
        ((), "none"),
    ],
)
def test_the_widest_vectors_count(extensions, best):
    cpu = replace(CPU, vector_extensions=known(extensions))
    assert flops_per_cycle(cpu, RATES) == RATES.flops_per_cycle[best].value


@pytest.mark.parametrize("cores", [1, 8])
def test_the_peak_is_cores_less_what_they_cost_each_other_times_clock_times_width(cores):
    cpu = replace(CPU, usable_cores=known(float(cores)))
    together = cores / (1 + RATES.core_loss_ratio.value * (cores - 1))
    peak = together * clock_hz(cpu, RATES) * RATES.flops_per_cycle["avx2"].value
    assert cpu_rates(cpu, None, CALIBRATION).flops_per_s == pytest.approx(dict.fromkeys(WorkKind, peak))


@pytest.mark.parametrize("cores", [1, 64])
def test_few_cores_cannot_draw_what_a_socket_has(cores):
    cpu = replace(CPU, usable_cores=known(float(cores)), physical_cores=known(cores))
    drawn = min(cores * RATES.core_memory_bytes_per_s.value, RATES.default_memory_bytes_per_s.value)
    assert cpu_rates(cpu, None, CALIBRATION).memory_bytes_per_s == drawn
    assert RATES.core_memory_bytes_per_s.value < RATES.default_memory_bytes_per_s.value


def test_a_measured_bandwidth_counts_as_it_is():
    nothing = {"decode_s_per_megapixel": NOT_KNOWN, "sequential_read_bytes_per_s": NOT_KNOWN}
    bench = Bench(**nothing, random_read_bytes_per_s=NOT_KNOWN, memory_bytes_per_s=known(7e9))
    assert cpu_rates(CPU, bench, CALIBRATION).memory_bytes_per_s == 7e9
