"""Host seconds of a step: what one Python thread pays to launch all kernels."""

from __future__ import annotations

from canitrain.core.fact import value_or_none
from canitrain.core.hardware import Cpu
from canitrain.core.time_calibration import LaunchCosts


def launches_s(kernels: float, optimizer_kernels: float, cpu: Cpu, costs: LaunchCosts) -> float:
    """Seconds that one thread needs for a step's launches.

    Python's speed follows the turbo clock of one core; where that is unknown the reference clock stands in.
    """
    clock_hz = value_or_none(cpu.max_hz) or value_or_none(cpu.base_hz) or costs.reference_hz.value
    at_reference_s = (
        costs.step_s.value + kernels * costs.kernel_s.value + optimizer_kernels * costs.optimizer_kernel_s.value
    )
    return at_reference_s * costs.reference_hz.value / clock_hz
