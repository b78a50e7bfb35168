"""What the pool of torch's allocator keeps beyond live bytes: as replayed at some batches, or a polynomial of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import SlackReplays
from canitrain.trace.fit import nonnegative_least_squares, terms, tidy
from canitrain.trace.pool import Allocations, Weights, replay
from canitrain.trace.subject import Shape

BATCHES = (4, 8, 16, 32, 64, 128)
"""At which the pool is replayed: every activation is as large as the traced one times the ratio of the batches."""
REPLAYED_BATCHES = (1, 2, *BATCHES)
"""Of a training step's slack, so that it is nowhere extrapolated to fewer images."""
VARYING_SIZE = (0.8, 1.0, 0.65, 0.9, 0.75, 1.0, 0.55, 0.85, 1.0)
"""Steps of batches whose padded pixels differ, as shares of the largest: between a square and the most oblong image."""


def fit_slack(
    shape: Shape,
    steps: Mapping[int, Allocations],
    weights: Weights,
    basis: Sequence[str],
    sizes: Sequence[float] = VARYING_SIZE,
) -> Polynomial:
    """The slack of batches of varying size as a polynomial in the batch and, where ``basis`` has pixels, in the pixels.

    Args:
        shape: at which ``steps`` were traced but for their batch, near the real image size.
        steps: what a step allocates, by its batch. What is done image by image grows with the images' size and not
            with their number: a batch that was not traced is replayed from the next larger one, or from the largest.
        weights: what exists before the step and what the optimizer adds.
        basis: the subject's.
        sizes: of the batches, one a step, as shares of the largest.
    """
    replays = []
    for each in REPLAYED_BATCHES:
        traced = min((batch for batch in steps if batch >= each), default=max(steps))
        replays.append(replay(steps[traced], weights, each / traced, sizes))
    reserved_bytes, highest_bytes = np.array(replays, dtype=float).T
    return fit_over_batches(shape, basis, reserved_bytes - highest_bytes, reserved_bytes, REPLAYED_BATCHES)


def replay_slack(shape: Shape, allocations: Allocations, weights: Weights) -> SlackReplays:
    """The slack of batches of one size.

    Where a larger batch happens to reserve less than a smaller one, both get their mean: an estimate never falls.

    Args:
        shape: at which ``allocations`` were traced, near the real image size.
        allocations: of one traced step.
        weights: what exists before the step and what the optimizer adds.
    """
    batch, height, width, _boxes = shape
    pools = [replay(allocations, weights, each / batch) for each in REPLAYED_BATCHES]
    reserved_bytes = nearest_rising([float(reserved) for reserved, _ in pools])
    return SlackReplays(
        pixels=height * width,
        batches=REPLAYED_BATCHES,
        slack_bytes=tuple(round(rising) - highest for rising, (_, highest) in zip(reserved_bytes, pools, strict=True)),
    )


def nearest_rising(values: Sequence[float]) -> list[float]:
    """The sequence nearest to ``values`` by least squares that never falls: means of neighbours that do.

    Source: pool adjacent violators (Ayer et al. 1955).
    """
    means: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while means and means[-1][0] > mean:
            before, of_before = means.pop()
            mean, count = (before * of_before + mean * count) / (of_before + count), of_before + count
        means.append((mean, count))
    return [mean for mean, count in means for _ in range(count)]


def fit_over_batches(
    shape: Shape,
    basis: Sequence[str],
    kept_bytes: NDArray[np.float64],
    reserved_bytes: NDArray[np.float64],
    batches: Sequence[int] = BATCHES,
) -> Polynomial:
    """``kept_bytes``, one at each of ``batches``, as a polynomial in the batch and, where ``basis`` has it, in pixels.

    The error counts as a share of the whole pool: what is kept is next to nothing at some sizes.
    """
    _batch, height, width, boxes = shape
    wanted = ("one", "bp") if "bp" in basis else ("one", "b")
    matrix = np.array([terms((each, height, width, boxes), wanted) for each in batches])
    columns, largest_bytes = matrix.max(axis=0), reserved_bytes.max()
    weights_of_rows = largest_bytes / reserved_bytes
    solution = largest_bytes * nonnegative_least_squares(
        matrix / columns * weights_of_rows[:, None],
        kept_bytes / largest_bytes * weights_of_rows,
    )
    return Polynomial(**{name: tidy(value) for name, value in zip(wanted, solution / columns, strict=True)})
