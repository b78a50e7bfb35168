"""Small models whose memory and work can be worked out on paper."""

from __future__ import annotations

import torch
from torch import nn

from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.step import StepRecord, record_step
from canitrain.trace.subject import Built, Subject


def two_convolutions() -> nn.Sequential:
    """3 -> 4 -> 16 channels, 3x3, size kept, no bias, a ReLU that is not in place between them."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(4, 16, 3, padding=1, bias=False)
    )


def summed(model: nn.Module) -> Built:
    """``model`` with the sum of its output as the loss."""

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        return model(torch.randn(batch, 3, height, width)).sum()

    return Built(model=model, step=step)


def record(model: nn.Module, shape=(2, 16, 16, 0), *, amp=False, **options) -> StepRecord:
    return record_step(summed(model), shape, amp=amp, meta=False, **options)


def subject(build, **changes) -> Subject:
    """A subject around ``build()``, on shapes that a convolutional net needs."""
    fields = {
        "name": "net",
        "title": "net",
        "family": "test",
        "implementation": Implementation(library="tests", version="1", torch="2", spec="net.py:build", license="MIT"),
        "defaults": Defaults(
            image_size=ImageSize(shorter=64, longer=64),
            batch_size=2,
            effective_batch_size=2,
            epochs=1,
            optimizer="sgd",
            precision=Precision.FP32,
            ema=False,
            workers=0,
            source="tests",
        ),
        "size_rule": SizeRule.SQUARE,
        "classes": 1,
        "build": lambda _: build(),
        "fit_shapes": ((1, 32, 32, 0), (2, 32, 32, 0), (1, 64, 64, 0), (2, 64, 64, 0)),
        "check_shapes": ((4, 96, 96, 0),),
        "basis": ("one", "b", "p", "bp"),
    }
    return Subject(**(fields | changes))
