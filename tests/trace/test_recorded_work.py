"""FLOPs, bytes, kernels and whose they are."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from traced_nets import record, subject, summed, two_convolutions

from canitrain.core.profile import Phase, Precision, WorkKind
from canitrain.trace.profile import trace_subject


def flops(traced, phase, stage=None):
    return sum(run.flops for run in traced.runs if run.phase is phase and stage in (None, traced.stages[run.stage]))


def test_convolution_flops_are_two_a_multiply_add():
    # 2 * (4*3*9 weights) * 512 pixels + 2 * (16*4*9) * 512 = 110592 + 589824
    assert flops(record(two_convolutions()), Phase.FORWARD) == 110592 + 589824


def test_backward_work_goes_to_the_stage_whose_forward_made_it():
    traced = record(two_convolutions())
    assert flops(traced, Phase.BACKWARD, "2") == 2 * 589824  # both gradients
    assert flops(traced, Phase.BACKWARD, "0") == 110592  # the batch needs no gradient


def test_the_weight_gradient_of_a_grouped_convolution_is_divided_by_groups():
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False))
    traced = record(model)
    # 2 * (8*1*9 weights) * 512 pixels = 73728 a pass
    assert flops(traced, Phase.FORWARD, "1") == 73728
    assert flops(traced, Phase.BACKWARD, "1") == 2 * 73728
    assert {run.kind for run in traced.runs if run.stage == 2 and run.flops} == {WorkKind.DEPTHWISE_CONV}


def test_a_transposed_convolution_counts_its_input_pixels():
    model = nn.Sequential(nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False))
    # 2 * (3*5*4 weights) * 2 * 256 input pixels
    assert flops(record(model), Phase.FORWARD) == 2 * 60 * 512


def test_a_frozen_layer_behind_a_trained_one_still_passes_gradients_through():
    model = two_convolutions()
    model[2].weight.requires_grad_(requires_grad=False)
    traced = record(model)
    assert flops(traced, Phase.BACKWARD, "2") == 589824
    backward = next(run for run in traced.runs if run.name == "convolution_backward")
    assert (backward.convolution.weight_gradient, backward.convolution.input_gradient) == (False, True)
    assert backward.kernels == 2  # the input gradient, and the copy of the sum's expanded gradient


def test_bytes_are_what_is_read_and_written():
    traced = record(two_convolutions())
    relu = next(run for run in traced.runs if run.name == "relu")
    assert (relu.bytes, relu.kernels, relu.kind) == (2 * 2 * 4 * 256 * 4, 1, WorkKind.ELEMENTWISE)


def test_views_cost_nothing():
    traced = record(nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (16, 16)), nn.Conv2d(3, 1, 1)))
    assert not any(run.name in {"view", "_unsafe_view", "reshape"} for run in traced.runs)


def test_a_module_in_a_loop_counts_every_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, images):
            return self.body(self.body(images))

    traced = record(Twice())
    # 2 * 9 weights * 512 pixels, twice; backward: both gradients of the second, the weight's of the first
    assert flops(traced, Phase.FORWARD, "body") == 2 * 9216
    assert flops(traced, Phase.BACKWARD, "body") == 3 * 9216


def test_attention_does_not_keep_the_score_matrix():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Linear(3, 48)

        def forward(self, images):
            tokens = images.flatten(2).transpose(1, 2)
            query, key, value = self.project(tokens).unflatten(2, (3, 1, 16)).permute(2, 0, 3, 1, 4)
            return torch.nn.functional.scaled_dot_product_attention(query, key, value)

    traced = record(Attention(), (1, 64, 64, 0))
    scores = 4096 * 4096 * 4
    assert traced.peak_bytes < scores
    # two products of 4096 x 4096 x 16 forward, five backward
    product = 2 * 4096 * 4096 * 16
    names = [run.name for run in traced.runs if run.flops >= product]
    assert [run.flops for run in traced.runs if run.name in names and run.flops >= product] == [
        2 * product,
        5 * product,
    ]


class Choosy(nn.Module):
    """Picks rows by place, by mask, by the places of true elements, and asks for one number."""

    def forward(self, batch):
        rows = batch.flatten(1)
        mask = rows[:, 0] > -1e9
        by_place = rows[torch.tensor([0, 0])]
        scale = 1.0 if float(rows[0, 0].detach()) < 1e9 else 2.0
        return by_place.sum() + scale * (rows[mask].sum() + rows[torch.where(mask)[0]].sum())


def test_the_host_waits_for_numbers_and_for_shapes_that_depend_on_values():
    traced = record(nn.Sequential(nn.Conv2d(3, 1, 1), Choosy()))
    # One float(), one mask, one torch.where; rows picked by place need no waiting.
    assert sum(run.waits for run in traced.runs if run.phase is Phase.FORWARD) == 3


def test_a_profile_says_which_stage_waits_and_which_follows_positive_samples():
    built = summed(nn.Sequential(nn.Conv2d(3, 1, 1), Choosy(), nn.Flatten(0)))
    built = dataclasses.replace(built, positives={"1": 128})
    stages = trace_subject(subject(lambda: built, check_shapes=((2, 32, 64, 0),))).traces[Precision.FP32].stages
    named = {stage.name: (stage.waits.one, stage.positives) for stage in stages}
    assert (named["0"], named["1"]) == ((0, 0), (3, 128))
