"""What autograd does in place, but out of place while a dispatch mode listens: undone, so that no copy is counted.

Source: torch/csrc/autograd/FunctionsManual.cpp (``areAnyTensorSubclassLike`` in index_backward, gather_backward, ...)
and torch/csrc/autograd/input_buffer.cpp (``can_accumulate_inplace``); a mode makes every tensor look like a subclass.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

INTO_FRESH_ZEROS = {"index_put", "scatter", "scatter_add", "index_add"}
"""Gradients of indexing are written into zeros that nobody else has."""
OWN_TENSOR_USES = 4
"""Owners of a gradient that only the engine's buffer holds, seen from inside a mode: buffer, argument, Python's two."""
OWN_STORAGE_USES = 2
"""Owners of its storage: the tensor, and the Python object that is made to ask."""


def as_without_mode(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:  # noqa: ANN401
    """The operator and arguments that backward would run if no mode listened.

    Args:
        func: an ``OpOverload`` that a backward pass runs.
        name: of its schema, without the namespace.
        args: positional arguments.
        kwargs: the others.
    """
    if name in INTO_FRESH_ZEROS:
        return _in_place(func), args
    if name == "add" and not kwargs and len(args) == 2 and all(isinstance(arg, torch.Tensor) for arg in args):  # noqa: PLR2004
        old, new = args
        if old.shape == new.shape and old.dtype == new.dtype:
            if _is_own(old):
                return _in_place(func), (old, new)
            if _is_own(new):
                return _in_place(func), (new, old)
    return func, args


def _is_own(tensor: torch.Tensor) -> bool:
    """Whether the engine may add to ``tensor``: nobody else holds it, and it is dense."""
    if tensor._use_count() > OWN_TENSOR_USES:  # noqa: SLF001
        return False
    storage = tensor.untyped_storage()
    uses = torch._C._storage_Use_Count(storage._cdata)  # noqa: SLF001
    return bool(uses <= OWN_STORAGE_USES) and tensor.numel() * tensor.element_size() == storage.nbytes()


@functools.cache
def _in_place(func: Any) -> Any:  # noqa: ANN401 - an OpOverload
    twin = getattr(torch.ops.aten, func._schema.name.rpartition("::")[2] + "_")  # noqa: SLF001
    return getattr(twin, func._overloadname)  # noqa: SLF001
