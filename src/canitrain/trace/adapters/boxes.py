"""Ground-truth boxes for synthetic batches: the same for every image, spread over sizes and places."""

from __future__ import annotations

import torch

GOLDEN_RATIO = 0.618033988749895
"""Fractional parts of its multiples fill the unit interval evenly (Weyl's equidistribution)."""
SILVER_RATIO = 0.414213562373095
"""A second, independent sequence."""
BRONZE_RATIO = 0.302775637731995
"""A third."""
SMALLEST_SIDE_RATIO, LARGEST_SIDE_RATIO = 0.05, 0.8
"""Box sides as a share of the image's: log-uniform between the two, which spans COCO's small to large objects."""


def unit_boxes(count: int) -> torch.Tensor:
    """``(count, 4)`` boxes as center x, center y, width, height in 0..1, inside the image, on the default device.

    Deterministic, and the first ``k`` of ``count`` are the same for every ``count``, so that a quantity that is affine
    in the boxes stays affine when it is traced.
    """
    index = torch.arange(1, count + 1, dtype=torch.float32)
    spread = LARGEST_SIDE_RATIO / SMALLEST_SIDE_RATIO
    width = SMALLEST_SIDE_RATIO * spread ** ((index * GOLDEN_RATIO) % 1)
    height = (width * 2 ** ((index * SILVER_RATIO) % 1 - 0.5)).clamp(max=LARGEST_SIDE_RATIO)
    center_x = width / 2 + (1 - width) * ((index * SILVER_RATIO + 0.25) % 1)
    center_y = height / 2 + (1 - height) * ((index * GOLDEN_RATIO + 0.75) % 1)
    return torch.stack((center_x, center_y, width, height), dim=1)


def sized_boxes(count: int, height: int, width: int, sides: tuple[float, float]) -> torch.Tensor:
    """``(count, 4)`` boxes as left, top, right, bottom in pixels, centered inside a ``height`` x ``width`` image.

    Their sides are spread log-uniformly between the two ``sides`` in pixels, whatever the image's size; large ones
    reach over its edge.
    """
    index = torch.arange(1, count + 1, dtype=torch.float32)
    smallest, largest = sides
    side = smallest * (largest / smallest) ** ((index * GOLDEN_RATIO) % 1)
    center_x, center_y = width * ((index * SILVER_RATIO) % 1), height * ((index * BRONZE_RATIO) % 1)
    return torch.stack((center_x - side / 2, center_y - side / 2, center_x + side / 2, center_y + side / 2), dim=1)
