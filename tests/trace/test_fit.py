"""The polynomials: least squares as exact as an exhaustive search, whatever the values' size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from canitrain.trace.fit import Fitter, nonnegative_least_squares, terms

SHAPES = ((2, 128, 128, 4), (4, 128, 128, 4), (2, 256, 256, 4), (3, 256, 256, 16), (3, 128, 256, 32), (2, 192, 192, 32))
BASIS = ("one", "b", "p", "bp", "bn", "bpp")


def best_residual(matrix, target):
    """Of every choice of columns whose unconstrained solution is not negative, the least residual."""
    least = float(np.linalg.norm(target))
    for count in range(1, matrix.shape[1] + 1):
        for chosen in combinations(range(matrix.shape[1]), count):
            part = matrix[:, chosen]
            solution = np.linalg.lstsq(part, target, rcond=None)[0]
            if solution.min() >= 0:
                least = min(least, float(np.linalg.norm(part @ solution - target)))
    return least


@pytest.mark.parametrize("seed", range(12))
def test_no_other_choice_of_terms_comes_closer(seed):
    random = np.random.default_rng(seed)
    true = np.where(random.random(6) < 0.5, 0, random.random(6) * [1e6, 1e5, 10, 200, 100, 1e-4])
    matrix = np.array([terms(shape, BASIS) for shape in SHAPES])
    values = np.round(matrix @ true / 512) * 512 + random.integers(-1, 2, 6) * 512 + 4096
    # As the fitter weighs them: errors relative to the value, so that entries are near 1e-7.
    weighted = matrix / matrix.max(axis=0) / values[:, None]
    target = np.ones(6)

    found = nonnegative_least_squares(weighted, target)

    assert found.min() >= 0
    assert np.linalg.norm(weighted @ found - target) <= best_residual(weighted, target) * 1.001 + 1e-9


def test_live_bytes_of_a_half_precision_trace_extrapolate():
    # Of a small detector under autocast: 2.33 MB of weights and 144 bytes a pixel of every image, to the nearest 512.
    live = [7_059_456, 11_786_240, 21_239_808, 30_693_376, 16_514_048, 12_967_936]

    polynomial = Fitter(SHAPES, BASIS).fit(live)

    def predicted(shape):
        return sum(getattr(polynomial, name) * term for name, term in zip(BASIS, terms(shape, BASIS), strict=True))

    assert predicted((2, 320, 320, 8)) == pytest.approx(31_875_072, rel=0.01)
    assert predicted((4, 224, 224, 8)) == pytest.approx(31_284_224, rel=0.01)
