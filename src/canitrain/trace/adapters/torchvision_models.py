"""torchvision's detectors as data: size, batch and epochs of the reference script's recipe for each."""

from __future__ import annotations

from dataclasses import dataclass

from canitrain.core.profile import SizeRule
from canitrain.trace.subject import Shape

SHORTER, LONGER, DIVISOR = 800, 1333, 32
"""GeneralizedRCNNTransform's defaults: min_size, max_size, size_divisible."""
BASIS = ("one", "b", "p", "n", "bp", "bn", "pn", "bpn")
"""Boxes are matched to anchors image by image (pn, bpn); anchors are made once a batch (p)."""
FIT_SHAPES = (
    (1, 256, 256, 4),
    (2, 256, 256, 4),
    (1, 256, 256, 24),
    (2, 256, 256, 24),
    (1, 384, 384, 4),
    (2, 384, 384, 4),
    (1, 384, 384, 24),
    (2, 384, 384, 24),
    (1, 512, 384, 12),
    (3, 384, 256, 40),
)
CHECK_SHAPES = ((4, 320, 320, 10), (2, 640, 512, 30), (1, 800, 1088, 7))


TRUTH_SIDES = (32.0, 108.0)
"""Pixels of the ground-truth boxes' sides: below 112, so that RoI heads pool all of them from the finest level."""
TINY_TRUTH_SIDES = (8.0, 16.0)
"""Too small to overlap an anchor by the share that RetinaNet ignores, so that its loss sees every anchor: its most."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One builder of ``torchvision.models.detection`` and its line in references/detection/README.md."""

    title: str
    family: str
    aliases: tuple[str, ...] = ()
    batch: int = 2
    epochs: int = 26
    shorter: int = SHORTER
    longer: int = LONGER
    rule: SizeRule = SizeRule.SHORTER_SIDE
    divisor: int = DIVISOR
    classes: int = 91
    backbone_weights: str | None = "ResNet50_Weights.IMAGENET1K_V1"
    """As the README passes it; ``None``: it trains from scratch."""
    truth_sides: tuple[float, float] = TRUTH_SIDES
    fit_shapes: tuple[Shape, ...] = FIT_SHAPES
    check_shapes: tuple[Shape, ...] = CHECK_SHAPES


def square_fit_shapes(side: int) -> tuple[Shape, ...]:
    """For a model of a fixed ``side``: terms are told apart at the side and at its double.

    Two images or more: SSDlite ends in one pixel, over which batch norm cannot train with one image.
    """
    return tuple((batch, size, size, boxes) for size in (side, 2 * side) for boxes in (4, 24) for batch in (2, 3))


def square_check_shapes(side: int) -> tuple[Shape, ...]:
    """For a model of a fixed ``side``: three that ``square_fit_shapes`` lacks."""
    return ((4, side, side, 7), (8, side, side, 30), (2, 2 * side, side, 12))


VARIANTS = {
    "fasterrcnn_resnet50_fpn": Variant(
        title="Faster R-CNN R50-FPN", family="fasterrcnn", aliases=("fasterrcnn", "faster-rcnn")
    ),
    "fasterrcnn_resnet50_fpn_v2": Variant(title="Faster R-CNN R50-FPN v2", family="fasterrcnn"),
    "fasterrcnn_mobilenet_v3_large_fpn": Variant(
        title="Faster R-CNN MobileNetV3-Large FPN",
        family="fasterrcnn",
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Variant(
        title="Faster R-CNN MobileNetV3-Large 320 FPN",
        family="fasterrcnn",
        shorter=320,
        longer=640,
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
    ),
    "maskrcnn_resnet50_fpn": Variant(title="Mask R-CNN R50-FPN", family="maskrcnn", aliases=("maskrcnn", "mask-rcnn")),
    "maskrcnn_resnet50_fpn_v2": Variant(title="Mask R-CNN R50-FPN v2", family="maskrcnn"),
    "keypointrcnn_resnet50_fpn": Variant(
        title="Keypoint R-CNN R50-FPN", family="keypointrcnn", aliases=("keypointrcnn",), epochs=46, classes=2
    ),
    "retinanet_resnet50_fpn": Variant(
        title="RetinaNet R50-FPN", family="retinanet", aliases=("retinanet",), truth_sides=TINY_TRUTH_SIDES
    ),
    "retinanet_resnet50_fpn_v2": Variant(
        title="RetinaNet R50-FPN v2", family="retinanet", truth_sides=TINY_TRUTH_SIDES
    ),
    "fcos_resnet50_fpn": Variant(title="FCOS R50-FPN", family="fcos", aliases=("fcos",)),
    "ssd300_vgg16": Variant(
        title="SSD300 VGG-16",
        family="ssd",
        aliases=("ssd", "ssd300"),
        batch=4,
        epochs=120,
        shorter=300,
        longer=300,
        rule=SizeRule.SQUARE,
        divisor=300,
        backbone_weights="VGG16_Weights.IMAGENET1K_FEATURES",
        fit_shapes=square_fit_shapes(300),
        check_shapes=square_check_shapes(300),
    ),
    "ssdlite320_mobilenet_v3_large": Variant(
        title="SSDlite320 MobileNetV3-Large",
        family="ssd",
        aliases=("ssdlite", "ssdlite320"),
        batch=24,
        epochs=660,
        shorter=320,
        longer=320,
        rule=SizeRule.SQUARE,
        divisor=320,
        backbone_weights=None,
        fit_shapes=square_fit_shapes(320),
        check_shapes=square_check_shapes(320),
    ),
}
