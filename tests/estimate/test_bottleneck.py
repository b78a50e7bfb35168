"""What the step of a real model waits for on machines where a person would know."""

from __future__ import annotations

import pencil
import pytest
from host_cases import coco, machine
from msgspec.structs import replace

from canitrain import catalog
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.feed import CoreShares
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import Precision
from canitrain.core.report import Bottleneck
from canitrain.estimate.feed import feed
from canitrain.estimate.run_time import run_time

GIB = 2**30


def timed(hardware, *, workers, gpu="Tesla T4", batch_size=16):
    profile, costs = catalog.load_model("yolov5s"), catalog.load_calibration()
    recipe = replace(decide_recipe(RecipeOptions(), profile, hardware), precision=Precision.AMP, workers=workers)
    fed = feed(profile, recipe, coco(), hardware, costs.host)
    return run_time(profile, recipe, coco(), batch_size, catalog.find_card(gpu), hardware, fed, costs.time)


def pencil_run(**rates):
    recipe = replace(pencil.RECIPE, gpus=2, batch_size=16)
    fed = pencil.feed(**rates)
    return run_time(pencil.PROFILE, recipe, pencil.DATASET, 16, pencil.CARD, pencil.HARDWARE, fed, pencil.CALIBRATION)


@pytest.mark.parametrize(
    # COCO's 19.3 GB fit into 64 GiB of RAM, where decoding is left, but not into 8.
    ("ram_gib", "expected"),
    [(64, Bottleneck.DECODE), (8, Bottleneck.STORAGE)],
)
def test_two_cores_and_a_hard_disk_hold_a_detector_up(ram_gib, expected):
    time = timed(machine(cores=2, ram_bytes=ram_gib * GIB, kind=StorageKind.HDD), workers=2)
    assert time.bottleneck is expected
    assert time.step_s.expected > 1.2 * time.parts.training_s


@pytest.mark.parametrize("gpu", ["Tesla T4", "GeForce RTX 3090", "A100-SXM4-80GB"])
def test_sixteen_cores_and_nvme_leave_the_card_busy(gpu):
    time = timed(machine(cores=16, kind=StorageKind.NVME), workers=16, gpu=gpu, batch_size=64)
    assert time.bottleneck in {Bottleneck.GPU_COMPUTE, Bottleneck.GPU_MEMORY_BANDWIDTH}
    assert time.step_s.expected == pytest.approx(time.parts.device_s)


def test_a_loader_waits_for_the_cores_that_training_holds():
    shares = CoreShares(loading_ratio=8.0, launching_ratio=0.5, spinning_ratio=0.25)
    alone, beside = (pencil_run(loader_images_per_s=10.0, shares=each) for each in (CoreShares(), shares))
    # 2 cards x 16 images at 10 a second with the cores of their own; eight times as fast on all cores, less what
    # two processes hold of them
    assert alone.parts.loader_s == pytest.approx(3.2)
    training_s, launching_s = beside.parts.training_s, beside.parts.launches_s
    assert 0 < launching_s < training_s
    held_s = launching_s / 2 + (training_s - launching_s) / 4
    assert beside.parts.loader_s == pytest.approx(max(3.2, 0.4 + held_s))
    crowded = pencil_run(loader_images_per_s=10.0, shares=replace(shares, loading_ratio=1.0))
    assert crowded.parts.loader_s == pytest.approx(3.2 + held_s)
    assert crowded.step_s.expected == crowded.parts.loader_s
    assert crowded.bottleneck is Bottleneck.DECODE


def test_what_a_slow_loader_hides_is_not_the_bottleneck():
    time = pencil_run(loader_images_per_s=10.0)
    # 2 cards x 16 images at 10 a second: the next batch is read while gradients are exchanged
    assert time.step_s.expected == pytest.approx(3.2)
    assert time.bottleneck is Bottleneck.DECODE


def test_a_loader_slower_than_the_device_but_not_than_device_and_exchange_is_not_the_bottleneck():
    alone = pencil_run()
    device_s, exchange_s = alone.parts.device_s, alone.parts.communication_s
    between_s = device_s + exchange_s / 2
    time = pencil_run(loader_images_per_s=2 * 16 / between_s)
    assert time.parts.loader_s == pytest.approx(between_s)
    assert time.step_s.expected == pytest.approx(device_s + exchange_s)
    assert time.bottleneck is alone.bottleneck
