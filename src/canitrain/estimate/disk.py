"""What a run still has to write to the disk of the data directory."""

from __future__ import annotations

from canitrain.core.dataset import Dataset
from canitrain.core.fact import value_or_none
from canitrain.core.hardware import Hardware
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.interval import Interval
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import CacheMode, Recipe
from canitrain.core.report import DiskNeed
from canitrain.core.units import FP16_BYTES, FP32_BYTES
from canitrain.estimate.persistent import persistent
from canitrain.estimate.resident_memory import decoded_image_bytes


def disk_need(
    profile: ModelProfile, recipe: Recipe, dataset: Dataset, hardware: Hardware, calibration: HostCalibration
) -> DiskNeed:
    """Bytes still to be written: the dataset (unless ``dataset.path`` is there), a cache, checkpoints, logs.

    Source: ``profiles/calibration/host.toml``; a checkpoint is weights, buffers, EMA copy and optimizer in fp32.
    Known limitations: downloads that are unpacked need their archive's size once more.
    """
    images = dataset.images + dataset.validation_images
    state = persistent(profile, recipe)
    checkpoint_bytes = state.weights_bytes + state.buffers_bytes + state.ema_bytes + state.optimizer_bytes
    cached = recipe.cache is CacheMode.DISK
    parts = {
        "dataset": 0.0 if dataset.path is not None else images * dataset.image_bytes,
        "cache": images * decoded_image_bytes(profile, recipe, dataset) if cached else 0.0,
        "checkpoints": calibration.disk.checkpoints.value * checkpoint_bytes,
        "logs": calibration.disk.log_bytes.value,
    }
    expected_bytes = sum(parts.values())
    run_bytes = parts["checkpoints"] + parts["logs"]
    return DiskNeed(
        disk_bytes=Interval(
            # YOLOv5 saves weights and EMA in half precision, and only the weights in the end.
            low=expected_bytes - run_bytes * (1 - FP16_BYTES / FP32_BYTES),
            expected=expected_bytes,
            high=expected_bytes + run_bytes * (calibration.disk.high_ratio.value - 1),
        ),
        disk_budget_bytes=value_or_none(hardware.storage.free_bytes),
        parts=parts,
    )
