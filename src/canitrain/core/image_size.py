"""An image size as people write it, for a model that takes it: one rule for options and for files of measurements."""

from __future__ import annotations

import re

from canitrain.core.errors import InputError
from canitrain.core.limits import LARGEST_SIDE
from canitrain.core.profile import ImageSize, ModelProfile, SizeRule
from canitrain.core.traced_size import LEAST_STRIDES, refuse_untraced_size

_TAKE_ANY = ("timm",)
"""Libraries whose convolutional nets take any size: their layers round up, a few per cent of the smallest maps.

Source: timm 1.0, ``train.py``, which hands ``--img-size`` to the transforms as it is.
"""


def parse_size(text: str, profile: ModelProfile) -> ImageSize:
    """``640`` or ``800x1333`` as sides that ``profile`` can take; ``trained_size`` says what they are rounded to.

    One number is the side of a square, or the shorter side of a model that resizes by it; the longer side then keeps
    the default's ratio.

    Raises:
        InputError: it is no size, too large, no multiple of the model's stride where the library needs one (with the
            nearest that is), or not the one size that was traced.
    """
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX*]\s*(\d{1,6}))?\s*", text)
    if match is None or int(match[1]) == 0 or (match[2] and int(match[2]) == 0):
        raise InputError(f"{text!r} is not an image size", hint="write it like 640 or 800x1333")
    first = int(match[1])
    match profile.size_rule:
        case SizeRule.SQUARE:
            size = ImageSize(shorter=first, longer=int(match[2] or first))
            if size != profile.defaults.image_size:
                _refuse_off_stride(size, profile)
        case SizeRule.SHORTER_SIDE:
            default = profile.defaults.image_size
            longer = int(match[2]) if match[2] else round(first * default.longer / default.shorter)
            size = ImageSize(shorter=min(first, longer), longer=max(first, longer))
    if size.shorter < profile.divisor and profile.implementation.library not in LEAST_STRIDES:
        raise InputError(
            f"an image of {size.shorter} x {size.longer} px is smaller than the stride of {profile.name}",
            hint=f"at least {profile.divisor} px a side; the default is {profile.defaults.image_size.shorter}",
        )
    if size.longer > LARGEST_SIDE:
        raise InputError(
            f"an image of {size.shorter} x {size.longer} px is larger than any that was traced",
            hint=f"at most {LARGEST_SIDE} px a side; the default is {profile.defaults.image_size.shorter}",
        )
    refuse_untraced_size(profile, size)
    return size


def _refuse_off_stride(size: ImageSize, profile: ModelProfile) -> None:
    if profile.implementation.library in (*LEAST_STRIDES, *_TAKE_ANY):
        return
    if profile.divisor == profile.defaults.image_size.shorter:
        # torchvision's SSDs: the size is part of the model.
        raise InputError(
            f"{profile.name} resizes every image to {profile.divisor} px itself, not to {size.longer}",
            hint="leave --image-size out",
        )
    for side in (size.shorter, size.longer):
        if side % profile.divisor:
            nearest = max(profile.divisor, round(side / profile.divisor) * profile.divisor)
            raise InputError(
                f"image size {side} is not a multiple of {profile.divisor}, the stride of {profile.name}",
                hint=f"the nearest is --image-size {nearest}",
            )
