"""How fast images reach the training step."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.interval import Interval
from canitrain.core.loop import Handover


class FeedRates(Struct, frozen=True, kw_only=True):
    """Training images a second over all loader processes of the host, by what could be the slower."""

    loader_images_per_s: Interval
    """What decoding and augmenting allows where the training processes want no core; a mosaic of four counts as one
    image."""
    storage_images_per_s: Interval
    """What reading the files allows; page-cache speed where they are cached."""


class CoreShares(Struct, frozen=True, kw_only=True):
    """How training processes and loader share the cores of a host; as it stands, neither is in the other's way."""

    loading_ratio: float = 1.0
    """How many times as fast all cores load as those that the loader's processes fill."""
    launching_ratio: float = 0.0
    """Share of the cores' time that the training processes take while each of them launches kernels."""
    spinning_ratio: float = 0.0
    """The same while each of them waits for its device, which keeps a core busy as well."""


class Feed(Struct, frozen=True, kw_only=True):
    """The input pipeline of a run, first epoch (files not yet in the page cache) and later ones.

    On a GPU the step is the slower of the feed and the device, provided ``overlaps``, and as long as their ``shares``
    of the cores take; otherwise their sum.
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
    shares: CoreShares = CoreShares()
    """What the training processes leave of the cores."""
    cached_ratio: float
    """Share of the files that the page cache keeps from one epoch to the next."""
    handover: Handover = Handover()
    """What the training process itself has to do for a batch."""
    warnings: tuple[str, ...] = ()
    """What had to be assumed, and what to do about a slow feed."""
