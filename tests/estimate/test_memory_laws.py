"""Laws of the memory estimate that hold for any profile, recipe and card."""

from __future__ import annotations

import memory_cases as cases
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.core.gpu import Generation
from canitrain.core.memory_status import memory_status
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Peak, Phase, Precision, SizeRule, SlackReplays
from canitrain.core.recipe import Freeze, Optimizer, Recipe, Strategy
from canitrain.core.report import GpuMemory, Status
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.line import Line, upper_envelope

FIGURES = ("allocated_bytes", "reserved_bytes", "device_bytes", "required_bytes")
few = settings(max_examples=60, deadline=None, derandomize=True)

coefficient = st.floats(0, 1e4)
polynomials = st.builds(
    Polynomial, one=coefficient, b=coefficient, p=coefficient, bp=coefficient, bn=coefficient, bpn=st.floats(0, 1)
)
convolutions = st.builds(
    Convolution,
    in_channels=st.integers(1, 512),
    out_channels=st.integers(1, 512),
    kernel=st.sampled_from([(1, 1), (3, 3), (7, 7)]),
    groups=st.sampled_from([1, 2]),
    half=st.booleans(),
    count=st.just(Polynomial(one=1.0)),
    input_pixels=st.builds(Polynomial, bp=st.floats(0, 1)),
    output_pixels=st.builds(Polynomial, bp=st.floats(0, 1)),
)
peaks = st.builds(
    Peak,
    stage=st.sampled_from(["backbone", "head"]),
    phase=st.sampled_from(Phase),
    live_bytes=polynomials,
    gradient_bytes=st.integers(0, 4096),
    convolution=st.sampled_from([None, 0, 1]),
)


replays = st.one_of(
    st.none(),
    st.lists(st.integers(0, 2**31), min_size=4, max_size=4).map(
        lambda slack: SlackReplays(pixels=50_000, batches=(1, 4, 16, 64), slack_bytes=tuple(slack))
    ),
)
"""Slack as replayed may fall where the batch grows."""


@st.composite
def profiles(draw):
    stages = tuple(msgspec.structs.replace(stage, saved_bytes=draw(polynomials)) for stage in cases.trace().stages)
    trace = cases.trace(
        stages=stages,
        convolutions=tuple(draw(st.lists(convolutions, min_size=2, max_size=4))),
        slack_bytes=draw(polynomials),
        slack_replays=draw(replays),
        validation_bytes=draw(polynomials),
        peaks=tuple(draw(st.lists(peaks, min_size=1, max_size=5))),
    )
    return cases.profile(
        traces={Precision.FP32: trace, Precision.AMP: trace}, size_rule=draw(st.sampled_from(SizeRule))
    )


recipes = st.builds(
    cases.recipe,
    precision=st.sampled_from(Precision),
    optimizer=st.sampled_from(Optimizer),
    effective_batch_size=st.sampled_from([4, 64]),
    ema=st.booleans(),
    gpus=st.sampled_from([1, 2, 8]),
    strategy=st.sampled_from(Strategy),
    freeze=st.sampled_from(Freeze),
    checkpointing=st.booleans(),
    foreach=st.booleans(),
    multi_scale=st.booleans(),
)
cards = st.sampled_from(Generation).map(cases.card)
shapes = st.builds(
    lambda batch_size, pixels, others, more: BatchShape(
        batch_size=batch_size, pixels=pixels, boxes=others + more, other_boxes=others
    ),
    st.integers(1, 512),
    st.floats(1e3, 2e6),
    st.floats(0, 100),
    st.floats(0, 200),
)


def figures(profile, recipe: Recipe, shape: BatchShape, card) -> GpuMemory:
    return gpu_memory(profile, recipe, shape, card, cases.shipped(), total_bytes=None, budget_bytes=None)


@few
@given(profiles(), recipes, cards, shapes, shapes)
def test_more_images_pixels_or_boxes_never_lower_any_figure(profile, recipe, card, one, other):
    smaller = BatchShape(
        batch_size=min(one.batch_size, other.batch_size),
        pixels=min(one.pixels, other.pixels),
        boxes=min(one.boxes, other.boxes),
        other_boxes=min(one.boxes_of_others, other.boxes_of_others),
    )
    less, more = figures(profile, recipe, smaller, card), figures(profile, recipe, one, card)
    for name in FIGURES:
        for end in ("low", "expected", "high"):
            assert getattr(getattr(less, name), end) <= getattr(getattr(more, name), end) * (1 + 1e-12)


@pytest.mark.parametrize("change", [{"freeze": Freeze.BACKBONE}, {"checkpointing": True}])
def test_more_boxes_never_lower_a_figure_where_a_trace_gives_a_stage_more_of_them_than_the_peak(change):
    backbone, head = cases.trace().stages
    peak = Peak(stage="head", phase=Phase.BACKWARD, live_bytes=Polynomial(bp=9.0, bn=1e6), gradient_bytes=0)
    saving = msgspec.structs.replace(backbone, saved_bytes=Polynomial(bp=8.0, bn=2e6))
    trace = cases.trace(stages=(saving, head), peaks=(peak,))
    profile = cases.profile(traces={Precision.FP32: trace})
    few_boxes, many_boxes = (
        figures(profile, cases.recipe(**change), BatchShape(batch_size=4, pixels=1e6, boxes=boxes), cases.card())
        for boxes in (1.0, 4.0)
    )
    assert many_boxes.device_bytes.expected >= few_boxes.device_bytes.expected


@few
@given(profiles(), recipes, cards, shapes)
def test_parts_sum_to_the_device_figure_and_none_is_negative(profile, recipe, card, shape):
    memory = figures(profile, recipe, shape, card)
    assert sum(memory.parts.values()) == pytest.approx(memory.device_bytes.expected)
    assert min(memory.parts.values()) >= 0


@few
@given(profiles(), recipes, cards, shapes)
def test_the_figures_stand_in_order(profile, recipe, card, shape):
    memory = figures(profile, recipe, shape, card)
    for end in ("low", "expected", "high"):
        allocated, reserved, device, required = (getattr(getattr(memory, name), end) for name in FIGURES)
        assert allocated <= reserved <= device
        assert required <= device


@few
@given(profiles(), recipes, cards, shapes, st.floats(1e8, 1e11))
def test_a_larger_batch_never_fits_better(profile, recipe, card, shape, budget_bytes):
    larger = msgspec.structs.replace(shape, batch_size=shape.batch_size + 1)
    worsening = [Status.GO, Status.TIGHT, Status.NO_GO]
    before, after = (memory_status(figures(profile, recipe, each, card), budget_bytes) for each in (shape, larger))
    assert worsening.index(before) <= worsening.index(after)


lines = st.builds(Line, fixed=st.floats(0, 1e9), per_image=st.floats(0, 1e7))


@few
@given(st.lists(lines, min_size=1, max_size=20), st.integers(1, 4096))
def test_the_envelope_of_lines_holds_the_highest_at_every_batch(all_lines, batch_size):
    kept = upper_envelope(all_lines, lambda line: line)
    highest = max(line.at(batch_size) for line in all_lines)
    assert max(line.at(batch_size) for line in kept) == pytest.approx(highest)
