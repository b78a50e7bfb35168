"""RAM, /dev/shm and disk, by hand and by law."""

from __future__ import annotations

import msgspec
import pytest
from host_cases import calibration, coco, machine, model, run
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.catalog import load_model
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import ImageSize, SizeRule
from canitrain.core.recipe import CacheMode, Strategy
from canitrain.estimate.disk import disk_need
from canitrain.estimate.host_memory import host_memory

CALIBRATION = calibration()
COCO = coco()


def ram(profile=None, recipe=None, hardware=None, *, batch_size=16, on_cpu=False):
    return host_memory(
        profile or model(), recipe or run(), COCO, hardware or machine(), batch_size, CALIBRATION, on_cpu=on_cpu
    )


def test_shm_holds_two_batches_a_worker():
    # a sample: 640 x 640 x 3 bytes + 7.27 boxes x 24 bytes = 1,228,974; x 16 images x 8 workers x 2
    assert ram().shm_bytes.expected == pytest.approx(1_228_974.5 * 16 * 8 * 2)


def test_the_default_64_mb_of_docker_are_too_little_for_eight_workers():
    found = ram()
    assert found.shm_budget_bytes is not None
    assert found.shm_bytes.low > found.shm_budget_bytes


def test_images_that_the_model_resizes_are_handed_over_as_floats_as_stored():
    found = ram(model(size_rule=SizeRule.SHORTER_SIDE, library="torchvision"))
    # 280,000 pixels x 3 x 4 bytes + 174 of boxes
    assert found.parts["prefetch"] == pytest.approx((3_360_000 + 174.5) * 16 * 8 * 2)


def test_workers_share_pages_only_where_they_are_forked():
    forked, spawned = ram(), ram(hardware=machine(os="Windows 11"))
    forkserver = ram(hardware=machine(python="3.14.0"))
    assert spawned.parts["workers"] == pytest.approx(8 * 550e6)
    assert forkserver.parts["workers"] == spawned.parts["workers"]
    assert forked.parts["workers"] == pytest.approx(8 * 100e6)


def test_cache_ram_holds_coco_decoded_at_over_100_gb():
    cached, plain = ram(recipe=run(cache=CacheMode.RAM)), ram()
    # 123,287 images x 640 x 640 x 0.69 x 3 bytes
    assert cached.parts["cache"] == pytest.approx(104e9, rel=0.01)
    assert cached.ram_bytes.expected - plain.ram_bytes.expected == pytest.approx(cached.parts["cache"])


def test_training_on_the_cpu_takes_the_step_into_ram():
    on_cpu = ram(on_cpu=True)
    # 1000 bytes x 16 x 409,600 pixels, weights and momentum of 4 MB each; 1.35 times that is resident
    assert on_cpu.parts["training"] == pytest.approx((6_553_600_000 + 8_000_000) * 1.35)
    assert on_cpu.parts["cuda"] == on_cpu.parts["pinned"] == 0


MEASURED_STEPS = (
    # model, batch, pixels an image, MB of resident memory that three steps added to the imports
    ("yolov5n", 4, 640 * 640, 995),
    ("yolov5s", 4, 640 * 640, 1929),
    ("tf_efficientdet_d0", 2, 512 * 512, 1862),
    ("fasterrcnn_mobilenet_v3_large_320_fpn", 2, 320 * 640, 607),
    ("ssd300_vgg16", 2, 300 * 300, 792),
)


@pytest.mark.parametrize(("name", "batch_size", "pixels", "measured_mb"), MEASURED_STEPS)
def test_a_measured_step_on_the_cpu_lies_in_the_interval(name, batch_size, pixels, measured_mb):
    profile = load_model(name)
    side = round(pixels**0.5)
    size = ImageSize(shorter=320, longer=640) if profile.size_rule is SizeRule.SHORTER_SIDE else None
    recipe = msgspec.structs.replace(run(workers=0), image_size=size or ImageSize(shorter=side, longer=side))
    found = ram(profile, recipe, batch_size=batch_size, on_cpu=True)
    step = CALIBRATION.process.cpu_step
    live_bytes = found.parts["training"] / step.ratio.value
    assert live_bytes * step.low_ratio.value <= measured_mb * 1e6 <= live_bytes * step.high_ratio.value


def test_labels_are_copied_into_every_worker():
    found = ram()
    # 118,287 x (700 + 7.27 x 20) bytes
    assert found.parts["labels"] == pytest.approx(100e6, rel=0.001)
    assert found.parts["label_copies"] == pytest.approx(8 * found.parts["labels"])


def test_every_gpu_process_needs_its_own_ram():
    assert ram(recipe=run(gpus=4)).ram_bytes.expected == pytest.approx(4 * ram().ram_bytes.expected)
    assert ram(recipe=run(gpus=4, strategy=Strategy.DP)).ram_bytes.expected == ram().ram_bytes.expected


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    workers=st.integers(0, 32),
    gpus=st.integers(1, 8),
    batch_size=st.integers(1, 512),
    cache=st.sampled_from(CacheMode),
    on_cpu=st.booleans(),
    kind=st.sampled_from(SizeRule),
)
def test_parts_sum_and_a_larger_batch_never_needs_less(*, workers, gpus, batch_size, cache, on_cpu, kind):
    profile, recipe = model(size_rule=kind), run(workers=workers, gpus=gpus, cache=cache)
    found = ram(profile, recipe, batch_size=batch_size, on_cpu=on_cpu)
    larger = ram(profile, recipe, batch_size=batch_size + 1, on_cpu=on_cpu)
    assert sum(found.parts.values()) == pytest.approx(found.ram_bytes.expected)
    assert min(found.parts.values()) >= 0
    assert larger.ram_bytes.expected >= found.ram_bytes.expected
    assert larger.shm_bytes.expected >= found.shm_bytes.expected


def test_disk_counts_the_dataset_only_until_it_is_there():
    there = {field: getattr(COCO, field) for field in COCO.__struct_fields__} | {"path": "/data"}
    hardware = machine(kind=StorageKind.HDD)
    absent = disk_need(model(), run(), COCO, hardware, CALIBRATION)
    present = disk_need(model(), run(), type(COCO)(**there), hardware, CALIBRATION)
    # (118,287 + 5,000) x 163,474 bytes
    assert absent.parts["dataset"] == pytest.approx(20.15e9, rel=0.001)
    assert present.parts["dataset"] == 0
    # three checkpoints of weights and momentum, 4 MB each, and the logs
    assert present.disk_bytes.expected == pytest.approx(3 * 8e6 + 100e6)


def test_an_ema_copy_and_a_disk_cache_are_written_too():
    plain = disk_need(model(), run(), COCO, machine(), CALIBRATION)
    more = disk_need(model(), run(ema=True, cache=CacheMode.DISK), COCO, machine(), CALIBRATION)
    assert more.parts["checkpoints"] - plain.parts["checkpoints"] == pytest.approx(3 * 4e6)
    assert more.parts["cache"] == pytest.approx(104e9, rel=0.01)
    assert sum(more.parts.values()) == pytest.approx(more.disk_bytes.expected)
