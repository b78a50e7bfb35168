"""The input pipeline's cases that differ by one term: caches, nodes, mosaics, training processes."""

from __future__ import annotations

import pytest
from host_cases import calibration, coco, machine, model, run
from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench, StorageKind
from canitrain.core.profile import SizeRule
from canitrain.core.recipe import CacheMode, Strategy
from canitrain.estimate.feed import feed

CALIBRATION, COCO = calibration(), coco()
COSTS = CALIBRATION.loader
DISK_FILE_S = 12.7e-3 + COCO.image_bytes / 150e6
"""A hard disk's seek and transfer."""
ROOMY = machine(kind=StorageKind.HDD, ram_bytes=2**37)
"""All files fit into its page cache."""


def fed(recipe=None, hardware=ROOMY, **of_model):
    return feed(model(**of_model), recipe or run(), COCO, hardware, CALIBRATION)


@pytest.mark.parametrize(
    ("nodes", "reads", "cached"),
    [
        (1, 1, 0.0),  # every file is new once
        (1, 4, 0.75),  # a mosaic's further three reads find it in memory
        (2, 4, 0.53125),  # a node sees 1 - (1/2)**4 of the files with 4 / 2 reads of each: 1 - 2 * 0.9375 / 4
    ],
)
def test_the_first_epoch_reads_each_file_from_the_disk_once(nodes, reads, cached):
    found = fed(replace(run(), nodes=nodes), mosaic_images=reads).first.storage_images_per_s.expected
    from_memory_s = 1 / fed(mosaic_images=1).later.storage_images_per_s.expected
    assert 1 / found == pytest.approx(reads * ((1 - cached) * DISK_FILE_S + cached * from_memory_s), rel=1e-6)


def test_a_cache_in_ram_is_filled_by_one_decode_an_image_and_then_spares_it_altogether():
    plain, cached = fed(mosaic_images=1), fed(run(cache=CacheMode.RAM), mosaic_images=4)
    finish_s = fed(mosaic_images=4).image_s - 4 * (fed(mosaic_images=4).image_s - plain.image_s) / 3
    assert cached.image_s == pytest.approx(finish_s)
    assert cached.first.loader_images_per_s == plain.first.loader_images_per_s
    # As fast as files that all lie in the page cache.
    assert cached.later.storage_images_per_s == plain.later.storage_images_per_s


def test_a_cache_on_disk_is_filled_by_one_read_an_image_and_then_read_for_each_image_of_a_mosaic():
    one, four = (fed(run(cache=CacheMode.DISK), mosaic_images=images) for images in (1, 4))
    assert four.first == one.first
    assert four.image_s == one.image_s
    expected = one.later.storage_images_per_s.expected / 4
    assert four.later.storage_images_per_s.expected == pytest.approx(expected)


@pytest.mark.parametrize(("workers", "overlaps"), [(0, False), (1, True), (8, True)])
def test_loading_overlaps_from_one_worker_on(workers, overlaps):
    assert fed(run(workers=workers)).overlaps is overlaps


@pytest.mark.parametrize(
    ("changes", "cores", "busy"),
    [
        ({"workers": 2, "gpus": 2}, 64, 4),  # workers of both processes
        ({"workers": 1}, 64, 1),
        ({"workers": 2}, 64, 2),
        ({"workers": 8}, 4, 4),  # no more than there are
        ({"workers": 8}, 0.5, 0.5),
        ({"workers": 8, "gpus": 4}, 6, 6),
        ({"workers": 0, "gpus": 4}, 6, 4),  # each training process loads on its own
        ({"workers": 0, "gpus": 4}, 3, 3),
    ],
)
def test_further_busy_cores_count_as_a_share_of_the_first(changes, cores, busy):
    found = fed(run(**changes), machine(cores=cores), mosaic_images=1)
    expected = busy if busy <= 1 else 1 + (busy - 1) * COSTS.core_ratio.value
    assert found.first.loader_images_per_s.expected == pytest.approx(expected / found.image_s)


def test_a_validation_image_is_decoded_resized_and_collated():
    one, four = fed(run(workers=1), mosaic_images=1), fed(run(workers=1), mosaic_images=4)
    fetch_s = (four.image_s - one.image_s) / 3
    collate_s = 0.4096 * COSTS.collate_s_per_megapixel.value  # 640 x 640
    for found in (one, four):
        assert 1 / found.validation_images_per_s.expected == pytest.approx(fetch_s + collate_s)


def test_a_validation_image_that_the_model_resizes_costs_what_a_training_image_does():
    found = fed(run(workers=1), mosaic_images=1, size_rule=SizeRule.SHORTER_SIDE)
    assert 1 / found.validation_images_per_s.expected == pytest.approx(found.image_s)


@pytest.mark.parametrize(("ram_bytes", "cached"), [(None, 0.0), (2**20, 0.0), (2**40, 1.0)])
def test_the_cached_share_is_none_where_ram_is_unknown_and_all_at_the_most(ram_bytes, cached):
    assert fed(hardware=machine(ram_bytes=ram_bytes)).cached_ratio == cached


@pytest.mark.parametrize(
    ("workers", "cores", "warned"), [(4, 4, False), (5, 4, True), (1, 0.5, False), (2, 0.5, True), (2, 1.5, True)]
)
def test_workers_are_too_many_from_one_above_the_cores(workers, cores, warned):
    told = fed(run(workers=workers), machine(cores=cores)).warnings
    assert any("more than the cores can serve" in warning for warning in told) is warned


@pytest.mark.parametrize(("workers", "lower"), [(1, False), (2, True)])
def test_a_single_worker_is_not_to_be_lowered(workers, lower):
    (told,) = fed(run(workers=workers, gpus=4), machine(cores=2)).warnings
    assert told.startswith(f"{4 * workers} loader processes on 2 cores")
    assert ("lower --workers" in told) is lower


def test_data_parallel_warns_of_its_one_set_of_workers():
    told = fed(run(workers=8, gpus=4, strategy=Strategy.DP), machine(cores=16)).warnings
    assert not any("more than the cores can serve" in warning for warning in told)


@pytest.mark.parametrize(
    ("kind", "random_s", "stream_s", "readers", "file_s"),
    [
        # Seconds a file, alone in random order and in sequence. A hard disk's queue lets nothing overlap.
        (StorageKind.HDD, 16e-3, 1e-3, 8, 16e-3),
        # An SSD's does, as far as its own rate in sequence goes; where that is not known, as far as the queue.
        (StorageKind.SSD, 16e-3, 1e-3, 8, 2e-3),
        (StorageKind.SSD, 16e-3, 4e-3, 8, 4e-3),
        (StorageKind.SSD, 16e-3, None, 8, 2e-3),
        # Slower in sequence than in random order is a cache's doing: random order counts.
        (StorageKind.SSD, 16e-3, 20e-3, 8, 16e-3),
        # Of what kind is not known: one at a time.
        (None, 16e-3, 1e-3, 8, 16e-3),
    ],
)
def test_readers_overlap_in_a_benched_device_as_far_as_its_queue_and_its_rate_go(
    kind, random_s, stream_s, readers, file_s
):
    nothing = Unknown(reason="not measured")
    bench = Bench(
        decode_s_per_megapixel=nothing,
        sequential_read_bytes_per_s=nothing if stream_s is None else known_rate(stream_s),
        random_read_bytes_per_s=known_rate(random_s),
        memory_bytes_per_s=nothing,
    )
    found = fed(run(workers=readers), machine(kind=kind, ram_bytes=2**30, bench=bench), mosaic_images=1)
    rate = found.first.storage_images_per_s
    spread = CALIBRATION.bench.read_ratio.value
    assert rate.expected == pytest.approx(1 / file_s)
    assert (rate.low, rate.high) == pytest.approx((1 / file_s / spread, spread / file_s))


def known_rate(file_s):
    return Known(value=COCO.image_bytes / file_s, source="test")


def test_storage_of_unknown_kind_may_be_a_slow_disk_or_a_fast_one():
    def rate(kind):
        return fed(hardware=machine(kind=kind, ram_bytes=2**30), mosaic_images=1).first.storage_images_per_s

    found = rate(None)
    assert found.low == pytest.approx(rate(StorageKind.HDD).low)
    assert found.expected == pytest.approx(rate(StorageKind.SSD).expected)
    assert found.high == pytest.approx(rate(StorageKind.NVME).high)


def test_a_page_cache_is_never_slower_than_a_bench_of_the_device():
    # A microsecond a file from the device: what was read from it went through the page cache too.
    nothing = Unknown(reason="not measured")
    bench = Bench(
        decode_s_per_megapixel=nothing,
        sequential_read_bytes_per_s=known_rate(1e-6),
        random_read_bytes_per_s=known_rate(1e-6),
        memory_bytes_per_s=nothing,
    )
    found = fed(run(workers=1), machine(ram_bytes=2**40, bench=bench), mosaic_images=1)
    assert found.later.storage_images_per_s.expected == pytest.approx(1e6)
    assert found.first.storage_images_per_s.expected == pytest.approx(1e6)
