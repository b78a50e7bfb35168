"""What the replayed pool keeps beyond live bytes, by batch."""

from __future__ import annotations

import pytest

from canitrain.core.polynomial import BatchShape
from canitrain.core.units import MIB_BYTES
from canitrain.trace.pool import ALLOCATED, FREED, Allocations, Weights, replay
from canitrain.trace.slack import fit_slack, nearest_rising, replay_slack

WEIGHTS = Weights(all_bytes=(), trainable_bytes=(12 * MIB_BYTES,))
STEP = Allocations(events=((ALLOCATED, 0), (FREED, 0)), sizes=(20 * MIB_BYTES,), gradients=frozenset())


def slack_bytes(step: Allocations, weights: Weights, scale: int) -> int:
    reserved, highest = replay(step, weights, scale)
    return reserved - highest


def test_slack_is_fitted_over_multiples_of_the_traced_batch():
    slack = fit_slack((2, 100, 10, 0), {2: STEP}, Weights(all_bytes=(), trainable_bytes=()), ("one", "bp"), (0.6, 1.0))
    # 12 MiB at 2 images of 1000 pixels, and in proportion beyond
    assert slack.bp == pytest.approx(6 * MIB_BYTES / 1000, rel=0.1)
    assert slack.one < 10 * MIB_BYTES


def test_a_size_at_which_nothing_is_left_over_does_not_hide_the_slack_at_others():
    # at 2 images none (state fills the hole), at 64 the hole of 384 MiB takes 12 and does not hold the next 640
    slack = fit_slack((2, 100, 10, 0), {2: STEP}, WEIGHTS, ("one", "bp"), (0.6, 1.0))
    assert slack.at(BatchShape(batch_size=64, pixels=1000, boxes=0)) > 200 * MIB_BYTES


def test_what_is_done_image_by_image_is_not_taken_to_grow_with_the_batch():
    # One image after the other makes and drops 600 MiB: as much in a step of 8 images as of 1.
    step = Allocations(events=((ALLOCATED, 0), (FREED, 0)), sizes=(600 * MIB_BYTES,), gradients=frozenset())

    def slack_of_64(steps: dict[int, Allocations]) -> float:
        slack = fit_slack((1, 100, 10, 0), steps, Weights(all_bytes=(), trainable_bytes=()), ("one", "bp"), (0.6, 1.0))
        return slack.at(BatchShape(batch_size=64, pixels=1000, boxes=0)) / MIB_BYTES

    # The smaller images leave 360 behind that do not hold 600, and 8 times as much at 64 images of the larger step.
    assert slack_of_64({1: step}) == pytest.approx(64 * 360)
    assert slack_of_64({1: step, 8: step}) == pytest.approx(8 * 360, rel=0.05)


def test_slack_of_one_size_is_kept_as_replayed_at_each_batch():
    kept = replay_slack((2, 100, 10, 0), STEP, WEIGHTS)
    assert (kept.pixels, kept.batches) == (1000, (1, 2, 4, 8, 16, 32, 64, 128))
    at = dict(zip(kept.batches, kept.slack_bytes, strict=True))
    assert at[2] == slack_bytes(STEP, WEIGHTS, 1)
    assert at[64] == slack_bytes(STEP, WEIGHTS, 32)


def test_a_pool_that_falls_where_the_batch_grows_is_levelled_by_means():
    assert nearest_rising([1.0, 5.0, 3.0, 7.0]) == [1.0, 4.0, 4.0, 7.0]
    # 6 and 3 to 4.5, then 0 with both: 9 / 3
    assert nearest_rising([6.0, 3.0, 0.0, 9.0]) == [3.0, 3.0, 3.0, 9.0]
