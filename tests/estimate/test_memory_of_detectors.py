"""The estimate of built-in profiles against what others measured."""

from __future__ import annotations

import memory_cases as cases
import pytest

from canitrain.catalog import find_card, load_dataset, load_model
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ImageSize, Precision
from canitrain.core.recipe import Optimizer
from canitrain.core.report import GpuMemory
from canitrain.core.units import GB_BYTES, GIB_BYTES, MIB_BYTES
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.shapes import memory_shape

BOXES = 20.0


def yolov5(name: str, side: int, batch_size: int, card: str, **changes: object) -> GpuMemory:
    """As YOLOv5's train.py trains: AMP, SGD with momentum, EMA."""
    profile = load_model(name)
    recipe = cases.recipe(
        **{
            "precision": Precision.AMP,
            "optimizer": Optimizer.SGD_MOMENTUM,
            "image_size": ImageSize(shorter=side, longer=side),
            "batch_size": batch_size,
            "effective_batch_size": max(64, batch_size),
            "ema": True,
            **changes,
        }
    )
    shape = BatchShape(batch_size=batch_size, pixels=side * side, boxes=BOXES)
    return gpu_memory(profile, recipe, shape, find_card(card), cases.shipped(), total_bytes=None, budget_bytes=None)


@pytest.mark.parametrize(
    ("name", "side", "batch_size", "gpus", "printed_gb"),
    [
        # mmyolo v0.6.0 configs/yolov5/README.md, A100: max_memory_allocated of the same architecture
        ("yolov5n", 640, 16, 8, 1.5),
        ("yolov5m", 640, 16, 8, 5.0),
        ("yolov5n6", 1280, 16, 8, 5.8),
        ("yolov5m6", 1280, 16, 8, 19.1),
        # 20 classes of VOC: a smaller head than was traced
        ("yolov5n", 512, 64, 1, 3.5),
        ("yolov5m", 512, 64, 1, 12.0),
    ],
)
def test_allocated_memory_of_yolov5_is_within_10_percent(name, side, batch_size, gpus, printed_gb):
    allocated = yolov5(name, side, batch_size, "A100 40GB", gpus=gpus).allocated_bytes
    measured_bytes = printed_gb * 1000 * MIB_BYTES  # printed from a log in MiB
    assert allocated.expected == pytest.approx(measured_bytes, rel=0.1)
    assert allocated.low <= measured_bytes <= allocated.high


@pytest.mark.parametrize(("card", "measured_gb"), [("V100 16GB", 3.7), ("T4", 3.74)])
def test_reserved_memory_of_yolov5s_before_its_first_validation_is_within_8_percent(card, measured_gb):
    # ultralytics/yolov5 v6.1 to v7.0 tutorial.ipynb, GPU_mem of epoch 0, decimal GB
    reserved = yolov5("yolov5s", 640, 16, card, validation=False).reserved_bytes
    assert reserved.expected == pytest.approx(measured_gb * GB_BYTES, rel=0.08)


@pytest.mark.parametrize(
    ("card", "measured_gb", "within"),
    # the same notebooks, GPU_mem of the last epoch: v6.0, v6.1 (torch 1.11), v6.1 to v6.2 (torch 1.12), v6.2
    [("V100 16GB", 5.31, 0.13), ("V100 16GB", 4.57, 0.08), ("V100 16GB", 4.79, 0.08), ("T4", 5.36, 0.14)],
)
def test_reserved_memory_of_yolov5s_after_validation_is_that_of_the_replay(card, measured_gb, within):
    reserved = yolov5("yolov5s", 640, 16, card).reserved_bytes
    assert reserved.expected == pytest.approx(measured_gb * GB_BYTES, rel=within)
    assert reserved.low <= measured_gb * GB_BYTES <= reserved.high


@pytest.mark.parametrize("name", ["yolov5n", "yolov5m", "yolov5l", "yolov5x", "yolov5s6", "yolov5x6"])
def test_validation_widens_the_pool_of_every_yolov5_by_a_fifth_to_a_half(name):
    side = 1280 if name.endswith("6") else 640
    before, after = (yolov5(name, side, 16, "A100 80GB", validation=each).reserved_bytes for each in (False, True))
    assert 1.15 <= after.expected / before.expected <= 1.5


def test_mixed_precision_saves_half_of_a_yolov5():
    amp = yolov5("yolov5s", 640, 16, "T4").parts["activations"]
    full = yolov5("yolov5s", 640, 16, "T4", precision=Precision.FP32).parts["activations"]
    assert 0.45 <= amp / full <= 0.65


def test_mixed_precision_saves_nothing_in_a_faster_rcnn_with_frozen_batch_norm():
    profile = load_model("fasterrcnn")
    shape = BatchShape(batch_size=2, pixels=800.0 * 1344, boxes=BOXES)
    live = {
        precision: max(peak.live_bytes.at(shape) for peak in profile.traces[precision].peaks)
        for precision in (Precision.FP32, Precision.AMP)
    }
    # frozen batch norm promotes to fp32, so half copies come on top
    assert live[Precision.AMP] > live[Precision.FP32]


def region_detector(name: str, batch_size: int, gpus: int, precision: Precision = Precision.FP32) -> GpuMemory:
    """As torchvision's reference script trains on COCO."""
    profile = load_model(name)
    recipe = cases.recipe(
        precision=precision,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=profile.defaults.image_size,
        batch_size=batch_size,
        effective_batch_size=batch_size * gpus,
        gpus=gpus,
    )
    shape = memory_shape(profile, recipe, load_dataset("coco"), batch_size)
    card = find_card("V100 32GB")
    return gpu_memory(profile, recipe, shape, card, cases.shipped(), total_bytes=None, budget_bytes=None)


@pytest.mark.parametrize(
    ("name", "printed_gb"),
    # detectron2 MODEL_ZOO.md, R50-FPN, 2 images on each of 8 V100s: it freezes the same layers in the same way
    [("fasterrcnn", 3.0), ("maskrcnn", 3.4)],
)
def test_a_library_that_freezes_alike_allocates_alike(name, printed_gb):
    measured_bytes = printed_gb * 1000 * MIB_BYTES
    assert region_detector(name, 2, 8).allocated_bytes.expected == pytest.approx(measured_bytes, rel=0.05)


@pytest.mark.parametrize(
    ("precision", "batch_size", "measured_gib"),
    # NVIDIA's maskrcnn-benchmark in lambdal/deeplearning-benchmark, one GPU, fp32 and apex O1
    [
        (Precision.FP32, 4, 4.92),
        (Precision.FP32, 15, 17.04),
        (Precision.FP32, 32, 35.76),
        (Precision.AMP, 4, 4.92),
        (Precision.AMP, 20, 22.98),
        (Precision.AMP, 36, 43.03),
    ],
)
def test_memory_of_a_mask_rcnn_follows_the_batch_as_in_another_library(precision, batch_size, measured_gib):
    allocated = region_detector("maskrcnn", batch_size, 1, precision).allocated_bytes
    assert allocated.expected == pytest.approx(measured_gib * GIB_BYTES, rel=0.12)
