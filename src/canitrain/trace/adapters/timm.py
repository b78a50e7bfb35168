"""timm classifiers, trained as ``train.py`` does: cross entropy, SGD with momentum, nothing frozen."""

from __future__ import annotations

import difflib
import importlib.metadata
from dataclasses import replace
from typing import TYPE_CHECKING

from canitrain.core.errors import InputError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.adapters.timm_names import TITLES, alias_of
from canitrain.trace.spec import split_side
from canitrain.trace.stages import STAGE_LIMIT, divide
from canitrain.trace.subject import Built, Subject

if TYPE_CHECKING:
    from torch import nn

_EPOCHS, _WORKERS, _BATCH = 300, 4, 128
"""Defaults of train.py's argument parser (timm 1.0)."""
_STRIDE = 32
"""Of most nets; at other sizes the last stages round, so that the polynomials hold for its multiples."""
_STAGES, _TRANSFORMER_STAGES = 12, 15
"""At most. More make the file of a net with many kinds of blocks too long to review; a Transformer's are all alike."""
_IMAGENET_CLASSES = 1000
"""What a net without a classifying layer is given: one that is trained has some."""
_FIT_BATCHES, _CHECK_BATCHES = (2, 8), (4, 16, 32)
_FIT_SCALES, _CHECK_SCALES = (0.5, 1.0, 1.5), (0.75, 2.0)


def subject(name: str) -> Subject:
    """The subject of ``timm:<name>``, or of ``timm:<name>@384`` for another side in pixels than the model's own.

    First for all sizes that are a multiple of 32, then with attention's square of the pixels, at last for one size.

    Raises:
        InputError: timm knows no such model, or the side is no number.
    """
    name, side = split_side(name)
    _refuse_unknown(name)
    options = _classes_option(name) | ({"img_size": side} if side and _takes_size(name) else {})
    model = _create(name, options)
    config = model.pretrained_cfg or {}
    _, height, width = (3, side, side) if side else config.get("input_size", (3, 224, 224))
    fixed = Subject(
        name=f"{name}_{side}" if side else name,
        title=TITLES.get(name, name) + (f" at {side} px" if side else "") + " (classifier)",
        family="timm",
        aliases=() if side else alias_of(name),
        implementation=Implementation(
            library="timm",
            version=importlib.metadata.version("timm"),
            torch=importlib.metadata.version("torch"),
            spec=f"timm:{name}@{side}" if side else f"timm:{name}",
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
        classes=model.num_classes,
        build=lambda _: _build(name, options),
        fit_shapes=tuple((batch, height, width, 0) for batch in _FIT_BATCHES),
        check_shapes=tuple((batch, height, width, 0) for batch in _CHECK_BATCHES),
        basis=("one", "b"),
        meta=True,
        notes=("traced at one image size: batch is the only variable",),
    )
    return fixed if _takes_size(name) else _any_size(fixed)


def _any_size(fixed: Subject) -> Subject:
    """``fixed`` for all sizes, which falls back to itself."""
    height, width = fixed.defaults.image_size.shorter, fixed.defaults.image_size.longer

    def sides(scale: float) -> tuple[int, int]:
        return _multiple(height * scale), _multiple(width * scale)

    squared = replace(
        fixed,
        fit_shapes=tuple((batch, *sides(scale), 0) for scale in _FIT_SCALES for batch in _FIT_BATCHES),
        check_shapes=(
            (_CHECK_BATCHES[0], height, width, 0),
            *((batch, *sides(scale), 0) for batch, scale in zip(_CHECK_BATCHES[1:], _CHECK_SCALES, strict=True)),
        ),
        basis=("one", "b", "bp", "bpp"),
        divisor=_STRIDE,
        notes=(),
        fallback=fixed,
    )
    return replace(squared, basis=("one", "b", "bp"), fallback=squared)


def _multiple(side: float) -> int:
    return max(1, round(side / _STRIDE)) * _STRIDE


def _refuse_unknown(name: str) -> None:
    import timm  # noqa: PLC0415 - only tracing needs it

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5)
        raise InputError(
            f"timm knows no model {name!r}", hint=f"near: {', '.join(near)}" if near else "see timm.list_models()"
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


def _classes_option(name: str) -> dict[str, int]:
    """Classes for nets that come without, such as DINOv2 and SigLIP; the others keep their own."""
    import timm  # noqa: PLC0415

    config = timm.get_pretrained_cfg(name)
    return {"num_classes": _IMAGENET_CLASSES} if config is not None and config.num_classes == 0 else {}


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

    heads = (model.pretrained_cfg or {}).get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    stages = _stages(model, heads, _TRANSFORMER_STAGES if _takes_size(name) else _STAGES)
    return Built(model=model, step=step, stages=stages, backbone=_below(stages, heads))


def _stages(model: nn.Module, heads: tuple[str, ...], most: int) -> tuple[str, ...]:
    """The finest division of ``model`` into at most ``most`` stages, single layers in a row being one."""
    for limit in range(STAGE_LIMIT, 0, -1):
        stages = _joined(model, divide(model, limit), heads)
        if len(stages) <= most:
            break
    return stages


def _joined(model: nn.Module, stages: tuple[str, ...], heads: tuple[str, ...]) -> tuple[str, ...]:
    """``stages`` with single layers after one another as one; the classifying layer and what follows keep theirs."""
    rows: list[list[str]] = []
    after_single = False
    for stage in stages:
        module = model.get_submodule(stage)
        single = not any(True for child in module.children() for _ in child.parameters())
        plain = next(module.parameters(), None) is None
        if rows and stage not in heads and rows[-1][0] not in heads and ((single and after_single) or plain):
            rows[-1].append(stage)
        else:
            rows.append([stage])
        after_single = single
    return tuple("+".join(row) for row in rows)


def _below(stages: tuple[str, ...], heads: tuple[str, ...]) -> tuple[str, ...]:
    """The stages without a classifying layer: what stays frozen where only that layer is trained."""
    return tuple(stage for stage in stages if not any(head == stage or head.startswith(f"{stage}.") for head in heads))
