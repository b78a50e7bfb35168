"""What was asked, decided down to the device, and what one batch size of it would take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Cpu, Hardware
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.report import Memory, Time
from canitrain.core.target import CpuTarget, GpuTarget


class Question(Struct, frozen=True, kw_only=True):
    """One run on one machine."""

    hardware: Hardware
    profile: ModelProfile
    dataset: Dataset
    recipe: Recipe
    target: GpuTarget | CpuTarget

    @property
    def on_cpu(self) -> bool:
        """Whether no GPU has a part in the run."""
        return isinstance(self.target, CpuTarget)

    @property
    def device(self) -> GpuSpec | Cpu:
        """What computes the step: the (slowest) card, or the processor."""
        return self.target.cpu if isinstance(self.target, CpuTarget) else self.target.card


class MemoryEstimate(Struct, frozen=True, kw_only=True):
    """Memory of a question at ``batch_size`` images a GPU and step: all that decides whether the batch fits."""

    batch_size: int
    memory: Memory


class RunEstimate(MemoryEstimate, frozen=True, kw_only=True):
    """Memory and time of a question at ``batch_size`` images a GPU and step."""

    time: Time


class Estimator(Protocol):
    """How the verdict room asks without importing the estimate room."""

    def __call__(self, question: Question, batch_size: int, /) -> RunEstimate:
        """Memory and time of ``question`` at ``batch_size``."""

    def memory(self, question: Question, /) -> Callable[[int], MemoryEstimate]:
        """Memory of ``question`` at any batch size: polynomials are evaluated once, for a search asks many times."""
