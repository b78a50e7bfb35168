"""Our AMP against a record of torch's own CUDA autocast: same operators, same types."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from canitrain.trace.autocast import cuda_operators

CUDA_AUTOCAST = {
    ("_adaptive_avg_pool2d", "float16"): 1,
    ("_log_softmax", "float16"): 1,
    ("_prelu_kernel", "float16"): 1,
    ("_softmax", "float32"): 1,
    ("_to_copy", "float16"): 18,
    ("_to_copy", "float32"): 7,
    ("_unsafe_view", "float16"): 3,
    ("add", "float16"): 1,
    ("add", "float32"): 4,
    ("add_", "int64"): 1,
    ("addmm", "float16"): 1,
    ("binary_cross_entropy_with_logits", "float32"): 1,
    ("bmm", "float16"): 2,
    ("cat", "float32"): 1,
    ("clamp_min", "float32"): 1,
    ("clone", "float16"): 1,
    ("convolution", "float16"): 2,
    ("div", "float32"): 1,
    ("exp", "float32"): 1,
    ("gelu", "float32"): 1,
    ("linalg_vector_norm", "float32"): 1,
    ("mean", "float32"): 1,
    ("mm", "float16"): 1,
    ("mul", "float32"): 1,
    ("native_batch_norm", "float16"): 1,
    ("native_dropout", "float32"): 1,
    ("native_group_norm", "float32"): 1,
    ("native_layer_norm", "float32"): 1,
    ("nll_loss_forward", "float32"): 1,
    ("pow", "float32"): 1,
    ("randn", "float32"): 1,
    ("sigmoid", "float32"): 1,
    ("silu", "float16"): 1,
    ("smooth_l1_loss", "float32"): 1,
    ("sum", "float32"): 1,
    ("upsample_nearest2d", "float32"): 1,
    ("zeros", "float32"): 2,
    ("zeros", "int64"): 1,
}
"""Operators by name and type of the first result that the forward pass and losses below run under torch's own autocast.

Recorded with torch 2.15.0+cu132 on fake CUDA tensors (FakeTensorMode, autocast switched on by set_autocast_enabled, no
GPU needed); ``cudnn_batch_norm`` is written as ``native_batch_norm``, and ``empty`` is left out.
"""


class Log(TorchDispatchMode):
    """Counts operators by name and the type of their first result."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        first = out[0] if isinstance(out, list | tuple) else out
        name = func._schema.name.rpartition("::")[2]
        if isinstance(first, torch.Tensor) and not func.is_view and name != "empty":
            self.seen[name, str(first.dtype).removeprefix("torch.")] += 1
        return out


class Everything(nn.Module):
    """One of each thing that autocast treats in its own way."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(8)
        self.group_norm = nn.GroupNorm(2, 8)
        self.layer_norm = nn.LayerNorm(8)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.linear = nn.Linear(8, 8)
        self.prelu = nn.PReLU()
        self.scale = nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, 5)

    def forward(self, images):
        maps = functional.silu(self.batch_norm(self.conv(images)))
        maps = self.prelu(self.up(self.group_norm(maps)))
        maps = functional.interpolate(maps, scale_factor=0.5) + functional.adaptive_avg_pool2d(maps, 8)
        tokens = maps.flatten(2).transpose(1, 2)
        scores = torch.einsum("bnc,bmc->bnm", self.linear(tokens), functional.normalize(tokens, dim=-1))
        tokens = self.layer_norm(scores.softmax(-1) @ tokens) * self.scale
        tokens = torch.cat([tokens, functional.gelu(tokens).exp().half()], dim=1)
        pooled = functional.dropout(tokens, 0.1).sum(1) + tokens.pow(2).mean(1)
        return self.head(pooled.sigmoid())


def loss_of(model, device):
    images = torch.randn(2, 3, 8, 8, device=device)
    answer = model(images)
    soft = functional.binary_cross_entropy_with_logits(answer, torch.zeros(2, 5, device=device))
    box = functional.smooth_l1_loss(answer, torch.zeros(2, 5, device=device).half())
    return functional.cross_entropy(answer, torch.zeros(2, dtype=torch.long, device=device)) + soft + box


def test_operators_and_types_are_those_of_torchs_cuda_autocast():
    model = Everything().to("meta")
    with Log() as log, cuda_operators(amp=True):
        loss_of(model, "meta")
    assert dict(log.seen) == CUDA_AUTOCAST
