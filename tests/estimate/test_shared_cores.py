"""How loader and training processes share the cores, by hand and by law."""

from __future__ import annotations

import pytest
from host_cases import calibration, machine, run
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.core.feed import CoreShares
from canitrain.core.recipe import Strategy
from canitrain.estimate.shared_cores import core_shares, crowding_ratio, held_ratio, loading_beside_s, loading_worth

COSTS = calibration().loader
LAW = settings(max_examples=500, derandomize=True, deadline=None)
BATCH = 16
HOSTS = {
    "cores": st.floats(0.1, 128),
    "gpus": st.integers(1, 16),
    "workers": st.integers(0, 16),
    "launching_s": st.floats(1e-4, 1),
    "spinning_s": st.floats(0, 1),
    "image_s": st.floats(1e-5, 0.1),
}


def step_s(*, cores, gpus, workers, launching_s, spinning_s, image_s):
    """A step of 16 images a GPU whose training process works and spins as long, where each has a core."""
    recipe = run(workers=workers, gpus=gpus)
    working_s = launching_s * crowding_ratio(recipe, machine(cores=cores).cpu)
    loading_s = BATCH * gpus * image_s / loading_worth(recipe, cores, COSTS)
    if workers == 0:
        return working_s + spinning_s + loading_s
    shares = core_shares(recipe, cores, COSTS)
    training_s = working_s + spinning_s
    held = held_ratio(shares, working_s / training_s)
    return max(training_s, loading_beside_s(loading_s, training_s, held, shares))


def test_cores_times_step_is_loading_and_launching():
    # 2 x 16 images of 20 ms are 0.64 s on one core, and all four do the work of 1 + 3 x 0.78 = 3.34: 0.1916 s.
    # Two processes launch for 0.1 s each, which is 0.05 s of four cores.
    found_s = step_s(cores=4, gpus=2, workers=8, launching_s=0.1, spinning_s=0.0, image_s=0.02)
    assert found_s == pytest.approx(0.1916 + 0.05, rel=1e-3)


def test_a_process_that_spins_gets_no_more_than_each_other_one():
    # 2 of 18 processes on four cores, which are lost to the loader for 0.1 s x 2 / 18.
    found_s = step_s(cores=4, gpus=2, workers=8, launching_s=0.0, spinning_s=0.1, image_s=0.02)
    assert found_s == pytest.approx(0.1916 + 0.0111, rel=1e-3)


def test_processes_that_find_a_core_each_are_not_in_each_others_way():
    # 2 workers for 16 images of 20 ms, and 13 more cores: 0.32 / 1.78 s
    found_s = step_s(cores=16, gpus=1, workers=2, launching_s=0.1, spinning_s=0.05, image_s=0.02)
    assert found_s == pytest.approx(0.32 / 1.78)


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_a_core_for_each_training_process_or_less_loads_and_launches_in_turns(gpus):
    beside_s, apart_s = (
        step_s(cores=1, gpus=gpus, workers=workers, launching_s=0.1, spinning_s=0.0, image_s=0.02) for workers in (8, 0)
    )
    # one core: 0.32 s of loading and 0.1 s of launches a GPU
    assert beside_s == pytest.approx(0.42 * gpus)
    assert apart_s == pytest.approx(beside_s)


@pytest.mark.parametrize(
    ("cores", "gpus", "strategy", "ratio"),
    [(4, 4, Strategy.DDP, 1), (4, 8, Strategy.DDP, 2), (0.5, 1, Strategy.DDP, 2), (4, 8, Strategy.DP, 1)],
)
def test_launches_take_as_many_times_as_long_as_there_are_training_processes_a_core(cores, gpus, strategy, ratio):
    recipe = run(gpus=gpus, strategy=strategy)
    assert crowding_ratio(recipe, machine(cores=cores).cpu) == pytest.approx(ratio)
    assert crowding_ratio(recipe, machine(cores=None).cpu) == 1


@pytest.mark.parametrize("strategy", Strategy)
def test_the_shares_are_those_of_the_training_processes(strategy):
    processes = 1 if strategy is Strategy.DP else 4
    assert core_shares(run(gpus=4, workers=3, strategy=strategy), 8, COSTS) == CoreShares(
        loading_ratio=pytest.approx((1 + 7 * 0.78) / (1 + (min(3 * processes, 8) - 1) * 0.78)),
        launching_ratio=processes / 8,
        spinning_ratio=processes / max(8, 4 * processes),
    )


@pytest.mark.parametrize(
    ("loading_s", "held_ratio", "expected_s"),
    [
        (0.3, 0.25, 0.4),  # three quarters of the cores
        (0.75, 0.25, 1.0),  # just as long as training
        (1.0, 0.25, 1.25),  # 0.75 s of it beside training, and the rest on all cores
        (0.1, 0.0, 0.1),
        (0.1, 1.0, 1.1),  # after training
    ],
)
def test_the_loader_has_what_training_leaves_and_then_all(loading_s, held_ratio, expected_s):
    found_s = loading_beside_s(loading_s, 1.0, held_ratio, CoreShares())
    assert found_s == pytest.approx(expected_s)


@LAW
@given(**HOSTS)
def test_another_gpu_never_costs_images(gpus, **host):
    assert step_s(gpus=gpus + 1, **host) / (gpus + 1) <= step_s(gpus=gpus, **host) / gpus * (1 + 1e-9)


@LAW
@given(**HOSTS, more=st.floats(0, 64))
def test_more_cores_never_cost_images(cores, more, **host):
    assert step_s(cores=cores + more, **host) <= step_s(cores=cores, **host) * (1 + 1e-9)


@LAW
@given(**HOSTS)
def test_another_worker_never_costs_images(workers, **host):
    assert step_s(workers=workers + 1, **host) <= step_s(workers=workers, **host) * (1 + 1e-9)


@LAW
@given(**HOSTS)
def test_no_step_needs_more_of_the_cores_than_there_is(**host):
    cores, gpus = host["cores"], host["gpus"]
    busy_s = gpus * (BATCH * host["image_s"] + host["launching_s"])
    assert busy_s <= cores * step_s(**host) * (1 + 1e-9)
