"""Which images a check is about: a folder that is scanned, or a number of images like those of a known dataset."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.dataset import Dataset
from canitrain.core.errors import InputError
from canitrain.core.profile import ModelProfile
from canitrain.core.units import parse_bytes

DEFAULT_DATASET = "coco"
CLASSIFIERS_DATASET = "imagenet"
CLASSIFIERS_LIBRARY = "timm"
"""Whose models are all classifiers."""


class DatasetOptions(Struct, frozen=True, kw_only=True):
    """What was typed."""

    name: str | None = None
    """Of a known dataset; the model's usual one where none was typed."""
    images: int | None = None
    data: Path | None = None
    image_bytes: str | None = None
    boxes_per_image: float | None = None

    def refuse_contradictions(self) -> None:
        """Check what can be checked before any work.

        Raises:
            InputError: ``--data`` with ``--images`` or ``--dataset``, no images at all, a folder that is none, or a
                size that is none.
        """
        if self.images is not None and self.data is not None:
            raise InputError("--images and --data were both given", hint="give one: a count, or a folder to scan")
        if self.name is not None and self.data is not None:
            raise InputError(
                "--dataset and --data were both given", hint="leave --dataset out: the images of --data are scanned"
            )
        if self.images is None and self.data is None:
            raise InputError("how many images?", hint=_how_many(self.name))
        if self.data is not None and self.data.is_file():
            raise InputError(
                f"{self.data} is a file", hint=f"give --data a folder of images, like {self.data.absolute().parent}"
            )
        if self.data is not None and not self.data.is_dir():
            raise InputError(f"there is no folder {self.data}", hint="give --data the folder of the training images")
        if self.image_bytes is not None:
            parse_bytes(self.image_bytes)


def _how_many(name: str | None) -> str:
    """The hint for a check that names no number of images: a known dataset's own, where it names that one.

    Raises:
        InputError: no dataset is called ``name``.
    """
    if name is None:
        return "give --images 20000, or --data and the folder of the images"
    from canitrain.catalog import load_dataset  # noqa: PLC0415  # only for an error

    known = load_dataset(name)
    return f"all of {known.name}: --images {known.images}; --dataset only says what images are like"


def usual_dataset(profile: ModelProfile) -> str:
    """The name of the dataset whose images a model's are taken to be like: ImageNet's for classifiers, else COCO's."""
    return CLASSIFIERS_DATASET if profile.implementation.library == CLASSIFIERS_LIBRARY else DEFAULT_DATASET


def find_dataset(options: DatasetOptions, usual: str = DEFAULT_DATASET) -> Dataset:
    """The dataset: scanned, or a known one with its count (and what else was typed) replaced.

    Args:
        options: What was typed.
        usual: The known dataset where none was typed.

    Raises:
        InputError: no dataset has that name, or the folder holds no images.
    """
    if options.data is not None:
        from canitrain.probe.images import scan  # noqa: PLC0415  # only where there is a folder to scan

        dataset = scan(options.data)
    else:
        dataset = _like(options, usual)
    if options.image_bytes is not None:
        dataset = replace(dataset, image_bytes=float(parse_bytes(options.image_bytes)))
    if options.boxes_per_image is not None:
        mean = options.boxes_per_image
        dataset = replace(dataset, boxes_mean=mean, boxes_max=max(mean, dataset.boxes_max))
    return dataset


def _like(options: DatasetOptions, usual: str) -> Dataset:
    """``--images N`` images like those of the named dataset, with validation images in the same proportion."""
    from canitrain.catalog import load_dataset  # noqa: PLC0415

    known = load_dataset(options.name or usual)
    assert options.images is not None
    share = options.images / known.images
    return replace(
        known,
        name=f"{options.images:,} image{'' if options.images == 1 else 's'} like {known.name}",
        images=options.images,
        validation_images=max(1, round(known.validation_images * share)),
        source=f"--images; the rest: {known.source}",
    )
