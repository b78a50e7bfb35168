"""Live bytes against paper, and against torch's own books."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from traced_nets import record, summed, two_convolutions

from canitrain.core.profile import Phase
from canitrain.trace.step import record_step

BATCH = 2 * 3 * 256 * 4  # 6144: two images of 3 x 16 x 16 floats
HIDDEN = 2 * 4 * 256 * 4  # 8192
OUTPUT = 2 * 16 * 256 * 4  # 32768
SCALAR = 512  # one float, rounded up to the allocator's block


def test_forward_holds_the_batch_the_hidden_map_the_output_and_the_loss():
    traced = record(two_convolutions())
    number = next(i for i, run in enumerate(traced.runs) if run.name == "sum")
    # The first convolution's output is gone: ReLU keeps its result only. 6144 + 8192 + 32768 + 512 = 47616
    assert traced.live_bytes[number] == BATCH + HIDDEN + OUTPUT + SCALAR == 47616


def test_peak_of_two_convolutions_is_in_the_backward_of_the_second():
    # Saved: batch and ReLU's result. The loss and its gradient of one, which a convolution copies out to the output's
    # size; the gradients of its input and of its weight (16 * 4 * 9 * 4 = 2304 -> 2560).
    expected = BATCH + HIDDEN + 2 * SCALAR + OUTPUT + HIDDEN + 2560
    assert record(two_convolutions()).peak_bytes == expected == 58880


def test_backward_of_the_relu_holds_both_gradients_beside_what_is_saved():
    traced = record(two_convolutions())
    number = next(i for i, run in enumerate(traced.runs) if run.name == "threshold_backward")
    # batch (for the first weight gradient), ReLU's result, two gradients of its shape, the loss and its gradient of one
    assert traced.live_bytes[number] == BATCH + 3 * HIDDEN + 2 * SCALAR
    # the second weight's gradient exists: 16 * 4 * 9 * 4 = 2304 -> 2560
    assert traced.gradient_bytes[number] == 2560


def test_saved_bytes_belong_to_the_stage_that_made_them():
    traced = record(two_convolutions())
    saved = dict(zip(traced.stages, traced.saved_bytes, strict=True))
    assert saved == {"input": BATCH, "0": 0, "1": HIDDEN, "2": 0, "loss": SCALAR}


def test_everything_is_freed_in_the_end():
    traced = record(two_convolutions())
    # when the last weight gradient is made: its two operands, the loss and the loss's gradient of one
    assert traced.live_bytes[-1] == BATCH + HIDDEN + 2 * SCALAR
    assert traced.gradient_bytes[-1] == 2560 + 512  # 4 * 3 * 9 * 4 = 432 -> 512


def test_a_frozen_first_layer_lets_the_batch_go():
    model = two_convolutions()
    model[0].weight.requires_grad_(requires_grad=False)
    traced = record(model)
    assert traced.saved_bytes[0] == 0
    assert not any(run.phase is Phase.BACKWARD and run.stage == 1 for run in traced.runs)


def test_gradients_until_backward_count_in_the_forward_pass():
    kept = record(two_convolutions(), gradients_until_backward=True)
    weights = 2560 + 512
    forward = [run.phase is Phase.FORWARD for run in kept.runs]
    assert {kept.gradient_bytes[i] for i, before in enumerate(forward) if before} == {weights}
    assert kept.gradient_bytes[forward.index(False)] == 0


def test_an_operator_in_place_takes_no_new_memory():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(inplace=True))
    traced = record(model)
    place = next(i for i, run in enumerate(traced.runs) if run.name == "relu_")
    assert traced.live_bytes[place] == BATCH + HIDDEN


class Residual(nn.Module):
    """A body whose input is added to its output, as in every ResNet and transformer."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, tensor):
        return tensor + self.body(tensor)


def perceptron():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3072, 2048),
        nn.GELU(),
        Residual(nn.LayerNorm(2048), nn.Linear(2048, 4096), nn.SiLU(), nn.Linear(4096, 2048)),
        Residual(nn.LayerNorm(2048), nn.Linear(2048, 2048), nn.ReLU(inplace=True)),
        nn.Linear(2048, 16),
    )


def pyramid():
    return nn.Sequential(
        Residual(nn.BatchNorm2d(3), nn.Hardswish()),
        nn.MaxPool2d(2),
        Residual(nn.GroupNorm(1, 3), nn.Sigmoid()),
        nn.Flatten(),
        nn.Linear(768, 16),
    )


@pytest.mark.parametrize("build", [perceptron, pyramid])
@pytest.mark.parametrize("batch", [16, 64])
def test_peak_agrees_with_torchs_own_memory_records(build, batch):
    model = build()
    built = summed(model)
    shape = (batch, 32, 32, 0)
    traced = record(model, shape)
    with torch.profiler.profile(profile_memory=True) as profiler:
        built.step(*shape).backward()
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    live = peak = 0
    for _, change in changes:
        live += change
        peak = max(peak, live)
    # the records count bytes as asked, the recorder in blocks of 512
    assert traced.peak_bytes == pytest.approx(peak, rel=0.005)


def test_meta_and_hollow_runs_agree():
    model = two_convolutions()
    on_meta = record_on_meta()
    assert on_meta.live_bytes == record(model).live_bytes
    assert on_meta.flops == record(model).flops


def record_on_meta():
    return record_step(summed(two_convolutions().to("meta")), (2, 16, 16, 0), amp=False, meta=True)


def test_a_strided_operand_of_a_convolution_is_copied_while_it_runs():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.Conv2d(3, 4, 1, bias=False)
            self.right = nn.Conv2d(2, 4, 1, bias=False)

        def forward(self, images):
            return self.right(self.left(images)[:, :2])

    traced = record(Half())
    place = next(i for i, run in enumerate(traced.runs) if run.stage == 2 and run.name == "convolution")
    # batch, the whole of the left output, the copy of its half, the right output
    assert traced.live_bytes[place] == BATCH + HIDDEN + HIDDEN // 2 + HIDDEN
