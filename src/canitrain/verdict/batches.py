"""Which batch sizes to look at, and which of them to recommend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.report import Status
from canitrain.core.units import counted, format_bytes, format_number
from canitrain.verdict.rules import batch_status

LARGEST_BATCH = 1024
"""Images a GPU and step; no detector's recipe goes near it."""
AS_FAST_RATIO = 0.95
"""Share of a larger batch's throughput that counts as just as fast. A judgement of ours: whatever moves the images
between updates also moves the learning rate, which 5 % do not pay for."""
KEPT_RATIO = 0.05
"""How far images between updates may lie from the recipe's effective batch and still keep it; a judgement of ours."""


def largest_batch(question: Question, estimate: Estimator, limit: int = LARGEST_BATCH) -> int | None:
    """The largest batch up to ``limit`` whose memory surely fits; ``None`` where none does.

    Exact, because memory never falls with the batch.
    """
    at = estimate.memory(question)
    return _last(lambda batch_size: batch_status(question, at(batch_size)) is Status.GO, limit)


class Candidate(Struct, frozen=True, kw_only=True):
    """A batch size, what it takes, and whether it fits into memory."""

    run: RunEstimate
    status: Status
    gpu_status: Status | None
    """Of GPU memory alone; ``None`` on a CPU."""

    @property
    def batch_size(self) -> int:
        """Images a GPU and step."""
        return self.run.batch_size


class Choice(Struct, frozen=True, kw_only=True):
    """The recommended candidate, ``None`` where nothing fits, and what capped it."""

    candidate: Candidate | None
    reason: str


def batch_steps(limit: int, *also: int) -> Iterator[int]:
    """1, 2, 4, 6, 8, 12, 16, 24 ... up to ``limit``, with ``limit`` and ``also`` among them, ascending."""
    steps = {1, 2, *also}
    power = 4
    while power <= limit:
        steps |= {power, power * 3 // 2}
        power *= 2
    if limit < LARGEST_BATCH:
        steps.add(limit)
    return iter(sorted(step for step in steps if step <= limit or step in also))


def dataset_limit(question: Question) -> int:
    """The largest batch a GPU that the dataset fills, at most ``LARGEST_BATCH``."""
    return max(1, min(LARGEST_BATCH, question.dataset.images // question.recipe.all_gpus))


def recipe_limit(question: Question) -> int:
    """Images a GPU and step at the recipe's effective batch."""
    return max(1, question.recipe.effective_batch_size // question.recipe.all_gpus)


def choose(question: Question, candidates: Sequence[Candidate]) -> Choice:
    """The largest candidate that surely fits and keeps the recipe's effective batch, or a larger one that pays.

    Where none surely fits, the smallest that may. ``candidates`` hold the largest batch of all that surely fits.
    """
    fitting = [candidate for candidate in candidates if candidate.status is Status.GO]
    if not fitting:
        return _squeezed(question, candidates)
    largest, limit = fitting[-1], recipe_limit(question)
    kept = [candidate for candidate in fitting if candidate.batch_size <= limit]
    beyond = [candidate for candidate in fitting if candidate.batch_size > limit]
    chosen = min((*_keeping(question, kept), *beyond), key=lambda each: relative_run_time(question, each.run))
    if chosen is largest:
        capped = chosen.batch_size >= dataset_limit(question)
        reason = f"the dataset has {counted(question.dataset.images, 'image')}" if capped else _memory_reason(chosen)
        return Choice(candidate=chosen, reason=reason)
    effective = question.recipe.effective_batch_size
    if chosen.batch_size < limit and keeps_recipe(question, chosen.batch_size):
        return Choice(
            candidate=chosen,
            reason=f"the largest shown that surely fits and keeps the recipe's effective batch of {effective:,}",
        )
    gain = max(each.run.time.images_per_s for each in fitting) / chosen.run.time.images_per_s
    faster = (
        ", are hardly faster, and"
        if gain * AS_FAST_RATIO <= 1
        else f" and give up to {format_number(gain)}x the images/s, but"
    )
    beyond_already = chosen.batch_size * question.recipe.all_gpus > effective
    leave = "would go still further beyond" if beyond_already else "would leave"
    return Choice(
        candidate=chosen, reason=f"larger ones fit{faster} {leave} the recipe's effective batch of {effective:,}"
    )


def relative_run_time(question: Question, run: RunEstimate) -> float:
    """Time to the same accuracy, up to a factor: images that it takes / images a second.

    Updates get fewer as they get larger, and beyond a critical size need more images for the same accuracy, in
    proportion to ``1 + images an update / critical size``. Whoever tuned the recipe is taken to have stopped there.

    Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training" (arXiv 1812.06162), section 2.
    Known limitation: the critical size depends on data and model and grows during the run; nobody states it.
    """
    return (1 + update_ratio(question, run.batch_size)) / run.time.images_per_s


def _keeping(question: Question, kept: Sequence[Candidate]) -> Sequence[Candidate]:
    """The largest up to the recipe's batch, or the largest that keeps it just so where that is as fast; or none."""
    true = [each for each in kept if keeps_recipe(question, each.batch_size)]
    if true and true[-1].run.time.images_per_s >= AS_FAST_RATIO * kept[-1].run.time.images_per_s:
        return true[-1:]
    return kept[-1:]


def keeps_recipe(question: Question, batch_size: int) -> bool:
    """Whether accumulation brings ``batch_size`` to the recipe's effective batch."""
    return abs(update_ratio(question, batch_size) - 1) <= KEPT_RATIO


def update_ratio(question: Question, batch_size: int) -> float:
    """Images between two updates / the recipe's effective batch; an epoch's last update has what is left."""
    whole = batch_size * question.recipe.all_gpus
    images = min(whole * accumulation_steps(question, batch_size), max(whole, question.dataset.images))
    return images / question.recipe.effective_batch_size


def accumulation_steps(question: Question, batch_size: int) -> int:
    """Steps between updates that keep the recipe's effective batch, 1 where the batch already is as large.

    At most the steps of an epoch: what is left over at its end is not carried into the next. Source: yolov5 7.0
    ``train.py``, ``optimizer.zero_grad()`` before each epoch's batches.
    """
    whole = batch_size * question.recipe.all_gpus
    steps = round(question.recipe.effective_batch_size / whole)
    return max(1, min(steps, math.ceil(question.dataset.images / whole)))


def _last(fits: Callable[[int], bool], limit: int) -> int | None:
    """The largest number in ``1 .. limit`` for which ``fits`` holds, given that it holds up to there and not beyond."""
    if limit < 1 or not fits(1):
        return None
    low, high = 1, 2
    while high <= limit and fits(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def _squeezed(question: Question, candidates: Sequence[Candidate]) -> Choice:
    tight = [candidate for candidate in candidates if candidate.status is Status.TIGHT]
    held = [each for each in tight if each.gpu_status is Status.GO and each.batch_size <= recipe_limit(question)]
    if held:
        return Choice(candidate=held[-1], reason="the GPU holds it; RAM is tight at any batch")
    if tight:
        return Choice(candidate=tight[0], reason="no batch surely fits, and the smallest needs least")
    if any(candidate.status is Status.UNKNOWN for candidate in candidates):
        return Choice(candidate=None, reason="how much memory is free is unknown")
    host = candidates[0].run.memory.host
    short_of_ram = host.ram_budget_bytes is not None and host.ram_bytes.expected > host.ram_budget_bytes
    return Choice(candidate=None, reason=f"no batch fits into {'RAM' if short_of_ram else 'GPU memory'}")


def _memory_reason(chosen: Candidate) -> str:
    gpu = chosen.run.memory.gpu
    if gpu is None or gpu.budget_bytes is None:
        return "the largest that fits into RAM"
    return f"the largest that surely fits into {format_bytes(gpu.budget_bytes)} of GPU memory"
