"""RAM that the processes of a training job hold whatever the batch; what is left keeps files (the page cache)."""

from __future__ import annotations

from canitrain.core.dataset import Dataset
from canitrain.core.hardware import Software
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.profile import ImageSize, ModelProfile, SizeRule
from canitrain.core.recipe import CacheMode, Recipe, Strategy

_CHANNELS = 3
_FORKSERVER_PYTHON = (3, 14)
"""Linux stops forking by default. Source: Python 3.14, What's New, multiprocessing."""


def resident_parts(
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    software: Software,
    calibration: HostCalibration,
    *,
    on_cpu: bool,
) -> dict[str, float]:
    """Bytes of main processes, CUDA, workers, labels and the cache, over all processes of the host.

    Source: ``profiles/calibration/host.toml``.
    """
    memory, processes = calibration.process, training_processes(recipe)
    workers = recipe.workers * processes
    worker = memory.spawned_worker_bytes if _spawns(software) else memory.forked_worker_bytes
    labels_bytes = dataset.images * (
        memory.label_bytes_per_image.value + dataset.boxes_mean * memory.label_bytes_per_box.value
    )
    cached_bytes = decoded_image_bytes(profile, recipe, dataset) * (dataset.images + dataset.validation_images)
    return {
        "main": processes * memory.main_bytes.value,
        "cuda": 0.0 if on_cpu else processes * memory.cuda_bytes.value,
        "workers": workers * worker.value,
        "labels": processes * labels_bytes,
        # Reading a Python object writes its reference count, which unshares the page: in time every worker has a copy.
        "label_copies": workers * labels_bytes,
        "cache": processes * cached_bytes if recipe.cache is CacheMode.RAM else 0.0,
    }


def training_processes(recipe: Recipe) -> int:
    """Processes that train: one a GPU, but a single one with ``DataParallel``."""
    return 1 if recipe.strategy is Strategy.DP else recipe.gpus


def decoded_image_bytes(profile: ModelProfile, recipe: Recipe, dataset: Dataset) -> float:
    """Bytes of one image in a cache: decoded, one byte a channel, the longer side already resized to a square recipe's.

    Source: YOLOv5 7.0, ``utils/dataloaders.py``, ``cache_images``.
    """
    match profile.size_rule:
        case SizeRule.SQUARE:
            return resized_pixels(recipe.image_size, dataset) * _CHANNELS
        case SizeRule.SHORTER_SIDE:
            return dataset.image_pixels * _CHANNELS


def resized_pixels(size: ImageSize, dataset: Dataset) -> float:
    """Mean pixels when the longer side becomes the training size, over the dataset's aspect ratios."""
    shapes = [min(ratio, 1 / ratio) for ratio in dataset.aspect_ratios] or [1.0]
    return size.longer * size.longer * sum(shapes) / len(shapes)


def _spawns(software: Software) -> bool:
    """Whether loader processes start afresh instead of sharing the parent's pages."""
    if "linux" not in software.os.lower():
        return True
    version = tuple(int(part) for part in software.python.split(".")[:2] if part.isdecimal())
    return version >= _FORKSERVER_PYTHON
