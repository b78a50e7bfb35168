"""What a training process pays to get its next batch, where no thread of it works ahead."""

from __future__ import annotations

from typing import assert_never

from canitrain.core.dataset import Dataset
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.loop import CopiedPixels, Handover, HandoverCosts, Loop, TakenOver, find_loop
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.estimate.shapes import time_shape


def handover(profile: ModelProfile, recipe: Recipe, dataset: Dataset, calibration: HostCalibration) -> Handover:
    """The hand-over of batches by the recipe's training loop; nothing where the loop is not known.

    Without loader processes the training process has made the batch itself, and only copies it.

    Raises:
        InputError: no loop has the recipe's name.
    """
    loop = find_loop(calibration.loop, profile, recipe)
    if loop is None:
        return Handover()
    reads = frozenset(loop.reads_after)
    if not loop.tensors_per_image:
        return Handover(reads_after=reads, delays_exchange=loop.delays_exchange)
    costs = calibration.handover
    copied_bytes = _copied_image_bytes(loop, profile, recipe, dataset)
    batch_s, image_s = (0.0, 0.0) if recipe.workers == 0 else _taken_s(loop, copied_bytes, costs)
    late = loop.late_batch_ratio
    return Handover(
        batch_s=batch_s,
        image_s=image_s,
        copied_image_s=copied_bytes / costs.copied_bytes_per_s.value,
        reads_after=reads,
        late_ratio=0.0 if late is None else late.value,
        delays_exchange=loop.delays_exchange,
    )


def _taken_s(loop: Loop, image_bytes: float, costs: HandoverCosts) -> tuple[float, float]:
    """Seconds of taking a batch over from loader processes, and each of its images of ``image_bytes``."""
    if loop.taken_s_per_image is not None:
        return 0.0, loop.taken_s_per_image.value
    image_s = loop.tensors_per_image * costs.tensor_s.value + image_bytes / costs.mapped_bytes_per_s.value
    match loop.taken_over:
        case TakenOver.BATCHES:
            return costs.batch_s.value, image_s
        case TakenOver.IMAGES:
            return 0.0, costs.batch_s.value + image_s
        case taken_over:
            assert_never(taken_over)


def _copied_image_bytes(loop: Loop, profile: ModelProfile, recipe: Recipe, dataset: Dataset) -> float:
    match loop.copied_pixels:
        case CopiedPixels.STORED:
            pixels = dataset.image_pixels
        case CopiedPixels.TRAINED:
            pixels = time_shape(profile, recipe, dataset, 1).pixels
        case copied_pixels:
            assert_never(copied_pixels)
    return pixels * (loop.bytes_per_pixel + loop.mask_bytes_per_pixel * dataset.boxes_mean)
