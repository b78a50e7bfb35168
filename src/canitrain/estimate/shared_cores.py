"""How loader and training processes share the cores of a host.

A training process that waits for its batch sleeps and leaves its core to the loader. It needs one while it launches
kernels, and keeps one busy while it waits for its device, for CUDA spins. A step of s seconds that waits for the cores
has

    cores x s = CPU seconds of loading + busy seconds of the training processes.

Sources and what is not known: ``docs/input-pipeline.md``.
"""

from __future__ import annotations

from canitrain.core.fact import value_or_none
from canitrain.core.feed import CoreShares
from canitrain.core.hardware import Cpu
from canitrain.core.host_calibration import LoaderCosts
from canitrain.core.recipe import Recipe
from canitrain.estimate.resident_memory import training_processes


def loading_worth(recipe: Recipe, cores: float, costs: LoaderCosts) -> float:
    """Cores' worth of loading where nothing else wants a core; without workers the training processes load."""
    processes = training_processes(recipe)
    return _worth(min(recipe.workers * processes or processes, cores), costs)


def core_shares(recipe: Recipe, cores: float, costs: LoaderCosts) -> CoreShares:
    """What the training processes of ``recipe`` take of ``cores``, and what loads on all of them.

    Launching is work and takes its core time whatever runs beside it. Spinning is none: among more processes than cores
    a process that spins gets as much as each other one, and its device is ready no later for that.

    Source: CUDA Runtime API, ``cudaDeviceScheduleAuto``: a process of no more contexts than there are cores spins while
    it waits for its device; github.com/pytorch/pytorch/issues/28224: torch leaves it at that.
    Known limitation: the scheduler's equal shares are assumed.
    """
    processes = training_processes(recipe)
    workers = recipe.workers * processes
    return CoreShares(
        loading_ratio=_worth(cores, costs) / loading_worth(recipe, cores, costs),
        launching_ratio=processes / max(cores, processes),
        spinning_ratio=processes / max(cores, processes + workers),
    )


def crowding_ratio(recipe: Recipe, cpu: Cpu) -> float:
    """How many times as long launches take where there are more training processes than cores; 1 of unknown cores."""
    cores = value_or_none(cpu.usable_cores)
    return 1.0 if cores is None else max(1.0, training_processes(recipe) / cores)


def held_ratio(shares: CoreShares, launching_ratio: float) -> float:
    """Share of the cores' time that the loader lacks while processes train, ``launching_ratio`` of it launching."""
    return launching_ratio * shares.launching_ratio + (1 - launching_ratio) * shares.spinning_ratio


def loading_beside_s(loading_s: float, training_s: float, held_ratio: float, shares: CoreShares) -> float:
    """Seconds until images are there that load in ``loading_s`` where nothing else wants a core.

    Enough loader processes have what ``training_s`` leaves of the cores, and then all of them. Fewer may find a core
    each all the same.
    """
    whole_s, left_ratio = loading_s / shares.loading_ratio, 1 - held_ratio
    within_training = whole_s < left_ratio * training_s
    return max(loading_s, whole_s / left_ratio if within_training else whole_s + held_ratio * training_s)


def _worth(cores: float, costs: LoaderCosts) -> float:
    """Cores' worth of ``cores`` that load at once: the first counts in full."""
    return cores if cores <= 1 else 1 + (cores - 1) * costs.core_ratio.value
