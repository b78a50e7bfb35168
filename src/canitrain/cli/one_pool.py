"""Described cards without memory of their own: what they and the processor share."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown, value_or_none
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import OF_THE_CHIP, Gpu, Hardware
from canitrain.core.unified_memory import gpu_share_bytes
from canitrain.core.units import format_bytes


def share_memory(machine: Hardware, *, ram_given: bool) -> Hardware:
    """``machine`` with the RAM of its described cards' chips, where these have unified memory.

    The pool is what the chips are sold with, and no more than ``--ram`` where that was given. The cards get their share
    of it, and a warning tells that both needs come out of it.
    """
    gpus = machine.gpus.value if not isinstance(machine.gpus, Unknown) else ()
    shared = [(gpu, gpu.spec) for gpu in gpus if gpu.spec is not None and gpu.spec.unified_memory]
    if not shared or len(shared) < len(gpus):  # a card of its own beside them: the machine around it is another one
        return machine
    sold_bytes = sum(spec.memory_bytes for _, spec in shared)
    ram_bytes = value_or_none(machine.ram.usable_bytes) if ram_given else None
    pool_bytes = sold_bytes if ram_bytes is None else min(sold_bytes, ram_bytes)
    each = {gpu.index: _with_share(gpu, spec, pool_bytes // len(shared)) for gpu, spec in shared}
    pool = Known(value=pool_bytes, source=OF_THE_CHIP)
    warning = (
        f"{shared[0][1].name} has no memory of its own: what the GPU and the processor need comes out of one pool of "
        f"{format_bytes(pool_bytes)}; if yours has less, say so with --ram"
    )
    return replace(
        machine,
        gpus=Known(value=tuple(each.get(gpu.index, gpu) for gpu in gpus), source="command line"),
        ram=replace(machine.ram, total_bytes=pool, available_bytes=pool, usable_bytes=pool, bounds=()),
        warnings=(*machine.warnings, warning),
    )


def _with_share(gpu: Gpu, spec: GpuSpec, pool_bytes: int) -> Gpu:
    """``gpu`` with what it may take of its part of the pool."""
    share = Known(value=gpu_share_bytes(spec.vendor, min(pool_bytes, spec.memory_bytes)), source=OF_THE_CHIP)
    return replace(gpu, total_bytes=share, free_bytes=share)
