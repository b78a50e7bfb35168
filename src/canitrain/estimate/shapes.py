"""The batch that a step is fed: the largest that a dataset can produce for memory, the mean for time."""

from __future__ import annotations

import math
from typing import assert_never

from canitrain.core.dataset import Dataset
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ImageSize, ModelProfile, SizeRule
from canitrain.core.recipe import Recipe

_SIDE_DIGITS = 6
"""Decimals of a side in pixels that count."""
MULTI_SCALE_GROWTH = 1.5
"""YOLOv5 ``train.py --multi-scale`` draws a side up to one and a half times the image size."""


def memory_shape(profile: ModelProfile, recipe: Recipe, dataset: Dataset, batch_size: int) -> BatchShape:
    """The largest padded batch that ``dataset`` can produce, with its most crowded image among average ones.

    Where the library resizes by the shorter side, a batch is padded to its widest and its tallest image, so a wide
    image beside a tall one pads to both. torchvision's reference script groups images by aspect ratio and so
    avoids that: the largest batch is one of the most oblong images that its resize still lets grow to both limits.
    """
    match profile.size_rule:
        case SizeRule.SQUARE:
            pixels = _square_pixels(profile, recipe)
        case SizeRule.SHORTER_SIDE:
            pixels = _resized_pixels(recipe.image_size, _fullest_ratio(recipe.image_size, dataset), profile.divisor)
        case _:
            assert_never(profile.size_rule)
    return BatchShape(
        batch_size=batch_size,
        pixels=pixels,
        boxes=dataset.boxes_max,
        other_boxes=min(dataset.boxes_mean, dataset.boxes_max),
    )


def time_shape(profile: ModelProfile, recipe: Recipe, dataset: Dataset, batch_size: int) -> BatchShape:
    """The mean padded size and the mean number of boxes."""
    match profile.size_rule:
        case SizeRule.SQUARE:
            pixels = _fixed_pixels(recipe.image_size)
        case SizeRule.SHORTER_SIDE:
            sizes = [_resized_pixels(recipe.image_size, ratio, profile.divisor) for ratio in dataset.aspect_ratios]
            pixels = _mean_over_quantiles(sizes)
        case _:
            assert_never(profile.size_rule)
    return BatchShape(batch_size=batch_size, pixels=pixels, boxes=dataset.boxes_mean)


def _fixed_pixels(size: ImageSize) -> float:
    return float(size.shorter * size.longer)


def _square_pixels(profile: ModelProfile, recipe: Recipe) -> float:
    size = recipe.image_size
    if not recipe.multi_scale:
        return _fixed_pixels(size)
    grown = ImageSize(
        shorter=_round_up(size.shorter * MULTI_SCALE_GROWTH, profile.divisor),
        longer=_round_up(size.longer * MULTI_SCALE_GROWTH, profile.divisor),
    )
    return _fixed_pixels(grown)


def _fullest_ratio(size: ImageSize, dataset: Dataset) -> float:
    """The aspect ratio, among all that lie between the dataset's extremes, whose resized image has most pixels."""
    oblong = max(dataset.aspect_ratios[-1], 1 / dataset.aspect_ratios[0])
    return min(oblong, size.longer / size.shorter)


def _resized_pixels(size: ImageSize, aspect_ratio: float, divisor: int) -> float:
    """Padded pixels of one image whose width / height is ``aspect_ratio`` (either way round)."""
    oblong = max(aspect_ratio, 1 / aspect_ratio)
    limit = size.longer / size.shorter
    if oblong <= limit:
        shorter, longer = float(size.shorter), size.shorter * oblong
    else:
        shorter, longer = size.longer / oblong, float(size.longer)
    return float(_round_up(shorter, divisor) * _round_up(longer, divisor))


def _round_up(side: float, divisor: int) -> int:
    """The multiple of ``divisor`` from ``side`` pixels on; floating-point noise above one makes no further one."""
    return math.ceil(round(side, _SIDE_DIGITS) / divisor) * divisor


def _mean_over_quantiles(values: list[float]) -> float:
    """Mean of a quantity whose values at evenly spaced quantiles are given (trapezoids)."""
    if len(values) == 1:
        return values[0]
    return (sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1)
