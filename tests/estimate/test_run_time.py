from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pencil import CALIBRATION, CARD, CPU, DATASET, HARDWARE, PROFILE, RECIPE, TRACE, feed, known

from canitrain.core.evidence import EvidenceLevel
from canitrain.core.gpu import Generation
from canitrain.core.hardware import Bench, StorageKind
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Precision, SizeRule, WorkKind
from canitrain.core.recipe import Freeze, Optimizer, Strategy
from canitrain.core.report import Bottleneck, ScalingRow
from canitrain.core.time_calibration import Layout, Rate
from canitrain.estimate.communication import exchange
from canitrain.estimate.cpu_time import cpu_rates
from canitrain.estimate.device_rates import find_curve, gpu_rates, rate_of
from canitrain.estimate.gpu_scaling import gpu_scaling, last_that_helps, obstacle_after, shares_of
from canitrain.estimate.roofline import group_times, kernel_times
from canitrain.estimate.run_time import run_time
from canitrain.estimate.step_time import accumulation_steps, step_time
from canitrain.estimate.time_evidence import time_evidence
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


def timed(recipe=RECIPE, batch_size=16, device=CARD, fed=None):
    return run_time(PROFILE, recipe, DATASET, batch_size, device, HARDWARE, fed or feed(), CALIBRATION)


def test_a_group_of_kernels_takes_its_slower_roof_and_its_starts():
    curve = replace(CALIBRATION.curve[0], compute_ratio=0.5, bandwidth_ratio=0.8, copy_ratio=0.1, kernel_s=1e-5)
    compute_s, traffic_s, fixed_s = kernel_times(1e12, 4e9, 100, flops_per_s=1e13, bytes_per_s=1e11, curve=curve)
    # 1e12 / (1e13 x 0.5); 4e9 / (1e11 x 0.8); 4e9 x 0.1 / 1e11 + 100 x 1e-5
    assert (compute_s, traffic_s, fixed_s) == pytest.approx((0.2, 0.05, 0.005))


@pytest.mark.parametrize("kind", WorkKind)
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("generation", Generation)
def test_every_kind_of_work_has_a_curve_on_every_architecture(kind, precision, generation):
    card = replace(CARD, generation=generation)
    for channels_last in (False, True):
        rates = gpu_rates(card, precision, CALIBRATION, channels_last=channels_last)
        assert rates.flops_per_s[kind] > 0
        assert rates.curves[kind].compute_ratio > 0
        assert rates.curves[kind].bandwidth_ratio > 0


def test_convolutions_run_in_tf32_and_matrix_products_in_fp32_on_ampere():
    assert rate_of(WorkKind.CONV, Precision.FP32, CARD) is Rate.TF32
    assert rate_of(WorkKind.GEMM, Precision.FP32, CARD) is Rate.FP32


def test_a_missing_curve_is_named():
    with pytest.raises(LookupError, match="fp16 conv nchw"):
        find_curve((), Rate.FP16, WorkKind.CONV, Layout.NCHW)


def test_pascal_gains_nothing_from_amp():
    pascal = replace(CARD, generation=Generation.PASCAL, tf32_flops_per_s=None, fp16_flops_per_s=25.4e12)
    amp = timed(replace(RECIPE, precision=Precision.AMP), device=pascal)
    # The gradient scaler still reads and writes every gradient.
    assert timed(device=pascal).step_s.expected <= amp.step_s.expected < 1.01 * timed(device=pascal).step_s.expected


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
def test_the_step_is_the_slowest_part_plus_the_exchange_and_kinds_sum_to_compute(
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


def test_cpu_peak_is_cores_times_clock_times_vector_width():
    rates = cpu_rates(CPU, None, CALIBRATION)
    clock_hz = max(4.5e9 * CALIBRATION.cpu.turbo_ratio.value, 3.0e9)
    together = 8 / (1 + 7 * CALIBRATION.cpu.core_loss_ratio.value)
    # 8 physical cores of 16 threads, AVX2 with FMA: 32 FLOPs a cycle.
    assert rates.flops_per_s[WorkKind.CONV] == pytest.approx(together * clock_hz * 32)


def test_another_core_and_wider_vectors_never_slow_a_cpu():
    wide = replace(CPU, vector_extensions=known(("avx2", "fma", "avx512f")))
    fewer = replace(CPU, usable_cores=known(2.0))
    assert timed(device=wide).step_s.expected < timed(device=CPU).step_s.expected < timed(device=fewer).step_s.expected


def test_a_measured_bandwidth_replaces_the_default():
    unknown = HARDWARE.ram.swap_bytes
    bench = Bench(
        decode_s_per_megapixel=unknown,
        sequential_read_bytes_per_s=unknown,
        random_read_bytes_per_s=unknown,
        memory_bytes_per_s=known(77e9),
    )
    assert cpu_rates(CPU, bench, CALIBRATION).memory_bytes_per_s == pytest.approx(77e9)


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
    shared = {"gradient_bytes": 400e6, "parameter_tensors": 100, "batch_bytes": 1e8, "card": CARD, "links": links}
    hidden = exchange(Strategy.DDP, gpus=4, backward_s=100.0, **shared)
    bare = exchange(Strategy.DDP, gpus=4, backward_s=0.0, **shared)
    rate = 31.5e9 * links.pcie_ratio.value
    # 2 x 3/4 of the gradients over PCIe; hidden: of one 25 MiB bucket.
    assert bare.exposed_s == pytest.approx(1.5 * 400e6 / rate + 4 * links.latency_s.value)
    assert hidden.exposed_s == pytest.approx(1.5 * 25 * 2**20 / rate)


def test_several_nodes_go_at_the_speed_of_the_network():
    shared = {"gradient_bytes": 400e6, "parameter_tensors": 100, "batch_bytes": 1e8, "card": CARD}
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
    time = timed(replace(RECIPE, price_per_hour=2.0))
    hours = time.total_s.expected / 3600
    assert time.cost == pytest.approx(2.0 * hours)
    # A card that never waits draws its busy share of 170 W.
    assert time.energy_kwh == pytest.approx(0.170 * CALIBRATION.run.load_power_ratio.value * hours, rel=0.02)


def test_evidence_falls_from_fitted_card_to_architecture_to_datasheet():
    fitted = replace(CARD, name=CALIBRATION.fitted_cards[0])
    library = replace(PROFILE.implementation, library=CALIBRATION.fitted_libraries[0])
    known_model = replace(PROFILE, implementation=library)
    assert time_evidence(known_model, fitted, CALIBRATION).level is EvidenceLevel.CALIBRATED
    assert time_evidence(PROFILE, fitted, CALIBRATION).level is EvidenceLevel.GENERATION
    assert time_evidence(known_model, CARD, CALIBRATION).level is EvidenceLevel.GENERATION
    radeon = replace(CARD, generation=Generation.RDNA3)
    assert time_evidence(known_model, radeon, CALIBRATION).level is EvidenceLevel.DATASHEET


def test_intervals_widen_from_level_to_level():
    widths = {row.level: row for row in CALIBRATION.width}
    assert set(widths) == set(EvidenceLevel)
    ordered = [widths[level] for level in EvidenceLevel]
    for better, worse in pairwise(ordered):
        assert worse.low_ratio <= better.low_ratio <= 1 <= better.high_ratio <= worse.high_ratio


def test_stages_add_up_to_the_groups():
    step = step_time(
        PROFILE, RECIPE, BatchShape(batch_size=4, pixels=409_600.0, boxes=7.0), CARD,
        cpu=CPU, bench=None, calibration=CALIBRATION,
    )  # fmt: skip
    assert list(step.stages_s()) == ["backbone", "head"]
    assert sum(step.stages_s().values()) + step.optimizer_s == pytest.approx(step.compute_s)


def test_gpus_wait_for_the_slowest_more_where_sizes_vary():
    varied = replace(PROFILE, size_rule=SizeRule.SHORTER_SIDE)
    shape = BatchShape(batch_size=4, pixels=409_600.0, boxes=7.0)

    def exchange_s(profile, gpus):
        recipe = replace(RECIPE, gpus=gpus)
        return step_time(
            profile, recipe, shape, CARD, cpu=CPU, bench=None, calibration=CALIBRATION
        ).communication_s  # fmt: skip

    assert exchange_s(PROFILE, 1) == exchange_s(varied, 1) == 0.0
    assert exchange_s(varied, 8) > exchange_s(PROFILE, 8) > exchange_s(PROFILE, 2) > 0.0


def test_every_choice_has_its_coefficient():
    assert set(CALIBRATION.links.straggler_ratio) == set(SizeRule)
    assert set(CALIBRATION.run.checkpoint_bytes_per_s) == set(StorageKind)
    assert {row.optimizer for row in CALIBRATION.optimizer} == set(Optimizer)


def test_a_library_that_no_fit_saw_widens_the_interval_on_every_device():
    library = replace(PROFILE.implementation, library=CALIBRATION.fitted_libraries[0])
    seen = replace(PROFILE, implementation=library)
    unfitted = CALIBRATION.unfitted_width
    for device in (replace(CARD, name=CALIBRATION.fitted_cards[0]), CARD, replace(CARD, generation=Generation.RDNA3)):
        known_s, unseen_s = (
            run_time(profile, RECIPE, DATASET, 16, device, HARDWARE, feed(), CALIBRATION).step_s
            for profile in (seen, PROFILE)
        )
        assert unseen_s.expected == known_s.expected
        # At least as wide as the level's own interval and as the unseen detectors'.
        assert unseen_s.low <= min(known_s.low, unfitted.low_ratio * unseen_s.expected * (1 + 1e-9))
        assert unseen_s.high >= max(known_s.high, unfitted.high_ratio * unseen_s.expected * (1 - 1e-9))
        assert "was in the fit" in time_evidence(PROFILE, device, CALIBRATION).detail
        assert "was in the fit" not in time_evidence(seen, device, CALIBRATION).detail


def test_validation_on_one_gpu_takes_as_long_on_eight():
    images = replace(DATASET, validation_images=5_000)
    yolo = replace(PROFILE, implementation=replace(PROFILE.implementation, library="yolov5"))

    def validation_s(profile, gpus):
        recipe = replace(RECIPE, gpus=gpus)
        return run_time(profile, recipe, images, 16, CARD, HARDWARE, feed(), CALIBRATION).validation_s

    assert validation_s(yolo, 8) == pytest.approx(validation_s(yolo, 1))
    assert validation_s(PROFILE, 8) == pytest.approx(validation_s(PROFILE, 1) / 8)
    assert timed(replace(RECIPE, validation=False)).validation_s == 0.0


def test_only_grouped_convolutions_widen_the_interval_of_channels_last():
    pixels = Polynomial(b=100.0)
    shared = {"kernel": (3, 3), "count": Polynomial(one=1.0), "input_pixels": pixels, "output_pixels": pixels}
    spans = []
    for groups in (1, 64, 16):
        layer = Convolution(in_channels=64, out_channels=64, groups=groups, **shared)
        traces = {precision: replace(trace, convolutions=(layer,)) for precision, trace in PROFILE.traces.items()}
        profile = replace(PROFILE, traces=traces, implementation=replace(PROFILE.implementation, library="timm"))
        recipe = replace(RECIPE, channels_last=True)
        step_s = run_time(profile, recipe, DATASET, 16, CARD, HARDWARE, feed(), CALIBRATION).step_s
        spans.append(step_s.high / step_s.low)
    dense, depthwise, grouped = spans
    assert depthwise == pytest.approx(dense)
    assert grouped > 1.5 * dense
