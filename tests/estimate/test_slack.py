"""Slack as replayed: between the replayed batches, beyond them and at other image sizes."""

from __future__ import annotations

import memory_cases as cases
import pytest

from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Peak, Phase, Precision, SlackReplays
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.slack import Floor, replayed_slack

REPLAYS = SlackReplays(pixels=1000, batches=(2, 4, 8), slack_bytes=(100, 500, 300))


@pytest.mark.parametrize(
    ("batch_size", "slack_bytes"),
    [
        (1, 50),  # half the fewest that were replayed
        (2, 100),
        (3, 300),  # half way from 100 to 500
        (4, 500),
        (5, 450),  # a quarter of the way from 500 to 300
        (8, 300),
        (16, 600),  # twice the last
    ],
)
def test_slack_is_straight_between_replays_and_in_proportion_beyond(batch_size, slack_bytes):
    assert replayed_slack(REPLAYS, 1000.0, follows_pixels=True).at(batch_size) == pytest.approx(slack_bytes)


@pytest.mark.parametrize(
    ("pixels", "batch_size", "slack_bytes"),
    [
        (2000.0, 1, 100),  # as many pixels as the 2 replayed images
        (2000.0, 4, 300),  # ... as 8
        (500.0, 8, 500),  # ... as 4
        (250.0, 4, 50),  # ... as 1
        (4000.0, 4, 600),  # ... as 16: twice the last
    ],
)
def test_as_many_pixels_in_all_leave_the_same_slack(pixels, batch_size, slack_bytes):
    assert replayed_slack(REPLAYS, pixels, follows_pixels=True).at(batch_size) == pytest.approx(slack_bytes)


def test_slack_of_a_model_traced_at_one_size_is_looked_up_by_the_batch_alone():
    assert replayed_slack(REPLAYS, 1500.0, follows_pixels=False).at(4) == pytest.approx(750)


def test_a_floor_holds_for_larger_batches_alone_and_rises_by_what_images_take_whatever_their_size():
    floor = Floor(pools=((2, 10.0), (4, 30.0), (8, 20.0)), image_bytes=1.0)
    # At 9: 10 + 7, 30 + 5 and 20 + 1.
    assert [floor.at(batch_size) for batch_size in (2, 3, 5, 9)] == [0.0, 11.0, 31.0, 35.0]


@pytest.mark.parametrize("sizeless_image_bytes", [0, 50 * cases.MIB_BYTES])
def test_larger_images_keep_the_hole_of_smaller_ones(sizeless_image_bytes):
    mib = cases.MIB_BYTES
    replays = SlackReplays(pixels=1000, batches=(1, 2, 3), slack_bytes=(0, 100 * mib, 0))
    peak = Peak(stage="head", phase=Phase.BACKWARD, live_bytes=Polynomial(b=sizeless_image_bytes, bp=12.0))
    trace = cases.trace(slack_bytes=Polynomial(), slack_replays=replays, peaks=(peak,))
    profile = cases.profile(traces={Precision.FP32: trace})

    def reserved_bytes(pixels: float) -> float:
        shape = BatchShape(batch_size=6, pixels=pixels, boxes=0.0)
        memory = gpu_memory(
            profile, cases.recipe(), shape, cases.card(), cases.shipped(), total_bytes=None, budget_bytes=None
        )
        return memory.reserved_bytes.expected

    # 6 images are as many pixels as 1, 2 and 3 replayed ones.
    assert reserved_bytes(1000 / 3) - reserved_bytes(1000 / 6) == pytest.approx(100 * mib, rel=0.01)
    assert reserved_bytes(500.0) - reserved_bytes(1000 / 3) == pytest.approx(0, abs=0.1 * mib)


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
