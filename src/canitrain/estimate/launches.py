"""Host seconds of a step: what one Python thread pays to launch all kernels."""

from __future__ import annotations

from canitrain.core.fact import value_or_none
from canitrain.core.hardware import Cpu
from canitrain.core.time_calibration import LaunchCosts


def launches_s(kernels: float, optimizer_kernels: float, cpu: Cpu, costs: LaunchCosts) -> float:
    """Seconds that one thread needs for a step's launches.

    Python's speed follows the turbo clock of one core; where that is unknown the reference clock stands in.
    """
    at_reference_s = costs.step_s.value + optimizer_kernels * costs.optimizer_kernel_s.value
    return kernels * kernel_launch_s(cpu, costs) + at_reference_s * _slowness(cpu, costs)


def kernel_launch_s(cpu: Cpu, costs: LaunchCosts) -> float:
    """Seconds that one thread needs for one kernel of the forward or backward pass."""
    return costs.kernel_s.value * _slowness(cpu, costs)


def _slowness(cpu: Cpu, costs: LaunchCosts) -> float:
    clock_hz = value_or_none(cpu.max_hz) or value_or_none(cpu.base_hz) or costs.reference_hz.value
    return costs.reference_hz.value / clock_hz
