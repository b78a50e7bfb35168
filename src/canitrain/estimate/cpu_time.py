"""A processor as a training device: cores x clock x vector width x FMA, and memory bandwidth."""

from __future__ import annotations

from canitrain.core.fact import value_or_none
from canitrain.core.hardware import Bench, Cpu
from canitrain.core.profile import WorkKind
from canitrain.core.time_calibration import CpuRates, Layout, Rate, TimeCalibration
from canitrain.estimate.device_rates import DeviceRates, find_curve

_BEST_FIRST = ("avx512f", "avx2", "avx", "sve", "neon", "sse4_2")


def cpu_rates(cpu: Cpu, bench: Bench | None, calibration: TimeCalibration) -> DeviceRates:
    """Peaks of the cores that this process may use, fp32 (autocast to bf16 is not assumed).

    Hardware threads add no vector units: usable cores are capped by the physical ones.
    """
    rates = calibration.cpu
    cores = training_cores(cpu)
    together = cores / (1 + rates.core_loss_ratio.value * max(cores - 1, 0))
    flops_per_s = together * clock_hz(cpu, rates) * flops_per_cycle(cpu, rates)
    measured = value_or_none(bench.memory_bytes_per_s) if bench is not None else None
    bytes_per_s = measured or min(rates.default_memory_bytes_per_s.value, cores * rates.core_memory_bytes_per_s.value)
    return DeviceRates(
        flops_per_s=dict.fromkeys(WorkKind, flops_per_s),
        memory_bytes_per_s=bytes_per_s,
        curves={kind: find_curve(calibration.curve, Rate.CPU, kind, Layout.NCHW) for kind in WorkKind},
        grouped=find_curve(calibration.curve, Rate.CPU, WorkKind.DEPTHWISE_CONV, Layout.NCHW, grouped=True),
    )


def training_cores(cpu: Cpu) -> float:
    """Cores whose vector units training can fill; 1 where nothing is known."""
    usable = value_or_none(cpu.usable_cores) or value_or_none(cpu.logical_cores)
    physical = value_or_none(cpu.physical_cores)
    known = [cores for cores in (usable, physical) if cores]
    return float(min(known, default=1.0))


def clock_hz(cpu: Cpu, rates: CpuRates) -> float:
    """The clock that all cores hold under vector load."""
    highest_hz = value_or_none(cpu.max_hz)
    base_hz = value_or_none(cpu.base_hz)
    if highest_hz is not None:
        return max(highest_hz * rates.turbo_ratio.value, base_hz or 0.0)
    return base_hz or rates.default_hz.value


def flops_per_cycle(cpu: Cpu, rates: CpuRates) -> float:
    """fp32 FLOPs a core and cycle with the widest vectors present."""
    present = value_or_none(cpu.vector_extensions) or ()
    best = next((name for name in _BEST_FIRST if name in present), "none")
    return rates.flops_per_cycle[best].value
