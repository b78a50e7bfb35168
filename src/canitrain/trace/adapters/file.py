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
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from canitrain.core.errors import InputError
from canitrain.core.profile import UNSTATED, Defaults, ImageSize, Implementation, Precision, SizeRule
from canitrain.trace.own_code import own_code
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
_PROTOCOL = "return a module, (module, step) or a Subject: see docs/own-model.md"
_STEP = "step(batch, height, width, boxes) returns the loss, a tensor of one number: see docs/own-model.md"


def file_subject(path: str, function: str, image_size: int | None = None) -> Subject:
    """The subject that ``function`` of the Python file at ``path`` builds; squares of ``image_size`` pixels by default.

    Where polynomials in the pixels miss, or the model runs at no other size, it is traced at that size alone.

    Raises:
        InputError: there is no such file or function, it fails, or it returns something else.
    """
    build = _load(path, function)
    with own_code(f"{path}:{function} does not build its model"):
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
            version=UNSTATED,
            torch=importlib.metadata.version("torch"),
            spec=f"{Path(path).name}:{function}",
            license=UNSTATED,
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
        amp_may_fail=True,
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
    """The function, of the file run as ``python FILE.py`` runs it: modules beside it can be imported."""
    file = Path(path)
    # A name of our own: the file may be called like a package that is loaded already.
    spec = importlib.util.spec_from_file_location(f"canitrain_file_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise InputError(
            f"there is no Python file {path}", hint="give the path of a file that defines a build function"
        )
    folder = str(file.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    with own_code(f"{path} does not run", hint="run it with python first"):
        spec.loader.exec_module(module)
    build = getattr(module, function, None)
    if not callable(build):
        raise InputError(f"{path} has no function {function!r}", hint=_PROTOCOL)
    if not _takes(build):
        raise InputError(f"{path}:{function} needs arguments", hint="give them defaults: it is called with none")
    made: Callable[[], Any] = build
    return made


def _takes(function: Callable[..., Any], *arguments: int) -> bool:
    """Whether ``function`` can be called with ``arguments``; yes where Python cannot tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _built(made: object) -> Built:
    match made:
        case nn.Module():
            model, step = made, _plain_step(made)
        case (nn.Module() as model, step) if callable(step):
            if not _takes(step, *_FIT_SHAPES[0]):
                raise InputError("step cannot be called with four numbers", hint=_STEP)
            step = _own_step(step)
        case _:
            raise InputError(f"the function returned {type(made).__name__}", hint=_PROTOCOL)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("the model has no parameter to train", hint="leave requires_grad on in some of its layers")
    return Built(model=model.train(), step=step)


def _own_step(own: Callable[[int, int, int, int], Any]) -> Step:
    """``own``, whose loss is looked at before backward says something less plain."""

    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
        loss = own(batch, height, width, boxes)
        if not isinstance(loss, torch.Tensor):
            raise InputError(f"step returned {type(loss).__name__} and no tensor", hint=_STEP)
        if loss.numel() != 1:
            raise InputError(f"step returned a tensor of {tuple(loss.shape)} and no loss", hint=_STEP)
        if not loss.requires_grad:
            raise InputError("the loss of step has no gradient", hint="return it without detach(), item() or no_grad")
        return loss

    return step


def _plain_step(model: nn.Module) -> Step:
    def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:  # noqa: ARG001 - images only
        outputs = list(_floating(model(torch.randn(batch, 3, height, width))))
        if not outputs:
            raise InputError(
                "the model returns no floating-point tensor with a gradient",
                hint="train it in a step of its own: return (module, step), see docs/own-model.md",
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
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _floating([getattr(value, field.name) for field in fields(value)])
