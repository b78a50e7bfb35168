"""timm classifiers, trained as ``train.py`` does: cross entropy, SGD with momentum, nothing frozen."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING

from canitrain.core.errors import InputError, MissingDependencyError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.subject import Built, Subject

if TYPE_CHECKING:
    from torch import nn

_EPOCHS, _WORKERS, _BATCH = 300, 4, 128
"""Defaults of train.py's argument parser (timm 1.0)."""
_CHECK_BATCHES = 4
_FIT_BATCHES = (2, 8)


def subject(name: str, image_size: int | None = None) -> Subject:
    """The subject of ``timm:<name>``, at the model's own input size unless ``image_size`` (pixels) says otherwise.

    Raises:
        MissingDependencyError: timm is not installed.
        InputError: timm knows no such model.
    """
    if importlib.util.find_spec("timm") is None:
        raise MissingDependencyError("timm is not installed", hint="pip install timm")
    import timm  # noqa: PLC0415 - only tracing needs it

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5)
        raise InputError(
            f"timm knows no model {name!r}", hint=f"near: {', '.join(near)}" if near else "see timm.list_models()"
        )
    options = {"img_size": image_size} if image_size and _takes_size(name) else {}
    model = _create(name, options)
    config = model.pretrained_cfg or {}
    _, height, width = config.get("input_size", (3, 224, 224))
    height, width = (image_size, image_size) if image_size else (height, width)
    classes = model.num_classes
    return Subject(
        name=name,
        title=f"{name} (classifier)",
        family="timm",
        implementation=Implementation(
            library="timm",
            version=importlib.metadata.version("timm"),
            torch=importlib.metadata.version("torch"),
            spec=f"timm:{name}",
            license="Apache-2.0",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=height, longer=width),
            batch_size=_BATCH,
            effective_batch_size=_BATCH,
            epochs=_EPOCHS,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=_WORKERS,
            source="timm train.py, argument defaults",
        ),
        size_rule=SizeRule.SQUARE,
        classes=classes,
        build=lambda _: _build(name, options),
        fit_shapes=tuple((batch, height, width, 0) for batch in _FIT_BATCHES),
        check_shapes=((_CHECK_BATCHES, height, width, 0),),
        basis=("one", "b"),
        meta=True,
        notes=("traced at one image size: batch is the only variable",),
    )


_SIZED = (
    "vision_transformer", "swin", "deit", "beit", "mixer", "maxx", "cait", "xcit", "volo", "eva", "convit", "twins",
    "pit", "tnt", "nest", "levit", "visformer",
)  # fmt: skip
"""Modules of timm whose constructors must be told an image size that is not their own."""


def _takes_size(name: str) -> bool:
    import timm  # noqa: PLC0415

    module: str = timm.model_entrypoint(name).__module__
    return any(word in module for word in _SIZED)


def _create(name: str, options: dict[str, int]) -> nn.Module:
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415

    try:
        with torch.device("meta"):
            model = timm.create_model(name, **options)
    except (RuntimeError, NotImplementedError, ValueError):
        # Some constructors read values; then the weights are made and thrown away.
        model = timm.create_model(name, **options).to("meta")
    return model.train()


def _build(name: str, options: dict[str, int]) -> Built:
    import torch  # noqa: PLC0415

    model = _create(name, options)

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:  # noqa: ARG001
        images = torch.randn(batch, 3, height, width)
        labels = torch.zeros(batch, dtype=torch.long)
        output = model(images)
        if isinstance(output, tuple | list):
            # Distilled models answer with two heads; train.py takes the mean of their losses.
            return sum(torch.nn.functional.cross_entropy(head, labels) for head in output) / len(output)
        return torch.nn.functional.cross_entropy(output, labels)

    return Built(model=model, step=step)
