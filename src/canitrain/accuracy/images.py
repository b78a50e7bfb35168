"""The images that a measured run trained on."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.accuracy import Measurement
from canitrain.core.dataset import Dataset


def images_of(measurement: Measurement, known: Dataset) -> Dataset:
    """Images like those of ``known``, with what the row says of them put over it.

    Validation images are in the known proportion where only the training images are said, and files where only the
    pixels are.
    """
    row = measurement
    images = known.images if row.images is None else row.images
    boxes_mean = known.boxes_mean if row.boxes_per_image is None else row.boxes_per_image
    validation_images = row.validation_images
    if validation_images is None:
        validation_images = round(known.validation_images * images / known.images)
    image_pixels = known.image_pixels if row.image_pixels is None else row.image_pixels
    image_bytes = row.image_bytes
    if image_bytes is None:
        image_bytes = known.image_bytes * image_pixels / known.image_pixels
    return replace(
        known,
        images=images,
        validation_images=validation_images,
        image_bytes=image_bytes,
        image_pixels=image_pixels,
        boxes_mean=boxes_mean,
        boxes_max=max(known.boxes_max, boxes_mean),
    )
