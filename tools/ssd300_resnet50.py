"""NVIDIA's SSD300 v1.1 (DeepLearningExamples): a ResNet-50 cut after its fourth stage; 210 runs were published.

    canitrain trace tools/ssd300_resnet50.py:build --output TRACES_FOLDER/ssd300_resnet50.json

``tools/check_detector_time.py --traces TRACES_FOLDER`` then holds it against them. Layers and loss as its
``ssd/model.py`` and ``ssd/utils.py`` have them; weights are random. Needs the extra ``models``.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models import resnet50

from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.subject import Built, Subject

SIDE, CLASSES = 300, 81
CHANNELS = (1024, 512, 512, 256, 256, 256)
"""Of the six feature maps."""
MIDDLE_CHANNELS = (256, 256, 128, 128, 128)
"""Between one feature map and the next."""
STRIDED_MAPS = 3
"""How many of the added blocks halve their map; the others lose its rim."""
BOXES = (4, 6, 6, 6, 4, 4)
"""Default boxes a place of each feature map."""
NEGATIVES_A_POSITIVE = 3


class Ssd300(nn.Module):
    """Images (batch, 3, 300, 300) to offsets (batch, 4, 8732) and class logits (batch, 81, 8732)."""

    def __init__(self) -> None:
        """Random weights."""
        super().__init__()
        stem_to_fourth = list(resnet50(weights=None).children())[:7]
        self.body = nn.Sequential(*stem_to_fourth)
        first = self.body[-1][0]
        for layer in (first.conv1, first.conv2, first.downsample[0]):
            layer.stride = (1, 1)
        blocks = zip(CHANNELS[:-1], CHANNELS[1:], MIDDLE_CHANNELS, strict=True)
        self.extra = nn.ModuleList(_block(*block, strided=number < STRIDED_MAPS) for number, block in enumerate(blocks))
        self.offsets, self.classes = (
            nn.ModuleList(nn.Conv2d(c, count * each, 3, padding=1) for c, count in zip(CHANNELS, BOXES, strict=True))
            for each in (4, CLASSES)
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the class says."""
        maps = [self.body(images)]
        for block in self.extra:
            maps.append(block(maps[-1]))
        return _joined(self.offsets, maps, 4), _joined(self.classes, maps, CLASSES)


def _block(source: int, target: int, middle: int, *, strided: bool) -> nn.Sequential:
    """1 x 1 down, 3 x 3 up, batch norm and ReLU after each."""
    last = nn.Conv2d(middle, target, 3, stride=2 if strided else 1, padding=1 if strided else 0, bias=False)
    layers = []
    for layer in (nn.Conv2d(source, middle, 1, bias=False), last):
        layers += [layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _joined(heads: nn.ModuleList, maps: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    parts = [head(each).reshape(len(each), width, -1) for head, each in zip(heads, maps, strict=True)]
    return torch.cat(parts, dim=2)


def loss(offsets: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Smooth L1 on positives, cross entropy on them and on the three times as many worst negatives."""
    labels = torch.zeros(logits.shape[0], logits.shape[2], dtype=torch.long)
    positive = labels > 0
    off_s = nn.functional.smooth_l1_loss(offsets, torch.zeros(offsets.shape), reduction="none").sum(dim=1)
    wrong = nn.functional.cross_entropy(logits, labels, reduction="none")
    ranks = wrong.detach().masked_fill(positive, 0.0).sort(dim=1, descending=True)[1].sort(dim=1)[1]
    counted = positive | (ranks < NEGATIVES_A_POSITIVE * positive.sum(dim=1, keepdim=True).clamp(min=1))
    total: torch.Tensor = ((positive.float() * off_s).sum(dim=1) + (counted.float() * wrong).sum(dim=1)).mean()
    return total


def build() -> Subject:
    """For ``canitrain trace``."""
    return Subject(
        name="ssd300_resnet50",
        title="SSD300 v1.1 ResNet-50",
        family="ssd",
        implementation=Implementation(
            library="DeepLearningExamples",
            version="SSD300 v1.1",
            torch=importlib.metadata.version("torch"),
            spec="tools/ssd300_resnet50.py:build",
            license="Apache-2.0",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=SIDE, longer=SIDE),
            batch_size=32,
            effective_batch_size=32,
            epochs=65,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=4,
            source="DeepLearningExamples PyTorch/Detection/SSD main.py, parse_args",
        ),
        size_rule=SizeRule.SQUARE,
        divisor=SIDE,
        classes=CLASSES,
        build=_built,
        basis=("one", "b"),
        fit_shapes=((2, SIDE, SIDE, 8), (3, SIDE, SIDE, 8)),
        check_shapes=((4, SIDE, SIDE, 8),),
        meta=True,
    )


def _built(_: Precision) -> Built:
    model = Ssd300()
    model.train()

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        del boxes
        return loss(*model(torch.rand(batch, 3, height, width)))

    return Built(model=model, step=step)
