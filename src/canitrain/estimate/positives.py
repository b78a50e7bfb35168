"""How many positive samples an image gives a head that learns on those alone (masks, keypoints)."""

from __future__ import annotations

import math


def positive_share(most: int, boxes: float, per_box: float) -> float:
    """The mean over images of ``min(most, per_box x boxes of the image) / most``.

    Images are taken to be spread exponentially around ``boxes``: many with few objects, few with many, as in COCO.

    Args:
        most: positive samples that the library takes of one image at most.
        boxes: objects of the mean image.
        per_box: positive samples that one object gives.
    """
    mean = per_box * boxes
    return mean * -math.expm1(-most / mean) / most if mean else 0.0
