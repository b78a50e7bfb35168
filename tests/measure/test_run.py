# ruff: noqa: N802 - the fake driver has NVML's names
import os
import sys
import types

import pytest
import torch
from torch import nn

from canitrain.core.profile import Precision
from canitrain.core.recipe import Optimizer
from canitrain.measure import Training, device_memory, measure
from canitrain.measure.cpu_memory import peak_of
from canitrain.measure.update import Updater

SHAPE = (4, 8, 8, 1)


class _Counting:
    """A model whose step counts how often it ran and which gradients it found."""

    def __init__(self):
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.steps = 0
        self.found = []

    def step(self, batch, height, width, boxes):
        self.steps += 1
        self.found.append(next(self.model.parameters()).grad is not None)
        return self.model(torch.ones(batch, 3, height, width)).float().square().mean()


def _measure(counting, **changes):
    training = {"batch_size": 4, "precision": Precision.FP32, "optimizer": Optimizer.SGD_MOMENTUM, "ema": False}
    return measure("net", lambda _: counting, SHAPE, Training(**training | changes), image_size="8", steps=5)


def test_warm_up_and_timed_steps_really_run():
    counting = _Counting()
    measured = _measure(counting)
    # Three to warm up, five timed.
    assert counting.steps == 8
    assert measured.step_s > 0
    assert measured.images_per_s == pytest.approx(4 / measured.step_s)


def test_gradients_are_freed_before_the_step_or_after_forward_as_the_script_does():
    early, late = _Counting(), _Counting()
    _measure(early)
    _measure(late, gradients_until_backward=True)
    assert not any(early.found)
    assert late.found == [False] + [True] * 7


def test_accumulated_gradients_stay_until_the_optimizer_ran():
    counting = _Counting()
    _measure(counting, accumulation_steps=4)
    # Three to warm up, each with an update; then five timed, freed before the first and the fifth.
    assert counting.found == [False] * 3 + [False, True, True, True, False]


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("precision", list(Precision))
def test_every_optimizer_and_precision_trains(optimizer, precision):
    assert _measure(_Counting(), optimizer=optimizer, precision=precision, ema=True, channels_last=True).step_s > 0


def test_the_moving_average_moves_towards_the_model():
    model = nn.Linear(2, 2)
    training = Training(batch_size=1, precision=Precision.FP32, optimizer=Optimizer.SGD, ema=True)
    updater = Updater(model, training, torch.device("cpu"))
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    updater.scaled(model(torch.ones(1, 2)).sum()).backward()
    updater.update()
    moved = updater._average.weight - before
    # One step of decay 0.9999 towards a model that is 1 away.
    assert torch.allclose(moved, torch.full_like(moved, 1e-4), rtol=0.02)


def test_the_peak_is_the_highest_running_sum_in_order_of_time():
    assert peak_of([(3, -5), (1, 5), (2, 7), (4, 4)]) == 12
    assert peak_of([]) == 0


class _Nvml:
    """A driver with one GPU on which two processes run."""

    class NVMLError(Exception):
        pass

    def __init__(self, own_bytes, used):
        self._own, self._used = own_bytes, list(used)

    def nvmlInit(self):
        pass

    def nvmlShutdown(self):
        pass

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid != "GPU-1234":
            raise self.NVMLError
        return 0

    def nvmlDeviceGetUUID(self, handle):
        return "GPU-1234"

    def nvmlDeviceGetMemoryInfo(self, handle):
        return types.SimpleNamespace(used=self._used.pop(0))

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        mine = types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=self._own)
        return [types.SimpleNamespace(pid=1, usedGpuMemory=999), mine]


@pytest.mark.parametrize(
    ("own_bytes", "expected"),
    [(700, 700), (None, 400)],  # told apart, or 500 after less 100 before
)
def test_device_memory_is_the_process_own_or_what_the_card_holds_more(monkeypatch, own_bytes, expected):
    monkeypatch.setitem(sys.modules, "pynvml", _Nvml(own_bytes, [100, 500]))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(uuid="1234"))
    before = device_memory.memory_before_use.__wrapped__()
    assert before.before_bytes == {"1234": 100}
    assert before.used_bytes() == expected


def test_a_driver_that_fails_gives_no_figure(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert device_memory.memory_before_use.__wrapped__() is None
