"""The replay of CUDA's caching allocator, by its published rules."""

from __future__ import annotations

from canitrain.core.units import MIB_BYTES
from canitrain.trace.pool import (
    ALLOCATED,
    CONVOLVED,
    FREED,
    Allocations,
    Pool,
    PoolRun,
    Weights,
    fixed_bytes,
    replay,
)


def test_small_blocks_share_segments_of_two_mebibytes():
    pool = Pool()
    pool.allocate(1000)
    pool.allocate(MIB_BYTES)
    assert pool.reserved_bytes == 2 * MIB_BYTES
    assert pool.allocated_bytes == 1024 + MIB_BYTES  # rounded up to 512
    pool.allocate(MIB_BYTES)  # 2 MiB - 1 KiB are taken
    assert pool.reserved_bytes == 4 * MIB_BYTES


def test_blocks_below_ten_mebibytes_share_segments_of_twenty():
    pool = Pool()
    for _ in range(4):
        pool.allocate(5 * MIB_BYTES)
    assert pool.reserved_bytes == 20 * MIB_BYTES
    pool.allocate(5 * MIB_BYTES)
    assert pool.reserved_bytes == 40 * MIB_BYTES


def test_large_blocks_get_a_segment_rounded_to_two_mebibytes_and_keep_a_rest_too_small_to_split():
    pool = Pool()
    pool.allocate(11 * MIB_BYTES)
    assert pool.reserved_bytes == pool.allocated_bytes == 12 * MIB_BYTES


def test_freed_neighbours_merge_into_one_block():
    pool = Pool()
    blocks = [pool.allocate(5 * MIB_BYTES) for _ in range(4)]
    for block in (blocks[1], blocks[3], blocks[0], blocks[2]):
        pool.release(block)
    pool.allocate(20 * MIB_BYTES)
    assert pool.reserved_bytes == 20 * MIB_BYTES


def test_a_block_goes_to_the_smallest_hole_and_what_is_left_of_a_large_one_may_not_do():
    pool = Pool()
    large, small = pool.allocate(30 * MIB_BYTES), pool.allocate(12 * MIB_BYTES)
    pool.release(large)
    pool.release(small)
    pool.allocate(12 * MIB_BYTES)  # the hole of 12
    pool.allocate(20 * MIB_BYTES)  # leaves 10 of 30
    pool.allocate(12 * MIB_BYTES)  # needs a segment of its own
    assert pool.reserved_bytes == (30 + 12 + 12) * MIB_BYTES


def slack_bytes(step: Allocations, weights: Weights, scale: int, sizes: tuple[float, ...] = (1.0, 1.0)) -> int:
    reserved, highest = replay(step, weights, scale, sizes)
    return reserved - highest


WEIGHTS = Weights(all_bytes=(), trainable_bytes=(12 * MIB_BYTES,))
STEP = Allocations(
    events=((ALLOCATED, 0), (FREED, 0)),
    sizes=(20 * MIB_BYTES,),
    gradients=frozenset(),
)


def test_optimizer_state_settles_in_the_hole_of_the_first_step():
    # step 1: 20, freed; the state takes 12 of it; step 2 needs a new 20. Reserved 40, highest live 12 + 20
    assert slack_bytes(STEP, WEIGHTS, 1) == 8 * MIB_BYTES


def test_activations_grow_with_the_batch_and_gradients_do_not():
    step = Allocations(
        events=((ALLOCATED, 0), (ALLOCATED, 1), (FREED, 0)),
        sizes=(16 * MIB_BYTES, 12 * MIB_BYTES),
        gradients=frozenset({1}),
    )
    nothing = Weights(all_bytes=(), trainable_bytes=())
    assert slack_bytes(step, nothing, 1) == slack_bytes(step, nothing, 4) == 0


def test_what_two_batches_show_not_to_grow_keeps_its_size():
    # 3 + 2 a image at 4 and 8 images; a table of 7; 5 an image
    assert fixed_bytes((11, 7, 20), 4, (19, 7, 40), 8) == (3, 7, 0)
    step = Allocations(
        events=((ALLOCATED, 0), (FREED, 0)),
        sizes=(16 * MIB_BYTES,),
        gradients=frozenset(),
        fixed=(12 * MIB_BYTES,),
    )
    # 12 + 4 times 3
    assert replay(step, Weights(all_bytes=(), trainable_bytes=()), 3) == (24 * MIB_BYTES, 24 * MIB_BYTES)


def test_a_workspace_takes_room_in_the_pool_and_is_no_live_tensor():
    step = Allocations(
        events=((ALLOCATED, 0), (CONVOLVED, 0), (FREED, 0)),
        sizes=(20 * MIB_BYTES,),
        gradients=frozenset(),
        workspaces=(14 * MIB_BYTES,),
    )
    # reserved 20 + 14, highest live 20; in step 2 both find their holes again
    assert slack_bytes(step, Weights(all_bytes=(), trainable_bytes=()), 1) == 14 * MIB_BYTES


def test_batches_of_varying_size_leave_more_behind():
    sizes = (0.6, 1.0)
    # 12 does not hold 20: reserved 12 + 20, highest live 20
    assert slack_bytes(STEP, Weights(all_bytes=(), trainable_bytes=()), 1, sizes) == 12 * MIB_BYTES


def test_a_validation_batch_larger_than_the_blocks_of_training_widens_the_pool_once():
    run = PoolRun(Weights(all_bytes=(), trainable_bytes=()))
    run.train(STEP, 1.0)
    run.validate(STEP, 0.5)  # 10 of the 20 that training left
    assert run.pool.reserved_bytes == 20 * MIB_BYTES
    for _ in range(2):
        run.validate(STEP, 2.0)
        run.train(STEP, 1.0)
    assert run.pool.reserved_bytes == (20 + 40) * MIB_BYTES


def test_nothing_of_a_validation_batch_stays():
    run = PoolRun(Weights(all_bytes=(), trainable_bytes=()))
    run.validate(Allocations(events=((ALLOCATED, 0),), sizes=(20 * MIB_BYTES,), gradients=frozenset()), 1.0)
    assert run.pool.allocated_bytes == 0
