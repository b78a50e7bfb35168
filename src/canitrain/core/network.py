"""What connects the nodes of a run, and what goes over it."""

from __future__ import annotations

from msgspec import Struct


class NetworkUse(Struct, frozen=True, kw_only=True):
    """What the nodes of a run send each other in one step."""

    nodes: int
    bytes_per_s: float
    """Line rate of one node's network, as given or as assumed."""
    assumed: bool
    """Nobody said how fast the network is."""
    sent_bytes: float
    """Gradients that one node sends a step."""
    exchange_s: float
    """The whole exchange, hidden or not."""
    exposed_s: float
    """Of it, what the backward pass does not hide: part of ``StepParts.communication_s``."""
