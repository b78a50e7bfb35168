import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from canitrain.catalog import find_card, load_calibration
from canitrain.core.polynomial import BatchShape, Polynomial
from canitrain.core.profile import Convolution, Phase, Precision, Stage, Trace, Work, WorkKind
from canitrain.estimate.convolution_time import convolution_passes, convolution_times
from canitrain.estimate.device_rates import gpu_rates

CALIBRATION = load_calibration().time
CARD = find_card("RTX 3090")
ONE_IMAGE = BatchShape(batch_size=1, pixels=1.0, boxes=0.0)
properties = settings(max_examples=60, deadline=None, derandomize=True)


def layer(inputs=64, outputs=64, side=3, groups=1, *, pixels=10_000.0, **changes):
    area = Polynomial(b=pixels)
    return Convolution(
        in_channels=inputs,
        out_channels=outputs,
        kernel=(side, side),
        groups=groups,
        half=True,
        count=Polynomial(one=1.0),
        input_pixels=area,
        output_pixels=area,
        **changes,
    )


def trace_of(*layers, extra_bytes=0.0):
    stages = []
    for one in layers:
        works = {phase: dict.fromkeys(("flops", "bytes", "kernels"), 0.0) for phase in Phase}
        for product in convolution_passes(one, ONE_IMAGE):
            works[product.phase]["flops"] += product.flops
            works[product.phase]["bytes"] += product.size_bytes
            works[product.phase]["kernels"] += 1
            kind = product.kind
        works[Phase.FORWARD]["bytes"] += extra_bytes
        stage = {
            phase: {kind: Work(**{name: Polynomial(one=value) for name, value in work.items()})}
            for phase, work in works.items()
        }
        stages.append(Stage(name="block", forward=stage[Phase.FORWARD], backward=stage[Phase.BACKWARD]))
    return Trace(
        stages=tuple(stages),
        peaks=(),
        convolutions=layers,
        fit_shapes=(),
        check_shapes=(),
        check_live_error=(),
        check_flops_error=(),
    )


def seconds(*layers, precision=Precision.AMP, channels_last=False, extra_bytes=0.0, card=CARD):
    rates = gpu_rates(card, precision, CALIBRATION, channels_last=channels_last)
    return sum(convolution_times(trace_of(*layers, extra_bytes=extra_bytes), ONE_IMAGE, rates).values())


def test_a_layer_runs_forward_and_for_each_gradient_that_is_asked_for():
    passes = list(convolution_passes(layer(inputs=16, outputs=32), ONE_IMAGE))
    assert [one.phase for one in passes] == [Phase.FORWARD, Phase.BACKWARD, Phase.BACKWARD]
    # 2 x 10,000 pixels x 32 x 16 x 9; half precision: 2 x (10,000 x (16 + 32) + 32 x 16 x 9)
    assert {one.flops for one in passes} == {92_160_000}
    assert {one.size_bytes for one in passes} == {969_216}
    assert [(one.outputs, one.terms) for one in passes] == [(32, 144), (32, 144), (16, 288)]
    assert len(list(convolution_passes(layer(input_gradient=False), ONE_IMAGE))) == 2


def test_resnext_convolutions_are_told_from_depthwise_ones():
    (grouped, *_), (depthwise, *_) = (convolution_passes(layer(groups=groups), ONE_IMAGE) for groups in (16, 64))
    assert (grouped.grouped, grouped.outputs, grouped.kind) == (True, 4, WorkKind.DEPTHWISE_CONV)
    assert (depthwise.grouped, depthwise.outputs, depthwise.terms) == (False, math.inf, math.inf)


def test_the_same_arithmetic_with_few_channels_takes_longer():
    # 16 x 16 channels on 16 times the pixels are as many FLOPs as 64 x 64.
    assert seconds(layer(16, 16, pixels=16e6)) > 2 * seconds(layer(64, 64, pixels=1e6))


def test_channels_that_tensor_cores_cannot_load_cost_more_than_the_next_multiple_of_eight():
    assert seconds(layer(1023, 1023)) > seconds(layer(1024, 1024))


def test_winograd_makes_three_by_three_quicker_in_fp32_only_where_there_are_no_matrix_units():
    old = find_card("TITAN Xp")
    per_flop = [seconds(layer(512, 512, side), precision=Precision.FP32, card=old) / side**2 for side in (3, 5)]
    assert per_flop[0] < 0.75 * per_flop[1]


def test_winograd_is_not_counted_on_where_no_vendor_documents_it():
    apple = find_card("M3 Max")
    per_flop = [seconds(layer(512, 512, side), precision=Precision.FP32, card=apple) / side**2 for side in (3, 5)]
    assert per_flop[0] > 0.9 * per_flop[1]


def test_bytes_beyond_the_layers_own_are_an_elementwise_kernel():
    rates = gpu_rates(CARD, Precision.AMP, CALIBRATION, channels_last=False)
    added_s = seconds(layer(), extra_bytes=1e9) - seconds(layer())
    share = rates.curves[WorkKind.ELEMENTWISE].bandwidth_ratio
    assert added_s == pytest.approx(1e9 / (rates.memory_bytes_per_s * share))


def test_small_tensors_are_found_in_a_large_cache():
    rates = gpu_rates(CARD, Precision.AMP, CALIBRATION, channels_last=False)
    large = msgspec.structs.replace(rates, cached_bytes=1e8)
    assert large.traffic_s(1e9, 1e6) < 0.5 * rates.traffic_s(1e9, 1e9)
    assert large.traffic_s(1e9, 1e12) == pytest.approx(rates.traffic_s(1e9, 1e12), rel=1e-3)


def test_arithmetic_and_traffic_hide_each_other_less_where_they_are_equal():
    rates = gpu_rates(CARD, Precision.AMP, CALIBRATION, channels_last=False)
    power = CALIBRATION.overlap_power.value
    assert rates.together_s(1.0, 1.0) == pytest.approx(2 ** (1 / power))
    assert rates.together_s(1.0, 0.0) == 1.0
    assert msgspec.structs.replace(rates, overlap_power=math.inf).together_s(1.0, 0.9) == 1.0


@properties
@given(
    inputs=st.integers(1, 600),
    outputs=st.integers(1, 600),
    side=st.sampled_from((1, 3, 5, 7)),
    times=st.integers(1, 64),
    precision=st.sampled_from(Precision),
    channels_last=st.booleans(),
)
def test_more_aligned_channels_more_pixels_and_larger_kernels_are_never_faster(
    *, inputs, outputs, side, times, precision, channels_last
):
    def time_of(*args, **kwargs):
        return seconds(layer(*args, **kwargs), precision=precision, channels_last=channels_last)

    inputs, outputs = 8 * inputs, 8 * outputs
    before = time_of(inputs, outputs, side)
    slack = 1 + 1e-9
    assert time_of(inputs + 8 * times, outputs, side) * slack >= before
    assert time_of(inputs, outputs + 8 * times, side) * slack >= before
    assert time_of(inputs, outputs, side, pixels=10_000.0 * times) * slack >= before
    assert time_of(inputs, outputs, side + 4) * slack >= before


RAGGED = replace(
    CALIBRATION,
    curve=tuple(replace(curve, ragged_copy_ratio=1.5 * curve.copy_ratio) for curve in CALIBRATION.curve),
)
"""Ragged copies take half as long again, whatever the fit says."""


def copying_s(side):
    """Seconds of a 1 x 1 convolution in half precision, NCHW, an image, forward and backward."""
    rates = gpu_rates(CARD, Precision.AMP, RAGGED, channels_last=False)
    one = layer(side=1, pixels=side**2)
    return sum(convolution_times(trace_of(one), BatchShape(batch_size=64, pixels=1.0, boxes=0.0), rates).values())


def test_images_that_threads_cannot_move_eight_pixels_at_a_time_are_copied_more_slowly():
    # 38 x 38 = 1444 pixels, 4 more than 180 times 8; 40 x 40 = 1600 are 11 % more, and copied faster all the same.
    assert copying_s(38) / 38**2 > 1.05 * copying_s(40) / 40**2
    assert copying_s(75) / 75**2 > 1.05 * copying_s(76) / 76**2
    assert all(curve.ragged_copy_ratio >= curve.copy_ratio for curve in CALIBRATION.curve)


def test_mean_sizes_of_images_say_nothing_of_how_their_pixels_are_moved():
    # 1444.5 pixels are those of the mean image.
    assert copying_s(math.sqrt(1444.5)) < copying_s(38)


@pytest.mark.parametrize(
    ("channels", "groups", "side", "quick"),
    [(512, 32, 3, True), (128, 16, 3, True), (128, 8, 3, False), (512, 8, 3, False), (512, 32, 5, False)],
)
def test_many_small_groups_are_quick_in_channels_last(channels, groups, side, quick):
    # ResNeXt-50's third stage has 32 groups of 16; RegNetX's have a few groups of 16 to 120.
    one = layer(channels, channels, side, groups=groups, pixels=1e6)
    products = list(convolution_passes(one, ONE_IMAGE))
    assert {product.many_groups for product in products} == {quick}
    at_bandwidth_s = sum(product.size_bytes for product in products) / CARD.memory_bytes_per_s
    assert (seconds(one, channels_last=True) < 4 * at_bandwidth_s) is quick
    assert (seconds(one, channels_last=True) < seconds(one)) is quick
