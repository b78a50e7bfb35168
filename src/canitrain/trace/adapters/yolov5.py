"""YOLOv5 7.0 from the PyPI package ``yolov5``: its models, its loss, its train.py's defaults."""

from __future__ import annotations

import importlib.metadata
import logging
import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import yolov5
from yolov5.models.yolo import DetectionModel
from yolov5.utils.general import yaml_load
from yolov5.utils.loss import ComputeLoss

from canitrain.core.errors import InputError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.adapters.boxes import unit_boxes
from canitrain.trace.subject import Built, Shape, Subject, Validation

CLASSES = 80
SIZES = {"n": "nano", "s": "small", "m": "medium", "l": "large", "x": "extra large"}
P5_SIDE, P6_SIDE = 640, 1280
P5_STRIDE, P6_STRIDE = 32, 64
"""Largest stride, of which train.py's check_img_size makes the sides a multiple."""
P5_FIT_SIDE, P6_FIT_SIDE = 128, 384
"""Small, but large enough that some box matches an anchor of every level, as at the real size."""
BASIS = ("one", "b", "bp", "bn")
VALIDATION_BATCH_RATIO, VALIDATION_PAD = 2, 0.5
"""train.py's val_loader: twice the batch, and half a stride of padding."""
VALIDATION_RATIOS = (2 / 3, 3 / 4, 1.0, 3 / 4)
"""Shorter to longer side in the batches of a COCO-like dataset: 3:2 and 4:3 photographs, a mixed batch, tall ones."""
SOURCE = "yolov5 7.0.14 train.py, parse_opt and train(); data/hyps/hyp.scratch-low.yaml"
NAMES = tuple(f"yolov5{size}{tail}" for tail in ("", "6") for size in SIZES)


def subject(name: str) -> Subject:
    """The named YOLOv5 (``yolov5s``, ``yolov5m6``, ...) with 80 classes, as train.py trains it.

    Raises:
        InputError: the package has no such model.
    """
    if name not in NAMES:
        raise InputError(f"yolov5 has no model {name!r}", hint=f"it has {', '.join(NAMES)}")
    large = name.endswith("6")
    side = P6_SIDE if large else P5_SIDE
    return Subject(
        name=name,
        title=f"YOLOv5{name.removeprefix('yolov5')}",
        family="yolov5",
        aliases=("yolov5",) if name == "yolov5s" else (),
        implementation=Implementation(
            library="yolov5",
            version=importlib.metadata.version("yolov5"),
            torch=importlib.metadata.version("torch"),
            spec=f"yolov5:{name}",
            license="AGPL-3.0",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=side, longer=side),
            batch_size=16,
            effective_batch_size=64,
            accumulates=True,
            epochs=100,
            optimizer="sgd-momentum",
            precision=Precision.AMP,
            ema=True,
            workers=8,
            mosaic_images=4,
            source=SOURCE,
        ),
        size_rule=SizeRule.SQUARE,
        divisor=P6_STRIDE if large else P5_STRIDE,
        classes=CLASSES,
        build=lambda precision: build(name, side, half=precision is Precision.AMP),
        basis=BASIS,
        fit_shapes=fit_shapes(P6_FIT_SIDE if large else P5_FIT_SIDE),
        check_shapes=check_shapes(side),
        notes=(
            "Loss as train.py scales it, under autocast; the EMA copy and the momentum are not part of the trace.",
            "Every image carries the same boxes, their sides log-uniform from 5 % to 80 % of the image's.",
        ),
    )


def fit_shapes(side: int) -> tuple[Shape, ...]:
    """Small shapes around ``side`` that tell the terms of ``BASIS`` apart."""
    double = 2 * side
    return (
        (1, side, side, 5),
        (2, side, side, 5),
        (1, double, double, 5),
        (2, double, side, 20),
        (3, side, double, 40),
    )


def check_shapes(side: int) -> tuple[Shape, ...]:
    """Shapes that are not fitted: a small one, a wide one, and the size that train.py uses."""
    return ((4, side // 5, side // 5, 10), (2, side // 2, side // 5 * 2, 30), (1, side, side, 8))


def build(name: str, side: int, *, half: bool) -> Built:
    """The model with train.py's hyperparameters, and a step that computes its loss on a synthetic batch.

    Args:
        name: as in ``NAMES``.
        side: pixels of the training image.
        half: whether train.py's AMP is on, which also makes it validate in half precision.
    """
    logging.getLogger("yolov5").setLevel(logging.WARNING)
    root = Path(yolov5.__file__).parent
    folder = root / "models" / "hub" if name.endswith("6") else root / "models"
    model = DetectionModel(str(folder / f"{name}.yaml"), ch=3, nc=CLASSES)
    layers = model.model[-1].nl
    hyperparameters: dict[str, Any] = yaml_load(root / "data" / "hyps" / "hyp.scratch-low.yaml")
    hyperparameters["box"] *= 3 / layers
    hyperparameters["cls"] *= CLASSES / 80 * 3 / layers
    hyperparameters["obj"] *= (side / 640) ** 2 * 3 / layers
    hyperparameters["label_smoothing"] = 0.0
    model.nc, model.hyp = CLASSES, hyperparameters
    model.train()
    compute_loss = ComputeLoss(model)

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        images = torch.zeros(batch, 3, height, width, dtype=torch.uint8).float() / 255
        predictions = model(images)
        loss, _items = compute_loss(predictions, targets(batch, boxes))
        loss.held = (images, predictions)  # train.py's locals, alive until the next batch
        return loss

    return Built(
        model=model,
        step=step,
        stages=stages(model),
        backbone=backbone(model),
        validation=validation(model, compute_loss, side, half=half),
    )


def validation(model: Any, compute_loss: Any, side: int, *, half: bool) -> Validation:  # noqa: ANN401 - untyped
    """Validation as val.py runs it for train.py: the EMA model, loss included, on letterboxed rectangles.

    Left out: non-maximum suppression, which works on one image's candidates at a time.
    """
    averaged = deepcopy(model).eval()
    if half:
        averaged = averaged.half()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(batch: int, height: int, width: int, boxes: int) -> None:
        images = torch.zeros(batch, 3, height, width, dtype=torch.uint8)
        images = images.half() if half else images.float()
        images /= 255
        _inferred, predictions = averaged(images)
        compute_loss(predictions, targets(batch, boxes))

    return Validation(
        model=averaged, step=step, batch_ratio=VALIDATION_BATCH_RATIO, sizes=tuple(validation_sizes(side))
    )


def validation_sizes(side: int) -> Iterator[float]:
    """Pixels of validation batches as shares of ``side`` squared, in val.py's order: from oblong to square to tall.

    Batches are sorted by aspect ratio; each is as large as its squarest image, plus half a stride, rounded up to one.
    Source: yolov5 utils/dataloaders.py, LoadImagesAndLabels, rectangular training, pad 0.5.
    """
    stride = P6_STRIDE if side == P6_SIDE else P5_STRIDE
    longer, *shorter = (
        math.ceil(ratio * side / stride + VALIDATION_PAD) * stride for ratio in (1.0, *VALIDATION_RATIOS)
    )
    for each in shorter:
        yield each * longer / side**2


def targets(batch: int, boxes: int) -> torch.Tensor:
    """``(batch * boxes, 6)`` rows of image index, class, center x, center y, width, height in 0..1."""
    each = unit_boxes(boxes).repeat(batch, 1)
    image = torch.arange(batch, dtype=torch.float32).repeat_interleave(boxes)
    label = (torch.arange(batch * boxes) % CLASSES).float()
    return torch.cat((image[:, None], label[:, None], each), dim=1)


def stages(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library's model is untyped
    """A convolution between pyramid levels with the C3 after it; the other layers that have parameters alone."""
    found: list[list[str]] = []
    for index, layer in enumerate(model.model):
        path, follows = f"model.{index}", bool(found) and len(found[-1]) == 1
        if type(layer).__name__ == "C3" and follows:
            found[-1].append(path)
        elif any(True for _ in layer.parameters()):
            found.append([path])
    return tuple("+".join(paths) for paths in found)


def backbone(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library's model is untyped
    """The stages that ``train.py --freeze 10`` (12 for the P6 models) freezes: all up to the SPPF."""
    count = len(model.yaml["backbone"])
    return tuple(stage for stage in stages(model) if int(stage.rpartition(".")[2]) < count)
