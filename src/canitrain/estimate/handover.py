"""What a training process pays to get its next batch, where no thread of it works ahead."""

from __future__ import annotations

from canitrain.core.dataset import Dataset
from canitrain.core.host_calibration import HostCalibration
from canitrain.core.loop import CopiedPixels, Handover, Loop, find_loop
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.estimate.shapes import time_shape


def handover(profile: ModelProfile, recipe: Recipe, dataset: Dataset, calibration: HostCalibration) -> Handover:
    """The hand-over of batches by the recipe's training loop; nothing where the loop is not known.

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
    if loop.taken_s_per_image is None:
        batch_s = costs.batch_s.value
        tensors = loop.tensors_per_image + (profile.family in loop.mask_families)
        image_s = tensors * costs.tensor_s.value + copied_bytes / costs.mapped_bytes_per_s.value
    else:
        batch_s, image_s = 0.0, loop.taken_s_per_image.value
    late = loop.late_batch_ratio
    return Handover(
        batch_s=batch_s,
        image_s=image_s,
        copied_image_s=copied_bytes / costs.copied_bytes_per_s.value,
        reads_after=reads,
        late_ratio=0.0 if late is None else late.value,
        delays_exchange=loop.delays_exchange,
    )


def _copied_image_bytes(loop: Loop, profile: ModelProfile, recipe: Recipe, dataset: Dataset) -> float:
    match loop.copied_pixels:
        case CopiedPixels.STORED:
            pixels = dataset.image_pixels
        case CopiedPixels.TRAINED:
            pixels = time_shape(profile, recipe, dataset, 1).pixels
    masks = dataset.boxes_mean if profile.family in loop.mask_families else 0.0
    return pixels * (loop.bytes_per_pixel + masks)
