"""Seconds that several GPUs and nodes spend on each other."""

from __future__ import annotations

import math
from typing import assert_never

from msgspec import Struct

from canitrain.core.gpu import Generation, GpuSpec
from canitrain.core.recipe import Strategy
from canitrain.core.time_calibration import Links

PEERLESS = "GeForce"
PEERLESS_SINCE = frozenset({Generation.TURING, Generation.AMPERE, Generation.ADA, Generation.BLACKWELL})
"""Cards that NVIDIA's driver lets reach each other's memory over NVLink at most, never over PCIe.

Source: ``CANNOT Access Peer`` on an RTX 2080 Ti (nccl-tests issue 117) and an RTX 3090 (nccl issue 1127); NVIDIA on its
developer forum of the RTX 4090.
"""


class Exchange(Struct, frozen=True, kw_only=True):
    """One step's exchange between GPUs."""

    exposed_s: float
    """Not hidden under the backward pass: adds to the step."""
    host_s: float
    """Work of the one Python process (DataParallel), on top of its launches."""
    ring_s: float = 0.0
    """The whole exchange of gradients under DDP, hidden or not."""
    sent_bytes: float = 0.0
    """What one node sends to others; 0 where there is one node."""
    network_bound: bool = False
    """Whether the network is slower than the links inside a node."""


def ring_bytes_per_s(card: GpuSpec, links: Links) -> float:
    """What an all-reduce inside one host reaches: links that join all of its cards, else PCIe.

    Cards that cannot reach each other over PCIe meet in the host's memory. Bridges are not counted on: they are sold
    apart and join pairs, so that the ring of more cards is as slow as its way from pair to pair.
    """
    if card.link_bytes_per_s is not None and not card.link_bridge:
        return card.link_bytes_per_s * links.link_ratio.value
    if reaches_peers(card):
        return pcie_bytes_per_s(card, links)
    return min(links.host_memory_bytes_per_s.value, pcie_bytes_per_s(card, links))


def reaches_peers(card: GpuSpec) -> bool:
    """Whether a card reads and writes the memory of another one over PCIe."""
    return not (card.name.startswith(PEERLESS) and card.generation in PEERLESS_SINCE)


def pcie_bytes_per_s(card: GpuSpec, links: Links) -> float:
    """What a card reaches over PCIe, which is also its way to the network."""
    return (card.pcie_bytes_per_s or links.default_pcie_bytes_per_s.value) * links.pcie_ratio.value


def straggling_s(alone_s: float, gpus: int, ratio: float) -> float:
    """What a GPU waits for the slowest of ``gpus``: ``ratio`` of the step it would take alone, a doubling."""
    return alone_s * ratio * math.log2(gpus)


def network_passes(gpus: int, nodes: int) -> float:
    """Times that a node sends the gradients over its network: a ring's share, all of them once between two nodes.

    Source: NCCL, where a ring over all ``gpus`` leaves and enters each node once, and two nodes are a tree whose halves
    go in opposite directions (NCCL issue 209, nccl-tests issue 22: twice as fast as the ring there).
    """
    match nodes:
        case 1:
            return 0.0
        case 2:
            return 1.0
        case _:
            return 2 * (gpus - 1) / gpus


def launched_replicas(strategy: Strategy, gpus: int) -> int:
    """How many replicas one Python process launches for: DataParallel has one process for all ``gpus``."""
    return gpus if strategy is Strategy.DP else 1


def exchange(
    strategy: Strategy,
    *,
    gpus: int,
    nodes: int = 1,
    network_bytes_per_s: float | None = None,
    gradient_bytes: float,
    parameter_tensors: int,
    batch_bytes: float,
    backward_s: float,
    card: GpuSpec,
    links: Links,
    overlaps: bool = True,
) -> Exchange:
    """The exchange of one step among ``gpus`` cards in all.

    Args:
        strategy: DDP averages gradients in a ring, each card sending and receiving 2 (n - 1) / n of them (Patarasuk and
            Yuan 2009); all but the last bucket hide under the backward pass. DataParallel scatters the batch from GPU
            0, hands the weights and then the gradients from card to card, each once, with one Python process for all
            (torch/csrc/cuda/comm.cpp broadcasts and torch/nn/parallel/comm.py reduces by NCCL).
        gpus: Cards over all nodes.
        nodes: Hosts, ``gpus / nodes`` cards in each; chunks flow through links and network at once, so that the slower
            of the two decides.
        network_bytes_per_s: Line rate of one node's network; ``None`` where unknown.
        gradient_bytes: fp32 gradients (autocast keeps them so).
        parameter_tensors: Tensors that DataParallel copies one by one.
        batch_bytes: The whole batch as it lies on GPU 0.
        backward_s: From the first kernel of one card's backward pass to its last, with what they wait for launches.
        card: Any of the equal cards.
        links: Calibration.
        overlaps: Whether the loop exchanges gradients during the backward pass.
    """
    if gpus == 1:
        return Exchange(exposed_s=0.0, host_s=0.0)
    inside_bytes_per_s = ring_bytes_per_s(card, links) if gpus > nodes else pcie_bytes_per_s(card, links)
    match strategy:
        case Strategy.DDP:
            inside_s = 2 * (gpus - 1) / gpus / inside_bytes_per_s
            passes = network_passes(gpus, nodes)
            line_bytes_per_s = network_bytes_per_s or links.network_bytes_per_s.value
            network_s = passes / (line_bytes_per_s * links.network_ratio.value)
            byte_s = max(inside_s, network_s)
            # Around the ring in one node; up and down a tree of nodes.
            hops = gpus / nodes + 2 * math.log2(nodes)
            ring_s = byte_s * gradient_bytes + links.latency_s.value * hops
            last_s = byte_s * min(gradient_bytes, links.bucket_bytes.value)
            hidden_s = links.overlap_ratio.value * backward_s if overlaps else 0.0
            return Exchange(
                exposed_s=max(ring_s - hidden_s, last_s),
                host_s=0.0,
                ring_s=ring_s,
                sent_bytes=passes * gradient_bytes,
                network_bound=network_s > inside_s,
            )
        case Strategy.DP:
            replicas = gpus - 1
            copied_bytes = 2 * gradient_bytes + batch_bytes * replicas / gpus
            host_s = replicas * parameter_tensors * links.replicate_tensor_s.value
            return Exchange(exposed_s=copied_bytes / inside_bytes_per_s, host_s=host_s)
        case _:
            assert_never(strategy)
