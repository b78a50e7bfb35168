"""Changes that would help, each tried by estimating the run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.fact import Known, value_or_none
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import ImageSize, Precision, SizeRule
from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.recipe import CacheMode, Freeze, Optimizer, Strategy
from canitrain.core.report import Advice, Resource, Status
from canitrain.core.severity import SEVERITY
from canitrain.core.target import GpuTarget
from canitrain.core.traced_size import only_size
from canitrain.core.units import format_bytes, format_network
from canitrain.verdict.plan import Plan, make_plan, replan

MOST_ADVICE = 5
LEAST_SAVING = 0.05
"""Share of memory that a change must save to be worth a line; a judgement of ours."""
LEAST_SPEEDUP = 1.08
"""Ratio of run times that a change must reach to be worth a line; a judgement of ours."""
ONE_DECIMAL_SPEEDUP = 1.15
"""Ratio from which one decimal says enough: below it 1.08 to 1.14 would all read 1.1. A matter of display."""
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


def advise(question: Question, plan: Plan, estimate: Estimator) -> tuple[Advice, ...]:
    """The changes that help most: first those that better the verdict, then by time or memory, whichever is short."""
    tried = {change.option: change for change in (*changes(question), *_fitting_workers(question, plan))}
    found = [advice for change in tried.values() if (advice := _try(change, plan, estimate)) is not None]
    smaller = _smaller_batch(question, plan, estimate)
    if smaller is not None:
        found.append(smaller)
    found.sort(key=lambda advice: (SEVERITY.index(advice.status), -_gain(advice, plan)))
    return tuple(found[:MOST_ADVICE])


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
        yield _change(question, "--precision amp", precision=Precision.AMP)


def _image_size(question: Question) -> Iterator[Change]:
    size, divisor = question.recipe.image_size, question.profile.divisor
    rule = question.profile.size_rule
    step = divisor if rule is SizeRule.SQUARE else 1
    shorter = max(step, int(size.shorter * _SMALLER_SIZE) // step * step)
    longer = max(step, int(size.longer * _SMALLER_SIZE) // step * step)
    if shorter < size.shorter and only_size(question.profile) is None:
        text = f"{shorter}" if shorter == longer else f"{shorter}x{longer}"
        smaller = ImageSize(shorter=shorter, longer=longer)
        cost = "costs small objects" if question.dataset.boxes_max else "costs fine detail"
        yield _change(question, f"--image-size {text}", cost, image_size=smaller)


def _freeze(question: Question) -> Iterator[Change]:
    has_backbone = any(stage.backbone for stage in question.profile.traces[question.recipe.precision].stages)
    if question.recipe.freeze is Freeze.NONE and has_backbone:
        yield _change(question, "--freeze backbone", "costs accuracy on unusual images", freeze=Freeze.BACKBONE)


def _checkpointing(question: Question) -> Iterator[Change]:
    if not question.recipe.checkpointing:
        yield _change(question, "--checkpointing", checkpointing=True)


def _optimizer(question: Question) -> Iterator[Change]:
    if question.recipe.optimizer in (Optimizer.ADAM, Optimizer.ADAMW):
        yield _change(
            question, "--optimizer sgd-momentum", "needs another learning rate", optimizer=Optimizer.SGD_MOMENTUM
        )


def _workers(question: Question) -> Iterator[Change]:
    recipe = question.recipe
    cores = value_or_none(question.hardware.cpu.usable_cores)
    if cores is not None and recipe.workers < int(cores) // recipe.gpus:
        most = int(cores) // recipe.gpus
        yield _change(question, f"--workers {most}", workers=most)
    if recipe.workers > 1:
        fewer = recipe.workers // 2
        yield _change(question, f"--workers {fewer}", workers=fewer)


def _fitting_workers(question: Question, plan: Plan) -> Iterator[Change]:
    """As many workers as ``/dev/shm`` has room for."""
    fitting = plan.recommendation.workers
    if fitting != question.recipe.workers:
        yield _change(question, f"--workers {fitting}", workers=fitting)


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
    )


def _cache(question: Question) -> Iterator[Change]:
    if question.recipe.cache is CacheMode.NONE:
        yield _change(question, "--cache ram", cache=CacheMode.RAM)
    else:
        yield _change(question, "--cache none", cache=CacheMode.NONE)


def _storage(question: Question) -> Iterator[Change]:
    storage = question.hardware.storage
    if isinstance(storage.kind, Known) and storage.kind.value in (StorageKind.HDD, StorageKind.NETWORK):
        nvme = replace(storage, kind=Known(value=StorageKind.NVME, source="advice"))
        hardware = replace(question.hardware, storage=nvme, bench=None)
        yield Change(option="the images on a local NVMe disk", question=replace(question, hardware=hardware))


def _strategy(question: Question) -> Iterator[Change]:
    """One process a GPU instead of one for all, which launches for each in turn."""
    if question.recipe.strategy is Strategy.DP and question.recipe.gpus > 1:
        yield _change(question, "--strategy ddp", strategy=Strategy.DDP)


def _network(question: Question) -> Iterator[Change]:
    """What plain servers can be upgraded to, where several of them share a step."""
    recipe = question.recipe
    slower = recipe.network_bytes_per_s is None or recipe.network_bytes_per_s < FASTER_NETWORK_BYTES_PER_S
    if recipe.nodes > 1 and slower:
        speed = format_network(FASTER_NETWORK_BYTES_PER_S).replace(" ", "")
        yield _change(question, f"--network {speed}", network_bytes_per_s=FASTER_NETWORK_BYTES_PER_S)


def _channels_last(question: Question) -> Iterator[Change]:
    if not question.recipe.channels_last and isinstance(question.target, GpuTarget):
        yield _change(question, "--channels-last", channels_last=True)


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
    _idle,
)


def _change(question: Question, option: str, price: str = "", **fields: object) -> Change:
    recipe = replace(question.recipe, **fields)
    return Change(option=option, question=replace(question, recipe=recipe), price=price)


def _try(change: Change, plan: Plan, estimate: Estimator) -> Advice | None:
    """The effect at the same batch; where that batch does not fit even so, at the one that would."""
    tried = replan(change.question, estimate, plan.run.batch_size)
    return _advice(change.option, plan, tried, change.price)


def _smaller_batch(question: Question, plan: Plan, estimate: Estimator) -> Advice | None:
    """A given batch that does not surely fit: the recommended one, with accumulation."""
    given, best = question.recipe.batch_size, plan.recommendation.batch_size
    if given is None or best is None or best >= given:
        return None
    tried = make_plan(replace(question, recipe=replace(question.recipe, batch_size=None)), estimate)
    steps = tried.recommendation.accumulation_steps
    option = f"--batch-size {best}" + (f" with {steps} accumulation steps" if steps > 1 else "")
    return _advice(option, plan, tried, "")


def _advice(option: str, plan: Plan, tried: Plan, price: str) -> Advice | None:
    """``None`` where the change does not help."""
    before, after = _memory_bytes(plan.run), _memory_bytes(tried.run)
    saved_bytes = before - after
    speedup = plan.run.time.total_s.expected / tried.run.time.total_s.expected
    better = SEVERITY.index(tried.verdict.status) < SEVERITY.index(plan.verdict.status)
    worse = SEVERITY.index(tried.verdict.status) > SEVERITY.index(plan.verdict.status)
    saves = _memory_is_short(plan) and saved_bytes >= LEAST_SAVING * before
    if worse or not (better or saves or speedup >= LEAST_SPEEDUP):
        return None
    effects = [_memory_effect(saved_bytes, before), _time_effect(speedup), price]
    return Advice(
        change=option,
        effect=", ".join(effect for effect in effects if effect) or "makes room",
        memory_bytes=-saved_bytes,
        speedup_ratio=speedup,
        status=tried.verdict.status,
    )


def _memory_effect(saved_bytes: float, before_bytes: float) -> str:
    if abs(saved_bytes) < LEAST_SAVING / 2 * before_bytes:
        return ""
    sign = "-" if saved_bytes > 0 else "+"
    return f"{sign}{format_bytes(abs(saved_bytes))}"


def _time_effect(speedup: float) -> str:
    if speedup >= LEAST_SPEEDUP:
        return f"{speedup:.1f}x faster" if speedup >= ONE_DECIMAL_SPEEDUP else f"{speedup:.2f}x faster"
    return f"{1 / speedup:.1f}x slower" if speedup <= 1 / LEAST_SPEEDUP else ""


def _gain(advice: Advice, plan: Plan) -> float:
    """How much of what is short the change brings: time where the verdict is go, else both."""
    saved = -advice.memory_bytes / max(1.0, _memory_bytes(plan.run))
    return advice.speedup_ratio - 1 + (2 * saved if _memory_is_short(plan) else 0.0)


def _memory_is_short(plan: Plan) -> bool:
    return any(
        reason.status is not Status.GO and reason.resource in (Resource.GPU_MEMORY, Resource.RAM)
        for reason in plan.reasons
    )


def _memory_bytes(run: RunEstimate) -> float:
    """The figure that decides: device memory on a GPU, RAM on a CPU."""
    gpu = run.memory.gpu
    return run.memory.host.ram_bytes.expected if gpu is None else gpu.device_bytes.expected
