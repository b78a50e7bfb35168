"""A model of the user's own: ``canitrain trace my_model.py:build``.

``build()`` takes no arguments and returns one of

- a ``torch.nn.Module`` that is called with images ``(batch, 3, height, width)``; the loss is the mean of all its
  floating-point outputs, so that every parameter gets a gradient;
- ``(module, step)`` where ``step(batch, height, width, boxes)`` makes a synthetic batch, runs forward and loss, and
  returns the loss (a scalar); it neither calls ``backward`` nor enters autocast;
- a ``canitrain.trace.subject.Subject``, for full control of shapes, stages and defaults.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from canitrain.core.errors import InputError
from canitrain.core.profile import Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.subject import Built, Step, Subject

_SIDE = 640
"""Image size that is assumed where the file does not say."""
_ASSUMED_BATCH, _ASSUMED_WORKERS = 16, 4
"""Likewise: what torchvision's detection references train with (8 GPUs x 2 images, 4 loader processes each)."""
_USUAL_FUNCTION = "build"
_FIT_SHAPES = (
    (2, 128, 128, 4),
    (4, 128, 128, 4),
    (2, 256, 256, 4),
    (3, 256, 256, 16),
    (3, 128, 256, 32),
    (2, 192, 192, 32),
)
"""No batch of one: transposing it copies nothing, so that attention runs other operators than on any larger batch."""
_CHECK_SHAPES = ((2, 320, 320, 8), (4, 224, 224, 8))
_BOXES, _FIT_BATCHES, _CHECK_BATCH = 8, (2, 4), 3
"""Of the trace at one size, where the polynomials in the pixels miss."""
_BASIS = ("one", "b", "p", "bp", "bn", "bpp")
_PROTOCOL = "return a module, (module, step) or a Subject: see canitrain/trace/adapters/file.py"


def file_subject(path: str, function: str, image_size: int | None = None) -> Subject:
    """The subject that ``function`` of the Python file at ``path`` builds; squares of ``image_size`` pixels by default.

    Where polynomials in the pixels miss, or the model runs at no other size, it is traced at that size alone.

    Raises:
        InputError: there is no such file or function, it fails, or it returns something else.
    """
    build = _load(path, function)
    made = build()
    if isinstance(made, Subject):
        return made
    _built(made)
    stem = Path(path).stem.lower()
    name = stem if function == _USUAL_FUNCTION else f"{stem}:{function}"
    side = image_size or _SIDE
    sized = Subject(
        name=name,
        title=name,
        family="custom",
        implementation=Implementation(
            library=Path(path).name,
            version="unknown",
            torch=importlib.metadata.version("torch"),
            spec=f"{Path(path).name}:{function}",
            license="unknown",
        ),
        defaults=Defaults(
            image_size=ImageSize(shorter=side, longer=side),
            batch_size=_ASSUMED_BATCH,
            effective_batch_size=_ASSUMED_BATCH,
            epochs=1,
            optimizer="sgd-momentum",
            precision=Precision.FP32,
            ema=False,
            workers=_ASSUMED_WORKERS,
            source="assumed: a file states no training defaults",
        ),
        size_rule=SizeRule.SQUARE,
        classes=1,
        build=lambda _: _built(build()),
        fit_shapes=_FIT_SHAPES,
        check_shapes=_CHECK_SHAPES,
        basis=_BASIS,
    )
    fixed = replace(
        sized,
        fit_shapes=tuple((batch, side, side, _BOXES) for batch in _FIT_BATCHES),
        check_shapes=((_CHECK_BATCH, side, side, _BOXES),),
        basis=("one", "b"),
        notes=(f"no polynomial in the pixels fits this model: it holds at {side} px and {_BOXES} boxes only",),
    )
    return replace(sized, fallback=fixed)


def _load(path: str, function: str) -> Callable[[], Any]:
    file = Path(path)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise InputError(
            f"there is no Python file {path}", hint="give the path of a file that defines a build function"
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} does not run: {error}", hint="run it with python first") from error
    build = getattr(module, function, None)
    if not callable(build):
        raise InputError(f"{path} has no function {function!r}", hint=_PROTOCOL)
    made: Callable[[], Any] = build
    return made


def _built(made: object) -> Built:
    match made:
        case nn.Module():
            return Built(model=made.train(), step=_plain_step(made))
        case (nn.Module() as model, step) if callable(step):
            return Built(model=model.train(), step=step)
        case _:
            raise InputError(f"build() returned {type(made).__name__}", hint=_PROTOCOL)


def _plain_step(model: nn.Module) -> Step:
    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:  # noqa: ARG001 - images only
        outputs = list(_floating(model(torch.randn(batch, 3, height, width))))
        if not outputs:
            raise InputError(
                "the model returns no floating-point tensor with a gradient",
                hint="train it in a step of its own: return (module, step), see canitrain/trace/adapters/file.py",
            )
        loss = outputs[0].mean()
        for output in outputs[1:]:
            loss = loss + output.mean()
        return loss

    return step


def _floating(value: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401 - whatever a model returns
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.requires_grad:
            yield value
    elif isinstance(value, dict):
        yield from _floating(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _floating(item)
