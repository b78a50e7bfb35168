"""What GPUs spend on each other, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pencil import CALIBRATION, CARD, PROFILE, RECIPE

from canitrain.core.gpu import Generation
from canitrain.core.polynomial import BatchShape
from canitrain.core.recipe import Strategy
from canitrain.core.report import Bottleneck, ScalingRow
from canitrain.estimate.communication import (
    exchange,
    launched_replicas,
    network_passes,
    reaches_peers,
    ring_bytes_per_s,
    straggling_s,
)
from canitrain.estimate.gpu_scaling import last_that_helps, obstacle_after, shares_of
from canitrain.estimate.step_time import step_time

LINKS = CALIBRATION.links
SHARED = {"gradient_bytes": 400e6, "parameter_tensors": 100, "batch_bytes": 1e8, "backward_s": 0.0, "links": LINKS}
PCIE_BYTES_PER_S = 31.5e9 * LINKS.pcie_ratio.value
PEERS = replace(CARD, name="RTX A4000")
"""The same card, as one whose driver lets it reach others over PCIe."""
SECONDS = st.floats(0, 10)
properties = settings(max_examples=100, deadline=None, derandomize=True)


def test_one_gpu_has_nobody_to_exchange_with():
    for strategy in Strategy:
        found = exchange(strategy, gpus=1, card=CARD, **SHARED)
        assert (found.exposed_s, found.host_s, found.ring_s, found.sent_bytes) == (0, 0, 0, 0)


def test_links_between_cards_take_the_place_of_pcie():
    found = exchange(Strategy.DDP, gpus=2, card=replace(CARD, link_bytes_per_s=300e9), **SHARED)
    # 2 x 1/2 of the gradients
    assert found.ring_s == pytest.approx(400e6 / (300e9 * LINKS.link_ratio.value) + 2 * LINKS.latency_s.value)


def test_a_card_without_a_stated_pcie_rate_has_the_usual_one():
    found = exchange(Strategy.DDP, gpus=2, card=replace(PEERS, pcie_bytes_per_s=None), **SHARED)
    rate = LINKS.default_pcie_bytes_per_s.value * LINKS.pcie_ratio.value
    assert found.ring_s == pytest.approx(400e6 / rate + 2 * LINKS.latency_s.value)


@pytest.mark.parametrize(
    ("name", "generation", "reached"),
    [
        ("GeForce RTX 2080 Ti", Generation.TURING, False),
        ("GeForce RTX 3090", Generation.AMPERE, False),
        ("GeForce RTX 4090", Generation.ADA, False),
        ("GeForce RTX 5090", Generation.BLACKWELL, False),
        ("GeForce GTX 1080 Ti", Generation.PASCAL, True),
        ("RTX A4000", Generation.AMPERE, True),
        ("A100-PCIE-40GB", Generation.AMPERE, True),
        ("Radeon RX 7900 XTX", Generation.RDNA3, True),
    ],
)
def test_geforce_cards_since_turing_do_not_reach_each_other_over_pcie(name, generation, reached):
    assert reaches_peers(replace(CARD, name=name, generation=generation)) is reached


def test_cards_that_cannot_reach_each_other_meet_in_the_hosts_memory():
    found = exchange(Strategy.DDP, gpus=4, card=CARD, **SHARED)
    # 2 x 3/4 of the gradients
    expected = 1.5 * 400e6 / LINKS.host_memory_bytes_per_s.value + 4 * LINKS.latency_s.value
    assert found.ring_s == pytest.approx(expected)
    # A narrow slot is slower still: PCIe 3.0 x4.
    assert ring_bytes_per_s(replace(CARD, pcie_bytes_per_s=3.94e9), LINKS) == 3.94e9 * LINKS.pcie_ratio.value


def test_a_bridge_is_not_counted_on():
    bridged = replace(CARD, link_bytes_per_s=56.25e9, link_bridge=True)
    assert ring_bytes_per_s(bridged, LINKS) == LINKS.host_memory_bytes_per_s.value
    assert ring_bytes_per_s(replace(bridged, name="RTX A5000"), LINKS) == PCIE_BYTES_PER_S


def test_a_loop_that_exchanges_after_the_backward_pass_hides_nothing():
    asked = SHARED | {"backward_s": 100.0}
    late = exchange(Strategy.DDP, gpus=2, card=PEERS, **asked, overlaps=False)
    assert late.exposed_s == late.ring_s
    # What hides but for the last bucket, 25 MiB.
    hidden = exchange(Strategy.DDP, gpus=2, card=PEERS, **asked)
    assert hidden.exposed_s == pytest.approx(25 * 2**20 / PCIE_BYTES_PER_S)


@properties
@given(
    st.fixed_dictionaries({"gradient_bytes": st.floats(1e6, 4e9), "backward_s": SECONDS, "overlaps": st.booleans()}),
    st.sampled_from([Strategy.DDP, Strategy.DP]), st.integers(2, 16), st.floats(1, 4),
)  # fmt: skip
def test_more_bytes_or_cards_never_shorten_an_exchange(options, strategy, gpus, times):
    asked = SHARED | options | {"card": CARD}
    found = exchange(strategy, gpus=gpus, **asked)
    heavier = exchange(strategy, gpus=gpus, **asked | {"gradient_bytes": times * options["gradient_bytes"]})
    wider = exchange(strategy, gpus=gpus + 1, **asked)
    for other in (heavier, wider):
        for name in ("exposed_s", "ring_s", "host_s"):
            assert getattr(other, name) >= getattr(found, name) * (1 - 1e-12)


@properties
@given(st.sampled_from([Strategy.DDP, Strategy.DP]), st.integers(2, 16), st.floats(1e6, 4e9), SECONDS)
def test_links_are_never_slower_than_pcie_nor_pcie_than_the_hosts_memory(strategy, gpus, gradient_bytes, backward_s):
    asked = SHARED | {"gradient_bytes": gradient_bytes, "backward_s": backward_s}
    linked = replace(PEERS, link_bytes_per_s=150e9)
    seconds = [exchange(strategy, gpus=gpus, card=card, **asked).exposed_s for card in (linked, PEERS, CARD)]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(("gpus", "replicas"), [(2, 1), (4, 3)])
def test_data_parallel_copies_weights_and_batch_and_fetches_gradients(gpus, replicas):
    found = exchange(Strategy.DP, gpus=gpus, card=PEERS, **SHARED)
    # Weights and gradients go from card to card, each once; GPU 0 sends every other one its share of the batch.
    copied_bytes = 2 * 400e6 + 1e8 * replicas / gpus
    assert found.exposed_s == pytest.approx(copied_bytes / PCIE_BYTES_PER_S)
    assert found.host_s == pytest.approx(replicas * 100 * LINKS.replicate_tensor_s.value)


@pytest.mark.parametrize(("strategy", "replicas"), [(Strategy.DP, 4), (Strategy.DDP, 1)])
def test_data_parallel_launches_for_all_gpus_in_one_process(strategy, replicas):
    assert launched_replicas(strategy, 4) == replicas


def test_data_parallel_launches_passes_a_replica_but_one_update():
    shape = BatchShape(batch_size=4, pixels=640.0 * 640, boxes=7.0)

    def launches_s(gpus: int, *, ema: bool) -> float:
        recipe = replace(RECIPE, gpus=gpus, strategy=Strategy.DP, effective_batch_size=4 * gpus, ema=ema)
        return step_time(PROFILE, recipe, shape, CARD, slowness=1.0, bench=None, calibration=CALIBRATION).launches_s

    update_s = launches_s(1, ema=True) - launches_s(1, ema=False)
    assert update_s > 0
    assert launches_s(4, ema=True) - launches_s(4, ema=False) == pytest.approx(update_s)
    assert launches_s(4, ema=False) > 2 * launches_s(1, ema=False)


@pytest.mark.parametrize(("gpus", "nodes", "passes"), [(8, 1, 0.0), (8, 2, 1.0), (8, 4, 1.75), (4, 4, 1.5)])
def test_a_node_sends_a_rings_share_of_the_gradients(gpus, nodes, passes):
    assert network_passes(gpus, nodes) == passes


@pytest.mark.parametrize(
    ("network_bytes_per_s", "bound"),
    [(1.25e9, True), (1e13, False)],
)
def test_the_slower_of_links_and_network_decides(network_bytes_per_s, bound):
    found = exchange(Strategy.DDP, gpus=8, nodes=4, network_bytes_per_s=network_bytes_per_s, card=PEERS, **SHARED)
    network_s = 1.75 * 400e6 / (network_bytes_per_s * LINKS.network_ratio.value)
    inside_s = 1.75 * 400e6 / PCIE_BYTES_PER_S
    # 2 GPUs around the ring of a node, up and down a tree of 4
    latency_s = LINKS.latency_s.value * (2 + 2 * math.log2(4))
    assert found.ring_s == pytest.approx(max(network_s, inside_s) + latency_s)
    assert found.network_bound is bound
    assert found.sent_bytes == 1.75 * 400e6


def test_each_doubling_of_the_gpus_waits_as_long_again():
    assert [straggling_s(10.0, gpus, 0.02) for gpus in (1, 2, 8)] == pytest.approx([0.0, 0.2, 0.6])


@pytest.mark.parametrize(
    ("gpus", "nodes", "shares"),
    [
        (3, 1, [(1, 1), (2, 1), (3, 1)]),
        (2, 2, [(1, 1), (2, 1), (2, 2)]),
        (1, 6, [(1, 1), (1, 2), (1, 4), (1, 6)]),
        (1, 8, [(1, 1), (1, 2), (1, 4), (1, 8)]),
    ],
)
def test_gpus_are_added_one_by_one_and_nodes_by_doubling(gpus, nodes, shares):
    found = shares_of(replace(RECIPE, gpus=gpus, nodes=nodes))
    assert [(each.gpus, each.nodes) for each in found] == shares


@pytest.mark.parametrize(
    ("seconds", "useful"),
    [
        ((100.0, 80.0), 2),  # a second card brings 1.25x, just a quarter of what it could
        ((100.0, 80.1), 1),
        # A third one can bring a half, and brings 1.125x, an eighth more.
        ((100.0, 50.0, 50.0 / 1.125), 3),
        ((100.0, 50.0, 50.0 / 1.12), 2),
    ],
)
def test_a_card_helps_that_brings_a_quarter_of_what_it_could(seconds, useful):
    rows = [
        ScalingRow(gpus=gpus, images_per_s=1000 / total_s, total_s=total_s, bottleneck=Bottleneck.COMMUNICATION)
        for gpus, total_s in enumerate(seconds, start=1)
    ]
    assert last_that_helps(rows).gpus == useful
    assert obstacle_after(rows, rows[useful - 1]) is (None if useful == len(rows) else Bottleneck.COMMUNICATION)


@pytest.mark.parametrize(
    ("longest", "strategy", "nodes", "obstacle"),
    [
        (Bottleneck.GPU_COMPUTE, Strategy.DDP, 1, Bottleneck.COMMUNICATION),
        (Bottleneck.GPU_MEMORY_BANDWIDTH, Strategy.DP, 1, Bottleneck.COMMUNICATION),
        (Bottleneck.LAUNCHES, Strategy.DDP, 1, Bottleneck.COMMUNICATION),
        (Bottleneck.GPU_COMPUTE, Strategy.DDP, 2, Bottleneck.NETWORK),
        # One process launches for all of them, and one host loads for all of them.
        (Bottleneck.LAUNCHES, Strategy.DP, 1, Bottleneck.LAUNCHES),
        (Bottleneck.DECODE, Strategy.DDP, 1, Bottleneck.DECODE),
        (Bottleneck.STORAGE, Strategy.DDP, 1, Bottleneck.STORAGE),
    ],
)
def test_more_cards_never_fail_for_what_each_does_for_itself(longest, strategy, nodes, obstacle):
    rows = [
        ScalingRow(gpus=gpus, nodes=nodes if gpus > 1 else 1, images_per_s=100.0, total_s=10.0, bottleneck=longest)
        for gpus in (1, 2)
    ]
    assert obstacle_after(rows, rows[0], strategy) is obstacle
