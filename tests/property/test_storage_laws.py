"""Laws of storage, with the calibration that ships."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_report_laws import calibration, machines, model

from canitrain import catalog
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware, StorageKind
from canitrain.core.recipe import CacheMode
from canitrain.estimate.feed import feed
from canitrain.estimate.run_time import run_time

SLOWEST_FIRST = (StorageKind.HDD, StorageKind.NETWORK, StorageKind.SSD, StorageKind.NVME, StorageKind.MEMORY)
LARGEST_IMAGE_BYTES = 5e6
"""Beyond it a disk streams faster than a gigabit link: 12.7 ms + x / 150e6 < 1.5 ms + x / 117e6 from 5.9 MB on."""


def with_storage(hardware: Hardware, kind: StorageKind) -> Hardware:
    return replace(hardware, storage=replace(hardware.storage, kind=Known(value=kind, source="made up")))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    hardware=machines(),
    name=st.sampled_from(("yolov5s", "fasterrcnn")),
    image_bytes=st.floats(min_value=1e3, max_value=LARGEST_IMAGE_BYTES),
    images=st.integers(min_value=1, max_value=10**7),
    workers=st.integers(min_value=0, max_value=64),
    cache=st.sampled_from(CacheMode),
)
def test_faster_storage_never_slows_the_feed_or_the_step(  # noqa: PLR0917 - one argument a draw
    hardware: Hardware, name: str, image_bytes: float, images: int, workers: int, cache: CacheMode
) -> None:
    profile, costs = model(name), calibration()
    dataset = replace(catalog.load_dataset("coco"), images=images, image_bytes=image_bytes)
    recipe = decide_recipe(RecipeOptions(workers=workers, cache=cache), profile, hardware)
    card = catalog.find_card("Tesla T4")

    feeds = [feed(profile, recipe, dataset, with_storage(hardware, kind), costs.host) for kind in SLOWEST_FIRST]
    steps_s = [
        run_time(profile, recipe, dataset, 4, card, hardware, each, costs.time).step_s.expected for each in feeds
    ]
    for slower, faster in pairwise(feeds):
        for first, second in ((slower.first, faster.first), (slower.later, faster.later)):
            assert first.storage_images_per_s.expected <= second.storage_images_per_s.expected * (1 + 1e-9)
    for slower_s, faster_s in pairwise(steps_s):
        assert faster_s <= slower_s * (1 + 1e-9)
