"""The images that a run trains on."""

from __future__ import annotations

from msgspec import Struct


class Dataset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Counts and means of a detection dataset; ``source`` says where each is from."""

    name: str
    images: int
    validation_images: int
    image_bytes: float
    """Mean of the encoded files."""
    image_pixels: float
    """Mean of width x height as stored."""
    aspect_ratios: tuple[float, ...]
    """Quantiles (evenly spaced, first the least, last the greatest) of width / height."""
    boxes_mean: float
    boxes_max: float
    classes: int
    path: str | None = None
    source: str
    notes: tuple[str, ...] = ()
    """What a scan noticed that a person should know: broken files, images without labels."""
