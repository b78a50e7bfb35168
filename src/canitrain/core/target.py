"""The device that a run would use, chosen from the machine and the recipe."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu, Gpu
from canitrain.core.report import Status


class GpuTarget(Struct, frozen=True, kw_only=True):
    """One GPU, or several that share each step; the bytes are those of the one with least, ``card`` is the slowest."""

    gpus: tuple[Gpu, ...]
    weakest: Gpu
    card: GpuSpec
    total_bytes: float | None
    """What the driver says the card has; ``None`` where it does not say."""
    budget_bytes: float | None
    """What the run may use: free memory, or the whole card with ``--assume-idle``; ``None`` where unknown."""
    budget_reason: str
    """How the budget was found, or why it is not known."""


class CpuTarget(Struct, frozen=True, kw_only=True):
    """Training on the processor, from main memory."""

    cpu: Cpu
    chosen: bool
    """Asked for with ``--device cpu``, and not for want of a GPU."""


class NoTarget(Struct, frozen=True, kw_only=True):
    """No device to estimate on: ``status`` is no-go where there certainly is none, unknown where it cannot be told."""

    status: Status
    reason: str


Target = GpuTarget | CpuTarget | NoTarget
