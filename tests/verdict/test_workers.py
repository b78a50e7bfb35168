"""As many loader workers are recommended as /dev/shm has room for."""

from __future__ import annotations

import pytest
from runs import GIB, estimate, estimator, question, run

from canitrain.core.interval import exactly
from canitrain.core.question import Question, RunEstimate
from canitrain.core.report import Status
from canitrain.verdict.advice import advise
from canitrain.verdict.plan import make_plan


def with_shm(free_gib: float | None) -> object:
    """Half a GiB of ``/dev/shm`` a worker."""

    @estimator
    def estimated(asked: Question, batch_size: int) -> RunEstimate:
        plain = estimate(asked, batch_size)
        return run(
            device=plain.memory.gpu.device_bytes,
            budget_bytes=asked.target.budget_bytes,
            batch_size=batch_size,
            images_per_s=plain.time.images_per_s,
            shm=exactly(0.5 * GIB * asked.recipe.workers),
            shm_budget_bytes=None if free_gib is None else free_gib * GIB,
        )

    return estimated


@pytest.mark.parametrize(
    ("free_gib", "workers"),
    [
        (4.0, 8),  # 8 * 0.5 = 4
        (3.9, 7),
        (2.6, 5),
        (0.5, 1),
        (0.4, 0),  # the process itself loads
        (0.0, 0),
        (None, 8),  # unknown: nothing better is known than the recipe's
    ],
)
def test_workers_that_fit(free_gib: float | None, workers: int) -> None:
    found = make_plan(question(workers=8), with_shm(free_gib))

    assert found.recommendation.workers == workers
    assert found.verdict.status is (Status.GO if free_gib == 4.0 else Status.TIGHT)


def test_the_workers_that_fit_are_advised_with_the_verdict_they_lead_to() -> None:
    asked, estimated = question(workers=8), with_shm(1.6)
    advice = advise(asked, make_plan(asked, estimated), estimated)

    assert [each.status for each in advice if each.change == "--workers 3"] == [Status.GO]
