"""Whether GPU memory fits: the one rule, for the search and for the verdict."""

from __future__ import annotations

from canitrain.core.report import GpuMemory, Status


def memory_status(memory: GpuMemory, budget_bytes: float) -> Status:
    """The one rule: ``go`` when even the upper bound fits, ``no-go`` when not even the least does, else ``tight``."""
    if memory.device_bytes.high <= budget_bytes:
        return Status.GO
    return Status.NO_GO if memory.required_bytes.low > budget_bytes else Status.TIGHT
