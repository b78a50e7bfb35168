"""What one Python thread pays to launch a step."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, CPU, NOT_KNOWN, known

from canitrain.estimate.launches import kernel_launch_s, launches_s

COSTS = CALIBRATION.launch
REFERENCE_HZ = COSTS.reference_hz.value


@pytest.mark.parametrize(
    ("max_hz", "base_hz", "slowness"),
    [
        (REFERENCE_HZ, REFERENCE_HZ / 2, 1.0),
        (REFERENCE_HZ / 2, None, 2.0),
        (None, REFERENCE_HZ / 4, 4.0),
        (None, None, 1.0),
    ],
)
def test_launches_take_as_much_longer_as_the_clock_is_slower(max_hz, base_hz, slowness):
    facts = {"max_hz": max_hz, "base_hz": base_hz}
    cpu = replace(CPU, **{name: NOT_KNOWN if value is None else known(value) for name, value in facts.items()})
    assert kernel_launch_s(cpu, COSTS) == pytest.approx(slowness * COSTS.kernel_s.value)
    # the step itself, 300 kernels of both passes, 20 of the optimizer
    at_reference_s = COSTS.step_s.value + 300 * COSTS.kernel_s.value + 20 * COSTS.optimizer_kernel_s.value
    assert launches_s(300, 20, cpu, COSTS) == pytest.approx(slowness * at_reference_s)
