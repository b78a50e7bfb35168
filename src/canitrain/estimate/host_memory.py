"""RAM and /dev/shm of a training job.

The parts, their sources and how far they can be off: ``docs/input-pipeline.md``.
"""

from __future__ import annotations

from canitrain.core.dataset import Dataset
from canitrain.core.fact import value_or_none
from canitrain.core.hardware import Hardware
from canitrain.core.host_calibration import HostCalibration, ProcessMemory
from canitrain.core.interval import Interval
from canitrain.core.profile import ModelProfile, Precision, SizeRule
from canitrain.core.recipe import Recipe
from canitrain.core.report import HostMemory
from canitrain.core.units import FP32_BYTES
from canitrain.estimate.persistent import persistent
from canitrain.estimate.resident_memory import resident_parts, training_processes
from canitrain.estimate.shapes import memory_shape

_BYTE_LOADERS = ("yolov5", "ultralytics", "effdet", "timm")
"""Libraries whose loaders collate uint8 and turn it into floats on the device; others hand over float32.

Source: yolov5 7.0 ``utils/dataloaders.py``, effdet 0.4 and timm 1.0 ``data/loader.py`` (fast collate).
"""
_CHANNELS = 3
_BOX_NUMBERS = 6
"""Image, class, four coordinates."""


def host_memory(  # noqa: PLR0917 - the nouns of a run, in the order of every estimate
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    hardware: Hardware,
    batch_size: int,
    calibration: HostCalibration,
    *,
    on_cpu: bool,
) -> HostMemory:
    """RAM and /dev/shm of the whole job on this host, in bytes; the page cache is not counted.

    Args:
        profile: the model; its live tensors count when ``on_cpu``.
        recipe: workers, cache, optimizer, GPUs.
        dataset: sizes of images and labels.
        hardware: budgets, and the system that decides whether workers share pages.
        batch_size: images a training process and step.
        calibration: ``profiles/calibration/host.toml``.
        on_cpu: the step itself runs in RAM.
    """
    memory = calibration.process
    processes = training_processes(recipe)
    workers = recipe.workers * processes
    batch_bytes = batch_size * _sample_bytes(profile, recipe, dataset)
    prefetched_bytes = workers * memory.prefetched_batches.value * batch_bytes
    step = memory.cpu_step
    step_bytes = _step_bytes(profile, recipe, dataset, batch_size) if on_cpu else 0.0
    parts = {
        **resident_parts(profile, recipe, dataset, hardware.software, calibration, on_cpu=on_cpu),
        "prefetch": prefetched_bytes,
        "pinned": 0.0 if on_cpu else processes * memory.pinned_batches.value * batch_bytes,
        "training": step_bytes * step.ratio.value,
    }
    # The cache is arithmetic, the step was measured; only the rest is as uncertain as processes are.
    expected_bytes = sum(parts.values())
    rest_bytes = expected_bytes - parts["cache"] - parts["training"]
    return HostMemory(
        ram_bytes=Interval(
            low=parts["cache"] + step_bytes * step.low_ratio.value + rest_bytes * memory.low_ratio.value,
            expected=expected_bytes,
            high=parts["cache"] + step_bytes * step.high_ratio.value + rest_bytes * memory.high_ratio.value,
        ),
        ram_budget_bytes=value_or_none(hardware.ram.usable_bytes),
        shm_bytes=Interval(
            # The loader keeps at least one finished batch a worker there when the device is the slower.
            low=workers * batch_bytes,
            expected=prefetched_bytes,
            high=prefetched_bytes * _largest_batch_ratio(profile, memory),
        ),
        shm_budget_bytes=value_or_none(hardware.ram.shm_bytes),
        parts=parts,
    )


def _sample_bytes(profile: ModelProfile, recipe: Recipe, dataset: Dataset) -> float:
    """Bytes of one training image as a worker hands it over, with its boxes."""
    boxes_bytes = dataset.boxes_mean * _BOX_NUMBERS * FP32_BYTES
    match profile.size_rule:
        case SizeRule.SQUARE:
            item_bytes = 1 if profile.implementation.library in _BYTE_LOADERS else FP32_BYTES
            return recipe.image_size.shorter * recipe.image_size.longer * _CHANNELS * item_bytes + boxes_bytes
        case SizeRule.SHORTER_SIDE:
            # Handed over as stored; the model resizes on the device.
            return dataset.image_pixels * _CHANNELS * FP32_BYTES + boxes_bytes


def _largest_batch_ratio(profile: ModelProfile, memory: ProcessMemory) -> float:
    """Largest batch / mean batch: images are handed over at one size, or as stored and so of all sizes."""
    return 1.0 if profile.size_rule is SizeRule.SQUARE else memory.largest_batch_ratio.value


def _step_bytes(profile: ModelProfile, recipe: Recipe, dataset: Dataset, batch_size: int) -> float:
    """Weights, gradients, optimizer state and the highest moment of the step, all in RAM.

    A CPU trains in fp32 whatever the recipe's precision.
    """
    state = persistent(profile, recipe)
    trace = profile.traces.get(Precision.FP32) or next(iter(profile.traces.values()))
    shape = memory_shape(profile, recipe, dataset, batch_size)
    step_bytes = max(
        peak.live_bytes.at(shape) + state.moment_gradients_bytes(peak.gradient_bytes) for peak in trace.peaks
    )
    update_bytes = state.step_temporary_bytes + state.moment_gradients_bytes(state.gradients_bytes)
    return state.held_bytes + max(step_bytes, update_bytes)
