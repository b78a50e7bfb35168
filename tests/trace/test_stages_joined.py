import torch
from torch import nn

from canitrain.core.profile import Phase
from canitrain.trace.step import record_step
from canitrain.trace.subject import Built

ACTIVATION = nn.SiLU()


class _Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1, bias=False)
        self.act = ACTIVATION

    def forward(self, x):
        return self.act(self.conv(x))


def _built(stages):
    model = nn.Sequential(_Block(), _Block(), _Block())

    def step(batch, height, width, boxes):
        return model(torch.zeros(batch, 4, height, width)).sum()

    return Built(model=model, step=step, stages=stages)


def test_a_module_that_stages_share_counts_with_the_stage_that_runs_it():
    record = record_step(_built(("0", "1", "2")), (1, 8, 8, 1), amp=False, meta=False)
    owners = [record.stages[run.stage] for run in record.runs if run.name == "silu" and run.phase is Phase.FORWARD]
    assert owners == ["0", "1", "2"]


def test_joined_paths_are_one_stage():
    record = record_step(_built(("0", "1+2")), (1, 8, 8, 1), amp=False, meta=False)
    assert record.stages == ("input", "0", "1+2", "loss")
    convolutions = [record.stages[run.stage] for run in record.runs if run.name == "convolution"]
    assert convolutions == ["0", "1+2", "1+2"]
    # Each block saves the convolution's output for the activation and its own output for the next convolution:
    # 4 channels x 8 x 8 pixels x 4 bytes = 1024 bytes a tensor; the last output is not needed for a sum.
    assert record.saved_bytes[2] == 3 * 1024
