"""Backward writes in place what it would without a dispatch mode."""

import pytest
import torch
from torch import nn

from canitrain.measure.cpu_memory import recorded_peak_bytes
from canitrain.trace.step import record_step
from canitrain.trace.subject import Built


class _Residual(nn.Module):
    """Four blocks whose skip connections add gradients up."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(512, 512) for _ in range(4))

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x).sigmoid()
        return x


class _Picking(nn.Module):
    """A head that trains on a few rows of its output, as detectors do."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(512, 512), nn.Linear(512, 512)

    def forward(self, x):
        out = self.second(self.first(x).sigmoid())
        rows = torch.arange(0, len(x), 7)
        return out[rows, rows % 512].sum() + out[..., 4].sigmoid().sum() + out[::2].exp().sum()


def _built(model):
    def step(batch, height, width, boxes):
        return model(torch.zeros(batch, 512)).sum()

    return Built(model=model, step=step)


@pytest.mark.parametrize("model", [_Residual(), _Picking()], ids=["residual", "picking"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_peak_is_the_one_that_torch_records_without_a_mode(model):
    shape = (4096, 1, 1, 1)
    traced = record_step(_built(model), shape, amp=False, meta=False)
    recorded = recorded_peak_bytes(lambda _precision: _built(model), shape)
    # A copy too many would be 4096 x 512 x 4 = 8 MB of about 100.
    assert traced.peak_bytes == pytest.approx(recorded, rel=0.01)
