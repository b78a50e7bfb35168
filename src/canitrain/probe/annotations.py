"""Boxes and classes of a dataset from its COCO, YOLO or VOC labels."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct

from canitrain.core.errors import InputError
from canitrain.probe.image_files import ImageFile, Split, split_of

_DIRECT_COCO_PATTERNS = ("annotations/*.json", "*.json", "train*/*.json")
_NAMES_PATTERNS = ("*.yaml", "*.yml")
_VOC_CLASS = re.compile(rb"<object>\s*<name>\s*([^<]+?)\s*</name>")
_MAX_WARNED = 0.02
"""Share of images without a label above which a warning is due; some empty images are background on purpose."""


class Labels(Struct, frozen=True, kw_only=True):
    """Boxes an image over the training images, or over the sample of them that was read."""

    layout: str
    boxes_mean: float
    boxes_max: float
    classes: int
    warnings: tuple[str, ...] = ()


class _CocoImage(Struct):
    id: int | str


class _CocoBox(Struct, gc=False):
    image_id: int | str


class _CocoFile(Struct):
    images: list[_CocoImage]
    annotations: list[_CocoBox]
    categories: list[msgspec.Raw]


def read_labels(directory: Path, training: tuple[ImageFile, ...], sampled: tuple[ImageFile, ...]) -> Labels | None:
    """The labels of ``training`` images in whichever layout ``directory`` has; ``None`` where it has none.

    Args:
        directory: the folder that was given.
        training: all training images.
        sampled: those whose label files are read, where there is one a file.

    Raises:
        InputError: a COCO file is not what it should be.
    """
    return _coco(directory, training) or _yolo(directory, sampled) or _voc(sampled)


def _coco(directory: Path, training: tuple[ImageFile, ...]) -> Labels | None:
    """From the training split's JSON: ``annotations/instances_train2017.json``, ``train/_annotations.coco.json``."""
    path = _coco_path(directory)
    if path is None:
        return None
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_CocoFile)
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not COCO annotations: {' '.join(str(error).split())}",
            hint="it needs images, annotations and categories; or move it away and give --boxes-per-image",
        ) from None
    boxes = Counter(box.image_id for box in content.annotations)
    images = max(1, len(content.images))
    warnings = []
    if len(content.images) != len(training):
        warnings.append(f"{path.name} lists {len(content.images)} images, {len(training)} are there")
    return Labels(
        layout="COCO",
        boxes_mean=boxes.total() / images,
        boxes_max=float(max(boxes.values(), default=0)),
        classes=max(1, len(content.categories)),
        warnings=tuple(warnings),
    )


def _coco_path(directory: Path) -> Path | None:
    """The annotation file of the training split: by its name, instances before keypoints and captions."""
    paths = [path for pattern in _DIRECT_COCO_PATTERNS for path in sorted(directory.glob(pattern))]
    candidates = [
        path
        for path in paths
        if not path.name.startswith(("captions_", "person_keypoints_", "stuff_", "panoptic_", "image_info_"))
        and split_of((*path.relative_to(directory).parts[:-1], *path.stem.lower().split("_"))) is Split.TRAIN
        and _looks_like_coco(path)
    ]
    return min(candidates, key=lambda path: _strangeness(path.relative_to(directory)), default=None)


def _strangeness(path: Path) -> tuple[bool, bool]:
    """Orders annotation files by their path in the dataset: what is above that says nothing of them."""
    return not path.name.startswith("instances"), "train" not in str(path)


def _looks_like_coco(path: Path) -> bool:
    """Whether a JSON file names images or annotations near its beginning; other tools leave JSON about too."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    return any(key in head for key in (b'"images"', b'"annotations"', b'"categories"', b'"licenses"'))


def _yolo(directory: Path, sampled: tuple[ImageFile, ...]) -> Labels | None:
    """One text file an image, one line a box, class first; in ``labels`` for ``images``, or beside the image."""
    counts, highest_class = [], 0
    missing = 0
    for file in sampled:
        path = _yolo_path(file.path)
        if path is None:
            missing += 1
            counts.append(0)
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [line.split() for line in lines if line.strip()]
        counts.append(len(rows))
        highest_class = max([highest_class, *(int(row[0]) for row in rows if row[0].isdecimal())])
    if missing == len(sampled):
        return None
    return _per_file("YOLO", counts, missing, _yolo_classes(directory) or highest_class + 1)


def _yolo_path(image: Path) -> Path | None:
    parts = list(image.parts)
    if "images" in parts:
        # The last folder named images, as YOLOv5 does it.
        index = len(parts) - 1 - parts[::-1].index("images")
        parts[index] = "labels"
    path = Path(*parts).with_suffix(".txt")
    return path if path.is_file() else None


def _yolo_classes(directory: Path) -> int | None:
    """``nc`` of the data file beside the images, or the number of its ``names``."""
    for path in (path for pattern in _NAMES_PATTERNS for path in sorted(directory.glob(pattern))):
        text = path.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^nc:\s*(\d+)", text, re.MULTILINE):
            return int(found[1])
        if found := re.search(r"^names:\s*\[([^\]]*)\]", text, re.MULTILINE):
            return sum(bool(name.strip()) for name in found[1].split(","))
        if found := re.search(r"^names:\s*\n((?:[ \t]+.*\n?|-.*\n?)+)", text, re.MULTILINE):
            return sum(bool(line.strip()) for line in found[1].splitlines())
    return None


def _voc(sampled: tuple[ImageFile, ...]) -> Labels | None:
    """One XML file an image, in ``Annotations`` beside ``JPEGImages``, or beside the image."""
    counts, names = [], set()
    missing = 0
    for file in sampled:
        path = file.path.parent.parent / "Annotations" / f"{file.path.stem}.xml"
        path = path if path.is_file() else file.path.with_suffix(".xml")
        if not path.is_file():
            missing += 1
            counts.append(0)
            continue
        content = path.read_bytes()
        counts.append(content.count(b"<object>"))
        names.update(_VOC_CLASS.findall(content))
    if missing == len(sampled):
        return None
    return _per_file("VOC", counts, missing, max(1, len(names)))


def _per_file(layout: str, counts: list[int], missing: int, classes: int) -> Labels:
    warnings: tuple[str, ...] = ()
    if missing > len(counts) * _MAX_WARNED:
        warnings = (f"{missing} of {len(counts)} training images read have no {layout} label file",)
    return Labels(
        layout=layout,
        boxes_mean=sum(counts) / len(counts),
        boxes_max=float(max(counts)),
        classes=classes,
        warnings=warnings,
    )
