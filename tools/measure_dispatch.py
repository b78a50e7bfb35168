"""Measures what a kernel of torch's own costs the host before it reaches the driver, on a CPU.

    python tools/measure_dispatch.py

Python, modules, autograd and the dispatcher cost the same whatever device works. Chains of operators on a hundred
numbers say so for layers; heads and losses of real detectors, on images so small that arithmetic is next to nothing,
for the code between layers, by the kernels that the tracer counts for them. What CUDA's driver and cuDNN add is not
in it. Processor seconds, the least of many rounds. Needs torch, torchvision, effdet and yolov5; half a minute.
"""

from __future__ import annotations

import importlib.resources
import logging
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from canitrain.trace.work import operator_facts

ROUNDS, CHAIN = 25, 500
SIDE, BOXES = 64, 7


class KernelCount(TorchDispatchMode):
    """Kernels but for convolutions, as the tracer counts them."""

    def __init__(self) -> None:
        """Count from zero."""
        super().__init__()
        self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Count ``func`` and run it."""
        del types
        self.kernels += operator_facts(func).kernels
        return func(*args, **(kwargs or {}))


def least_s(work: Callable[[], object]) -> float:
    """Processor seconds of the quickest round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        work()
        rounds.append(time.thread_time() - start)
    return min(rounds)


def chain_s(layer: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Processor seconds of one ``layer`` in a long chain, forward and backward."""
    first = torch.randn(1, 8, 4, 4, requires_grad=True)

    def forward() -> Tensor:
        last = first
        for _ in range(CHAIN):
            last = layer(last)
        return last

    forward_s = least_s(forward)
    backward = []
    for _ in range(ROUNDS):
        loss = forward().sum()
        start = time.thread_time()
        loss.backward()
        backward.append(time.thread_time() - start)
    return forward_s / CHAIN, min(backward) / CHAIN


class Pyramid(nn.Module):
    """Stands for a backbone: five levels of few channels."""

    def __init__(self, channels: int = 4) -> None:
        """Levels of ``channels``."""
        super().__init__()
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Levels by name."""
        batch, _, height, width = images.shape
        sides = [(height // 2**i, width // 2**i) for i in range(2, 7)]
        return OrderedDict((str(i), torch.zeros(batch, self.out_channels, *side)) for i, side in enumerate(sides))


def faster_rcnn() -> Callable[[], object]:
    """Transform, proposals, sampling, heads and losses of torchvision's Faster R-CNN, two images, nearly no layers."""
    from torchvision.models.detection import FasterRCNN  # noqa: PLC0415
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor  # noqa: PLC0415
    from torchvision.models.detection.rpn import AnchorGenerator  # noqa: PLC0415

    model = FasterRCNN(
        Pyramid(),
        num_classes=3,
        min_size=2 * SIDE,
        max_size=2 * SIDE,
        rpn_pre_nms_top_n_train=50,
        rpn_post_nms_top_n_train=50,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5),
    ).train()
    model.roi_heads.box_head = nn.Sequential(nn.Flatten(1), nn.Linear(4 * 49, 8))
    model.roi_heads.box_predictor = FastRCNNPredictor(8, 3)
    images, targets = torchvision_batch()
    return lambda: model(images, targets)


def torchvision_batch() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images with seven boxes each."""
    boxes = torch.tensor([[10.0 + i, 10, 90, 100 - i] for i in range(BOXES)])
    targets = [{"boxes": boxes, "labels": torch.ones(BOXES, dtype=torch.long)} for _ in range(2)]
    return [torch.rand(3, 2 * SIDE, 2 * SIDE) for _ in range(2)], targets


def one_stage_loss(name: str) -> Callable[[], object]:
    """Matching and loss of torchvision's RetinaNet or FCOS, two images."""
    from torchvision.models import detection  # noqa: PLC0415
    from torchvision.models.detection.rpn import AnchorGenerator  # noqa: PLC0415

    scales, ratios = {"RetinaNet": ((0, 4, 8), (0.5, 1.0, 2.0)), "FCOS": ((0,), (1.0,))}[name]
    sizes = tuple(tuple(size + more for more in scales) for size in (16, 32, 64, 128, 256))
    anchors = AnchorGenerator(sizes, (ratios,) * 5)
    # FCOS normalizes 32 groups of channels.
    model = getattr(detection, name)(
        Pyramid(32), num_classes=3, min_size=2 * SIDE, max_size=2 * SIDE, anchor_generator=anchors
    ).train()
    loss, given = model.compute_loss, []

    def noted(*args: Any) -> Any:  # noqa: ANN401
        given[:] = args
        return loss(*args)

    model.compute_loss = noted
    model(*torchvision_batch())
    return lambda: loss(*given)


def effdet_loss() -> Callable[[], object]:
    """Matching and loss of effdet's EfficientDet-D0, two images."""
    from effdet import EfficientDet, get_efficientdet_config  # noqa: PLC0415
    from effdet.bench import DetBenchTrain  # noqa: PLC0415

    config = get_efficientdet_config("tf_efficientdet_d0")
    config.image_size, config.num_classes = (2 * SIDE, 2 * SIDE), 3
    bench = DetBenchTrain(EfficientDet(config, pretrained_backbone=False), create_labeler=True).train()
    classes, offsets = bench.model(torch.rand(2, 3, 2 * SIDE, 2 * SIDE))
    boxes = torch.stack([target["boxes"] for target in torchvision_batch()[1]])
    labels = torch.ones(2, BOXES)
    return lambda: bench.loss_fn(classes, offsets, *bench.anchor_labeler.batch_label_anchors(boxes, labels))


def yolov5_loss() -> Callable[[], object]:
    """YOLOv5's loss, two images."""
    import yaml  # noqa: PLC0415
    from yolov5.models.yolo import Model  # noqa: PLC0415
    from yolov5.utils.loss import ComputeLoss  # noqa: PLC0415

    logging.disable()
    package = importlib.resources.files("yolov5")
    model = Model(yaml.safe_load(package.joinpath("models/yolov5n.yaml").read_text()), ch=3, nc=3).train()
    model.hyp = yaml.safe_load(package.joinpath("data/hyps/hyp.scratch-low.yaml").read_text())
    loss = ComputeLoss(model)
    predicted = model(torch.rand(2, 3, SIDE, SIDE))
    boxes = torch.rand(2 * BOXES, 6)
    boxes[:, :2] = 1.0
    return lambda: loss(predicted, boxes)


def main() -> None:
    """Print the table."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    other = torch.randn(1, 8, 4, 4)
    layers = {"product": lambda x: x * other, "ReLU module": nn.ReLU(), "SiLU module": nn.SiLU()}
    for name, layer in layers.items():
        forward_s, backward_s = chain_s(layer)
        print(f"{name:32s} forward {forward_s * 1e6:5.1f} us, backward {backward_s * 1e6:5.1f} us a kernel")
    code = {
        "Faster R-CNN, torchvision": faster_rcnn(),
        "RetinaNet's loss, torchvision": one_stage_loss("RetinaNet"),
        "FCOS's loss, torchvision": one_stage_loss("FCOS"),
        "EfficientDet's loss, effdet": effdet_loss(),
        "YOLOv5's loss": yolov5_loss(),
    }
    for name, work in code.items():
        with KernelCount() as count:
            work()
        print(f"{name:32s} forward {least_s(work) / count.kernels * 1e6:5.1f} us a kernel, {count.kernels} kernels")


if __name__ == "__main__":
    main()
