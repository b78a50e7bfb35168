"""The four figures of GPU memory, with the arithmetic beside them."""

from __future__ import annotations

import memory_cases as cases
import msgspec
import pytest

from canitrain.core.evidence import EvidenceLevel
from canitrain.core.gpu import Generation, Vendor
from canitrain.core.memory_calibration import Spread
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Precision
from canitrain.core.recipe import Freeze, Optimizer, Strategy
from canitrain.core.report import GpuMemory
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.memory_evidence import memory_evidence
from canitrain.estimate.memory_timeline import memory_timeline

SHAPE = BatchShape(batch_size=10, pixels=1000.0, boxes=5.0)
CONTEXT_BYTES = 100 * cases.MIB_BYTES


def figures(profile=None, recipe=None, shape=SHAPE, card=None, calibration=None) -> GpuMemory:
    return gpu_memory(
        profile or cases.profile(),
        recipe or cases.recipe(),
        shape,
        card or cases.card(),
        calibration or cases.calibration(),
        total_bytes=None,
        budget_bytes=None,
    )


def test_allocated_is_weights_buffers_and_the_highest_moment():
    # weights 4096 + buffers 512 + max(12 * 10 * 1000, 9 * 10 * 1000 + 1096) = 124,608
    assert figures().allocated_bytes.expected == 124_608


def test_a_later_moment_wins_when_its_gradients_outweigh_the_activations():
    shape = BatchShape(batch_size=1, pixels=100.0, boxes=0.0)
    # 12 * 100 = 1200 at the head; 9 * 100 + 1096 = 1996 in the backbone; the SGD update's gradients
    # 4096 + 2 * 256 rounding, twice (weight decay's temporary) = 9216, which wins: 4096 + 512 + 9216
    assert figures(shape=shape).allocated_bytes.expected == 13_824
    # Without foreach the temporary is the largest tensor: 4608 + 3000 = 7608
    single = figures(shape=shape, recipe=cases.recipe(foreach=False))
    assert single.allocated_bytes.expected == 4096 + 512 + 7608


def test_a_convolution_at_the_peak_adds_copies_of_its_input_and_output():
    calibration = cases.calibration(matrix_workspace=cases.workspace(dense=1.5))
    # 4 bytes * (8 + 1) channels * 10 * 1000 pixels * 1.5
    assert figures(calibration=calibration).parts["workspace"] == 540_000


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        ({}, 2.0),
        ({"groups": 4}, 3.0),
        ({"groups": 8}, 5.0),  # depthwise
        ({"kernel": (1, 1)}, 5.0),
        ({"in_channels": 3}, 5.0),  # reads an image
    ],
)
def test_workspace_is_by_kind_of_convolution(changes, copies):
    trace = cases.trace()
    convolution = msgspec.structs.replace(trace.convolutions[0], **changes)
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(convolution,))})
    calibration = cases.calibration(matrix_workspace=cases.workspace(dense=2.0, grouped=3.0, other=5.0))
    memory = figures(profile=profile, calibration=calibration)
    # 4 bytes * channels * 10 * 1000 pixels * copies
    assert memory.parts["workspace"] == 4 * (convolution.in_channels + 1) * 10_000 * copies


@pytest.mark.parametrize(
    ("generation", "precision", "matrix"),
    [
        (Generation.PASCAL, Precision.AMP, False),
        (Generation.VOLTA, Precision.FP32, False),
        (Generation.VOLTA, Precision.AMP, True),
        (Generation.AMPERE, Precision.FP32, True),
        (Generation.BLACKWELL, Precision.AMP, True),
    ],
)
def test_layout_copies_are_made_only_where_matrix_units_run_the_convolution(generation, precision, matrix):
    calibration = cases.calibration(matrix_workspace=cases.workspace(dense=1.0))
    memory = figures(recipe=cases.recipe(precision=precision), card=cases.card(generation), calibration=calibration)
    assert (memory.parts["workspace"] > 0) is matrix


def test_device_is_reserved_plus_context_and_the_slack_is_between_allocated_and_reserved():
    calibration = cases.calibration(slack_weights_ratio=cases.number(0.5), slack_live_ratio=cases.number(0.1))
    memory = figures(calibration=calibration)
    # slack = 0.5 * 4096 weights + 0.1 * 120,000 live bytes
    assert memory.reserved_bytes.expected == 124_608 + 14_048
    assert memory.device_bytes.expected == 124_608 + 14_048 + CONTEXT_BYTES
    # required: the live peak and the context, no slack
    assert memory.required_bytes.expected == 124_608 + CONTEXT_BYTES


def test_slack_is_what_the_trace_replayed_or_a_share_where_it_has_none():
    replayed = cases.profile(traces={Precision.FP32: cases.trace(slack_bytes=Polynomial(one=7.0, bp=3.0))})
    calibration = cases.calibration(slack_untraced_ratio=cases.number(0.5))
    assert figures(profile=replayed, calibration=calibration).parts["slack"] == 30_007  # 7 + 3 * 10 * 1000
    assert figures(calibration=calibration).parts["slack"] == 60_000  # 0.5 * 120,000


def test_multi_scale_training_keeps_more_slack():
    calibration = cases.calibration(slack_multi_scale_ratio=cases.number(0.25))
    assert figures(calibration=calibration).parts["slack"] == 0
    assert figures(recipe=cases.recipe(multi_scale=True), calibration=calibration).parts["slack"] == 30_000


def test_the_widest_convolution_widens_the_pool_even_away_from_the_peak():
    narrow, wide = cases.trace().convolutions[0], cases.trace().convolutions[0]
    wide = msgspec.structs.replace(wide, out_channels=17)
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(narrow, wide))})
    memory = figures(profile=profile, calibration=cases.calibration(matrix_workspace=cases.workspace(dense=1.0)))
    # at the peak 4 * 9 * 10,000 = 360,000; the wide one elsewhere 4 * 25 * 10,000 = 1,000,000
    assert memory.parts["workspace"] == 360_000
    assert memory.parts["slack"] == 640_000


@pytest.mark.parametrize(("images", "widest_bytes"), [(1, 400_000), (10, 1_000_000)])
def test_the_widest_convolution_is_found_at_each_batch(images, widest_bytes):
    grows = msgspec.structs.replace(cases.trace().convolutions[0], in_channels=8, out_channels=17)
    # As large for any batch: 4 bytes * (8 + 2) channels * 10,000 pixels.
    fixed = msgspec.structs.replace(
        grows, out_channels=2, input_pixels=Polynomial(one=10_000.0), output_pixels=Polynomial(one=10_000.0)
    )
    none = tuple(msgspec.structs.replace(peak, convolution=None) for peak in cases.trace().peaks)
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(grows, fixed), peaks=none)})
    calibration = cases.calibration(
        matrix_workspace=cases.workspace(dense=1.0), blas_workspace_default=cases.number(1000.0)
    )
    shape = BatchShape(batch_size=images, pixels=1000.0, boxes=5.0)
    memory = figures(profile=profile, shape=shape, calibration=calibration)
    # The growing one: 4 * 25 * 1000 * images. What cuBLAS keeps is there with it.
    assert memory.parts["slack"] == widest_bytes
    assert memory.parts["workspace"] == 1000
    assert memory.reserved_bytes.expected == memory.allocated_bytes.expected + widest_bytes


@pytest.mark.parametrize(
    ("generation", "changes", "copies"),
    [
        (Generation.VOLTA, {}, 2.0),
        (Generation.VOLTA, {"stride": 2}, 0.5),
        (Generation.VOLTA, {"dilation": 2}, 0.5),
        (Generation.VOLTA, {"kernel": (5, 5)}, 0.5),
        (Generation.VOLTA, {"in_channels": 80, "out_channels": 16}, 0.5),
        (Generation.AMPERE, {}, 1.0),
    ],
)
def test_plain_fp32_convolutions_of_3_x_3_at_every_pixel_transform_input_and_output(generation, changes, copies):
    channels = {"in_channels": 64, "out_channels": 32}
    convolution = msgspec.structs.replace(cases.trace().convolutions[0], **(channels | changes))
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(convolution,))})
    vector = msgspec.structs.replace(cases.workspace(dense=0.5), winograd=cases.number(2.0))
    calibration = cases.calibration(vector_workspace=vector, matrix_workspace=cases.workspace(dense=1.0))
    # 4 bytes of 64 + 32 channels at 10 * 1000 pixels are one copy
    workspace = figures(profile=profile, card=cases.card(generation), calibration=calibration).parts["workspace"]
    assert workspace == copies * 3_840_000


@pytest.mark.parametrize(
    ("changes", "copies"),
    [({}, 0.8), ({"out_channels": 65}, 2.0), ({"in_channels": 65}, 2.0), ({"in_channels": 65, "half": True}, 0.8)],
)
def test_winograd_counts_in_full_where_a_side_is_wider_than_64_channels_and_not_in_half_precision(changes, copies):
    convolution = msgspec.structs.replace(
        cases.trace().convolutions[0], **({"in_channels": 64, "out_channels": 64} | changes)
    )
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(convolution,))})
    matrix = msgspec.structs.replace(
        cases.workspace(dense=0.5), winograd=cases.number(2.0), winograd_seldom=cases.number(0.8)
    )
    calibration = cases.calibration(matrix_workspace=matrix)
    channels = convolution.in_channels + convolution.out_channels
    # one copy: both sides' channels at 10 * 1000 pixels of 4 bytes, or 2 in half precision
    copy_bytes = channels * 10_000 * (2 if convolution.half else 4)
    workspace = figures(profile=profile, card=cases.card(Generation.AMPERE), calibration=calibration).parts["workspace"]
    assert workspace == pytest.approx(copies * copy_bytes)


@pytest.mark.parametrize(("channels", "pixels", "high"), [(8, 1000.0, 1.5), (4, 1000.0, 1.1), (8, 999.0, 1.1)])
def test_grouped_convolutions_over_many_channels_and_pixels_widen_the_upper_bound(channels, pixels, high):
    convolution = msgspec.structs.replace(cases.trace().convolutions[0], groups=2, in_channels=channels)
    profile = cases.profile(traces={Precision.FP32: cases.trace(convolutions=(convolution,))})
    reserved = figures(profile=profile, shape=BatchShape(batch_size=10, pixels=pixels, boxes=0.0)).reserved_bytes
    assert reserved.high == pytest.approx(high * reserved.expected)


@pytest.mark.parametrize(("share", "low", "high"), [(0.5, 0.5, 0.5), (2.0, 1.0, 2.0)])
def test_an_uncertain_workspace_widens_the_interval_and_is_missing_at_most_once(share, low, high):
    spread = Spread(low=cases.number(0.9), high=cases.number(1.1), workspace=cases.number(share))
    calibration = cases.calibration(
        matrix_workspace=cases.workspace(dense=1.0), spread=dict.fromkeys(EvidenceLevel, spread)
    )
    memory = figures(calibration=calibration)
    # 124,608 of weights and the peak, 4 * 9 * 10,000 = 360,000 of workspace
    for figure in (memory.allocated_bytes, memory.reserved_bytes):
        assert figure.expected == 484_608
        assert figure.low == pytest.approx(0.9 * (484_608 - low * 360_000))
        assert figure.high == pytest.approx(1.1 * (484_608 + high * 360_000))
    # the least that runs has none
    assert memory.required_bytes.high == pytest.approx(1.1 * 124_608 + 200 * cases.MIB_BYTES)


def test_the_least_that_runs_counts_a_context_that_loads_lazily():
    # the least holds 0.8 x what the device figure does: 0.8 * 124,608 + 25 MiB
    assert figures().required_bytes.low == pytest.approx(99_686.4 + 25 * cases.MIB_BYTES)


def test_the_device_figure_counts_a_lazy_context_unless_card_and_library_were_fitted():
    fitted = cases.calibration(fitted_generations=(Generation.AMPERE,), fitted_libraries=("toys",))
    # 0.9 * 124,608 beside a context of 50 MiB as fitted, of 25 MiB where kernels may load lazily
    assert figures(calibration=fitted).device_bytes.low == pytest.approx(112_147.2 + 50 * cases.MIB_BYTES)
    assert figures().device_bytes.low == pytest.approx(112_147.2 + 25 * cases.MIB_BYTES)


def test_the_optimizer_and_the_ema_copy_stay_for_the_whole_step():
    adam = figures(recipe=cases.recipe(optimizer=Optimizer.ADAM, ema=True))
    assert adam.parts["optimizer"] == 2 * (4096 + 512)
    assert adam.parts["ema"] == 4096 + 512  # weights and buffers
    assert adam.allocated_bytes.expected - figures().allocated_bytes.expected == 2 * 4608 + 4608


def test_accumulation_keeps_every_gradient_through_the_step():
    # At the peak, in the head's backward, no gradient exists yet: 4096 + 512 rounding more when all are kept
    assert figures(recipe=cases.recipe(effective_batch_size=64)).parts["gradients"] == 4608
    assert figures().parts["gradients"] == 0


def test_ddp_holds_the_buckets_of_all_gradients_throughout_the_step():
    memory = figures(recipe=cases.recipe(gpus=2))
    # At the peak no gradient exists yet: zero_grad() frees them, the buckets of 4096 stay.
    assert memory.parts["gradients"] == 4096
    both = figures(recipe=cases.recipe(gpus=2, effective_batch_size=64))
    assert both.parts["gradients"] == 4608 + 4096


def test_data_parallel_loads_gpu_zero_with_the_losses_and_gradients_of_the_others():
    one = figures(recipe=cases.recipe(effective_batch_size=64))
    four = figures(recipe=cases.recipe(gpus=4, strategy=Strategy.DP, effective_batch_size=64))
    # 3 others * 2 bytes * 10 * 1000 saved by the last stage, and one set of gradients
    assert four.allocated_bytes.expected - one.allocated_bytes.expected == 60_000 + 4608


def test_a_frozen_backbone_saves_its_activations_and_its_gradients():
    frozen = figures(recipe=cases.recipe(freeze=Freeze.BACKBONE))
    # the head's moment without the backbone's 8 bytes a pixel: 40,000; the backbone has no backward pass
    assert frozen.allocated_bytes.expected < figures().allocated_bytes.expected
    assert frozen.parts["activations"] == 40_000
    update = figures(recipe=cases.recipe(freeze=Freeze.BACKBONE), shape=BatchShape(batch_size=1, pixels=1.0, boxes=0.0))
    assert update.parts["gradients"] == 1096 + 512  # the head's alone


def test_checkpointing_holds_one_stage_and_the_inputs_of_those_before():
    calibration = cases.calibration(checkpoint_kept_ratio=cases.number(0.25))
    memory = figures(recipe=cases.recipe(checkpointing=True), calibration=calibration)
    # head: 120,000 - 0.75 * 80,000 = 60,000; backbone: nothing runs before it, 90,000 + 1096
    assert memory.parts["activations"] + memory.parts["gradients"] == 91_096


def test_the_pool_of_a_run_that_validates_has_what_the_replay_of_its_validation_added():
    growing = cases.profile(traces={Precision.FP32: cases.trace(validation_bytes=Polynomial(one=7.0, bp=3.0))})
    trained, validated = (figures(profile=growing, recipe=cases.recipe(validation=each)) for each in (False, True))
    assert validated.parts["validation"] == 30_007  # 7 + 3 * 10 * 1000
    assert trained.parts["validation"] == 0
    assert validated.reserved_bytes.expected == trained.reserved_bytes.expected + 30_007
    assert validated.device_bytes.expected == trained.device_bytes.expected + 30_007
    # the lower end holds before the first validation as well, the upper one after it
    assert validated.reserved_bytes.low == trained.reserved_bytes.low
    assert validated.reserved_bytes.high == pytest.approx(1.1 * validated.reserved_bytes.expected)
    assert (validated.allocated_bytes, validated.required_bytes) == (trained.allocated_bytes, trained.required_bytes)


def test_parts_sum_to_the_device_figure():
    memory = figures(recipe=cases.recipe(optimizer=Optimizer.ADAMW, ema=True, gpus=2), calibration=cases.shipped())
    assert sum(memory.parts.values()) == pytest.approx(memory.device_bytes.expected)


def test_evidence_widens_from_fitted_cards_to_other_vendors():
    calibration = cases.calibration(fitted_generations=(Generation.AMPERE,), fitted_libraries=("toys",))
    model = cases.profile()
    assert memory_evidence(model, cases.card(), calibration).level is EvidenceLevel.CALIBRATED
    assert memory_evidence(model, cases.card(Generation.ADA), calibration).level is EvidenceLevel.GENERATION
    other = cases.card(Generation.CDNA3, vendor=Vendor.AMD)
    assert memory_evidence(model, other, calibration).level is EvidenceLevel.DATASHEET
    shipped = cases.shipped()
    widths = [shipped.spread[level].high.value - shipped.spread[level].low.value for level in EvidenceLevel]
    assert widths == sorted(widths)


def timeline(*, step_s=None, **recipe):
    calibration = cases.calibration(checkpoint_kept_ratio=cases.number(0.25))
    return memory_timeline(cases.profile(), cases.recipe(**recipe), SHAPE, step_s or {}, calibration)


def test_the_timeline_names_what_each_stage_holds_and_its_peaks():
    backbone, head = timeline(step_s={"head": 0.25})
    assert (backbone.step_s, head.step_s) == (0.0, 0.25)
    assert (backbone.stage, backbone.saved_bytes, backbone.backward_peak_bytes) == ("backbone", 80_000, 90_000)
    assert (head.saved_bytes, head.forward_peak_bytes, head.backward_peak_bytes) == (20_000, None, 120_000)


def test_the_timeline_of_a_frozen_backbone_holds_nothing_of_it():
    backbone, head = timeline(freeze=Freeze.BACKBONE)
    assert (backbone.saved_bytes, backbone.backward_peak_bytes) == (0.0, None)
    # 120,000 less the 80,000 that the backbone would have saved
    assert (head.saved_bytes, head.backward_peak_bytes) == (20_000, 40_000)


def test_the_timeline_of_checkpointed_stages_holds_their_inputs():
    backbone, head = timeline(checkpointing=True)
    # a quarter of what they saved; in the head's backward pass three quarters of the backbone's 80,000 are missing
    assert (backbone.saved_bytes, backbone.backward_peak_bytes) == (20_000, 90_000)
    assert (head.saved_bytes, head.backward_peak_bytes) == (5_000, 60_000)
