"""``measure``: some training steps of a real model on the GPU where there is one, else on the CPU."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from canitrain.core.accuracy import CPU_NAME
from canitrain.core.profile import Precision
from canitrain.measure.device_memory import memory_before_use
from canitrain.measure.measured import Measured, Training
from canitrain.measure.update import Updater

if TYPE_CHECKING:
    import torch
    from torch import nn

Shape = tuple[int, int, int, int]
"""(batch, height, width, boxes an image)."""
WARM_UP_STEPS = 3
"""Steps before the clock starts: cuDNN chooses its kernels, the allocator fills its pool, momentum comes to be."""


class Trainable(Protocol):
    """A model and its step, as the adapters of the trace room build them."""

    @property
    def model(self) -> nn.Module:
        """In train mode."""

    @property
    def step(self) -> Callable[[int, int, int, int], torch.Tensor]:
        """``step(batch, height, width, boxes) -> loss`` on the default device."""


def measure(
    name: str,
    build: Callable[[Precision], Trainable],
    shape: Shape,
    training: Training,
    *,
    image_size: str,
    steps: int,
) -> Measured:
    """Train ``steps`` steps after a warm-up and say what they took.

    Args:
        name: of the model, for the record.
        build: makes the model and its step; called once, inside the chosen device.
        shape: (batch, height, width, boxes) of every step.
        training: precision, optimizer, EMA, accumulation.
        image_size: as the user would type it, for the record.
        steps: how many are timed.

    Raises:
        torch.OutOfMemoryError: the batch does not fit.
    """
    import torch  # noqa: PLC0415 - heavy

    on_gpu = has_gpu()
    device_memory = memory_before_use() if on_gpu else None
    if on_gpu:
        gc.collect()
        torch.cuda.empty_cache()
    device = torch.device("cuda" if on_gpu else "cpu")
    with device:
        trainable = build(training.precision)
        loop = _Loop(trainable, shape, training, device)
        loop.warm_up()
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        step_s = loop.timed(steps)
    return Measured(
        model=name,
        image_size=image_size,
        training=training,
        device=torch.cuda.get_device_name() if on_gpu else CPU_NAME,
        step_s=step_s,
        allocated_bytes=torch.cuda.max_memory_allocated() if on_gpu else None,
        reserved_bytes=torch.cuda.max_memory_reserved() if on_gpu else None,
        device_bytes=device_memory.used_bytes() if device_memory is not None else None,
        source=_source(shape, training),
    )


def has_gpu() -> bool:
    """Whether ``measure`` will run on a GPU, and so tell memory."""
    import torch  # noqa: PLC0415 - heavy

    return bool(torch.cuda.is_available())


def _source(shape: Shape, training: Training) -> str:
    """What it takes to measure again."""
    import torch  # noqa: PLC0415 - heavy

    batch, height, width, boxes = shape
    layout = "channels last" if training.channels_last else "channels first"
    return f"canitrain measure; torch {torch.__version__}; {batch} x {height} x {width}; {boxes} boxes; {layout}"


class _Loop:
    """One model in training."""

    def __init__(self, trainable: Trainable, shape: Shape, training: Training, device: torch.device) -> None:
        import torch  # noqa: PLC0415 - heavy

        self._model = trainable.model.to(device)
        if training.channels_last:
            self._model = self._model.to(memory_format=torch.channels_last)
        self._forward = trainable.step
        self._shape, self._training, self._device = shape, training, device
        self._updater = Updater(self._model, training, device)
        self._taken = 0

    def warm_up(self) -> None:
        """A few steps with an update after each."""
        for _ in range(WARM_UP_STEPS):
            self._step(accumulated=1)
        self._taken = 0

    def _step(self, accumulated: int) -> None:
        """Forward, loss, backward; one update every ``accumulated`` steps, whose gradients the next one frees."""
        fresh = self._taken % accumulated == 0
        late = self._training.gradients_until_backward
        if fresh and not late:
            self._updater.free_gradients()
        with self._precision():
            loss = self._forward(*self._shape)
        if fresh and late:
            self._updater.free_gradients()
        self._updater.scaled(loss).backward()
        self._taken += 1
        if self._taken % accumulated == 0:
            self._updater.update()

    def timed(self, steps: int) -> float:
        """Mean seconds of ``steps`` steps."""
        self._synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self._step(self._training.accumulation_steps)
        self._synchronize()
        return (time.perf_counter() - start) / steps

    def _precision(self) -> AbstractContextManager[Any]:
        import torch  # noqa: PLC0415 - heavy

        if self._training.precision is not Precision.AMP:
            return nullcontext()
        half = torch.float16 if self._device.type == "cuda" else torch.bfloat16
        autocast: AbstractContextManager[Any] = torch.autocast(self._device.type, half)
        return autocast

    def _synchronize(self) -> None:
        import torch  # noqa: PLC0415 - heavy

        if self._device.type == "cuda":
            torch.cuda.synchronize()
