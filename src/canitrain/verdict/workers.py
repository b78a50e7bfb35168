"""How many loader workers ``/dev/shm`` has room for."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.question import Estimator, Question, RunEstimate


def fitting_workers(question: Question, run: RunEstimate, estimate: Estimator) -> int:
    """The most workers a GPU, up to the recipe's, whose batches surely fit into ``/dev/shm`` at ``run``'s batch size.

    The recipe's own where its free size is unknown. Bisects, for need only grows with workers; none need nothing.
    """
    host, most = run.memory.host, question.recipe.workers
    budget_bytes = host.shm_budget_bytes
    if budget_bytes is None or host.shm_bytes.high <= budget_bytes:
        return most
    fitting, too_many = 0, most
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fewer = replace(question, recipe=replace(question.recipe, workers=middle))
        if estimate(fewer, run.batch_size).memory.host.shm_bytes.high <= budget_bytes:
            fitting = middle
        else:
            too_many = middle
    return fitting
