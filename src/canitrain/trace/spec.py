"""What ``canitrain trace`` is given: ``timm:resnet50``, ``yolov5:yolov5s``, ``FILE.py:build``, ..."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from canitrain.core.errors import InputError, MissingDependencyError
from canitrain.core.profile import ModelProfile
from canitrain.trace.own_code import own_code

if TYPE_CHECKING:
    from canitrain.trace.subject import Subject  # imports torch, which may be missing


@dataclass(frozen=True, kw_only=True)
class Library:
    """Where a prefix leads: the adapter's module, its function from name to subject, and what to install."""

    module: str
    function: str
    requires: str
    """The import that fails where the library is missing."""
    install: str
    example: str
    sized: bool = False
    """Whether a name can end in ``@384``, the side of the square to trace at in place of the model's own."""


LIBRARIES = {
    "timm": Library(
        module="canitrain.trace.adapters.timm",
        function="subject",
        requires="timm",
        install="pip install timm",
        example="timm:resnet50",
        sized=True,
    ),
    "torchvision": Library(
        module="canitrain.trace.adapters.torchvision",
        function="subject",
        requires="torchvision",
        install="pip install torchvision",
        example="torchvision:fasterrcnn_resnet50_fpn",
    ),
    "yolov5": Library(
        module="canitrain.trace.adapters.yolov5",
        function="subject",
        requires="yolov5",
        install="pip install yolov5==7.0.14",
        example="yolov5:yolov5s",
    ),
    "effdet": Library(
        module="canitrain.trace.adapters.effdet",
        function="subject",
        requires="effdet",
        install="pip install effdet",
        example="effdet:tf_efficientdet_d0",
    ),
}
"""Every prefix that a spec can have, besides a Python file."""


def at_size(spec: str, image_size: int) -> str:
    """``spec`` with a side in pixels: ``timm:vit_base_patch16_224@384``, ``FILE.py:build@384``.

    Raises:
        InputError: the library's models take any size, which is then asked of ``check``, or state their own.
    """
    prefix = spec.rpartition(":")[0]
    library = LIBRARIES.get(prefix)
    if not prefix.endswith(".py") and (library is None or not library.sized):
        raise InputError(
            f"{spec} is not traced at a size of one's choice",
            hint="leave --image-size out; check --image-size takes any",
        )
    return f"{spec.partition('@')[0]}@{image_size}"


def trace_spec(spec: str, *, begins: Callable[[], None] = lambda: None) -> ModelProfile:
    """The profile of the model that ``spec`` names, traced now.

    Args:
        spec: ``library:name``, or ``FILE.py:function`` (the protocol is in ``adapters/file.py``).
        begins: Called when the model was found, before the part that takes long.

    Raises:
        InputError: the spec names no model, or the model does not trace within its tolerance.
        MissingDependencyError: the library is not installed.
    """
    with own_code(f"{spec} does not train") if of_a_file(spec) else nullcontext():
        subject = subject_of(spec)
        begins()
        from canitrain.trace.profile import trace_subject  # noqa: PLC0415 - imports torch

        return trace_subject(subject)


def of_a_file(spec: str) -> bool:
    """Whether ``spec`` names a model of the user's own, whose code may fail in any way."""
    return spec.rpartition(":")[0].endswith(".py")


def subject_of(spec: str) -> Subject:
    """The subject that ``spec`` names.

    Raises:
        InputError: the spec names no model.
        MissingDependencyError: the library is not installed.
    """
    prefix, separator, name = spec.rpartition(":")
    if not separator or not prefix or not name:
        raise InputError(f"{spec!r} names no model", hint=f"write it like {_examples()}")
    if of_a_file(spec):
        _need("torch", "pip install torch")
        from canitrain.trace.adapters.file import file_subject  # noqa: PLC0415 - imports torch

        function, _, side = name.partition("@")
        return file_subject(prefix, function, int(side) if side else None)
    library = LIBRARIES.get(prefix)
    if library is None:
        raise InputError(f"{prefix!r} is no library that can be traced", hint=f"write it like {_examples()}")
    return _adapter(library)(name)


def _adapter(library: Library) -> Callable[[str], Subject]:
    _need("torch", "pip install torch")
    _need(library.requires, library.install)
    function: Callable[[str], Subject] = getattr(importlib.import_module(library.module), library.function)
    return function


def _need(package: str, install: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"{package} does not import: {error}", hint=f"{install}, then run this again"
        ) from error


def _examples() -> str:
    return ", ".join([*(library.example for library in LIBRARIES.values()), "FILE.py:build"])
