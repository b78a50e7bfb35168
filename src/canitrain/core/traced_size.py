"""Which image sizes a profile may be asked about, and at which its library then trains."""

from __future__ import annotations

import math
from collections.abc import Iterator

from canitrain.core.errors import InputError
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import ImageSize, ModelProfile, Trace

LEAST_STRIDES = {"yolov5": 2, "ultralytics": 1}
"""Libraries whose training script rounds the image size up to a multiple of the stride, and the least of them.

Source: yolov5 7.0 ``train.py``, ``check_img_size(opt.imgsz, gs, floor=gs * 2)``; ultralytics ``engine/trainer.py``,
``check_imgsz(..., stride=gs, floor=gs)``.
"""


def trained_size(profile: ModelProfile, size: ImageSize) -> ImageSize:
    """The size at which the library trains when it is asked for ``size``: rounded up where its script does so."""
    strides = LEAST_STRIDES.get(profile.implementation.library)
    if strides is None:
        return size
    sides = (max(math.ceil(side / profile.divisor), strides) * profile.divisor for side in (size.shorter, size.longer))
    shorter, longer = sides
    return ImageSize(shorter=shorter, longer=longer)


def only_size(profile: ModelProfile) -> ImageSize | None:
    """The one size that ``profile`` was traced at, or ``None`` where its quantities follow the pixels.

    Known limitation: a model whose step truly needs the same at every size would count as traced at one; none does,
    as the batch itself is alive in every step.
    """
    follows = any(polynomial.follows_pixels for trace in profile.traces.values() for polynomial in _live(trace))
    return None if follows else profile.defaults.image_size


def refuse_untraced_size(profile: ModelProfile, size: ImageSize) -> None:
    """Let ``size`` pass, or say how the model is traced at it.

    Raises:
        InputError: the profile holds for another size only.
    """
    traced = only_size(profile)
    if traced is None or traced == size:
        return
    spec = profile.implementation.spec.partition("@")[0]
    raise InputError(
        f"{profile.name} was traced at {traced.text} px only, not at {size.text}",
        hint=f"canitrain trace {spec} --image-size {size.longer} --output {profile.name}_{size.longer}.json",
    )


def _live(trace: Trace) -> Iterator[Polynomial]:
    yield from (peak.live_bytes for peak in trace.peaks)
    yield from (stage.saved_bytes for stage in trace.stages)
