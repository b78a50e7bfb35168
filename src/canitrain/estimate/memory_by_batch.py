"""Memory of GPU, host and disk as a function of the batch size."""

from __future__ import annotations

from collections.abc import Callable

from canitrain.core.calibration import Calibration
from canitrain.core.question import MemoryEstimate, Question
from canitrain.core.report import GpuMemory, Memory
from canitrain.core.target import CpuTarget
from canitrain.estimate.disk import disk_need
from canitrain.estimate.gpu_memory import DeviceTerms, pool_floor, step_figures
from canitrain.estimate.host_memory import host_memory
from canitrain.estimate.shapes import memory_shape
from canitrain.estimate.step_memory import step_memory


def memory_by_batch(question: Question, calibration: Calibration) -> Callable[[int], MemoryEstimate]:
    """Memory of ``question`` at any batch size (images a GPU and step): never less than at a smaller one.

    The polynomials of the GPU's memory are evaluated here, once; each batch size then costs a few multiplications.
    """
    hardware, profile, dataset, recipe = question.hardware, question.profile, question.dataset, question.recipe
    gpu_at = _gpu_memory_by_batch(question, calibration)
    disk = disk_need(profile, recipe, dataset, hardware, calibration.host)

    def at(batch_size: int) -> MemoryEstimate:
        host = host_memory(profile, recipe, dataset, hardware, batch_size, calibration.host, on_cpu=question.on_cpu)
        return MemoryEstimate(batch_size=batch_size, memory=Memory(gpu=gpu_at(batch_size), host=host, disk=disk))

    return at


def _gpu_memory_by_batch(question: Question, calibration: Calibration) -> Callable[[int], GpuMemory | None]:
    target = question.target
    if isinstance(target, CpuTarget):
        return lambda batch_size: None  # noqa: ARG005  # trains in RAM
    # Pixels and boxes of the largest batch do not depend on how many images it has.
    shape = memory_shape(question.profile, question.recipe, question.dataset, 1)
    step = step_memory(question.profile, question.recipe, shape, target.card, calibration.memory)
    terms = DeviceTerms.of(question.profile, question.recipe, target.card, calibration.memory)
    floor = pool_floor(step, terms)
    total_bytes, budget_bytes = target.total_bytes, target.budget_bytes

    def at(batch_size: int) -> GpuMemory:
        return step_figures(step, terms, batch_size, floor=floor, total_bytes=total_bytes, budget_bytes=budget_bytes)

    return at
