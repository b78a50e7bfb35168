"""What the first validation adds to the allocator's pool: its batches have other blocks than training's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canitrain.core.polynomial import Polynomial
from canitrain.trace.pool import SAME_SIZE, PoolRun, Weights
from canitrain.trace.slack import BATCHES, fit_over_batches
from canitrain.trace.step import StepRecord, record_validation
from canitrain.trace.subject import Built, Validation

EPOCHS = 2
"""Replayed: the second validation finds the blocks of the first, and adds next to nothing."""


def fit_validation(
    built: Built, validation: Validation, record: StepRecord, weights: Weights, basis: Sequence[str]
) -> Polynomial:
    """The growth as a polynomial in the batch and, where ``basis`` has pixels, in the pixels of training.

    Args:
        built: what was traced.
        validation: how it is validated.
        record: a training step near the real image size.
        weights: what exists before the step and what the optimizer adds.
        basis: the subject's.
    """
    traced = record_validation(built, validation, record.shape)
    grown_bytes, reserved_bytes = [], []
    for batch in BATCHES:
        scale = batch / record.shape[0]
        run = PoolRun(weights)
        for size in SAME_SIZE:
            run.train(record.allocations, scale * size)
        before_bytes = run.pool.reserved_bytes
        for _ in range(EPOCHS):
            for size in validation.sizes:
                run.validate(traced, scale * validation.batch_ratio * size)
            run.train(record.allocations, scale)
        grown_bytes.append(run.pool.reserved_bytes - before_bytes)
        reserved_bytes.append(run.pool.reserved_bytes)
    return fit_over_batches(record.shape, basis, np.array(grown_bytes, float), np.array(reserved_bytes, float))
