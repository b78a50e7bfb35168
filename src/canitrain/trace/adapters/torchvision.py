"""torchvision's detectors as references/detection/train.py trains them from an ImageNet backbone."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torchvision import models
from torchvision.models import WeightsEnum, detection

from canitrain.core.errors import InputError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision
from canitrain.trace.adapters.boxes import sized_boxes
from canitrain.trace.adapters.proposals import propose, sample_evenly
from canitrain.trace.adapters.torchvision_models import BASIS, VARIANTS, Variant
from canitrain.trace.subject import Built, Subject

SOURCE = "pytorch/vision references/detection: train.py argument defaults and the README's command of this model"
REFERENCE_GPUS = 8
"""The script's learning rates are for 8 GPUs (its docstring and the README's commands); it does not accumulate."""
KEYPOINTS = 17
"""COCO's person keypoints."""
MANY_BLOCKS, JOINED_BLOCKS = 12, 3
"""A backbone of more blocks (MobileNetV3) has three a stage, so that the profile stays short."""
HEADS = (
    "backbone.fpn",
    "rpn.head",
    "rpn.anchor_generator",
    "roi_heads.box_roi_pool",
    "roi_heads.box_head",
    "roi_heads.box_predictor",
    "roi_heads.mask_roi_pool",
    "roi_heads.mask_head",
    "roi_heads.mask_predictor",
    "roi_heads.keypoint_roi_pool",
    "roi_heads.keypoint_head",
    "roi_heads.keypoint_predictor",
    "backbone.extra",
    "head.classification_head",
    "head.regression_head",
    "anchor_generator",
)
"""Stages after the backbone's body, in execution order; a model has some of them."""


def subject(name: str) -> Subject:
    """The named detector (``fasterrcnn_resnet50_fpn``, ``retinanet_resnet50_fpn``, ...), as the reference trains it.

    Raises:
        InputError: there is no adapter for that builder.
    """
    variant = VARIANTS.get(name)
    if variant is None:
        raise InputError(f"no adapter for the torchvision model {name!r}", hint=f"there are {', '.join(VARIANTS)}")
    return Subject(
        name=name,
        title=variant.title,
        family=variant.family,
        aliases=variant.aliases,
        implementation=Implementation(
            library="torchvision",
            version=importlib.metadata.version("torchvision"),
            torch=importlib.metadata.version("torch"),
            spec=f"torchvision:{name}",
            license="BSD-3-Clause",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=variant.shorter, longer=variant.longer),
            batch_size=variant.batch,
            effective_batch_size=REFERENCE_GPUS * variant.batch,
            epochs=variant.epochs,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=4,
            source=SOURCE,
        ),
        size_rule=variant.rule,
        divisor=variant.divisor,
        classes=variant.classes,
        build=lambda _precision: build(name, variant),
        basis=BASIS,
        fit_shapes=variant.fit_shapes,
        check_shapes=variant.check_shapes,
        gradients_until_backward=True,
        notes=(
            f"Backbone weights {variant.backbone_weights}: stages and batch norm frozen as the library decides.",
            "Images arrive at the resized size; the RoI head samples its full share (512, 128 of them positive).",
        ),
    )


def build(name: str, variant: Variant) -> Built:
    """The detector with frozen layers as after loading ImageNet weights, and a step through its own transform."""
    with without_downloads():
        model = detection.__dict__[name](
            weights=None, weights_backbone=weight_entry(variant.backbone_weights), num_classes=variant.classes
        )
    model.train()
    if hasattr(model, "roi_heads"):
        sample_evenly(model.roi_heads)

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        model.transform.fixed_size = (width, height)
        truth = sized_boxes(boxes, height, width, variant.truth_sides)
        if hasattr(model, "rpn"):
            propose(model.rpn, truth, height, width)
        images = [torch.rand(3, height, width) for _ in range(batch)]
        targets = [target(name, truth.clone(), variant.classes, height, width) for _ in range(batch)]
        losses = model(images, targets)
        loss: torch.Tensor = sum(losses.values())
        loss.held = (images, targets, losses)  # engine.py's locals
        return loss

    return Built(
        model=model,
        step=step,
        stages=stages(model),
        backbone=("backbone.body", "backbone.features"),
        positives=positives(model),
    )


def positives(model: Any) -> dict[str, int]:  # noqa: ANN401 - the library's model is untyped
    """Masks and keypoints are learnt on the positive ones of the RoI head's sample only, each on its own."""
    if not hasattr(model, "roi_heads"):
        return {}
    return dict.fromkeys(("roi_heads.mask", "roi_heads.keypoint"), model.roi_heads.fg_bg_sampler.positives)


def target(name: str, truth: torch.Tensor, classes: int, height: int, width: int) -> dict[str, torch.Tensor]:
    """One image's labels: boxes, classes, and a mask or keypoints a box where the model learns them."""
    count = len(truth)
    labels = {"boxes": truth, "labels": torch.arange(count) % (classes - 1) + 1}
    if name.startswith("maskrcnn"):
        labels["masks"] = torch.zeros(count, height, width, dtype=torch.uint8)
    if name.startswith("keypointrcnn"):
        centers = (truth[:, None, :2] + truth[:, None, 2:]) / 2
        visible = torch.ones(count, KEYPOINTS, 1)
        labels["keypoints"] = torch.cat((centers.expand(count, KEYPOINTS, 2), visible), dim=2)
    return labels


def weight_entry(text: str | None) -> object:
    """The entry of a torchvision weights enumeration named like ``ResNet50_Weights.IMAGENET1K_V1``, or ``None``."""
    if text is None:
        return None
    enumeration, entry = text.split(".")
    return getattr(models, enumeration)[entry]


@contextmanager
def without_downloads() -> Iterator[None]:
    """Inside, torchvision builds models as if it had loaded weights, and loads none."""
    get, load = WeightsEnum.get_state_dict, torch.nn.Module.load_state_dict
    WeightsEnum.get_state_dict = lambda *_args, **_kwargs: {}
    torch.nn.Module.load_state_dict = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        WeightsEnum.get_state_dict = get
        torch.nn.Module.load_state_dict = load


def stages(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library's model is untyped
    """The transform, the parts of the backbone that have parameters, then the heads that the model has."""
    modules = dict(model.named_modules())
    body = next(prefix for prefix in ("backbone.body", "backbone.features") if prefix in modules)
    parts = [
        f"{body}.{name}"
        for name, part in modules[body].named_modules()
        if name
        and name.count(".") == nesting(modules[body])
        and any(isinstance(m, torch.nn.Conv2d) for m in part.modules())
    ]
    if len(parts) > MANY_BLOCKS:
        parts = ["+".join(parts[start : start + JOINED_BLOCKS]) for start in range(0, len(parts), JOINED_BLOCKS)]
    return ("transform", *parts, *(head for head in HEADS if head in modules))


def nesting(body: torch.nn.Module) -> int:
    """Dots in the names of the body's blocks: SSDlite wraps them in two sequences, the others have them at the top."""
    return 1 if all(isinstance(part, torch.nn.Sequential) for part in body.children()) else 0
