"""How fast images reach the training step."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.interval import Interval
from canitrain.core.loop import Handover


class FeedRates(Struct, frozen=True, kw_only=True):
    """Training images a second over all loader processes of the host, by what could be the slower."""

    loader_images_per_s: Interval
    """What decoding and augmenting allows; a mosaic of four counts as one image."""
    storage_images_per_s: Interval
    """What reading the files allows; page-cache speed where they are cached."""


class Feed(Struct, frozen=True, kw_only=True):
    """The input pipeline of a run, first epoch (files not yet in the page cache) and later ones.

    On a GPU the step is the slower of the feed and the device, provided ``overlaps``; otherwise their sum. Where cores
    are short it is no longer than one after the other, with the loader ``turns_ratio`` times as fast.
    On a CPU both share the cores: add ``image_s * batch / usable cores`` to the step.
    """

    first: FeedRates
    later: FeedRates
    image_s: float
    """One training image on one core in a later epoch: decode, resize, augment, collate."""
    validation_images_per_s: Interval
    """No mosaic, no augmentation."""
    workers: int
    """Loader processes over all GPUs."""
    overlaps: bool
    """False with 0 workers: the training process then loads between steps."""
    turns_ratio: float = 1.0
    """How many times as fast one core of each training process loads while that waits, as the loader beside it."""
    cached_ratio: float
    """Share of the files that the page cache keeps from one epoch to the next."""
    handover: Handover = Handover()
    """What the training process itself has to do for a batch."""
    warnings: tuple[str, ...] = ()
    """What had to be assumed, and what to do about a slow feed."""
