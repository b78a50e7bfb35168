"""Peak of live bytes of one training step on the CPU, from torch's own memory records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from canitrain.core.profile import Precision
from canitrain.measure.run import Shape, Trainable

if TYPE_CHECKING:
    from torch.autograd.profiler import profile

MEMORY_EVENT = "[memory]"
"""Name of the profiler's records of allocations (positive bytes) and frees (negative)."""


def recorded_peak_bytes(build: Callable[[Precision], Trainable], shape: Shape) -> int:
    """Highest bytes alive during forward and backward of a second fp32 step, less what was alive before it.

    Weight gradients are freed before the step and count when they appear. Scratch memory that the CPU's convolutions
    take outside torch's allocator is not seen.

    Args:
        build: makes the model and its step on the CPU.
        shape: (batch, height, width, boxes).
    """
    import torch  # noqa: PLC0415 - heavy
    from torch.profiler import ProfilerActivity  # noqa: PLC0415

    trainable = build(Precision.FP32)
    trainable.step(*shape).backward()
    trainable.model.zero_grad(set_to_none=True)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU], profile_memory=True) as records:
        trainable.step(*shape).backward()
    assert records.profiler is not None
    return peak_of(changes(records.profiler))


def changes(records: profile) -> list[tuple[int, int]]:
    """(time in ns, bytes) of every allocation and, with negative bytes, every free."""
    results = records.kineto_results
    assert results is not None
    return [(event.start_ns(), event.nbytes()) for event in results.events() if event.name() == MEMORY_EVENT]


def peak_of(changes: list[tuple[int, int]]) -> int:
    """The highest running sum of ``changes`` in the order of their times; an empty list has none: 0."""
    live, peak = 0, 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        live += size
        peak = max(peak, live)
    return peak
