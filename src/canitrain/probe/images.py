"""A folder of training images as a ``Dataset``: counts, sizes, boxes, splits, without decoding an image."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.errors import InputError
from canitrain.probe.annotations import Labels, read_labels
from canitrain.probe.image_files import ImageFile, Split, find_images

SAMPLE_FILES = 2000
"""Headers read at most; the mean of a thousand images of one dataset is within a few per cent."""
ASSUMED_BOXES_MEAN, ASSUMED_BOXES_MAX = 7.27, 93.0
"""Where a folder has no labels: COCO's train2017 (860,001 boxes on 118,287 images, at most 93).

The same as in ``profiles/datasets/coco.toml``, which this room does not read; a test holds the two together.
"""
_QUANTILES = 20


class _Sample(Struct, frozen=True, kw_only=True):
    """Sizes of some of the files, in order of their paths."""

    file_bytes: tuple[int, ...]
    sides: tuple[tuple[int, int], ...]
    """Width and height."""
    broken: tuple[Path, ...]


def scan(directory: Path) -> Dataset:
    """Count and size the images of ``directory``; boxes and classes where it has COCO, YOLO or VOC labels.

    Reads at most ``SAMPLE_FILES`` headers and label files, and COCO's JSON as a whole. ``source`` names the layout,
    ``notes`` what was odd.

    Raises:
        InputError: there is no such folder, or no readable image in it, or its annotations do not parse.
    """
    files = _images_of(directory)
    training = tuple(file for file in files if file.split is Split.TRAIN)
    validation = sum(file.split is Split.VALIDATION for file in files)
    if not training:
        raise InputError(
            f"{directory} has validation or test images, but none to train on",
            hint="point --data at the folder that holds the training images too",
        )
    sampled = _strided(training)
    sample = _read_headers(sampled)
    if not sample.sides:
        raise InputError(
            f"{directory}: none of the {len(sample.broken)} image files that were read is an image",
            hint="check that the download is complete",
        )
    labels = read_labels(directory, training, sampled)
    images = len(training) if len(sampled) < len(training) else len(training) - len(sample.broken)
    layout = labels.layout if labels else "images without labels"
    return Dataset(
        name=directory.resolve().name,
        images=images,
        validation_images=validation,
        image_bytes=_mean(sample.file_bytes),
        image_pixels=_mean([width * height for width, height in sample.sides]),
        aspect_ratios=_quantiles([width / height for width, height in sample.sides]),
        boxes_mean=labels.boxes_mean if labels else ASSUMED_BOXES_MEAN,
        boxes_max=labels.boxes_max if labels else ASSUMED_BOXES_MAX,
        classes=labels.classes if labels else 1,
        path=str(directory),
        source=f"scanned: {layout}, headers of {len(sampled)} of {len(training)} training images",
        notes=_notes(sample, sampled, labels, validation),
    )


def _images_of(directory: Path) -> tuple[ImageFile, ...]:
    """Every image file below ``directory``."""
    hint = "point --data at a folder of images, or give --images N"
    if not directory.exists():
        raise InputError(f"{directory} does not exist", hint=hint)
    if not directory.is_dir():
        raise InputError(f"{directory} is a file, not a folder", hint=hint)
    if not os.access(directory, os.R_OK | os.X_OK):
        raise InputError(f"{directory} cannot be read: permission denied", hint="let this user read the folder")
    files = find_images(directory)
    if not files:
        raise InputError(f"{directory} holds no image (jpg, png, bmp, webp, tiff)", hint=hint)
    return files


def _strided(files: tuple[ImageFile, ...]) -> tuple[ImageFile, ...]:
    """At most ``SAMPLE_FILES`` of ``files``, evenly over their order, always the same ones."""
    count = min(len(files), SAMPLE_FILES)
    return tuple(files[index * len(files) // count] for index in range(count))


def _read_headers(files: tuple[ImageFile, ...]) -> _Sample:
    """Width, height and bytes of each file; those that are no image are set apart."""
    import imagesize  # noqa: PLC0415 - only a scan needs it

    file_bytes, sides, broken = [], [], []
    for file in files:
        try:
            size_bytes = file.path.stat().st_size
            width, height = imagesize.get(str(file.path))
        except (OSError, ValueError, SyntaxError, struct.error):
            broken.append(file.path)
            continue
        if width <= 0 or height <= 0:
            broken.append(file.path)
            continue
        file_bytes.append(size_bytes)
        sides.append((int(width), int(height)))
    return _Sample(file_bytes=tuple(file_bytes), sides=tuple(sides), broken=tuple(broken))


def _mean(values: list[int] | tuple[int, ...]) -> float:
    return sum(values) / len(values)


def _quantiles(values: list[float]) -> tuple[float, ...]:
    """The least, every twentieth, the greatest."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return tuple(round(ordered[round(step * last / _QUANTILES)], 4) for step in range(_QUANTILES + 1))


def _notes(sample: _Sample, sampled: tuple[ImageFile, ...], labels: Labels | None, validation: int) -> tuple[str, ...]:
    """What a person should know before training on this folder."""
    found = []
    if sample.broken:
        found.append(
            f"{len(sample.broken)} of {len(sampled)} image files read are broken, the first is {sample.broken[0].name}"
            " (remove or download them again)"
        )
    if labels is None:
        found.append(
            f"no labels found (COCO, YOLO or VOC): boxes an image are taken as COCO's, mean {ASSUMED_BOXES_MEAN:g},"
            f" at most {ASSUMED_BOXES_MAX:g} (set --boxes-per-image)"
        )
    else:
        found.extend(labels.warnings)
    if not validation:
        found.append("no validation images found (a folder val or valid): validation time is not counted")
    return tuple(found)
