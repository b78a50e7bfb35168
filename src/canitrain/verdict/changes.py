"""The changes to a question that are worth trying, each an option or other hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.fact import Known, value_or_none
from canitrain.core.hardware import StorageKind
from canitrain.core.loop import PINNED_LOOP
from canitrain.core.profile import ImageSize, Precision, SizeRule
from canitrain.core.question import Question
from canitrain.core.recipe import CacheMode, Freeze, Optimizer, Strategy
from canitrain.core.target import GpuTarget
from canitrain.core.traced_size import only_size
from canitrain.core.units import format_network

_SMALLER_SIZE = 0.8
"""Share of the image's sides that is tried: 640 px to 512, the next size down that detectors are trained at."""
FASTER_NETWORK_BYTES_PER_S = 12.5e9
"""100 Gb/s, as servers for training have it; a judgement of ours."""
MORE_CORES = 4
"""Times as many cores as now: the next larger machine that one can usually get."""


class Change(Struct, frozen=True, kw_only=True):
    """One change to the question: as an option, and what it costs."""

    option: str
    question: Question
    price: str = ""
    bought: bool = False
    """Takes other hardware, which somebody has to pay for."""


def changes(question: Question) -> Iterator[Change]:
    """Every change that this question allows, in no order."""
    for generator in CHANGES:
        yield from generator(question)


def _precision(question: Question) -> Iterator[Change]:
    recipe = question.recipe
    if (
        recipe.precision is Precision.FP32
        and Precision.AMP in question.profile.traces
        and isinstance(question.target, GpuTarget)
    ):
        yield with_recipe(question, "--precision amp", precision=Precision.AMP)


def _image_size(question: Question) -> Iterator[Change]:
    size, divisor = question.recipe.image_size, question.profile.divisor
    rule = question.profile.size_rule
    step = divisor if rule is SizeRule.SQUARE else 1
    shorter = max(step, int(size.shorter * _SMALLER_SIZE) // step * step)
    longer = max(step, int(size.longer * _SMALLER_SIZE) // step * step)
    if shorter < size.shorter and only_size(question.profile) is None:
        smaller = ImageSize(shorter=shorter, longer=longer)
        cost = "costs small objects" if question.dataset.boxes_max else "costs fine detail"
        yield with_recipe(question, f"--image-size {smaller.text}", cost, image_size=smaller)


def _freeze(question: Question) -> Iterator[Change]:
    has_backbone = any(stage.backbone for stage in question.profile.traces[question.recipe.precision].stages)
    if question.recipe.freeze is Freeze.NONE and has_backbone:
        yield with_recipe(question, "--freeze backbone", "costs accuracy on unusual images", freeze=Freeze.BACKBONE)


def _checkpointing(question: Question) -> Iterator[Change]:
    if not question.recipe.checkpointing:
        yield with_recipe(question, "--checkpointing", checkpointing=True)


def _optimizer(question: Question) -> Iterator[Change]:
    if question.recipe.optimizer in (Optimizer.ADAM, Optimizer.ADAMW):
        yield with_recipe(
            question, "--optimizer sgd-momentum", "needs another learning rate", optimizer=Optimizer.SGD_MOMENTUM
        )


def _workers(question: Question) -> Iterator[Change]:
    recipe = question.recipe
    cores = value_or_none(question.hardware.cpu.usable_cores)
    if cores is not None and recipe.workers < int(cores) // recipe.gpus:
        most = int(cores) // recipe.gpus
        yield with_recipe(question, f"--workers {most}", workers=most)
    if recipe.workers > 1:
        fewer = recipe.workers // 2
        yield with_recipe(question, f"--workers {fewer}", workers=fewer)


def _cores(question: Question) -> Iterator[Change]:
    """More cores for the loader, only where a GPU waits for it."""
    cores = value_or_none(question.hardware.cpu.usable_cores)
    if cores is None or not isinstance(question.target, GpuTarget):
        return
    more = MORE_CORES * max(1, int(cores))
    cpu = replace(question.hardware.cpu, usable_cores=Known(value=float(more), source="advice"))
    recipe = replace(question.recipe, workers=max(question.recipe.workers, more // question.recipe.gpus))
    yield Change(
        option=f"{more} CPU cores with --workers {recipe.workers}",
        question=replace(question, hardware=replace(question.hardware, cpu=cpu), recipe=recipe),
        bought=True,
    )


def _cache(question: Question) -> Iterator[Change]:
    if question.recipe.cache is CacheMode.NONE:
        yield with_recipe(question, "--cache ram", cache=CacheMode.RAM)
    else:
        yield with_recipe(question, "--cache none", cache=CacheMode.NONE)


def _storage(question: Question) -> Iterator[Change]:
    storage = question.hardware.storage
    if isinstance(storage.kind, Known) and storage.kind.value in (StorageKind.HDD, StorageKind.NETWORK):
        nvme = replace(storage, kind=Known(value=StorageKind.NVME, source="advice"))
        bench = None if question.hardware.bench is None else question.hardware.bench.elsewhere()
        hardware = replace(question.hardware, storage=nvme, bench=bench)
        yield Change(
            option="the images on a local NVMe disk", question=replace(question, hardware=hardware), bought=True
        )


def _strategy(question: Question) -> Iterator[Change]:
    """One process a GPU instead of one for all, which launches for each in turn."""
    if question.recipe.strategy is Strategy.DP and question.recipe.gpus > 1:
        yield with_recipe(question, "--strategy ddp", strategy=Strategy.DDP)


def _network(question: Question) -> Iterator[Change]:
    """What plain servers can be upgraded to, where several of them share a step."""
    recipe = question.recipe
    slower = recipe.network_bytes_per_s is None or recipe.network_bytes_per_s < FASTER_NETWORK_BYTES_PER_S
    if recipe.nodes > 1 and slower:
        speed = format_network(FASTER_NETWORK_BYTES_PER_S).replace(" ", "")
        faster = replace(recipe, network_bytes_per_s=FASTER_NETWORK_BYTES_PER_S)
        yield Change(option=f"--network {speed}", question=replace(question, recipe=faster), bought=True)


def _channels_last(question: Question) -> Iterator[Change]:
    if not question.recipe.channels_last and isinstance(question.target, GpuTarget):
        yield with_recipe(question, "--channels-last", channels_last=True)


def _pinning(question: Question) -> Iterator[Change]:
    """A thread that takes batches over ahead of the step, for scripts that have none; torch has it beside workers."""
    recipe = question.recipe
    if recipe.loop != PINNED_LOOP and recipe.workers > 0 and isinstance(question.target, GpuTarget):
        needs = "needs pin_memory=True in the script's DataLoader, and copies with non_blocking=True"
        yield with_recipe(question, f"batches pinned ahead (--loop {PINNED_LOOP})", needs, loop=PINNED_LOOP)


def _idle(question: Question) -> Iterator[Change]:
    target = question.target
    if (
        isinstance(target, GpuTarget)
        and not question.recipe.assume_idle
        and target.total_bytes is not None
        and target.budget_bytes is not None
        and target.budget_bytes < target.total_bytes
    ):
        idle = replace(target, budget_bytes=target.total_bytes)
        recipe = replace(question.recipe, assume_idle=True)
        yield Change(
            option="end the processes that hold GPU memory (--assume-idle)",
            question=replace(question, target=idle, recipe=recipe),
        )


CHANGES: tuple[Callable[[Question], Iterator[Change]], ...] = (
    _precision,
    _image_size,
    _freeze,
    _checkpointing,
    _optimizer,
    _workers,
    _cores,
    _cache,
    _storage,
    _strategy,
    _network,
    _channels_last,
    _pinning,
    _idle,
)


def with_recipe(question: Question, option: str, price: str = "", **fields: object) -> Change:
    """One with other ``fields`` of the recipe."""
    recipe = replace(question.recipe, **fields)
    return Change(option=option, question=replace(question, recipe=recipe), price=price)
