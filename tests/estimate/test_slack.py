"""Slack as replayed: between the replayed batches, beyond them and at other image sizes."""

from __future__ import annotations

import memory_cases as cases
import pytest

from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Precision, SlackReplays
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.slack import floor_bytes, replayed_slack

REPLAYS = SlackReplays(pixels=1000, batches=(2, 4, 8), slack_bytes=(100, 500, 300))


@pytest.mark.parametrize(
    ("batch_size", "slack_bytes"),
    [
        (1, 100),  # the fewest that were replayed
        (2, 100),
        (3, 300),  # half way from 100 to 500
        (4, 500),
        (5, 450),  # a quarter of the way from 500 to 300
        (8, 300),
        (16, 600),  # twice the last
    ],
)
def test_slack_is_straight_between_replays_and_in_proportion_beyond(batch_size, slack_bytes):
    assert replayed_slack(REPLAYS, 1000.0).at(batch_size) == pytest.approx(slack_bytes)


def test_slack_grows_with_the_images():
    assert replayed_slack(REPLAYS, 1500.0).at(4) == pytest.approx(750)


def test_a_floor_holds_for_larger_batches_alone():
    floor = ((2, 10.0), (4, 30.0), (8, 20.0))
    assert [floor_bytes(floor, batch_size) for batch_size in (2, 3, 5, 9)] == [0.0, 10.0, 30.0, 30.0]


def test_where_slack_falls_faster_than_tensors_grow_the_pool_stays_as_large():
    mib = cases.MIB_BYTES
    replays = SlackReplays(pixels=1000, batches=(1, 2, 3), slack_bytes=(0, 100 * mib, 0))
    trace = cases.trace(slack_bytes=Polynomial(), slack_replays=replays)
    profile = cases.profile(traces={Precision.FP32: trace})

    def reserved_bytes(batch_size: int) -> float:
        shape = BatchShape(batch_size=batch_size, pixels=1000.0, boxes=0.0)
        memory = gpu_memory(
            profile, cases.recipe(), shape, cases.card(), cases.shipped(), total_bytes=None, budget_bytes=None
        )
        return memory.reserved_bytes.expected

    # Tensors of this profile are some kB an image: the hole of 100 MiB at 2 images stays reserved at 3.
    assert reserved_bytes(2) - reserved_bytes(1) == pytest.approx(100 * mib, rel=0.01)
    assert reserved_bytes(3) - reserved_bytes(2) == pytest.approx(0, abs=0.1 * mib)


def test_the_lower_end_does_not_fall_where_workspaces_grow_as_slack_falls():
    mib = cases.MIB_BYTES
    # A 3 x 3 convolution with 50 MiB of input and output an image, which the lower end hardly counts.
    wide = Convolution(
        in_channels=256,
        out_channels=256,
        kernel=(3, 3),
        count=Polynomial(one=1.0),
        input_pixels=Polynomial(b=25 * mib / 1024),
        output_pixels=Polynomial(b=25 * mib / 1024),
    )
    replays = SlackReplays(pixels=1000, batches=(1, 2, 3), slack_bytes=(0, 50 * mib, 0))
    trace = cases.trace(slack_bytes=Polynomial(), slack_replays=replays, convolutions=(wide,))
    profile = cases.profile(traces={Precision.FP32: trace})
    low_bytes = [
        gpu_memory(
            profile,
            cases.recipe(),
            BatchShape(batch_size=batch_size, pixels=1000.0, boxes=0.0),
            cases.card(),
            cases.shipped(),
            total_bytes=None,
            budget_bytes=None,
        ).reserved_bytes.low
        for batch_size in (1, 2, 3)
    ]
    assert low_bytes == sorted(low_bytes)
