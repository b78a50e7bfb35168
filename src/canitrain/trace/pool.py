"""Replays a step's allocations through the rules of CUDA's caching allocator: what it keeps beyond live bytes.

The allocator cuts blocks from segments, reuses the smallest free block that is large enough and never moves one, so
that holes remain. While the backward of a k x k convolution runs, cuDNN converts layouts: one copy of its input and
output is taken too. Source: c10/cuda/CUDACachingAllocator.cpp (kSmallSize, kSmallBuffer, kMinLargeAlloc, kLargeBuffer,
kRoundLarge, should_split) and torch docs, CUDA semantics, memory management.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from canitrain.core.units import ALLOCATOR_ROUND_BYTES, MIB_BYTES

SMALL_BYTES = MIB_BYTES
"""Blocks up to this size come from small segments."""
SMALL_SEGMENT_BYTES = 2 * MIB_BYTES
LARGE_SEGMENT_BYTES = 20 * MIB_BYTES
"""The segment of blocks below ``DIRECT_BYTES``; larger ones get their own, rounded to ``SEGMENT_ROUND_BYTES``."""
DIRECT_BYTES = 10 * MIB_BYTES
SEGMENT_ROUND_BYTES = 2 * MIB_BYTES

SAME_SIZE = (1.0, 1.0)
"""Two steps: the first leaves holes that optimizer state then fills; from the second on nothing changes."""


ALLOCATED, FREED, CONVOLVED = range(3)


@dataclass(frozen=True, kw_only=True)
class Allocations:
    """What a step allocated and freed, in order."""

    events: tuple[tuple[int, int], ...]
    """(``ALLOCATED`` or ``FREED``, storage number) or (``CONVOLVED``, index into ``workspaces``)."""
    sizes: tuple[int, ...]
    """Bytes of each storage."""
    gradients: frozenset[int]
    """Storages that are weight gradients: freed before the next step."""
    fixed: tuple[int, ...] = ()
    """Of each storage the bytes that do not grow with the batch: standardized weights, tables. Empty: none."""
    workspaces: tuple[int, ...] = ()
    """Of convolutions whose backward converts layouts: bytes of input and output together, taken while it runs."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Bytes of each parameter."""

    all_bytes: tuple[int, ...]
    trainable_bytes: tuple[int, ...]


class _Block:
    """A stretch of a segment."""

    __slots__ = ("address", "after", "before", "free", "size", "small")

    def __init__(self, address: int, size: int, *, small: bool) -> None:
        self.address, self.size, self.small = address, size, small
        self.free = False
        self.before: _Block | None = None
        self.after: _Block | None = None


class Pool:
    """The caching allocator of one device, without a limit."""

    def __init__(self) -> None:
        """Start empty."""
        self.reserved_bytes = self.allocated_bytes = 0
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._blocks: dict[int, _Block] = {}
        self._next_address = 0

    def allocate(self, size_bytes: int) -> _Block:
        """A block of at least ``size_bytes``: the smallest free one that fits, else a new segment."""
        size = -(-size_bytes // ALLOCATOR_ROUND_BYTES) * ALLOCATOR_ROUND_BYTES
        small = size <= SMALL_BYTES
        free = self._free[small]
        place = bisect.bisect_left(free, (size, -1))
        block = self._blocks[free.pop(place)[1]] if place < len(free) else self._segment(size, small=small)
        rest = block.size - size
        if rest >= ALLOCATOR_ROUND_BYTES if small else rest > SMALL_BYTES:
            self._split(block, size)
        block.free = False
        self.allocated_bytes += block.size
        return block

    def release(self, block: _Block) -> None:
        """Give ``block`` back; it merges with free neighbours of its segment."""
        self.allocated_bytes -= block.size
        before, after = block.before, block.after
        if before is not None and before.free:
            self._forget(before)
            before.size += block.size
            before.after = after
            if after is not None:
                after.before = before
            del self._blocks[block.address]
            block = before
        if after is not None and after.free:
            self._forget(after)
            block.size += after.size
            block.after = after.after
            if after.after is not None:
                after.after.before = block
            del self._blocks[after.address]
        block.free = True
        bisect.insort(self._free[block.small], (block.size, block.address))

    def _segment(self, size: int, *, small: bool) -> _Block:
        if small:
            whole = SMALL_SEGMENT_BYTES
        elif size < DIRECT_BYTES:
            whole = LARGE_SEGMENT_BYTES
        else:
            whole = -(-size // SEGMENT_ROUND_BYTES) * SEGMENT_ROUND_BYTES
        self.reserved_bytes += whole
        block = _Block(self._next_address, whole, small=small)
        self._blocks[block.address] = block
        self._next_address += whole
        return block

    def _split(self, block: _Block, size: int) -> None:
        rest = _Block(block.address + size, block.size - size, small=block.small)
        rest.free, rest.before, rest.after = True, block, block.after
        if block.after is not None:
            block.after.before = rest
        block.size, block.after = size, rest
        self._blocks[rest.address] = rest
        bisect.insort(self._free[rest.small], (rest.size, rest.address))

    def _forget(self, block: _Block) -> None:
        free = self._free[block.small]
        del free[bisect.bisect_left(free, (block.size, block.address))]


def replay(
    allocations: Allocations, weights: Weights, scale: float, sizes: Sequence[float] = SAME_SIZE
) -> tuple[int, int]:
    """Reserved and highest live bytes after some steps of SGD with momentum.

    Args:
        allocations: of one traced step.
        weights: what exists before the step and what the optimizer adds.
        scale: how many times the traced batch; activations grow with it, gradients and fixed bytes don't.
        sizes: one a step, what its activations are to the largest.
    """
    run = PoolRun(weights)
    for size in sizes:
        run.train(allocations, scale * size)
    return run.pool.reserved_bytes, run.highest_bytes


class PoolRun:
    """A pool through the steps of a training by SGD with momentum."""

    def __init__(self, weights: Weights) -> None:
        """Start with the weights on the device."""
        self.pool = Pool()
        self.highest_bytes = 0
        self._held: dict[int, _Block] = {}
        self._state_bytes = weights.trainable_bytes
        for weight_bytes in weights.all_bytes:
            self.pool.allocate(weight_bytes)

    def train(self, allocations: Allocations, factor: float) -> None:
        """One step with activations ``factor`` times the traced ones; the first one makes the optimizer's state."""
        for number in allocations.gradients & self._held.keys():
            self.pool.release(self._held.pop(number))
        self._play(allocations, factor, self._held)
        for state_bytes in self._state_bytes:
            self.pool.allocate(state_bytes)
        self._state_bytes = ()

    def validate(self, allocations: Allocations, factor: float) -> None:
        """One batch without gradients, of which nothing stays."""
        held: dict[int, _Block] = {}
        self._play(allocations, factor, held)
        for block in held.values():
            self.pool.release(block)

    def _play(self, allocations: Allocations, factor: float, held: dict[int, _Block]) -> None:
        pool = self.pool
        for kind, number in allocations.events:
            if kind == CONVOLVED:
                pool.release(pool.allocate(math.ceil(allocations.workspaces[number] * factor)))
            elif kind == ALLOCATED:
                held[number] = pool.allocate(_bytes_at(allocations, number, factor))
                self.highest_bytes = max(self.highest_bytes, pool.allocated_bytes)
            elif number not in allocations.gradients and number in held:
                pool.release(held.pop(number))


def _bytes_at(allocations: Allocations, number: int, factor: float) -> int:
    size = max(allocations.sizes[number], 1)
    if number in allocations.gradients:
        return size
    fixed = min(allocations.fixed[number], size) if allocations.fixed else 0
    return math.ceil(fixed + (size - fixed) * factor)


def fixed_bytes(sizes: Sequence[int], batch: int, twin_sizes: Sequence[int], twin_batch: int) -> tuple[int, ...]:
    """Of each storage the bytes that two records of one step, at two batch sizes, show not to grow."""
    return tuple(
        min(max(round((size * twin_batch - twin * batch) / (twin_batch - batch)), 0), size)
        for size, twin in zip(sizes, twin_sizes, strict=True)
    )
