"""The image files of a folder, and which split each belongs to."""

from __future__ import annotations

import contextlib
import enum
import os
import re
from pathlib import Path

from msgspec import Struct

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""What the loaders of the model libraries open."""


class Split(enum.Enum):
    """What an image is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


_VOC_LISTS = (
    ("test", Split.TEST),
    ("trainval", Split.TRAIN),
    ("val", Split.VALIDATION),
    ("train", Split.TRAIN),
)
"""Files of ``ImageSets/Main``; what a later one names counts."""


_SPOKEN = (
    (re.compile(r"^val|[-_. ](?:val|valid|validation)(?![a-z])"), Split.VALIDATION),
    (re.compile(r"^test|[-_. ]test(?:ing)?(?![a-z])|^unlabel"), Split.TEST),
)
"""Names that say a split: ``val2017``, ``VisDrone2019-DET-test-dev``; nobody trains a detector on ``unlabeled2017``."""


class ImageFile(Struct, frozen=True, kw_only=True):
    """One file with an image's suffix."""

    path: Path
    split: Split


def find_images(directory: Path) -> tuple[ImageFile, ...]:
    """Every image file below ``directory``, sorted by path; links to folders are followed once.

    A link to a folder that ``directory`` itself lies in is not: what else is there is no part of the dataset.

    The split comes from folder names: ``val*``, ``*-val`` and ``test*`` say so, everything else trains.
    PASCAL VOC's splits are the lists in ``ImageSets/Main``.
    """
    found = []
    seen: set[tuple[int, int]] = set()
    for parent in directory.resolve().parents:
        with contextlib.suppress(PermissionError):
            seen.add((parent.stat().st_dev, parent.stat().st_ino))
    for folder, folders, names in os.walk(directory, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116 - os.walk hands out strings
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # Hidden folders are thumbnails and version control.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        split = split_of(here.relative_to(directory).parts)
        found += [
            ImageFile(path=here / name, split=split)
            for name in sorted(names)
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - a Path a name is slow
            and not name.startswith(".")
        ]
    # VOC keeps its masks, which are images too, beside the photographs.
    photographs = [file for file in found if file.path.parent.name == "JPEGImages"]
    return _voc_splits(directory, tuple(photographs or found))


def split_of(names: tuple[str, ...]) -> Split:
    """The split that folder or file names speak of; training where none does."""
    for name in (name.lower() for name in names):
        for pattern, split in _SPOKEN:
            if pattern.search(name):
                return split
    return Split.TRAIN


def _voc_splits(directory: Path, files: tuple[ImageFile, ...]) -> tuple[ImageFile, ...]:
    """``files`` with the validation and test images of every ``ImageSets/Main`` below ``directory`` marked.

    An image that ``train.txt`` names trains; one that only ``val.txt`` or ``test.txt`` names does not, and neither
    does one that no list names where there is a list of those that train: it is of VOC's other tasks. ``trainval.txt``
    is what trains where it stands alone.
    """
    lists: dict[Path, dict[str, Split]] = {}
    for pattern in ("ImageSets/Main", "*/ImageSets/Main", "*/*/ImageSets/Main"):
        for folder in directory.glob(pattern):
            named = lists.setdefault(folder.parents[1] / "JPEGImages", {})
            for name, split in _VOC_LISTS:
                path = folder / f"{name}.txt"
                if path.is_file():
                    named.update(dict.fromkeys(path.read_text(encoding="utf-8", errors="replace").split(), split))
    if not lists:
        return files
    return tuple(ImageFile(path=file.path, split=_listed(file, lists.get(file.path.parent, {}))) for file in files)


def _listed(file: ImageFile, named: dict[str, Split]) -> Split:
    """The split of one image by its folder's lists."""
    unnamed = Split.TEST if Split.TRAIN in named.values() else file.split
    return named.get(file.path.stem, unnamed)
