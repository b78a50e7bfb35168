"""The clock that a card's power holds under load."""

from __future__ import annotations

import math

from msgspec.structs import replace

from canitrain.core.gpu import GpuSpec
from canitrain.core.time_calibration import TimeCalibration
from canitrain.core.units import GHZ

CLOCK_POWER = 3
"""Dynamic power of CMOS is capacity x voltage squared x clock, and the voltage follows the clock."""
AT_LEAST_BOOST = "GeForce"
"""Cards whose printed boost clock is one that every card of the name reaches (NVIDIA on GPU Boost).

Data centre and professional cards are printed with their highest one.
"""
MOST_FOR_THE_REST = 0.5
"""Share of a card's power that does not go to its multiprocessors, at most: assumed, for cards of 40 W and less."""


def clock_by_power_hz(spec: GpuSpec, calibration: TimeCalibration) -> float | None:
    """The clock at which a card's multiprocessors use up its power; ``None`` where NVIDIA's lists do not decide."""
    each = next((row for row in calibration.clock_power if row.compute_capability == spec.compute_capability), None)
    if each is None or spec.tdp_w is None:
        return None
    rest_w = min(calibration.clock_rest_w.value, MOST_FOR_THE_REST * spec.tdp_w)
    watts_each = (spec.tdp_w - rest_w) / spec.multiprocessors
    return math.pow(watts_each / each.multiprocessor_w, 1 / CLOCK_POWER) * GHZ


def sustained_hz(spec: GpuSpec, calibration: TimeCalibration) -> float:
    """The clock under load: what the power allows, as far as the printed boost clock leaves that open.

    Laptop cards are listed with a clock that they hold; GeForce cards with one that they reach or surpass, at most to
    their highest; all others with their highest, which a Tesla T4 with 70 W for 40 multiprocessors does not hold.
    """
    allowed = clock_by_power_hz(spec, calibration)
    if allowed is None or spec.laptop:
        return spec.boost_hz
    if spec.name.startswith(AT_LEAST_BOOST):
        return min(max(allowed, spec.boost_hz), calibration.raised_clock_ratio.value * spec.boost_hz)
    return min(allowed, spec.boost_hz)


def at_sustained_clock(spec: GpuSpec, calibration: TimeCalibration) -> GpuSpec:
    """``spec`` with the clock that it holds under load, and the peaks of that clock; memory keeps its own."""
    held_hz = sustained_hz(spec, calibration)
    held = held_hz / spec.boost_hz

    def at_clock(peak: float | None) -> float | None:
        return None if peak is None else peak * held

    return replace(
        spec,
        boost_hz=held_hz,
        fp32_flops_per_s=spec.fp32_flops_per_s * held,
        tf32_flops_per_s=at_clock(spec.tf32_flops_per_s),
        fp16_flops_per_s=at_clock(spec.fp16_flops_per_s),
        bf16_flops_per_s=at_clock(spec.bf16_flops_per_s),
    )
