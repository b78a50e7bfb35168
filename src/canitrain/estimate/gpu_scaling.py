"""What more GPUs of one kind would bring, and where another one stops helping."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.feed import Feed
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Hardware
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import Bottleneck
from canitrain.core.time_calibration import TimeCalibration
from canitrain.estimate.run_time import run_time

LEAST_SHARE = 0.25
"""Another GPU helps where it brings at least this share of what it could bring at best."""


class GpuScaling(Struct, frozen=True, kw_only=True):
    """The run on ``gpus`` equal cards, each with the same batch."""

    gpus: int
    images_per_s: float
    total_s: float
    speedup_ratio: float
    """Total time on one card / total time on these."""
    bottleneck: Bottleneck
    communication_s: float
    """Of one step, not hidden under the backward pass."""


def gpu_scaling(
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    *,
    batch_size: int,
    card: GpuSpec,
    hardware: Hardware,
    feeds: Sequence[Feed],
    calibration: TimeCalibration,
) -> tuple[GpuScaling, ...]:
    """The run on 1, 2, ... cards; ``feeds[i]`` is what the host feeds ``i + 1`` of them together."""
    rows: list[GpuScaling] = []
    for gpus, feed in enumerate(feeds, start=1):
        shared = msgspec.structs.replace(recipe, gpus=gpus)
        time = run_time(profile, shared, dataset, batch_size, card, hardware, feed, calibration)
        alone_s = rows[0].total_s if rows else time.total_s.expected
        rows.append(
            GpuScaling(
                gpus=gpus,
                images_per_s=time.images_per_s,
                total_s=time.total_s.expected,
                speedup_ratio=alone_s / time.total_s.expected,
                bottleneck=time.bottleneck,
                communication_s=time.parts.communication_s,
            )
        )
    return tuple(rows)


def last_that_helps(rows: Sequence[GpuScaling]) -> GpuScaling:
    """The count after which one more GPU stops helping; the row after it names the bottleneck that is in the way.

    Beside n cards the next can raise the speed by 1 / n at best; it helps where it brings ``LEAST_SHARE`` of that.
    """
    for row, following in pairwise(rows):
        gain = following.speedup_ratio / row.speedup_ratio - 1
        if gain < LEAST_SHARE / row.gpus:
            return row
    return rows[-1]


def obstacle_after(rows: Sequence[GpuScaling], useful: GpuScaling) -> Bottleneck | None:
    """What steps on one card more than ``useful`` wait for; ``None`` where those steps would be faster all the same."""
    if useful is rows[-1]:
        return None
    following = rows[useful.gpus]
    faster = following.images_per_s / useful.images_per_s - 1 >= LEAST_SHARE / useful.gpus
    return None if faster else following.bottleneck
