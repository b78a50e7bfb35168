"""The input pipeline, by hand and by law."""

from __future__ import annotations

import pytest
from host_cases import calibration, coco, machine, model, run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench, StorageKind
from canitrain.core.profile import SizeRule
from canitrain.core.recipe import CacheMode, Strategy
from canitrain.estimate.feed import feed
from canitrain.estimate.host_memory import host_memory
from canitrain.estimate.resident_memory import decoded_image_bytes

CALIBRATION = calibration()
COCO = coco()
MACHINES = st.builds(
    machine,
    cores=st.one_of(st.none(), st.floats(min_value=0.5, max_value=128)),
    ram_bytes=st.one_of(st.none(), st.integers(min_value=2**30, max_value=2**40)),
    kind=st.one_of(st.none(), st.sampled_from(StorageKind)),
)


def plain(**changes):
    return feed(model(mosaic_images=1), run(**changes), COCO, machine(), CALIBRATION)


def test_one_image_costs_its_decode_resize_augment_and_collate():
    found = plain(workers=1)
    # stored 0.28 MP x 8.7 ms = 2.436; trained 0.4096 MP x (11.3 + 0.5) ms = 4.833;
    # resized 0.4096 MP x mean shape 0.71 (16 of 21 quantiles lie between 0.62 and 0.75) x 1.2 ms = 0.35
    assert found.image_s == pytest.approx(7.62e-3, rel=0.01)
    assert found.first.loader_images_per_s.expected == pytest.approx(1 / 7.62e-3, rel=0.01)


def test_a_mosaic_decodes_four_images():
    one, four = plain(), feed(model(mosaic_images=4), run(), COCO, machine(), CALIBRATION)
    # three more files, each 2.436 ms to decode and 0.35 ms to resize
    assert four.image_s - one.image_s == pytest.approx(3 * 2.79e-3, rel=0.01)


def test_a_model_that_resizes_on_the_device_spares_the_workers_the_resize():
    found = feed(model(mosaic_images=1, size_rule=SizeRule.SHORTER_SIDE), run(), COCO, machine(), CALIBRATION)
    # 0.28 MP x (8.7 decode + 2.4 to float + 0.5 collate) ms
    assert found.image_s == pytest.approx(0.28 * 11.6e-3, rel=1e-6)


def test_a_hard_disk_serves_one_file_a_seek():
    found = feed(
        model(mosaic_images=1), run(), COCO, machine(kind=StorageKind.HDD, ram_bytes=2**30), CALIBRATION
    ).first.storage_images_per_s
    # 12.7 ms + 163,474 / 150e6 s = 13.79 ms
    assert found.expected == pytest.approx(1 / 13.79e-3, rel=0.001)


def test_a_gigabit_network_is_limited_by_its_wire():
    found = feed(
        model(mosaic_images=1), run(), COCO, machine(kind=StorageKind.NETWORK, ram_bytes=2**30), CALIBRATION
    ).first.storage_images_per_s
    # 117e6 / 163,474; eight readers hide the latency
    assert found.expected == pytest.approx(715.7, rel=0.001)


def test_the_second_epoch_comes_from_memory_when_the_files_fit():
    large = feed(model(), run(), COCO, machine(kind=StorageKind.HDD, ram_bytes=2**36), CALIBRATION)
    small = feed(model(), run(), COCO, machine(kind=StorageKind.HDD, ram_bytes=2**32), CALIBRATION)
    assert large.cached_ratio == 1
    assert large.later.storage_images_per_s.low > large.first.storage_images_per_s.high
    # 4 GiB less 2.57 GB of the main process, 0.8 of workers and nine times 0.1 of labels leave 0.025 of 19.3 GB
    assert small.cached_ratio == pytest.approx(0.025 / 19.34, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "os", "on_cpu"),
    [
        ({}, "Linux 6.8", False),
        ({}, "Windows 11", False),
        ({"workers": 0}, "Linux 6.8", True),
        ({"gpus": 4}, "Linux 6.8", False),
        ({"cache": CacheMode.RAM, "gpus": 2}, "Linux 6.8", False),
    ],
)
def test_the_page_cache_has_what_the_processes_leave(changes, os, *, on_cpu):
    recipe, few = run(**changes), replace(COCO, images=1000, image_bytes=10**8)
    host = machine(ram_bytes=50 * 2**30, os=os)
    found = feed(model(), recipe, few, host, CALIBRATION, on_cpu=on_cpu)
    parts = host_memory(model(), recipe, few, host, 16, CALIBRATION, on_cpu=on_cpu).parts
    # what waits in batches, and a step on the CPU, follow the batch size and are left out
    held_bytes = sum(parts.values()) - parts["prefetch"] - parts["pinned"] - parts["training"]
    assert 0 < found.cached_ratio < 1
    assert found.cached_ratio == pytest.approx((50 * 2**30 - held_bytes) / 1e11)


def test_a_hard_disk_holds_up_eight_workers_and_nvme_does_not():
    disk = feed(model(), run(), COCO, machine(kind=StorageKind.HDD), CALIBRATION).first
    nvme = feed(model(), run(), COCO, machine(), CALIBRATION).first
    assert disk.storage_images_per_s.expected < disk.loader_images_per_s.expected < nvme.storage_images_per_s.expected
    assert nvme.loader_images_per_s == disk.loader_images_per_s


@pytest.mark.parametrize(
    ("nodes", "epochs", "reads", "seen"),
    [
        (1, 10, 1, 1.0),
        (4, 2, 1, 0.25),  # one epoch has shown a quarter
        (4, 3, 1, 0.34375),  # then 1 - 0.75 ** 2 = 0.4375; their mean
        (2, 2, 4, 0.9375),  # a mosaic of four reads as many files as there are twice: 1 - 0.5 ** 4
    ],
)
def test_a_node_finds_in_memory_what_it_has_read_before(nodes, epochs, reads, seen):
    asked = replace(run(), nodes=nodes, epochs=epochs)
    large = machine(kind=StorageKind.HDD, ram_bytes=2**37)
    found = feed(model(mosaic_images=reads), asked, COCO, large, CALIBRATION).later.storage_images_per_s.expected
    one = feed(model(mosaic_images=reads), replace(asked, nodes=1), COCO, large, CALIBRATION)
    # 163,474 bytes at 150 MB/s and 12.7 ms of seek: 13.8 ms, 72.46 files a second
    from_memory_s, from_disk_s = 1 / one.later.storage_images_per_s.expected, reads / 72.46
    assert 1 / found == pytest.approx(seen * from_memory_s + (1 - seen) * from_disk_s, rel=0.01)


def test_more_nodes_never_read_faster_each():
    rates = [
        feed(model(), replace(run(), nodes=nodes, epochs=20), COCO, machine(kind=StorageKind.HDD), CALIBRATION)
        for nodes in (1, 2, 8, 64, 1024)
    ]
    for name in ("first", "later"):
        each = [getattr(found, name).storage_images_per_s.expected for found in rates]
        assert each == sorted(each, reverse=True)


def test_two_workers_cannot_feed_what_sixteen_can():
    few = feed(model(), run(workers=2), COCO, machine(cores=2), CALIBRATION).later
    many = feed(model(), run(workers=16), COCO, machine(), CALIBRATION).later
    # two cores against sixteen: 1 + 15 x 0.78 = 12.7 and 1.78
    assert many.loader_images_per_s.expected / few.loader_images_per_s.expected == pytest.approx(12.7 / 1.78)


@pytest.mark.parametrize("cache", [CacheMode.RAM, CacheMode.DISK])
def test_a_cache_spares_decoding_after_the_first_epoch(cache):
    found = feed(model(), run(cache=cache), COCO, machine(ram_bytes=2**38), CALIBRATION)
    # only augment and collate are left: 0.4096 MP x 11.8 ms
    assert found.image_s == pytest.approx(4.833e-3, rel=0.001)
    assert found.later.loader_images_per_s.expected > found.first.loader_images_per_s.expected


def test_a_cached_image_is_three_bytes_a_resized_pixel():
    # upright and lying 4:3 alike: 640 x 480 x 3
    halves = type(COCO)(**{**{f: getattr(COCO, f) for f in COCO.__struct_fields__}, "aspect_ratios": (0.75, 4 / 3)})
    assert decoded_image_bytes(model(), run(), halves) == pytest.approx(921_600)


def test_a_bench_replaces_the_defaults():
    bench = Bench(
        decode_s_per_megapixel=Known(value=1e-3, source="test"),
        sequential_read_bytes_per_s=Known(value=50e6, source="test"),
        random_read_bytes_per_s=Known(value=10e6, source="test"),
        memory_bytes_per_s=Unknown(reason="not run"),
    )
    found = feed(
        model(mosaic_images=1), run(workers=1), COCO, machine(kind=None, ram_bytes=2**30, bench=bench), CALIBRATION
    )
    # 10e6 / 163,474 files a second with one reader; decode 0.28 ms instead of 2.436
    assert found.first.storage_images_per_s.expected == pytest.approx(61.17, rel=0.001)
    assert found.image_s == pytest.approx(7.62e-3 - 2.156e-3, rel=0.01)
    assert found.warnings == ()


def test_with_unknown_cores_the_librarys_own_workers_are_assumed_and_said():
    asked = run(workers=8)
    own = feed(model(), asked, COCO, machine(cores=None), CALIBRATION)
    given = feed(model(), replace(asked, given=("workers",)), COCO, machine(cores=None), CALIBRATION)
    assert any("and the library's own 8 loader workers (set --cpu-cores)" in warning for warning in own.warnings)
    assert not any("the library's own" in warning for warning in given.warnings)


def test_unknown_facts_are_said_and_widen_the_interval():
    found = feed(model(), run(), COCO, machine(cores=None, ram_bytes=None, kind=None), CALIBRATION)
    spread = found.first.storage_images_per_s
    assert spread.high / spread.low > 100
    assert sum(word in " ".join(found.warnings) for word in ("cores", "storage", "RAM")) == 3


def test_without_workers_loading_does_not_overlap():
    found = plain(workers=0)
    assert not found.overlaps


def test_more_workers_than_cores_get_a_warning():
    found = feed(model(), run(workers=8, gpus=2), COCO, machine(cores=8), CALIBRATION)
    assert found.workers == 16
    assert any("16 loader processes on 8 cores" in warning for warning in found.warnings)


def test_assumed_cores_are_no_reason_to_warn_of_workers():
    found = feed(model(), run(workers=8), COCO, machine(cores=None), CALIBRATION)
    assert not any("loader processes" in warning for warning in found.warnings)


def test_readers_of_the_page_cache_copy_side_by_side():
    one, eight = (
        feed(model(mosaic_images=1), run(workers=workers), COCO, machine(kind=StorageKind.MEMORY), CALIBRATION)
        for workers in (1, 8)
    )
    # 0.01 ms + 163,474 / 2.1e9 s = 0.0878 ms a file; four at once fill the memory
    assert one.first.storage_images_per_s.expected == pytest.approx(1 / 0.0878e-3, rel=0.001)
    assert eight.first.storage_images_per_s.expected == pytest.approx(4 / 0.0878e-3, rel=0.001)


def test_data_parallel_has_one_set_of_workers():
    assert feed(model(), run(gpus=4, strategy=Strategy.DP), COCO, machine(), CALIBRATION).workers == 8


@settings(max_examples=200, derandomize=True, deadline=None)
@given(hardware=MACHINES, workers=st.integers(1, 63), cache=st.sampled_from(CacheMode))
def test_another_worker_never_slows_the_loader(hardware, workers, cache):
    fewer = feed(model(), run(workers=workers, cache=cache), COCO, hardware, CALIBRATION)
    more = feed(model(), run(workers=workers + 1, cache=cache), COCO, hardware, CALIBRATION)
    assert more.first.loader_images_per_s.expected >= fewer.first.loader_images_per_s.expected
    assert more.later.loader_images_per_s.expected >= fewer.later.loader_images_per_s.expected


@settings(max_examples=200, derandomize=True, deadline=None)
@given(hardware=MACHINES, workers=st.integers(0, 64), cache=st.sampled_from(CacheMode))
def test_every_rate_is_positive_and_in_order(hardware, workers, cache):
    found = feed(model(), run(workers=workers, cache=cache), COCO, hardware, CALIBRATION)
    for rates in (found.first, found.later):
        for rate in (rates.loader_images_per_s, rates.storage_images_per_s):
            assert 0 < rate.low <= rate.expected <= rate.high
    assert 0 <= found.cached_ratio <= 1


@settings(max_examples=100, derandomize=True, deadline=None)
@given(cores=st.floats(1, 63), workers=st.integers(1, 64))
def test_another_core_never_slows_the_loader(cores, workers):
    fewer = feed(model(), run(workers=workers), COCO, machine(cores=cores), CALIBRATION)
    more = feed(model(), run(workers=workers), COCO, machine(cores=cores + 1), CALIBRATION)
    assert more.later.loader_images_per_s.expected >= fewer.later.loader_images_per_s.expected
