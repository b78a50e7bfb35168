"""What more GPUs of one kind and more nodes would bring, and where another one stops helping."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from canitrain.core.dataset import Dataset
from canitrain.core.feed import Feed
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Hardware
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe, Strategy
from canitrain.core.report import OF_THE_CARD, Bottleneck, ScalingRow
from canitrain.core.time_calibration import TimeCalibration
from canitrain.estimate.run_time import run_time

LEAST_SHARE = 0.25
"""Another GPU or node helps where it brings at least this share of what it could bring at best."""

EACH_ITS_OWN = {
    Strategy.DDP: (*OF_THE_CARD, Bottleneck.LAUNCHES),
    Strategy.DP: OF_THE_CARD,
}
"""What takes a GPU as long whether there are others or not, so that more of them cannot fail for it."""


def shares_of(recipe: Recipe) -> tuple[Recipe, ...]:
    """``recipe`` on 1, 2, ... of one node's GPUs, then with all of them on 2, 4, 8, ... up to its nodes."""
    doubled = [2**power for power in range(1, recipe.nodes.bit_length()) if 2**power < recipe.nodes]
    inside = [replace(recipe, gpus=gpus, nodes=1) for gpus in range(1, recipe.gpus + 1)]
    across = [replace(recipe, nodes=nodes) for nodes in (*doubled, recipe.nodes) if nodes > 1]
    return (*inside, *across)


def gpu_scaling(
    profile: ModelProfile,
    shares: Sequence[Recipe],
    dataset: Dataset,
    *,
    batch_size: int,
    card: GpuSpec,
    hardware: Hardware,
    feeds: Sequence[Feed],
    calibration: TimeCalibration,
) -> tuple[ScalingRow, ...]:
    """The run by each of ``shares``, fewest GPUs first; ``feeds[i]`` is what each host feeds its own GPUs."""
    rows: list[ScalingRow] = []
    for shared, feed in zip(shares, feeds, strict=True):
        time = run_time(profile, shared, dataset, batch_size, card, hardware, feed, calibration)
        rows.append(
            ScalingRow(
                gpus=shared.all_gpus,
                nodes=shared.nodes,
                images_per_s=time.images_per_s,
                total_s=time.total_s.expected,
                bottleneck=time.bottleneck,
            )
        )
    return tuple(rows)


def last_that_helps(rows: Sequence[ScalingRow]) -> ScalingRow:
    """The row after which more GPUs stop helping; the row after it names the bottleneck that is in the way.

    Beside n cards m more can raise the speed by m / n at best; they help where they bring ``LEAST_SHARE`` of that.
    """
    for row, following in pairwise(rows):
        gain = row.total_s / following.total_s - 1
        if gain < _least_gain(row, following):
            return row
    return rows[-1]


def obstacle_after(
    rows: Sequence[ScalingRow], useful: ScalingRow, strategy: Strategy = Strategy.DDP
) -> Bottleneck | None:
    """What steps on more cards than ``useful`` wait for; ``None`` where those steps would be faster all the same.

    Where the longest part of such a step is each GPU's own, it is the exchange that makes it longer than on fewer.
    """
    if useful is rows[-1]:
        return None
    following = rows[rows.index(useful) + 1]
    if following.images_per_s / useful.images_per_s - 1 >= _least_gain(useful, following):
        return None
    if following.bottleneck in EACH_ITS_OWN[strategy]:
        return Bottleneck.NETWORK if following.nodes > 1 else Bottleneck.COMMUNICATION
    return following.bottleneck


def _least_gain(row: ScalingRow, following: ScalingRow) -> float:
    return LEAST_SHARE * (following.gpus / row.gpus - 1)
