"""From a question to the batch to use, the table of batches, and the reasons behind the verdict."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.report import BatchRow, Reason, Recommendation, Status, Verdict
from canitrain.verdict.batches import (
    Candidate,
    accumulation_steps,
    batch_steps,
    choose,
    dataset_limit,
    largest_batch,
    recipe_limit,
)
from canitrain.verdict.rules import batch_status, gpu_memory_rule, judge, verdict_of
from canitrain.verdict.workers import fitting_workers

ROWS_BEYOND = 1
"""Batch sizes shown beyond the first that does not fit."""


class Plan(Struct, frozen=True, kw_only=True):
    """``run`` is at the recommended batch, at ``--batch-size`` where given, at the smallest where nothing fits."""

    run: RunEstimate
    reasons: tuple[Reason, ...]
    verdict: Verdict
    recommendation: Recommendation
    candidates: tuple[Candidate, ...]

    @property
    def rows(self) -> tuple[BatchRow, ...]:
        """The table of batch sizes."""
        return tuple(
            BatchRow(
                batch_size=each.batch_size,
                status=each.status,
                device_bytes=_deciding_bytes(each.run),
                step_s=each.run.time.step_s.expected,
                images_per_s=each.run.time.images_per_s,
                required_bytes=None if each.run.memory.gpu is None else each.run.memory.gpu.required_bytes.expected,
            )
            for each in self.candidates
        )


def make_plan(question: Question, estimate: Estimator) -> Plan:
    """Walk up the batch sizes, the largest that fits among them, choose one, and judge the run at it."""
    given = question.recipe.batch_size
    candidates = _candidates(question, estimate)
    choice = choose(question, candidates)
    chosen = choice.candidate
    if given is not None:
        run = next(each.run for each in candidates if each.batch_size == given)
    else:
        run = _fallback(question, candidates).run if chosen is None else chosen.run
    reasons = judge(question, run)
    recipe = question.recipe
    return Plan(
        run=run,
        reasons=reasons,
        verdict=verdict_of(reasons),
        recommendation=Recommendation(
            batch_size=None if chosen is None else chosen.batch_size,
            precision=recipe.precision,
            accumulation_steps=1 if chosen is None else accumulation_steps(question, chosen.batch_size),
            workers=fitting_workers(question, run if chosen is None else chosen.run, estimate),
            image_size=recipe.image_size,
            batch_reason=choice.reason,
        ),
        candidates=candidates,
    )


def replan(question: Question, estimate: Estimator, batch_size: int) -> Plan:
    """The plan at ``batch_size`` alone: what a change does when nothing else moves."""
    return make_single(replace(question, recipe=replace(question.recipe, batch_size=batch_size)), estimate)


def make_single(question: Question, estimate: Estimator) -> Plan:
    """The plan of a question whose batch size is given, without looking at any other."""
    recipe = question.recipe
    assert recipe.batch_size is not None
    run = estimate(question, recipe.batch_size)
    candidate = _candidate(question, run)
    reasons = judge(question, run)
    fits = candidate.status in (Status.GO, Status.TIGHT)
    return Plan(
        run=run,
        reasons=reasons,
        verdict=verdict_of(reasons),
        recommendation=Recommendation(
            batch_size=recipe.batch_size if fits else None,
            precision=recipe.precision,
            accumulation_steps=accumulation_steps(question, recipe.batch_size),
            workers=recipe.workers,
            image_size=recipe.image_size,
            batch_reason="as given",
        ),
        candidates=(candidate,),
    )


def _candidates(question: Question, estimate: Estimator) -> tuple[Candidate, ...]:
    given = question.recipe.batch_size
    limit = dataset_limit(question)
    largest = largest_batch(question, estimate, limit)
    also = [min(limit, recipe_limit(question))] + [each for each in (largest, given) if each is not None]
    found: list[Candidate] = []
    beyond = 0
    for batch_size in batch_steps(limit, *also):
        if beyond > ROWS_BEYOND and batch_size != given:
            continue
        run = estimate(question, batch_size)
        candidate = _candidate(question, run)
        found.append(candidate)
        # RAM that is too small for any batch says nothing of what the card holds.
        beyond += (candidate.gpu_status or candidate.status) is Status.NO_GO
    return tuple(found)


def _candidate(question: Question, run: RunEstimate) -> Candidate:
    reason = gpu_memory_rule(question, run)
    return Candidate(run=run, status=batch_status(question, run), gpu_status=None if reason is None else reason.status)


def _fallback(question: Question, candidates: tuple[Candidate, ...]) -> Candidate:
    """What to speak of where no batch can be recommended: the recipe's as far as the GPU holds it, else the first."""
    near = [
        each
        for each in candidates
        if each.batch_size <= recipe_limit(question) and (each.gpu_status or each.status) in (Status.GO, Status.UNKNOWN)
    ]
    return near[-1] if near else candidates[0]


def _deciding_bytes(run: RunEstimate) -> float | None:
    memory = run.memory
    return memory.host.ram_bytes.expected if memory.gpu is None else memory.gpu.device_bytes.expected
