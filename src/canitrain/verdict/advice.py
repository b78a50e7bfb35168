"""Changes that would help, each tried by estimating the run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.report import Advice, Resource, Status
from canitrain.core.severity import SEVERITY
from canitrain.core.units import format_bytes
from canitrain.verdict.changes import Change, changes, with_recipe
from canitrain.verdict.plan import Plan, make_plan, replan

MOST_ADVICE = 5
LEAST_SAVING = 0.05
"""Share of memory that a change must save to be worth a line; a judgement of ours."""
LEAST_SPEEDUP = 1.08
"""Ratio of run times that a change must reach to be worth a line; a judgement of ours."""
ONE_DECIMAL_SPEEDUP = 1.15
"""Ratio from which one decimal says enough: below it 1.08 to 1.14 would all read 1.1. A matter of display."""


def advise(question: Question, plan: Plan, estimate: Estimator) -> tuple[Advice, ...]:
    """The changes that help most: first those that better the verdict, then by time or memory, whichever is short."""
    usual = (change for change in changes(question) if not _fewer_than_fit(change, question, plan))
    tried = {change.option: change for change in (*usual, *_fitting_workers(question, plan))}
    helpful = [(change, advice) for change in tried.values() if (advice := _try(change, plan, estimate)) is not None]
    free = [advice for change, advice in helpful if not (change.bought or change.price)]
    found = [advice for change, advice in helpful if not (change.bought and _needless(advice, free))]
    smaller = _smaller_batch(question, plan, estimate)
    if smaller is not None:
        found.append(smaller)
    found.sort(key=lambda advice: (SEVERITY.index(advice.status), -_gain(advice, plan)))
    return tuple(found[:MOST_ADVICE])


def _fewer_than_fit(change: Change, question: Question, plan: Plan) -> bool:
    """Whether a change takes workers away beyond those that ``/dev/shm`` has no room for."""
    fitting = plan.recommendation.workers
    return fitting < question.recipe.workers and change.question.recipe.workers < fitting


def _fitting_workers(question: Question, plan: Plan) -> Iterator[Change]:
    """As many workers as ``/dev/shm`` has room for."""
    fitting = plan.recommendation.workers
    if fitting != question.recipe.workers:
        yield with_recipe(question, f"--workers {fitting}", workers=fitting)


def _try(change: Change, plan: Plan, estimate: Estimator) -> Advice | None:
    """The effect at the same batch, or at a larger one for which it makes room, where only that is in time."""
    tried = replan(change.question, estimate, plan.run.batch_size)
    advice = _advice(change.option, plan, tried, change.price)
    status = plan.verdict.status if advice is None else advice.status
    if status is Status.GO or not _time_is_short(plan) or change.question.recipe.batch_size is not None:
        return advice
    if _memory_bytes(tried.run) >= _memory_bytes(plan.run):
        return advice
    roomy = make_plan(change.question, estimate)
    batch_size = roomy.run.batch_size
    if batch_size <= plan.run.batch_size or SEVERITY.index(roomy.verdict.status) >= SEVERITY.index(status):
        return advice
    return _advice(f"{change.option} --batch-size {batch_size}", plan, roomy, change.price) or advice


def _needless(bought: Advice, free: Sequence[Advice]) -> bool:
    """Whether an option that costs nothing leads to as good a verdict and is about as fast as ``bought`` hardware."""
    return any(
        SEVERITY.index(advice.status) <= SEVERITY.index(bought.status)
        and advice.speedup_ratio * LEAST_SPEEDUP > bought.speedup_ratio
        for advice in free
    )


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
    worse = worse or not _forbidding(tried) <= _forbidding(plan) or _needs_more_of_what_lacks(plan, tried)
    saves = _memory_is_short(plan) and saved_bytes >= LEAST_SAVING * before
    clears = _forbidding(tried) < _forbidding(plan)
    if worse or not (better or clears or saves or speedup >= LEAST_SPEEDUP):
        return None
    effects = [_memory_effect(saved_bytes, before), _time_effect(speedup), price]
    return Advice(
        change=option,
        effect=", ".join(effect for effect in effects if effect) or "makes room",
        memory_bytes=-saved_bytes,
        speedup_ratio=speedup,
        status=tried.verdict.status,
    )


def _forbidding(plan: Plan) -> set[Resource]:
    return {reason.resource for reason in plan.reasons if reason.status is Status.NO_GO}


def _needs_more_of_what_lacks(plan: Plan, tried: Plan) -> bool:
    """Whether what forbids the run now would lack still more: a cache in RAM that is too small without it."""
    before, after = _needs(plan.run), _needs(tried.run)
    return any(after[lacking] > before[lacking] for lacking in _forbidding(plan) & before.keys())


def _needs(run: RunEstimate) -> dict[Resource, float]:
    """Bytes of what a change must not take where it lacks; time is what a change may pay with."""
    gpu, host = run.memory.gpu, run.memory.host
    return {
        Resource.GPU_MEMORY: 0.0 if gpu is None else gpu.required_bytes.low,
        Resource.RAM: host.ram_bytes.expected,
        Resource.DISK: run.memory.disk.disk_bytes.expected,
    }


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


def _time_is_short(plan: Plan) -> bool:
    return any(reason.status is not Status.GO and reason.resource is Resource.TIME for reason in plan.reasons)


def _memory_is_short(plan: Plan) -> bool:
    return any(
        reason.status is not Status.GO and reason.resource in (Resource.GPU_MEMORY, Resource.RAM)
        for reason in plan.reasons
    )


def _memory_bytes(run: RunEstimate) -> float:
    """The figure that decides: device memory on a GPU, RAM on a CPU."""
    gpu = run.memory.gpu
    return run.memory.host.ram_bytes.expected if gpu is None else gpu.device_bytes.expected
