"""AMP chooses types as torch.autocast does on CUDA."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from traced_nets import record

from canitrain.trace.autocast import cached_weight_bytes, cuda_operators

HALF, FULL = torch.float16, torch.float32


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda x: functional.linear(x, torch.ones(4, 8, device="meta")), HALF),
        (lambda x: x @ x.transpose(-1, -2), HALF),
        (lambda x: torch.einsum("bij,bkj->bik", x, x), HALF),
        (lambda x: functional.layer_norm(x.half(), (8,)), FULL),
        (lambda x: x.half().softmax(-1), FULL),
        (lambda x: functional.log_softmax(x.half(), -1), FULL),
        (lambda x: x.half().sum(), FULL),
        (lambda x: x.half().exp(), FULL),
        (lambda x: x.half() ** 2, FULL),
        (lambda x: functional.binary_cross_entropy_with_logits(x.half(), x.half()), FULL),
        (lambda x: functional.cross_entropy(x[0].half(), torch.zeros(2, dtype=torch.long, device="meta")), FULL),
        (lambda x: functional.relu(x.half()), HALF),
        (lambda x: functional.gelu(x.half()), HALF),
        (lambda x: torch.cat([x.half(), x]), FULL),
        (lambda x: torch.addcmul(x, x.half(), x.half()), FULL),
        (lambda x: x.half() + x.half(), HALF),
    ],
)
def test_result_types_follow_the_cuda_lists(operation, expected):
    with cuda_operators(amp=True):
        assert operation(torch.zeros(2, 2, 8, device="meta")).dtype is expected


def test_convolution_runs_in_half_and_batch_norm_keeps_its_input_type():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to("meta")
    with cuda_operators(amp=True):
        assert model(torch.zeros(1, 3, 8, 8, device="meta")).dtype is HALF


def test_without_amp_nothing_is_cast():
    with cuda_operators(amp=False):
        assert functional.linear(torch.zeros(2, 8), torch.zeros(4, 8)).dtype is FULL


def test_outside_the_block_torch_is_as_it_was():
    with cuda_operators(amp=True):
        pass
    assert functional.linear(torch.zeros(2, 8), torch.zeros(4, 8)).dtype is FULL
    assert cached_weight_bytes() == 0


def test_a_weight_that_is_used_twice_is_cast_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, images):
            return self.body(self.body(images))

    traced = record(Twice(), amp=True)
    # images and weight, each once: the second call finds a half input and the kept copy
    assert sum(run.name == "_to_copy" and run.phase.value == "forward" for run in traced.runs) == 2
    assert traced.cast_weight_bytes == 9 * 2


def test_half_weights_do_not_grow_with_the_batch():
    allocations = record(nn.Conv2d(3, 3, 1, bias=False), amp=True).allocations
    # 9 weights of two bytes, in a block of 512; images, output and loss do grow
    assert sorted(allocations.fixed)[-2:] == [0, 512]
    assert not any(record(nn.Conv2d(3, 3, 1, bias=False)).allocations.fixed)


def test_a_frozen_weight_is_cast_at_every_use_because_autocast_keeps_only_trainable_ones():
    layer = nn.Conv2d(3, 3, 1, bias=False).requires_grad_(requires_grad=False)
    with cuda_operators(amp=True):
        layer(torch.zeros(1, 3, 4, 4))
        assert cached_weight_bytes() == 0


def test_dropout_keeps_a_mask_of_one_byte_an_element():
    traced = record(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5)))
    saved = dict(zip(traced.stages, traced.saved_bytes, strict=True))
    assert saved["1"] == 2 * 4 * 256


def test_half_precision_halves_what_a_convolution_saves():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    full, half = record(model), record(model, amp=True)
    relu = full.stages.index("1")
    assert half.saved_bytes[relu] * 2 == full.saved_bytes[relu]
