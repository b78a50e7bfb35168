from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pencil import CALIBRATION, CARD, CPU, DATASET, HARDWARE, PROFILE, RECIPE, TRACE, feed

from canitrain.core.hardware import StorageKind
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Precision, SizeRule
from canitrain.core.recipe import Freeze, Optimizer, Strategy
from canitrain.core.report import Bottleneck, ScalingRow
from canitrain.estimate.communication import exchange
from canitrain.estimate.device_rates import gpu_rates
from canitrain.estimate.gpu_scaling import gpu_scaling, last_that_helps, obstacle_after, shares_of
from canitrain.estimate.roofline import group_times
from canitrain.estimate.run_time import run_time
from canitrain.estimate.step_time import accumulation_steps, step_time
from canitrain.estimate.update_time import update_work

replace = msgspec.structs.replace
CARDS = st.builds(
    lambda bandwidth, flops, tensor, units: replace(
        CARD,
        memory_bytes_per_s=bandwidth,
        fp32_flops_per_s=flops,
        tf32_flops_per_s=flops * tensor,
        fp16_flops_per_s=2 * flops * tensor,
        multiprocessors=units,
    ),
    st.floats(1e11, 8e12),
    st.floats(1e12, 2e14),
    st.floats(1, 10),
    st.integers(10, 200),
)
FACTORS = st.floats(1, 10)
PRECISIONS = st.sampled_from(Precision)
properties = settings(max_examples=60, deadline=None, derandomize=True)


def timed(recipe=RECIPE, batch_size=16, device=CARD, fed=None, dataset=DATASET):
    return run_time(PROFILE, recipe, dataset, batch_size, device, HARDWARE, fed or feed(), CALIBRATION)


@properties
@given(CARDS, FACTORS, FACTORS, PRECISIONS)
def test_a_faster_card_never_raises_time(card, compute, bandwidth, precision):
    faster = replace(
        card,
        memory_bytes_per_s=card.memory_bytes_per_s * bandwidth,
        fp32_flops_per_s=card.fp32_flops_per_s * compute,
        tf32_flops_per_s=card.tf32_flops_per_s * compute,
        fp16_flops_per_s=card.fp16_flops_per_s * compute,
    )
    recipe = replace(RECIPE, precision=precision)
    slow, fast = timed(recipe, device=card), timed(recipe, device=faster)
    assert fast.step_s.expected <= slow.step_s.expected * (1 + 1e-12)
    assert fast.total_s.expected <= slow.total_s.expected * (1 + 1e-12)


@properties
@given(CARDS, st.integers(1, 63), PRECISIONS, st.integers(1, 8), st.sampled_from(Strategy))
def test_another_image_in_the_batch_never_lowers_the_step(card, batch_size, precision, gpus, strategy):
    recipe = replace(RECIPE, precision=precision, gpus=gpus, strategy=strategy, effective_batch_size=64)
    smaller, larger = timed(recipe, batch_size, card), timed(recipe, batch_size + 1, card)
    assert smaller.step_s.expected <= larger.step_s.expected * (1 + 1e-12)


@properties
@given(CARDS, st.integers(1, 64), st.floats(1, 1e5), st.floats(1, 1e5), st.booleans())
def test_the_step_is_the_slowest_of_training_and_feed_and_kinds_sum_to_compute(
    card, batch_size, loader, storage, overlaps
):
    time = timed(batch_size=batch_size, device=card, fed=feed(loader, storage, overlaps=overlaps))
    parts = time.parts
    device_s = max(parts.compute_s, parts.launches_s)
    # With workers side by side, without them one after the other.
    together_s = max(device_s, parts.loader_s, parts.storage_s)
    summed_s = device_s + parts.loader_s + parts.storage_s
    assert (parts.loader_s, parts.storage_s) == pytest.approx((batch_size / loader, batch_size / storage))
    assert time.step_s.expected == pytest.approx((together_s if overlaps else summed_s) + parts.communication_s)
    assert sum(time.kinds_s.values()) == pytest.approx(parts.compute_s)
    for interval in (time.step_s, time.epoch_s, time.total_s):
        assert 0 < interval.low <= interval.expected <= interval.high


def test_an_epoch_counts_its_short_batch_its_validation_and_its_checkpoint():
    time = timed(batch_size=300)
    # 1000 images: three batches of 300 and one of 100.
    assert 3 * time.step_s.expected + time.validation_s < time.epoch_s.expected
    assert time.epoch_s.expected - time.validation_s < 4 * time.step_s.expected + 5
    assert time.total_s.expected == pytest.approx(10 * time.epoch_s.expected + CALIBRATION.run.warm_up_s.value)


def test_the_first_epoch_waits_for_storage_and_the_step_speaks_of_the_later_ones():
    cold = replace(feed(), first=feed(storage_images_per_s=5.0).first)
    time = timed(fed=cold)
    # 1000 images at 5 images a second instead of the steady step.
    steady_s = math.ceil(1000 / 16) * time.step_s.expected
    assert time.bottleneck is Bottleneck.GPU_COMPUTE
    assert time.total_s.expected - timed().total_s.expected == pytest.approx(200 - steady_s, rel=0.02)


@pytest.mark.parametrize(
    ("fed", "expected"),
    [
        (feed(loader_images_per_s=2.0), Bottleneck.DECODE),
        (feed(storage_images_per_s=2.0), Bottleneck.STORAGE),
        (feed(), Bottleneck.GPU_COMPUTE),
    ],
)
def test_the_slowest_part_is_the_bottleneck(fed, expected):
    assert timed(fed=fed).bottleneck is expected


def test_little_work_on_a_fast_card_is_bound_by_launches():
    hopper = replace(CARD, memory_bytes_per_s=3e12, fp32_flops_per_s=6e13, tf32_flops_per_s=4e14, multiprocessors=132)
    small = replace(RECIPE, image_size=replace(RECIPE.image_size, shorter=64, longer=64))
    assert timed(small, 1, hopper).bottleneck is Bottleneck.LAUNCHES


def test_without_workers_the_gpu_waits_while_its_process_loads():
    together, apart = timed(fed=feed(100.0)), timed(fed=feed(100.0, overlaps=False))
    # 16 images at 100 a second, and reading them at 1e6 a second.
    assert apart.step_s.expected - together.step_s.expected == pytest.approx(0.16 + 16e-6)
    assert apart.parts.compute_s == together.parts.compute_s
    assert apart.parts.loader_s == pytest.approx(0.16)
    assert apart.bottleneck is Bottleneck.GPU_COMPUTE


def test_without_workers_the_largest_part_is_the_bottleneck():
    # 16 images at 2 a second are 8 s, far more than the card takes; adding up changes nothing about that.
    assert timed(fed=feed(2.0, overlaps=False)).bottleneck is Bottleneck.DECODE
    assert timed(fed=feed(100.0, 2.0, overlaps=False)).bottleneck is Bottleneck.STORAGE


def test_a_cpu_loads_and_trains_with_the_same_cores():
    time = timed(device=CPU)
    # 16 images of 4 ms on 8 physical cores.
    assert time.kinds_s["loading"] == pytest.approx(0.008)
    assert time.bottleneck is Bottleneck.CPU_COMPUTE
    assert time.energy_kwh is None


def test_a_frozen_backbone_has_no_backward_pass():
    rates = gpu_rates(CARD, Precision.FP32, CALIBRATION, channels_last=False)
    shape = BatchShape(batch_size=4, pixels=409_600.0, boxes=0.0)
    groups = group_times(TRACE, shape, replace(RECIPE, freeze=Freeze.BACKBONE), rates, positives_per_box=1.0)
    assert {(g.stage, g.phase.value) for g in groups} == {
        ("backbone", "forward"), ("head", "forward"), ("head", "backward"),
    }  # fmt: skip


def test_checkpointing_repeats_the_forward_pass():
    once, twice = timed(), timed(replace(RECIPE, checkpointing=True))
    # Forward and backward of the pencil model are equal work: 2 parts become 3.
    assert twice.kinds_s["conv"] == pytest.approx(1.5 * once.kinds_s["conv"])


def test_an_update_happens_once_an_effective_batch():
    assert accumulation_steps(replace(RECIPE, effective_batch_size=64), 16) == 4
    assert accumulation_steps(replace(RECIPE, effective_batch_size=64, gpus=8), 16) == 1


@pytest.mark.parametrize("optimizer", Optimizer)
def test_every_optimizer_moves_at_least_gradient_parameter_and_result(optimizer):
    work = update_work(PROFILE, replace(RECIPE, optimizer=optimizer), CALIBRATION)
    # 24 MB of parameters, read, their gradients read, written.
    assert work.traffic_bytes >= 3 * 24e6
    assert work.kernels >= 1


def test_ddp_hides_the_exchange_under_the_backward_pass_but_for_the_last_bucket():
    links = CALIBRATION.links
    peers = replace(CARD, name="RTX A4000")
    shared = {"gradient_bytes": 400e6, "parameter_tensors": 100, "batch_bytes": 1e8, "card": peers, "links": links}
    hidden = exchange(Strategy.DDP, gpus=4, backward_s=100.0, **shared)
    bare = exchange(Strategy.DDP, gpus=4, backward_s=0.0, **shared)
    rate = 31.5e9 * links.pcie_ratio.value
    # 2 x 3/4 of the gradients over PCIe; hidden: of one 25 MiB bucket.
    assert bare.exposed_s == pytest.approx(1.5 * 400e6 / rate + 4 * links.latency_s.value)
    assert hidden.exposed_s == pytest.approx(1.5 * 25 * 2**20 / rate)


def test_several_nodes_go_at_the_speed_of_the_network():
    peers = replace(CARD, name="RTX A4000")
    shared = {"gradient_bytes": 400e6, "parameter_tensors": 100, "batch_bytes": 1e8, "card": peers}
    one = exchange(Strategy.DDP, gpus=8, backward_s=0.0, links=CALIBRATION.links, **shared)
    two = exchange(Strategy.DDP, gpus=8, nodes=2, backward_s=0.0, links=CALIBRATION.links, **shared)
    assert two.exposed_s > 5 * one.exposed_s


def test_data_parallel_is_slower_than_ddp():
    ddp, dp = (timed(replace(RECIPE, gpus=4, strategy=strategy)) for strategy in (Strategy.DDP, Strategy.DP))
    assert dp.step_s.expected > ddp.step_s.expected


def test_more_gpus_help_until_the_loader_is_full():
    rows = gpu_scaling(
        PROFILE, shares_of(replace(RECIPE, gpus=6)), replace(DATASET, images=100_000), batch_size=16, card=CARD,
        hardware=HARDWARE,
        feeds=[feed(loader_images_per_s=2.5 * timed().images_per_s)] * 6, calibration=CALIBRATION,
    )  # fmt: skip
    # Two cards want 2 of 2.5; the third finds half a share left, the fourth none.
    assert last_that_helps(rows).gpus == 3
    assert rows[3].bottleneck is Bottleneck.DECODE
    assert obstacle_after(rows, rows[2]) is Bottleneck.DECODE
    assert obstacle_after(rows, rows[-1]) is None


def test_steps_that_get_faster_are_not_blamed_for_a_run_that_does_not():
    # Twice the images a second, yet 10 + 100 s become 5 + 100 s: 110 / 105 = 1.05
    rows = [
        ScalingRow(
            gpus=gpus,
            images_per_s=10.0 * gpus,
            total_s=100.0 + 10.0 / gpus,
            bottleneck=Bottleneck.GPU_COMPUTE,
        )
        for gpus in (1, 2)
    ]
    assert last_that_helps(rows) is rows[0]
    assert obstacle_after(rows, rows[0]) is None


def test_energy_follows_power_and_cost_follows_time():
    # Epochs so long that their starts do not count.
    time = timed(replace(RECIPE, price_per_hour=2.0), dataset=replace(DATASET, images=100_000))
    hours = time.total_s.expected / 3600
    assert time.cost == pytest.approx(2.0 * hours)
    # A card that never waits draws its busy share of 170 W.
    assert time.energy_kwh == pytest.approx(0.170 * CALIBRATION.run.load_power_ratio.value * hours, rel=0.02)


def test_stages_add_up_to_the_groups():
    step = step_time(
        PROFILE, RECIPE, BatchShape(batch_size=4, pixels=409_600.0, boxes=7.0), CARD,
        slowness=1.0, bench=None, calibration=CALIBRATION,
    )  # fmt: skip
    assert list(step.stages_s()) == ["backbone", "head"]
    assert sum(step.stages_s().values()) + step.optimizer_s == pytest.approx(step.compute_s)


def test_gpus_wait_for_the_slowest_more_where_sizes_vary():
    varied = replace(PROFILE, size_rule=SizeRule.SHORTER_SIDE)
    shape = BatchShape(batch_size=4, pixels=409_600.0, boxes=7.0)

    def exchange_s(profile, gpus):
        recipe = replace(RECIPE, gpus=gpus)
        return step_time(
            profile, recipe, shape, CARD, slowness=1.0, bench=None, calibration=CALIBRATION
        ).communication_s  # fmt: skip

    assert exchange_s(PROFILE, 1) == exchange_s(varied, 1) == 0.0
    assert exchange_s(varied, 8) > exchange_s(PROFILE, 8) > exchange_s(PROFILE, 2) > 0.0


def test_every_choice_has_its_coefficient():
    assert set(CALIBRATION.links.straggler_ratio) == set(SizeRule)
    assert set(CALIBRATION.run.checkpoint_bytes_per_s) == set(StorageKind)
    assert {row.optimizer for row in CALIBRATION.optimizer} == set(Optimizer)


def test_validation_on_one_gpu_takes_as_long_on_eight():
    images = replace(DATASET, validation_images=5_000)
    yolo = replace(PROFILE, implementation=replace(PROFILE.implementation, library="yolov5"))

    def validation_s(profile, gpus):
        recipe = replace(RECIPE, gpus=gpus)
        return run_time(profile, recipe, images, 16, CARD, HARDWARE, feed(), CALIBRATION).validation_s

    assert validation_s(yolo, 8) == pytest.approx(validation_s(yolo, 1))
    assert validation_s(PROFILE, 8) == pytest.approx(validation_s(PROFILE, 1) / 8)
    assert timed(replace(RECIPE, validation=False)).validation_s == 0.0
