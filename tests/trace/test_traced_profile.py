"""From traces to a profile that replays."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from traced_nets import record, subject, summed, two_convolutions

from canitrain.core.errors import InputError
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase, Precision
from canitrain.trace.fit import Fitter, nonnegative_least_squares, tidy
from canitrain.trace.profile import replay_flops, replay_peak_bytes, trace_subject
from canitrain.trace.stages import STAGE_LIMIT, divide
from canitrain.trace.writer import profile_json


def deep() -> nn.Sequential:
    """Ten convolutions with batch norm, halving twice."""
    blocks = [nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
    for index in range(9):
        layer = nn.Conv2d(16, 16, 3, stride=2 if index == 4 else 1, padding=1)
        blocks.append(nn.Sequential(layer, nn.BatchNorm2d(16), nn.SiLU()))
    return nn.Sequential(*blocks)


@pytest.fixture(scope="module")
def profile() -> ModelProfile:
    return trace_subject(subject(lambda: summed(deep())))


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", [(3, 128, 64, 0), (8, 96, 96, 0)])
def test_replay_agrees_with_a_direct_trace_at_shapes_that_nobody_fitted(profile, precision, shape):
    direct = record(deep(), shape, amp=precision is Precision.AMP)
    trace = profile.traces[precision]
    assert replay_peak_bytes(trace, shape) == pytest.approx(direct.peak_bytes, rel=0.01)
    assert replay_flops(trace, shape) == pytest.approx(direct.flops, rel=1e-6)


def test_saved_bytes_replay_too(profile):
    direct = record(deep(), (4, 64, 64, 0))
    assert profile.traces[Precision.FP32].check_live_error[0] == pytest.approx(0, abs=0.01)
    total = sum(stage.saved_bytes.at(_at(4, 64 * 64)) for stage in profile.traces[Precision.FP32].stages)
    assert total == pytest.approx(sum(direct.saved_bytes), rel=0.01)


def _at(batch, pixels):
    return BatchShape(batch_size=batch, pixels=pixels, boxes=0)


def test_parameters_of_the_stages_add_up(profile):
    trace = profile.traces[Precision.FP32]
    assert sum(stage.parameter_bytes for stage in trace.stages) == profile.parameter_bytes
    assert sum(stage.trainable_parameter_bytes for stage in trace.stages) == profile.trainable_parameter_bytes


def test_every_convolution_is_counted(profile):
    trace = profile.traces[Precision.FP32]
    assert sum(item.count.one for item in trace.convolutions) == 10
    first = next(item for item in trace.convolutions if item.in_channels == 3)
    assert (first.weight_gradient, first.input_gradient, first.half) == (True, False, False)
    assert all(item.half for item in profile.traces[Precision.AMP].convolutions)


def test_input_and_loss_frame_the_stages(profile):
    names = [stage.name for stage in profile.traces[Precision.FP32].stages]
    assert (names[0], names[-1]) == ("input", "loss")
    assert names[1:-1] == [str(index) for index in range(10)]


def test_every_stage_that_runs_has_a_peak_in_each_phase(profile):
    trace = profile.traces[Precision.FP32]
    seen = {(peak.stage, peak.phase) for peak in trace.peaks}
    assert {(str(index), phase) for index in range(10) for phase in Phase} <= seen


def test_weight_gradients_grow_through_the_backward_pass(profile):
    last = next(p for p in profile.traces[Precision.FP32].peaks if p.stage == "0" and p.phase is Phase.BACKWARD)
    first = next(p for p in profile.traces[Precision.FP32].peaks if p.stage == "9" and p.phase is Phase.BACKWARD)
    assert last.gradient_bytes > first.gradient_bytes


def test_json_reads_back_as_it_was_and_has_one_stage_a_line(profile):
    text = profile_json(profile)
    assert msgspec.json.decode(text, type=ModelProfile) == profile
    assert sum('"name":"3"' in line for line in text.splitlines()) == 2  # one a precision
    assert len(text) < 60_000


def test_a_basis_without_pixels_is_refused_with_the_residual():
    with pytest.raises(InputError, match=r"off by .*%"):
        trace_subject(subject(lambda: summed(two_convolutions()), basis=("one", "b")))


def test_a_subject_that_misses_is_replaced_by_its_fallback():
    narrow = subject(lambda: summed(two_convolutions()), basis=("one", "b"))
    fallback = dataclasses.replace(subject(lambda: summed(two_convolutions())), name="wide")
    assert trace_subject(dataclasses.replace(narrow, fallback=fallback)).name == "wide"


def test_a_model_that_refuses_a_size_is_replaced_by_its_fallback():
    def picky():
        built = summed(two_convolutions())

        def step(batch, height, width, boxes):
            assert height == 64, "takes 64 px only"
            return built.step(batch, height, width, boxes)

        return dataclasses.replace(built, step=step)

    fallback = dataclasses.replace(subject(lambda: summed(two_convolutions())), name="wide")
    assert trace_subject(dataclasses.replace(subject(picky), fallback=fallback)).name == "wide"


def test_a_subject_that_holds_is_kept():
    kept = subject(lambda: summed(two_convolutions()))
    fallback = dataclasses.replace(kept, name="narrow")
    assert trace_subject(dataclasses.replace(kept, fallback=fallback)).name == kept.name


def test_least_squares_keeps_out_what_would_be_negative():
    # unconstrained: (-1, 3); with x0 held at zero the best x1 is 2.2 = (1*1 + 2*5)/(1 + 4)... worked: rows (1,1), (1,2)
    matrix = np.array([[1.0, 1.0], [1.0, 2.0]])
    solved = nonnegative_least_squares(matrix, np.array([2.0, 5.0]))
    # x0 = 0: x1 = (1*2 + 2*5) / (1 + 4) = 2.4
    assert solved == pytest.approx([0.0, 2.4])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([0.0, 1.0, 7.0, 1000.0, 123456.0]), min_size=4, max_size=4))
def test_nonnegative_coefficients_are_found_again(coefficients):
    shapes = [(1, 32, 32, 0), (2, 32, 32, 0), (1, 64, 64, 0), (2, 64, 64, 0), (3, 64, 32, 0)]
    one, b, p, bp = coefficients
    values = [one + b * s[0] + p * s[1] * s[2] + bp * s[0] * s[1] * s[2] for s in shapes]
    fitted = Fitter(shapes, ("one", "b", "p", "bp")).fit(values)
    for shape, value in zip(
        [*shapes, (9, 256, 256, 0)], [*values, one + 9 * b + p * 65536 + 9 * bp * 65536], strict=True
    ):
        assert fitted.at(_at(shape[0], shape[1] * shape[2])) == pytest.approx(value, rel=1e-5, abs=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=5, max_size=5))
def test_no_coefficient_is_ever_negative(values):
    shapes = [(1, 32, 32, 0), (2, 32, 32, 0), (1, 64, 64, 0), (2, 64, 64, 0), (3, 64, 32, 0)]
    fitted = Fitter(shapes, ("one", "b", "p", "bp")).fit(values)
    assert min(fitted.one, fitted.b, fitted.p, fitted.bp) >= 0


def test_whole_numbers_stay_whole():
    assert tidy(123456789012.00001) == 123456789012.0


def test_long_sequences_are_divided_and_lists_always_are():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.blocks = nn.Sequential(*[nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()) for _ in range(5)])
            self.heads = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])

    assert divide(Model()) == ("stem", *(f"blocks.{i}" for i in range(5)), "heads.0", "heads.1")


def test_division_stops_at_the_limit():
    blocks = nn.Sequential(*[nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()) for _ in range(STAGE_LIMIT + 5)])
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(3, 4, 1))
    model.add_module("blocks", blocks)
    assert divide(model) == ("stem", "blocks")
