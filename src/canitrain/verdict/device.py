"""Which of the machine's devices a run would use, and how much of their memory."""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from canitrain.core.fact import Unknown, value_or_none
from canitrain.core.gpu import GpuSpec, Vendor, speed_unknown
from canitrain.core.hardware import Gpu, Hardware
from canitrain.core.recipe import DeviceChoice, Recipe
from canitrain.core.report import Status
from canitrain.core.target import CpuTarget, GpuTarget, NoTarget, Target
from canitrain.core.units import format_bytes

ALIKE_RATIO = 0.9
"""Share of the fastest card's rate from which a card of the same chip shares its step; a judgement of ours."""
_VENDORS = {
    DeviceChoice.AUTO: frozenset(Vendor),
    # ROCm builds of torch call AMD's cards cuda too.
    DeviceChoice.CUDA: frozenset({Vendor.NVIDIA, Vendor.AMD}),
    DeviceChoice.MPS: frozenset({Vendor.APPLE}),
    DeviceChoice.CPU: frozenset[Vendor](),
}


def choose_target(hardware: Hardware, recipe: Recipe) -> Target:
    """The best ``recipe.gpus`` cards of one kind, the processor where there is no GPU, or why neither can be told."""
    choice = recipe.device
    if choice is DeviceChoice.CPU:
        return CpuTarget(cpu=hardware.cpu, chosen=True)
    if isinstance(hardware.gpus, Unknown):
        return NoTarget(status=Status.UNKNOWN, reason=f"the GPUs could not be read: {hardware.gpus.reason}")
    cards = best_kind(hardware, choice)
    if cards:
        return _gpu_target(cards[: max(1, recipe.gpus)], recipe)
    unlisted = [gpu for gpu in hardware.gpus.value if gpu.spec is None]
    if unlisted:
        return NoTarget(status=Status.UNKNOWN, reason=speed_unknown(unlisted[0].name))
    match choice:
        case DeviceChoice.AUTO:
            return CpuTarget(cpu=hardware.cpu, chosen=False)
        case DeviceChoice.CUDA | DeviceChoice.MPS:
            return NoTarget(status=Status.NO_GO, reason=f"this machine has no {choice.value} device")
        case _:
            assert_never(choice)


def best_kind(hardware: Hardware, choice: DeviceChoice) -> tuple[Gpu, ...]:
    """The cards as fast as the fastest that ``choice`` allows, most free memory first; others would only be waited for.

    Of MIG slices it is one. Source: NVIDIA MIG user guide, "CUDA device enumeration": a process sees a single slice.
    """
    gpus = hardware.gpus.value if not isinstance(hardware.gpus, Unknown) else ()
    allowed = [(gpu, gpu.spec) for gpu in gpus if gpu.spec is not None and gpu.spec.vendor in _VENDORS[choice]]
    if not allowed:
        return ()
    best, best_spec = max(allowed, key=lambda card: _merit(card[1]))
    alike = [gpu for gpu, spec in allowed if gpu.mig == best.mig and _as_fast(spec, best_spec)]
    cards = tuple(sorted(alike, key=_free_bytes, reverse=True))
    return cards[:1] if best.mig else cards


def left_out(hardware: Hardware, target: GpuTarget) -> tuple[Gpu, ...]:
    """The machine's GPUs that the run leaves idle."""
    gpus = hardware.gpus.value if not isinstance(hardware.gpus, Unknown) else ()
    return tuple(gpu for gpu in gpus if gpu not in target.gpus)


def target_label(target: Target, nodes: int = 1) -> str:
    """The device for a reader: ``2x GeForce RTX 3060``, ``4 nodes of 2x GeForce RTX 3060``, ``the CPU``."""
    match target:
        case GpuTarget():
            counts = Counter(gpu.name for gpu in target.gpus)
            cards = " + ".join(name if count == 1 else f"{count}x {name}" for name, count in counts.items())
            return cards if nodes == 1 else f"{nodes} nodes of {cards}"
        case CpuTarget():
            return "the CPU" if target.chosen else "this machine's CPU (it has no GPU)"
        case NoTarget():
            return "this machine"
        case _:
            assert_never(target)


def _gpu_target(gpus: tuple[Gpu, ...], recipe: Recipe) -> GpuTarget:
    weakest = min(gpus, key=_free_bytes)
    slowest = min((gpu.spec for gpu in gpus if gpu.spec is not None), key=lambda card: card.memory_bytes_per_s)
    total_bytes = value_or_none(weakest.total_bytes)
    wanted = weakest.total_bytes if recipe.assume_idle else weakest.free_bytes
    if isinstance(wanted, Unknown):
        kind = "memory" if recipe.assume_idle else "free memory"
        reason = f"the {kind} of {weakest.name} could not be read: {wanted.reason}"
        if total_bytes is not None and not recipe.assume_idle:
            reason += "; --assume-idle counts on the whole card"
    else:
        reason = f"{format_bytes(wanted.value)} {'in all' if recipe.assume_idle else 'free'}"
    return GpuTarget(
        gpus=gpus,
        weakest=weakest,
        card=slowest,
        total_bytes=total_bytes,
        budget_bytes=value_or_none(wanted),
        budget_reason=reason,
    )


def _merit(card: GpuSpec) -> tuple[float, int]:
    """Half-precision rate (else fp32), then memory."""
    return _flops_per_s(card), card.memory_bytes


def _flops_per_s(card: GpuSpec) -> float:
    return max(card.fp16_flops_per_s or 0.0, card.fp32_flops_per_s)


def _as_fast(card: GpuSpec, best: GpuSpec) -> bool:
    """Of one chip and, but for its clock, as fast: an A100 of 40 GB beside one of 80 GB."""
    return (
        card.generation is best.generation
        and card.multiprocessors == best.multiprocessors
        and _flops_per_s(card) >= ALIKE_RATIO * _flops_per_s(best)
    )


def _free_bytes(gpu: Gpu) -> int:
    """For ordering only: a card whose free memory is unknown counts as the fullest."""
    free_bytes = value_or_none(gpu.free_bytes)
    return -1 if free_bytes is None else free_bytes
