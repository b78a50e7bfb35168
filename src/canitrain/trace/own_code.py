"""What a model of the user's own does wrong, said as such: never a bug of ours, and never an exit code of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from canitrain.core.errors import CanitrainError, InputError

_NO_GPU_HERE = "make the model and its batch without .cuda() and device=...: tracing runs on the CPU"
_HINTS = {
    "NVIDIA driver": _NO_GPU_HERE,
    "not compiled with CUDA": _NO_GPU_HERE,
    "CUDA GPUs are available": _NO_GPU_HERE,
    "backward through the graph a second time": "return the loss and leave backward() to whoever calls step",
    "uninitialized parameter": "run one batch through the model in the function: lazy layers get their shapes then",
}
"""Part of torch's message (of 2.13 and 2.15): what to change."""
_USUAL_HINT = "run one training step of it on the CPU first; a model that takes one size only needs --image-size"


@contextmanager
def own_code(what: str, hint: str | None = None) -> Iterator[None]:
    """Run code of the user's; ``what`` completes ``my_model.py:build ...: RuntimeError: ...``.

    Raises:
        InputError: it failed, in whichever way; an interruption passes.
    """
    try:
        yield
    except CanitrainError:
        raise
    except SystemExit as left:
        raise InputError(
            f"{what}: it exits (sys.exit, code {left.code})",
            hint="put what is no part of the model under: if __name__ == '__main__'",
        ) from left
    except Exception as error:
        said = " ".join(str(error).split())
        fitting = next((text for part, text in _HINTS.items() if part in said), None)
        raise InputError(f"{what}: {type(error).__name__}: {said}", hint=fitting or hint or _USUAL_HINT) from error
