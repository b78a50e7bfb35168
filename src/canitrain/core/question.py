"""What was asked, decided down to the device, and what one batch size of it would take."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.hardware import Hardware
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


class RunEstimate(Struct, frozen=True, kw_only=True):
    """Memory and time of a question at ``batch_size`` images a GPU and step."""

    batch_size: int
    memory: Memory
    time: Time


Estimator = Callable[[Question, int], RunEstimate]
"""Estimates a question at a batch size; how the verdict room asks without importing the estimate room."""
