"""What ``canitrain trace`` is given: ``timm:resnet50``, ``yolov5:yolov5s``, ``FILE.py:build``, ..."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from canitrain.core.errors import InputError, MissingDependencyError
from canitrain.core.profile import ModelProfile
from canitrain.trace.own_code import own_code

if TYPE_CHECKING:
    from canitrain.trace.subject import Subject  # imports torch, which may be missing


@dataclass(frozen=True, kw_only=True)
class Library:
    """What a prefix needs; the module of that name in ``adapters`` has its function from model name to subject."""

    install: str
    """How to get the package that the prefix is the name of."""
    model: str
    """One of its models, for an example."""
    sized: bool = False
    """Whether a name can end in ``@384``, the side of the square to trace at in place of the model's own."""


LIBRARIES = {
    "timm": Library(install="pip install timm", model="resnet50", sized=True),
    "torchvision": Library(install="pip install torchvision", model="fasterrcnn_resnet50_fpn"),
    "yolov5": Library(install="pip install yolov5==7.0.14", model="yolov5s"),
    "effdet": Library(install="pip install effdet", model="tf_efficientdet_d0"),
}
"""Every prefix that a spec can have, besides a Python file."""


def at_size(spec: str, image_size: int) -> str:
    """``spec`` with a side in pixels: ``timm:vit_base_patch16_224@384``, ``FILE.py:build@384``.

    Raises:
        InputError: the library's models take any size, which is then asked of ``check``, or state their own.
    """
    prefix, _, name = spec.rpartition(":")
    library = LIBRARIES.get(prefix)
    if not of_a_file(spec) and (library is None or not library.sized):
        raise InputError(
            f"{spec} is not traced at a size of one's choice",
            hint="leave --image-size out; check --image-size takes any",
        )
    return f"{prefix}:{split_side(name)[0]}@{image_size}"


def split_side(name: str) -> tuple[str, int | None]:
    """``resnet50@384`` as the model and the side in pixels, which is ``None`` where the name has none.

    Raises:
        InputError: what follows the ``@`` is no size.
    """
    model, separator, side = name.partition("@")
    if separator and not (side.isdecimal() and int(side) > 0):
        raise InputError(f"{side!r} is no image size", hint=f"write it like {model}@384")
    return model, int(side) if separator else None


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
        raise InputError(f"{spec!r} names no model", hint=f"write it like {_meant(spec) or _examples()}")
    if of_a_file(spec):
        _need("torch", "pip install torch")
        from canitrain.trace.adapters.file import file_subject  # noqa: PLC0415 - imports torch

        return file_subject(prefix, *split_side(name))
    library = LIBRARIES.get(prefix)
    if library is None:
        raise InputError(
            f"{prefix!r} is no library that can be traced",
            hint=f"write it like {_meant(f'{prefix}.py', name) or _examples()}",
        )
    _need("torch", library.install)  # which brings torch along
    _need(prefix, library.install)
    adapter = importlib.import_module(f"canitrain.trace.adapters.{prefix}")
    made: Subject = adapter.subject(name)
    return made


def _need(package: str, install: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"{package} does not import: {error}", hint=f"{install}, then run this again"
        ) from error


def _meant(file: str, function: str = "build") -> str | None:
    """The spec of a Python file that is there, and was named without its function or its ending."""
    file = file.removesuffix(":")
    return f"{file}:{function}" if file.endswith(".py") and Path(file).is_file() else None


def _examples() -> str:
    return ", ".join([*(f"{prefix}:{library.model}" for prefix, library in LIBRARIES.items()), "FILE.py:build"])
