"""Host and device in turns, and heads that learn on positive samples only."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pencil import CALIBRATION, CARD, PROFILE, RECIPE

from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Phase, Precision, Work, WorkKind
from canitrain.estimate.positives import positive_share
from canitrain.estimate.step_time import step_time
from canitrain.estimate.timeline import Segment, together_s

SECONDS = st.floats(0.0, 1.0)
SEGMENTS = st.lists(st.builds(Segment, host_s=SECONDS, device_s=SECONDS, waits=st.floats(0.0, 50.0)), max_size=6)


def test_without_waits_the_slower_of_the_two_decides():
    ahead = (Segment(host_s=1.0, device_s=5.0), Segment(host_s=3.0, device_s=0.5))
    assert together_s(ahead) == 5.5  # the host is through after 4 s, the device has 5.5 s to do
    assert together_s((Segment(host_s=4.0, device_s=1.0),)) == 4.0


def test_between_waits_neither_works_ahead():
    # 5 s of device, then four pieces around three waits: 1 s to launch each, nothing to compute. The first piece is
    # launched ahead, the others while the device is idle: 5 + 3 x 1.
    segments = (Segment(host_s=0.5, device_s=5.0), Segment(host_s=4.0, device_s=0.0, waits=3.0))
    assert together_s(segments) == pytest.approx(8.0)


def test_large_kernels_lose_little_to_waits():
    # Ten pieces of 1 s on the device, each launched in 0.1 s: nine are launched while nothing runs, but 0.1 s each is
    # hidden beside their own kernels.
    assert together_s((Segment(host_s=1.0, device_s=10.0, waits=9.0),)) == pytest.approx(10.0)


@given(SEGMENTS)
def test_together_takes_at_least_the_longer_and_at_most_both_after_each_other(segments):
    host_s, device_s = sum(s.host_s for s in segments), sum(s.device_s for s in segments)
    assert max(host_s, device_s) - 1e-9 <= together_s(segments) <= host_s + device_s + 1e-9


@given(st.integers(1, 512), st.floats(0.0, 500.0), st.floats(0.1, 100.0))
def test_a_share_is_a_share_and_never_more_than_the_mean_of_what_objects_give(most, boxes, per_box):
    share = positive_share(most, boxes, per_box)
    assert 0 <= share <= min(1.0, per_box * boxes / most) + 1e-9


def test_crowded_images_fill_the_quota_and_empty_ones_give_nothing():
    assert positive_share(128, 1000.0, 14.0) == pytest.approx(1.0, abs=0.01)
    assert positive_share(128, 0.0, 14.0) == 0.0
    # 14 x 8 = 112 on average, spread exponentially: 112 x (1 - exp(-128 / 112)) = 76.3 of 128
    assert positive_share(128, 8.0, 14.0) == pytest.approx(0.596, abs=0.001)


def timed(precision=Precision.FP32, *, ema=False, **changes):
    trace = PROFILE.traces[Precision.FP32]
    stages = (trace.stages[0], msgspec.structs.replace(trace.stages[1], **changes))
    trace = msgspec.structs.replace(trace, stages=stages)
    profile = msgspec.structs.replace(PROFILE, traces=dict.fromkeys(Precision, trace))
    recipe = msgspec.structs.replace(RECIPE, precision=precision, ema=ema)
    shape = BatchShape(batch_size=16, pixels=640 * 640, boxes=2.0)
    return step_time(profile, recipe, shape, CARD, slowness=1.0, bench=None, calibration=CALIBRATION)


def test_small_kernels_between_waits_lengthen_the_step_and_nothing_else():
    tiny = {WorkKind.OTHER: Work(bytes=Polynomial(one=1e4), kernels=Polynomial(one=500.0))}
    ahead, stopped = timed(forward=tiny), timed(forward=tiny, waits=Polynomial(one=99.0))
    assert ahead.waits_s == pytest.approx(0.0, abs=1e-12)
    # 99 of 100 pieces are launched while the device is idle: 495 kernels of Python code, less what they take there
    device_s = sum(each.time_s for each in ahead.groups if each.stage == "head" and each.phase is Phase.FORWARD)
    launched_s = 495 * CALIBRATION.launch.code_kernel_s.value
    assert stopped.waits_s == pytest.approx(launched_s - 0.99 * device_s, rel=0.01)
    assert (stopped.compute_s, stopped.launches_s) == (ahead.compute_s, ahead.launches_s)


def test_a_head_on_positive_samples_does_the_share_of_the_mean_image():
    # 2 objects x 14 of at most 28: 28 x (1 - 1/e) = 17.7, in as many kernels
    whole, part = timed(), timed(positives=28)
    head, part_head = whole.stages_s()["head"], part.stages_s()["head"]
    assert part_head < head
    assert part.launches_s == whole.launches_s
    assert part.stages_s()["backbone"] == whole.stages_s()["backbone"]


def test_the_gradient_scaler_waits_before_an_update_of_many_small_kernels():
    assert timed(Precision.FP32, ema=True).waits_s == pytest.approx(0.0, abs=1e-9)
    assert timed(Precision.AMP, ema=True).waits_s > 0.0
