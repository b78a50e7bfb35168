"""Several nodes: what the network carries, what hides it, and what follows for time, energy and cost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pencil import CALIBRATION, CARD, DATASET, HARDWARE, PROFILE, RECIPE, feed

from canitrain.core.recipe import Strategy
from canitrain.core.report import Bottleneck
from canitrain.estimate.communication import exchange, network_passes
from canitrain.estimate.gpu_scaling import gpu_scaling, last_that_helps, obstacle_after, shares_of
from canitrain.estimate.run_time import run_time
from canitrain.estimate.step_time import accumulation_steps

replace = msgspec.structs.replace
LINKS = CALIBRATION.links
GRADIENT_BYTES = 400e6
SLOW, FAST = 1.25e9, 25e9
"""10 and 200 Gb/s."""
PEERS = replace(CARD, name="RTX A4000")
"""The same card, as one whose driver lets it reach others over PCIe."""
NVLINK = replace(PEERS, link_bytes_per_s=300e9)
properties = settings(max_examples=60, deadline=None, derandomize=True)


def shared(*, gpus, nodes, network=FAST, backward_s=0.0, card=PEERS):
    return exchange(
        Strategy.DDP, gpus=gpus, nodes=nodes, network_bytes_per_s=network, gradient_bytes=GRADIENT_BYTES,
        parameter_tensors=100, batch_bytes=1e8, backward_s=backward_s, card=card, links=LINKS,
    )  # fmt: skip


def timed(*, nodes, gpus=2, network=FAST, **recipe):
    asked = replace(RECIPE, gpus=gpus, nodes=nodes, network_bytes_per_s=network, effective_batch_size=64, **recipe)
    return run_time(PROFILE, asked, replace(DATASET, images=100_000), 16, CARD, HARDWARE, feed(), CALIBRATION)


@pytest.mark.parametrize(
    ("gpus", "nodes", "passes"),
    [
        (8, 1, 0.0),
        (2, 2, 1.0),
        (16, 2, 1.0),  # a tree; a ring would send 2 x 15 / 16
        (4, 4, 1.5),  # 2 x 3 / 4
        (32, 4, 1.9375),  # 2 x 31 / 32
    ],
)
def test_a_node_sends_the_gradients_so_many_times(gpus, nodes, passes):
    assert network_passes(gpus, nodes) == passes


def test_a_slow_network_decides_with_what_it_carries():
    found = shared(gpus=8, nodes=2, network=SLOW)
    assert found.sent_bytes == GRADIENT_BYTES
    # 400 MB once at 10 Gb/s x 0.88; 4 cards around each ring, 2 ways up and down a tree of two nodes.
    expected = 400e6 / (1.25e9 * 0.88) + (4 + 2) * LINKS.latency_s.value
    assert found.ring_s == found.exposed_s == pytest.approx(expected)
    assert found.network_bound


def test_the_links_inside_a_node_decide_where_the_network_is_faster():
    found = shared(gpus=8, nodes=2, network=1e12)
    rate = 31.5e9 * LINKS.pcie_ratio.value
    assert found.exposed_s == pytest.approx(2 * 7 / 8 * 400e6 / rate + 6 * LINKS.latency_s.value)
    assert not found.network_bound


def test_a_lone_card_reaches_the_network_over_pcie_whatever_its_nvlink():
    assert shared(gpus=2, nodes=2, network=1e12, card=NVLINK) == shared(gpus=2, nodes=2, network=1e12)
    assert shared(gpus=4, nodes=2, network=1e12, card=NVLINK).ring_s < shared(gpus=4, nodes=2, network=1e12).ring_s


def test_all_but_the_last_bucket_hides_under_a_long_backward_pass():
    found = shared(gpus=8, nodes=2, network=SLOW, backward_s=100.0)
    assert found.exposed_s == pytest.approx(25 * 2**20 / (1.25e9 * 0.88))
    assert found.ring_s > found.exposed_s


def test_a_network_of_which_nothing_is_known_is_the_calibrations():
    assert shared(gpus=4, nodes=2, network=None) == shared(gpus=4, nodes=2, network=LINKS.network_bytes_per_s.value)


@properties
@given(st.integers(1, 8), st.integers(1, 200), st.integers(1, 50), st.floats(1e8, 1e12), st.floats(0, 1))
def test_more_nodes_or_a_slower_network_never_shorten_the_exchange(gpus, nodes, more, network, backward_s):
    before = shared(gpus=gpus * nodes, nodes=nodes, network=network, backward_s=backward_s)
    larger = shared(gpus=gpus * (nodes + more), nodes=nodes + more, network=network, backward_s=backward_s)
    faster = shared(gpus=gpus * nodes, nodes=nodes, network=2 * network, backward_s=backward_s)
    for name in ("ring_s", "exposed_s", "sent_bytes"):
        assert getattr(larger, name) >= getattr(before, name)
        assert getattr(faster, name) <= getattr(before, name)


@properties
@given(st.integers(1, 8), st.integers(1, 64), st.integers(2, 4), st.floats(1e8, 1e12))
def test_more_nodes_never_bring_more_than_their_number(gpus, nodes, times, network):
    few, many = (timed(gpus=gpus, nodes=count, network=network) for count in (nodes, nodes * times))
    assert many.images_per_s <= few.images_per_s * times * (1 + 1e-9)
    assert many.step_s.expected >= few.step_s.expected * (1 - 1e-9)


def test_nodes_share_the_images_and_the_price_is_each_ones():
    one, four = (timed(nodes=nodes, price_per_hour=2.0, validation=False) for nodes in (1, 4))
    assert four.images_per_s == pytest.approx(4 * 2 * 16 / four.step_s.expected)
    # 100,000 / (16 x 2 x 4) = 781.25 steps, the last one short, and what an epoch costs beside them.
    assert 781 * four.step_s.expected < four.epoch_s.expected < one.epoch_s.expected / 3
    hours = four.total_s.expected / 3600
    assert four.cost == pytest.approx(4 * 2.0 * hours)
    assert one.energy_kwh < four.energy_kwh < 4 * 2 * 0.170 * hours


def test_each_nodes_loader_feeds_its_own_gpus():
    # Loading takes as long in each of four nodes as in one.
    one, four = timed(nodes=1), timed(nodes=4)
    assert four.parts.loader_s == one.parts.loader_s


def test_accumulation_counts_the_gpus_of_all_nodes():
    # 256 / (4 x 2 x 8) = 4
    assert accumulation_steps(replace(RECIPE, effective_batch_size=256, gpus=2, nodes=8), 4) == 4


def test_a_slow_network_is_the_bottleneck_and_says_what_it_carries():
    slow, fast = timed(nodes=4, network=1e7), timed(nodes=4, network=FAST)
    assert slow.bottleneck is Bottleneck.NETWORK
    assert fast.bottleneck is not Bottleneck.NETWORK
    assert slow.network.exposed_s > fast.network.exposed_s
    assert slow.parts.communication_s > slow.network.exposed_s  # and the wait for the slowest of 8
    # 24 MB of gradients, 2 x 7 / 8 of them from each node.
    assert slow.network.sent_bytes == pytest.approx(1.75 * 24e6)
    assert not slow.network.assumed
    assert timed(nodes=4, network=None).network.assumed
    assert timed(nodes=1).network is None


def test_scaling_doubles_the_nodes_after_the_gpus_of_one():
    shares = shares_of(replace(RECIPE, gpus=2, nodes=6))
    assert [(share.gpus, share.nodes) for share in shares] == [(1, 1), (2, 1), (2, 2), (2, 4), (2, 6)]


def test_scaling_names_the_network_beyond_the_node_that_it_holds_up():
    shares = shares_of(replace(RECIPE, gpus=2, nodes=4, network_bytes_per_s=1e7, effective_batch_size=64))
    rows = gpu_scaling(
        PROFILE, shares, replace(DATASET, images=1_000_000), batch_size=16, card=CARD, hardware=HARDWARE,
        feeds=[feed()] * 4, calibration=CALIBRATION,
    )  # fmt: skip
    useful = last_that_helps(rows)
    assert [(row.gpus, row.nodes) for row in rows] == [(1, 1), (2, 1), (4, 2), (8, 4)]
    assert (useful.gpus, useful.nodes) == (2, 1)
    assert obstacle_after(rows, useful) is Bottleneck.NETWORK
