"""Where GPU and processor share one memory, what both need has to fit into it together."""

from __future__ import annotations

from canitrain.core.fact import value_or_none
from canitrain.core.question import MemoryEstimate, Question
from canitrain.core.report import Reason, Resource, Status
from canitrain.core.target import GpuTarget
from canitrain.core.units import format_bytes


def unified_memory_rule(question: Question, run: MemoryEstimate) -> Reason | None:
    """Both needs against the memory that is usable at all; nothing where they fit, or where the GPU has its own.

    As where each has its own, the least that runs on the GPU and the RAM that is expected say no.
    """
    target, gpu, ram = question.target, run.memory.gpu, run.memory.host.ram_bytes
    usable_bytes = value_or_none(question.hardware.ram.usable_bytes)
    if not isinstance(target, GpuTarget) or not target.card.unified_memory or gpu is None or usable_bytes is None:
        return None
    count = len(target.gpus)
    most_bytes = gpu.device_bytes.high * count + ram.high
    if most_bytes <= usable_bytes:
        return None
    least_bytes = gpu.required_bytes.low * count + ram.expected
    status = Status.NO_GO if least_bytes > usable_bytes else Status.TIGHT
    message = (
        f"GPU and processor share {format_bytes(usable_bytes)}, and batch {run.batch_size} needs at least "
        f"{format_bytes(least_bytes)} of it, up to {format_bytes(most_bytes)}"
    )
    return Reason(resource=Resource.RAM, status=status, message=message)
