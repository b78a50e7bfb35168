"""Images a second that loader processes and storage deliver.

The formulas, their sources and how far they can be off: ``docs/input-pipeline.md``.
"""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.fact import Known, Unknown, value_or_none
from canitrain.core.feed import Feed, FeedRates
from canitrain.core.hardware import Hardware
from canitrain.core.host_calibration import HostCalibration, LoaderCosts
from canitrain.core.interval import Interval
from canitrain.core.profile import ModelProfile, SizeRule
from canitrain.core.recipe import CacheMode, Recipe
from canitrain.core.units import MEGAPIXEL
from canitrain.estimate.handover import handover
from canitrain.estimate.resident_memory import (
    decoded_image_bytes,
    resident_parts,
    resized_pixels,
    training_processes,
)
from canitrain.estimate.shared_cores import core_shares, loading_worth
from canitrain.estimate.storage_rate import storage_rate


class _ImageCost(Struct, frozen=True, kw_only=True):
    """Seconds of one core."""

    fetch_s: float
    """Decode one file and resize it."""
    finish_s: float
    """Augment and collate one training image."""
    validate_s: float
    """All of one validation image."""


def feed(
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    hardware: Hardware,
    calibration: HostCalibration,
    *,
    on_cpu: bool = False,
) -> Feed:
    """The input pipeline of ``recipe`` on ``hardware``: first epoch and later ones, all GPUs together.

    ``on_cpu`` says that no process of the job uses a GPU, which leaves more RAM to the page cache.

    Unknown cores or storage are assumed by a documented default with a wide interval, and a warning says so.

    Source: ``profiles/calibration/host.toml``.
    Known limitations: one decode cost for all processors; JPEG only; no shards, DALI or nvJPEG.
    """
    costs = calibration.loader
    processes = training_processes(recipe)
    workers = recipe.workers * processes
    cores = value_or_none(hardware.cpu.usable_cores) or costs.assumed_cores.value
    worth = loading_worth(recipe, cores, costs)
    readers = workers or processes
    cost = _image_cost(profile, recipe, dataset, hardware, costs)
    mosaic = profile.defaults.mosaic_images
    cached_ratio = _cached_ratio(profile, recipe, dataset, hardware, calibration, on_cpu=on_cpu)
    match recipe.cache:
        case CacheMode.NONE:
            file_bytes, first_decodes, later_decodes, later_reads = dataset.image_bytes, mosaic, mosaic, mosaic
        case CacheMode.RAM:
            file_bytes, first_decodes, later_decodes, later_reads = dataset.image_bytes, 1, 0, 0
        case CacheMode.DISK:
            file_bytes, first_decodes, later_decodes, later_reads = (
                decoded_image_bytes(profile, recipe, dataset),
                1,
                0,
                mosaic,
            )

    def loader(image_s: float) -> Interval:
        rate = worth / image_s
        return Interval(low=rate * costs.low_ratio.value, expected=rate, high=rate * costs.high_ratio.value)

    def storage(file_bytes: float, reads: float, cached_ratio: float) -> Interval:
        return storage_rate(
            hardware, calibration, file_bytes=file_bytes, readers=readers, reads=reads, cached_ratio=cached_ratio
        )

    later_s = later_decodes * cost.fetch_s + cost.finish_s
    # Each file comes from the device once; a mosaic's further reads, and later epochs, find what memory kept.
    unseen_ratio = _unseen_ratio(recipe, first_decodes)
    first_cached_ratio = cached_ratio * (1 - recipe.nodes * (1 - unseen_ratio) / first_decodes)
    later_cached_ratio = cached_ratio * _seen_ratio(recipe, unseen_ratio)
    later = storage(file_bytes, later_reads, later_cached_ratio) if later_reads else storage(file_bytes, 1, 1.0)
    return Feed(
        first=FeedRates(
            loader_images_per_s=loader(first_decodes * cost.fetch_s + cost.finish_s),
            storage_images_per_s=storage(dataset.image_bytes, first_decodes, first_cached_ratio),
        ),
        later=FeedRates(loader_images_per_s=loader(later_s), storage_images_per_s=later),
        image_s=later_s,
        validation_images_per_s=loader(cost.validate_s),
        workers=workers,
        overlaps=workers > 0,
        shares=core_shares(recipe, cores, costs),
        cached_ratio=cached_ratio,
        handover=handover(profile, recipe, dataset, calibration),
        warnings=_warnings(recipe, hardware, cores),
    )


def _image_cost(
    profile: ModelProfile, recipe: Recipe, dataset: Dataset, hardware: Hardware, costs: LoaderCosts
) -> _ImageCost:
    """What one image costs a core; a bench's decode rate replaces the calibration's."""
    stored = dataset.image_pixels / MEGAPIXEL
    decode_s = costs.decode_s_per_megapixel.value
    if hardware.bench is not None and isinstance(hardware.bench.decode_s_per_megapixel, Known):
        decode_s = hardware.bench.decode_s_per_megapixel.value
    match profile.size_rule:
        case SizeRule.SQUARE:
            trained = recipe.image_size.shorter * recipe.image_size.longer / MEGAPIXEL
            resized = resized_pixels(recipe.image_size, dataset) / MEGAPIXEL
            fetch_s = stored * decode_s + resized * costs.resize_s_per_megapixel.value
            collate_s = trained * costs.collate_s_per_megapixel.value
            return _ImageCost(
                fetch_s=fetch_s,
                finish_s=trained * costs.augment_s_per_megapixel.value + collate_s,
                validate_s=fetch_s + collate_s,
            )
        case SizeRule.SHORTER_SIDE:
            # The model itself resizes, on its device: the worker only decodes and turns bytes into floats.
            finish_s = stored * (costs.copy_s_per_megapixel.value + costs.collate_s_per_megapixel.value)
            return _ImageCost(fetch_s=stored * decode_s, finish_s=finish_s, validate_s=stored * decode_s + finish_s)


def _cached_ratio(
    profile: ModelProfile,
    recipe: Recipe,
    dataset: Dataset,
    hardware: Hardware,
    calibration: HostCalibration,
    *,
    on_cpu: bool,
) -> float:
    """Share of the files that fits into the RAM that the job leaves; 0 where RAM is unknown.

    Known limitation: batches that wait, and a step on the CPU, depend on the batch size and are not subtracted.
    """
    usable_bytes = value_or_none(hardware.ram.usable_bytes)
    if usable_bytes is None:
        return 0.0
    held_bytes = sum(resident_parts(profile, recipe, dataset, hardware.software, calibration, on_cpu=on_cpu).values())
    on_disk = recipe.cache is CacheMode.DISK
    file_bytes = decoded_image_bytes(profile, recipe, dataset) if on_disk else dataset.image_bytes
    return min(1.0, max(0.0, (usable_bytes - held_bytes) / max(1.0, dataset.images * file_bytes)))


def _unseen_ratio(recipe: Recipe, reads: int) -> float:
    """Share of the files that one of several nodes has not read after an epoch, ``reads`` of them an image; 0 of one.

    Each epoch deals all images out anew. Source: torch ``utils/data/distributed.py``, ``DistributedSampler``.
    """
    return (1 - 1 / recipe.nodes) ** reads


def _seen_ratio(recipe: Recipe, unseen_ratio: float) -> float:
    """Share of the files that a node has read before, in the mean over the epochs after the first."""
    later = max(1, recipe.epochs - 1)
    return 1 - sum(unseen_ratio**epoch for epoch in range(1, later + 1)) / later if unseen_ratio else 1.0


def _warnings(recipe: Recipe, hardware: Hardware, cores: float) -> tuple[str, ...]:
    """What was assumed, and loader settings that will not do what they promise."""
    found = []
    bench_read = hardware.bench is not None and isinstance(hardware.bench.random_read_bytes_per_s, Known)
    if isinstance(hardware.cpu.usable_cores, Unknown):
        own = "" if "workers" in recipe.given else f", and the library's own {recipe.workers} loader workers"
        found.append(f"usable CPU cores are unknown; loading time assumes {cores:g}{own} (set --cpu-cores)")
    if isinstance(hardware.storage.kind, Unknown) and not bench_read:
        found.append("the kind of storage is unknown; loading time assumes an SSD (set --storage, or probe --bench)")
    if isinstance(hardware.ram.usable_bytes, Unknown):
        found.append("usable RAM is unknown; loading time counts on no page cache (set --ram)")
    workers = recipe.workers * training_processes(recipe)
    # Assumed cores say nothing against the workers.
    if isinstance(hardware.cpu.usable_cores, Known) and workers > max(1.0, cores):
        way_on = " (lower --workers)" if recipe.workers > 1 else ""
        found.append(f"{workers} loader processes on {cores:g} cores: more than the cores can serve{way_on}")
    if recipe.workers == 0:
        found.append("0 workers: the training process loads images itself, between steps (set --workers)")
    return tuple(found)
