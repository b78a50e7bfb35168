"""What one Python thread pays to launch a step."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, HARDWARE, NOT_KNOWN, known

from canitrain.core.hardware import DESCRIBED, THIS_MACHINE, Package
from canitrain.core.profile import Phase, WorkKind
from canitrain.estimate.launches import around_kernels_s, host_slowness, launch_basis, stage_launches_s

COSTS = CALIBRATION.launch
REFERENCE_HZ = COSTS.reference_hz.value
OLD = COSTS.old_torch_ratio.value


def host(max_hz=None, base_hz=None, torch=None):
    facts = {"max_hz": max_hz, "base_hz": base_hz}
    cpu = replace(HARDWARE.cpu, **{n: NOT_KNOWN if hz is None else known(hz) for n, hz in facts.items()})
    release = NOT_KNOWN if torch is None else known(Package(name="torch", version=torch))
    return replace(HARDWARE, cpu=cpu, software=replace(HARDWARE.software, torch=release))


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
    assert host_slowness(host(max_hz, base_hz), COSTS).expected == pytest.approx(slowness)


@pytest.mark.parametrize("version", ["0.4.1", "1.4", "1.13.1", "1"])
def test_an_old_release_costs_what_the_loops_of_its_time_show(version):
    found = host_slowness(host(REFERENCE_HZ, torch=version), COSTS)
    assert (found.low, found.expected, found.high) == pytest.approx((math.sqrt(OLD), OLD, OLD))


@pytest.mark.parametrize("version", ["2.0.1", "2.13.0", "10.1"])
def test_today_s_release_on_a_processor_of_unknown_generation_may_be_slower_by_half_of_that(version):
    found = host_slowness(host(REFERENCE_HZ, torch=version), COSTS)
    assert (found.low, found.expected, found.high) == pytest.approx((1.0, 1.0, math.sqrt(OLD)))


def test_a_host_of_which_nothing_is_known_may_be_as_slow_as_those_of_old_loops():
    assert host_slowness(host(), COSTS).high == pytest.approx(OLD)


def test_a_core_of_which_only_the_base_clock_is_known_may_turbo_up_to_the_reference():
    found = host_slowness(host(base_hz=REFERENCE_HZ / 2), COSTS)
    assert (found.low, found.expected) == pytest.approx((1.0, 2.0))
    assert host_slowness(host(base_hz=2 * REFERENCE_HZ), COSTS).low == pytest.approx(0.5)
    old = host_slowness(host(base_hz=REFERENCE_HZ / 2, torch="1.13"), COSTS)
    assert (old.low, old.expected) == pytest.approx((math.sqrt(OLD), 2 * OLD))


@pytest.mark.parametrize(
    ("facts", "origin", "basis"),
    [
        (
            {"max_hz": 4.5e9, "torch": "2.13.0"},
            THIS_MACHINE,
            "torch 2.13.0 on a core of 4.5 GHz; an older host may need 1.8 times as long",
        ),
        (
            {"base_hz": 2.0e9, "torch": "1.13.1"},
            "host.json",
            "torch 1.13.1, as loops of its time show, on a core of 2.0 GHz (base clock)",
        ),
        (
            {},
            THIS_MACHINE,
            "today's torch on a core of 3.6 GHz, its clock not being known; an older host may need 3.1 times as long",
        ),
        (
            {"max_hz": 3.0e9, "torch": "2.8"},
            DESCRIBED,
            "torch 2.8 on a core of 3.0 GHz (the probed CPU's highest clock); an older host may need 1.8 times as long",
        ),
    ],
)
def test_what_a_host_is_taken_for_is_told(facts, origin, basis):
    assert launch_basis(replace(host(**facts), origin=origin), COSTS) == basis


def test_calls_of_libraries_cost_more_than_torch_s_own_kernels_and_python_between_layers_more_than_layers():
    kernels = {WorkKind.CONV: 2.0, WorkKind.NORM: 1.0, WorkKind.ELEMENTWISE: 5.0, WorkKind.OTHER: 1.0}
    layers_s = 3 * COSTS.library_kernel_s.value + 6 * COSTS.layer_kernel_s.value
    assert stage_launches_s(Phase.FORWARD, kernels, COSTS) == pytest.approx(layers_s)
    back_s = 3 * COSTS.library_kernel_s.value + 6 * COSTS.backward_kernel_s.value
    assert stage_launches_s(Phase.BACKWARD, kernels, COSTS) == pytest.approx(back_s)
    matching = {WorkKind.CONV: 0.0, WorkKind.ELEMENTWISE: 5.0, WorkKind.OTHER: 1.0}
    assert stage_launches_s(Phase.FORWARD, matching, COSTS) == pytest.approx(6 * COSTS.code_kernel_s.value)
    assert COSTS.library_kernel_s.value > COSTS.code_kernel_s.value > COSTS.layer_kernel_s.value


def test_the_update_is_launched_too():
    assert around_kernels_s(20, COSTS) == pytest.approx(COSTS.step_s.value + 20 * COSTS.optimizer_kernel_s.value)
