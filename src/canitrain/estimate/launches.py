"""Host seconds of a step: what one Python thread pays to launch all kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from canitrain.core.fact import value_or_none
from canitrain.core.hardware import DESCRIBED, Hardware
from canitrain.core.interval import Interval
from canitrain.core.profile import Phase, WorkKind
from canitrain.core.time_calibration import LaunchCosts
from canitrain.core.units import GHZ

LIBRARY_KINDS = frozenset({WorkKind.CONV, WorkKind.DEPTHWISE_CONV, WorkKind.NORM, WorkKind.GEMM})
"""Work that torch hands to cuDNN, cuBLAS or their likes."""
OLD_TORCH = frozenset({"0", "1"})
"""Major versions of the releases that loops up to 2021 ran with."""
WORTH_TELLING = 1.05
"""How much longer launches may take that is worth a word."""


def stage_launches_s(phase: Phase, kernels: Mapping[WorkKind, float], costs: LaunchCosts) -> float:
    """Seconds that one thread needs for so many kernels of a stage's forward or backward pass, with today's torch."""
    library = sum(count for kind, count in kernels.items() if kind in LIBRARY_KINDS)
    others = sum(kernels.values()) - library
    match phase:
        case Phase.BACKWARD:
            other = costs.backward_kernel_s
        case Phase.FORWARD:
            other = costs.layer_kernel_s if library else costs.code_kernel_s
    return library * costs.library_kernel_s.value + others * other.value


def around_kernels_s(optimizer_kernels: float, costs: LaunchCosts) -> float:
    """Seconds that the same thread needs for the rest of a step, with today's torch."""
    return costs.step_s.value + optimizer_kernels * costs.optimizer_kernel_s.value


def host_slowness(hardware: Hardware, costs: LaunchCosts) -> Interval:
    """How many times as long launches take as with today's torch at the reference clock.

    Python's speed follows the turbo clock of one core. A release that is known to be old costs what the loops of its
    time show, release and processor together; without one, today's will be installed. The processor's generation, of
    which the clock says nothing, takes up to half of the way (of the ratio's logarithm), the whole where not even the
    clock is known. A base clock is the least that the core runs at: it may be as quick as at the reference clock.
    """
    ratio = costs.old_torch_ratio.value
    halfway = math.sqrt(ratio)
    torch = value_or_none(hardware.software.torch)
    turbo_hz, clock_hz = _clocks_hz(hardware)
    if torch is not None and _is_old(torch.version):
        software = Interval(low=halfway, expected=ratio, high=ratio)
    else:
        software = Interval(low=1.0, expected=1.0, high=ratio if clock_hz is None else halfway)
    scaled = software.scaled(1.0 if clock_hz is None else costs.reference_hz.value / clock_hz)
    return scaled if turbo_hz else replace(scaled, low=min(scaled.low, software.low))


def launch_basis(hardware: Hardware, costs: LaunchCosts) -> str:
    """What ``host_slowness`` took the host for, in words: release, clock, and how much slower it may be."""
    torch = value_or_none(hardware.software.torch)
    release = "today's torch" if torch is None else f"torch {torch.version}"
    if torch is not None and _is_old(torch.version):
        release += ", as loops of its time show,"
    turbo_hz, clock_hz = _clocks_hz(hardware)
    if clock_hz is None:
        core = f"a core of {costs.reference_hz.value / GHZ:.1f} GHz, its clock not being known"
    else:
        whose = "the probed CPU's " if hardware.origin == DESCRIBED else ""
        which = f" ({whose}{'highest' if turbo_hz else 'base'} clock)" if whose or not turbo_hz else ""
        core = f"a core of {clock_hz / GHZ:.1f} GHz{which}"
    slowness = host_slowness(hardware, costs)
    worst = slowness.high / slowness.expected
    slower = f"; an older host may need {worst:.1f} times as long" if worst > WORTH_TELLING else ""
    return f"{release} on {core}{slower}"


def _is_old(version: str) -> bool:
    return version.partition(".")[0] in OLD_TORCH


def _clocks_hz(hardware: Hardware) -> tuple[float | None, float | None]:
    """The turbo clock, and the clock to count with."""
    turbo_hz = value_or_none(hardware.cpu.max_hz)
    return turbo_hz, turbo_hz or value_or_none(hardware.cpu.base_hz)
