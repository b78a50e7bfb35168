"""EfficientDet from ``effdet``: its training bench, focal and Huber loss, train.py's defaults."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import torch
from effdet import create_model, get_efficientdet_config

from canitrain.core.errors import InputError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.subject import Built, Shape, Subject

CLASSES = 90
FINEST_LEVEL = 3
"""Of the pyramid: stride 8."""
ANCHORS = 9
"""Anchors a place: three scales times three aspect ratios."""
SIDES = {"d0": 512, "d1": 640, "d2": 768, "d3": 896, "d4": 1024, "d5": 1280, "d6": 1280, "d7": 1536, "d7x": 1536}
NAMES = tuple(f"tf_efficientdet_{size}" for size in SIDES)
RESIZER = "Interpolate2d"
"""effdet's upsampling module, which knows its output size for one image size only."""
BASIS = ("one", "b", "bp")
SOURCE = "rwightman/efficientdet-pytorch train.py: argument defaults, loader with prefetcher and anchor labeler"


def subject(name: str) -> Subject:
    """The named EfficientDet (``tf_efficientdet_d0`` to ``d7x``) with 90 classes, as train.py trains it.

    Raises:
        InputError: not one of the TensorFlow-ported COCO models.
    """
    if name not in NAMES:
        raise InputError(f"no adapter for the effdet model {name!r}", hint=f"there are {', '.join(NAMES)}")
    size = name.removeprefix("tf_efficientdet_")
    side, coarsest_level = SIDES[size], get_efficientdet_config(name).max_level
    return Subject(
        name=name,
        title=f"EfficientDet-{size.upper().replace('X', 'x')}",
        family="efficientdet",
        aliases=(f"efficientdet-{size}", f"efficientdet_{size}", *(("efficientdet",) if size == "d0" else ())),
        implementation=Implementation(
            library="effdet",
            version=importlib.metadata.version("effdet"),
            torch=importlib.metadata.version("torch"),
            spec=f"effdet:{name}",
            license="Apache-2.0",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=side, longer=side),
            batch_size=32,
            effective_batch_size=32,
            epochs=300,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=4,
            source=SOURCE,
        ),
        size_rule=SizeRule.SQUARE,
        divisor=2**coarsest_level,
        classes=CLASSES,
        build=lambda _precision: build(name, side),
        basis=BASIS,
        fit_shapes=fit_shapes(2**coarsest_level),
        check_shapes=check_shapes(2**coarsest_level, side),
        meta=True,
        gradients_until_backward=True,
        notes=(
            "Labels are assigned in the loader (train.py's default), so the step does not depend on the boxes.",
            "The prefetching loader keeps the next batch on the device; it is part of the trace.",
            "The cosine schedule adds ten epochs of cooldown to those of --epochs.",
        ),
    )


def fit_shapes(divisor: int) -> tuple[Shape, ...]:
    """Shapes that tell the terms of ``BASIS`` apart; the boxes do not matter."""
    one, two, three = 2 * divisor, 4 * divisor, 6 * divisor
    return ((1, one, one, 8), (2, one, one, 8), (1, two, two, 8), (2, three, two, 8), (3, three, one, 8))


def check_shapes(divisor: int, side: int) -> tuple[Shape, ...]:
    """Shapes that are not fitted, the last at the model's own size."""
    return ((4, 4 * divisor, 2 * divisor, 8), (1, 6 * divisor, 8 * divisor, 8), (2, side, side, 8))


def build(name: str, side: int) -> Built:
    """The training bench without a labeler, and a step on a batch whose anchors are already labelled."""
    model = create_model(name, bench_task="train", pretrained=False, pretrained_backbone=False, bench_labeler=False)
    model.train()
    levels = range(FINEST_LEVEL, model.config.max_level + 1)
    upsampling = [(module, side // module.size[0]) for module in model.modules() if type(module).__name__ == RESIZER]

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        del boxes
        for module, stride in upsampling:
            module.size = (height // stride, width // stride)
        images, labels = loaded(batch, height, width, levels)
        following = loaded(batch, height, width, levels)
        output = model(images, labels)
        loss: torch.Tensor = output["loss"]
        loss.held = (images, labels, following, output)  # train.py's locals
        return loss

    return Built(model=model, step=step, stages=stages(model), backbone=("model.backbone",))


def loaded(batch: int, height: int, width: int, levels: range) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What the prefetching loader puts on the device: normalized images and labels by level.

    Labels are class indices ``(batch, rows, columns, 9)`` int64 and box offsets ``(batch, rows, columns, 36)`` float32.
    """
    images = torch.zeros(batch, 3, height, width, dtype=torch.uint8).float()
    images.sub_(127.0).div_(58.0)
    labels = {"label_num_positives": torch.ones(batch)}
    for index, level in enumerate(levels):
        grid = (batch, height >> level, width >> level)
        labels[f"label_cls_{index}"] = torch.zeros(*grid, ANCHORS, dtype=torch.int64)
        labels[f"label_bbox_{index}"] = torch.zeros(*grid, ANCHORS * 4)
    return images, labels


def stages(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library's model is untyped
    """The backbone's blocks (the stem with the first), resampling and cells of the BiFPN, the two heads."""
    first, *blocks = [f"model.backbone.blocks.{index}" for index in range(len(model.model.backbone.blocks))]
    stem = f"model.backbone.conv_stem+model.backbone.bn1+{first}"
    return (stem, *blocks, "model.fpn.resample", "model.fpn.cell", "model.class_net", "model.box_net")
