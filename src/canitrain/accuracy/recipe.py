"""The recipe of a measured run, from what its row says and the implementation's defaults."""

from __future__ import annotations

import re

from canitrain.core.accuracy import Measurement
from canitrain.core.errors import InputError
from canitrain.core.image_size import parse_size
from canitrain.core.profile import ImageSize, ModelProfile, Precision
from canitrain.core.recipe import Freeze, Optimizer, Recipe, most_workers
from canitrain.core.traced_size import trained_size

_WORDS = {
    **dict.fromkeys(("fp32", "float32", "tf32", "single", "full", "float", "32", "noamp"), Precision.FP32),
    **dict.fromkeys(("amp", "mixed", "half", "autocast", "o1", "fp16", "float16", "16"), Precision.AMP),
    **dict.fromkeys(("bf16", "bfloat16", "ampfp16", "ampbf16"), Precision.AMP),
}
"""How people write it. fp32 on Ampere and later means TF32 convolutions, so both are one; O1 is Apex's autocast."""
_SILENT_WORDS = frozenset(("precision", "training", "native", "pytorch", "torch", "apex", "automatic", "auto", "true"))
"""Words beside those that say nothing more."""

_OPTIMIZERS = (
    ("adamw", Optimizer.ADAMW),
    ("adam", Optimizer.ADAM),
    ("lamb", Optimizer.ADAM),
    ("rmsprop", Optimizer.RMSPROP),
    ("momentum", Optimizer.SGD_MOMENTUM),
    ("nesterov", Optimizer.SGD_MOMENTUM),
    ("lars", Optimizer.SGD_MOMENTUM),
    ("lion", Optimizer.SGD_MOMENTUM),
)
"""Part of a name, first match wins; optimizers that are not modelled stand for one that keeps as much state."""

_FREEZES = {
    **dict.fromkeys(("no", "false", "0", "[0]"), Freeze.NONE),
    **dict.fromkeys(("backbone", "yes", "true"), Freeze.BACKBONE),
}
_YOLOV5_BACKBONE_LAYERS, _YOLOV5_P6_BACKBONE_LAYERS = 10, 12
"""What YOLOv5's ``--freeze`` counts up to the head. Source: its models/yolov5s.yaml and models/hub/yolov5s6.yaml."""

_UNLIMITED_S = 1e9


def recipe_of(measurement: Measurement, profile: ModelProfile) -> Recipe:
    """The run that was measured: what the row says, else the implementation's defaults.

    Raises:
        InputError: an image size, a precision, an optimizer or what was frozen means nothing, or was not traced; sizes
            as for ``check``.
    """
    defaults = profile.defaults
    images = measurement.batch_size * measurement.gpus
    return Recipe(
        precision=_precision(measurement, profile),
        optimizer=_optimizer(measurement, profile),
        image_size=_image_size(measurement, profile),
        batch_size=measurement.batch_size,
        effective_batch_size=max(defaults.effective_batch_size, images) if defaults.accumulates else images,
        epochs=defaults.epochs,
        workers=_workers(measurement, profile),
        ema=defaults.ema,
        gpus=measurement.gpus,
        freeze=_freeze(measurement, profile),
        channels_last=measurement.channels_last is True,
        checkpointing=measurement.checkpointing is True,
        max_time_s=_UNLIMITED_S,
        assume_idle=True,
        validation=measurement.validated is True,
        loop=measurement.loop,
    )


def _workers(measurement: Measurement, profile: ModelProfile) -> int:
    """What the row says, else as ``check`` decides it."""
    if measurement.workers is not None:
        return measurement.workers
    own = profile.defaults.workers
    return own if measurement.cores is None else min(own, most_workers(measurement.cores, measurement.gpus))


def _freeze(measurement: Measurement, profile: ModelProfile) -> Freeze:
    if measurement.freeze is None:
        return Freeze.NONE
    text = measurement.freeze.lower().removesuffix(".0")
    layers = _YOLOV5_P6_BACKBONE_LAYERS if profile.name.endswith("6") else _YOLOV5_BACKBONE_LAYERS
    counted = profile.implementation.library == "yolov5" and text.strip("[]") == str(layers)
    freeze = Freeze.BACKBONE if counted else _FREEZES.get(text)
    if freeze is None:
        raise InputError(f"freeze is {measurement.freeze!r}", hint="write backbone, no, or leave it empty")
    stages = next(iter(profile.traces.values())).stages
    if freeze is Freeze.BACKBONE and not any(stage.backbone for stage in stages):
        raise InputError(
            f"freeze is {measurement.freeze!r}, and {profile.name} has no backbone that can be frozen",
            hint="leave it empty: what the library freezes by itself is in the profile",
        )
    return freeze


def _precision(measurement: Measurement, profile: ModelProfile) -> Precision:
    if measurement.precision is None:
        return profile.defaults.precision
    known = _precision_of(measurement.precision)
    if known is None:
        raise InputError(
            f"precision is {measurement.precision!r}",
            hint="write fp32 or amp, or leave it empty",
        )
    if known not in profile.traces:
        raise InputError(
            f"{profile.name} was not traced in {known.value}",
            hint=f"it was in {', '.join(precision.value for precision in profile.traces)}",
        )
    return known


def _precision_of(text: str) -> Precision | None:
    """What every word of ``text`` that says anything agrees on: ``fp32 (TF32)``, ``bf16-mixed``, ``no AMP``."""
    plain = re.sub(r"\b(?:no|without|non)[\s-]*amp\b", "noamp", text.lower())
    words = set(re.findall(r"[a-z]+\d*|\d+", plain)) - _SILENT_WORDS
    found = {_WORDS.get(word) for word in words}
    return found.pop() if len(found) == 1 else None


def _optimizer(measurement: Measurement, profile: ModelProfile) -> Optimizer:
    """``SGD`` alone is the implementation's own, whose momentum nobody cares to mention."""
    default = profile.defaults.optimizer
    text = (measurement.optimizer or default).lower()
    for part, optimizer in _OPTIMIZERS:
        if part in text:
            return optimizer
    if "sgd" in text:
        return Optimizer.SGD_MOMENTUM if "momentum" in default else Optimizer.SGD
    raise InputError(
        f"optimizer is {measurement.optimizer!r}",
        hint=f"write one of {', '.join(optimizer.value for optimizer in Optimizer)}, or leave it empty",
    )


def _image_size(measurement: Measurement, profile: ModelProfile) -> ImageSize:
    """The size that the library trained at: a YOLOv5 run at 650 trained at 672."""
    if measurement.image_size is None:
        return profile.defaults.image_size
    return trained_size(profile, parse_size(_plain_size(measurement.image_size), profile))


def _plain_size(text: str) -> str:
    """``640.0``, ``640 px`` and ``(800, 1333)``, as data frames and papers write them, as ``parse_size`` takes them."""
    plain = re.sub(r"(?<=\d)\.0+(?!\d)", "", text.strip().lower()).replace("px", "")
    pair = re.fullmatch(r"[(\[]\s*(\d+)\s*[,;x\u00d7*]\s*(\d+)\s*[)\]]", plain)
    return f"{pair[1]}x{pair[2]}" if pair else plain.replace("\u00d7", "x")
