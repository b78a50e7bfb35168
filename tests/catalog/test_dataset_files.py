"""Every dataset that ships is plausible in itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from canitrain.core.dataset import Dataset

FILES = sorted((Path(__file__).parents[2] / "profiles" / "datasets").glob("*.toml"))

CLASSIFICATION = {"imagenet"}


def load(path: Path) -> Dataset:
    return msgspec.toml.decode(path.read_bytes(), type=Dataset)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dataset_file_is_plausible(path):
    found = load(path)
    assert found.name == path.stem
    assert found.source
    assert found.images > found.validation_images >= 0
    assert 0 <= found.boxes_mean <= found.boxes_max
    assert (found.boxes_mean == 0) is (found.name in CLASSIFICATION)
    # 0.5 to 16 bits a pixel, as photographs are encoded
    assert 0.5 < 8 * found.image_bytes / found.image_pixels < 16
    assert list(found.aspect_ratios) == sorted(found.aspect_ratios)
    assert found.aspect_ratios[0] > 0


def test_coco_is_the_published_one():
    coco = load(next(path for path in FILES if path.stem == "coco"))
    assert (coco.images, coco.validation_images, coco.classes) == (118_287, 5_000, 80)
    # 860,001 annotations / 118,287 images; train2017.zip has 19,336,861,798 bytes
    assert coco.boxes_mean * coco.images == pytest.approx(860_001, rel=1e-3)
    assert coco.image_bytes * coco.images == pytest.approx(19.337e9, rel=1e-3)


def test_imagenet_is_the_published_one():
    imagenet = load(next(path for path in FILES if path.stem == "imagenet"))
    assert (imagenet.images, imagenet.validation_images, imagenet.classes) == (1_281_167, 50_000, 1_000)
    # 147,897,477,120 bytes of tar, of which headers and padding are below 1 %
    assert imagenet.image_bytes * imagenet.images == pytest.approx(147.897e9, rel=1e-2)
