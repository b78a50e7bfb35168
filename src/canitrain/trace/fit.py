"""Polynomials from traced values: non-negative least squares over the basis that a subject needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from canitrain.core.polynomial import Polynomial
from canitrain.trace.subject import Shape

_ITERATIONS = 200
_NEGLIGIBLE = 1e-12
"""Terms below this share of a value are rounding."""
_SIGNIFICANT_DIGITS = 7

Array: TypeAlias = NDArray[np.float64]


def terms(shape: Shape, basis: Sequence[str]) -> list[float]:
    """The value of each basis term at ``shape``: ``bpp`` is batch x pixels x pixels."""
    batch, height, width, boxes = shape
    factors = {"b": batch, "p": height * width, "n": boxes}
    values = []
    for name in basis:
        value = 1.0
        if name != "one":
            for letter in name:
                value *= factors[letter]
        values.append(value)
    return values


def nonnegative_least_squares(matrix: Array, target: Array) -> Array:
    """The ``x >= 0`` that minimizes ``|matrix x - target|``.

    Source: Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    columns = matrix.shape[1]
    active, refused = np.zeros(columns, dtype=bool), np.zeros(columns, dtype=bool)
    solution = np.zeros(columns)
    tolerance = _NEGLIGIBLE * float(np.abs(matrix.T @ target).max(initial=0.0))
    for _ in range(_ITERATIONS):
        slope = np.where(active | refused, -np.inf, matrix.T @ (target - matrix @ solution))
        entering = int(slope.argmax())
        if slope[entering] <= tolerance:
            break
        active[entering] = True
        trial = _least_squares(matrix, target, active)
        if trial[entering] <= 0:
            # Rounding alone makes its slope look worthwhile; it would leave again at once, and enter again, forever.
            active[entering], refused[entering] = False, True
            continue
        refused[:] = False
        while active.any() and trial[active].min() <= 0:
            blocking = active & (trial <= 0)
            step = (solution[blocking] / (solution[blocking] - trial[blocking] + np.finfo(float).tiny)).min()
            solution += step * (trial - solution)
            active &= solution > _NEGLIGIBLE * float(solution.max())
            trial = _least_squares(matrix, target, active)
        solution = trial
    return solution


def _least_squares(matrix: Array, target: Array, active: NDArray[np.bool_]) -> Array:
    """The unconstrained solution over the ``active`` columns, zero in all others."""
    solution = np.zeros(matrix.shape[1])
    if active.any():
        solution[active] = np.linalg.lstsq(matrix[:, active], target, rcond=None)[0]
    return solution


class Fitter:
    """Solves for many quantities that were traced at the same shapes."""

    def __init__(self, shapes: Sequence[Shape], basis: Sequence[str]) -> None:
        """Prepare the matrix of ``basis`` at ``shapes``, every column scaled to its largest value."""
        self.basis = tuple(basis)
        raw = np.array([terms(shape, basis) for shape in shapes], dtype=float)
        self._scale = raw.max(axis=0)
        self._matrix = raw / self._scale
        self._inverse = np.linalg.pinv(self._matrix)
        self._seen: dict[tuple[float, ...], Polynomial] = {}

    def fit(self, values: Sequence[float]) -> Polynomial:
        """The polynomial with the least squared relative error; all zero where every value is."""
        key = tuple(values)
        if key not in self._seen:
            self._seen[key] = self._solve(np.array(key, dtype=float))
        return self._seen[key]

    def _solve(self, values: Array) -> Polynomial:
        top = float(values.max(initial=0.0))
        if top <= 0:
            return Polynomial()
        exact = self._inverse @ values
        misses = np.abs(self._matrix @ exact - values).max()
        if exact.min() >= -1e-9 * top and misses <= 1e-9 * top:
            coefficients = exact
        else:
            weights = 1.0 / np.maximum(values, top * 1e-3)
            coefficients = nonnegative_least_squares(self._matrix * weights[:, None], values * weights)
        kept = np.where(coefficients < 1e-9 * top, 0.0, coefficients) / self._scale
        return Polynomial(**{name: tidy(value) for name, value in zip(self.basis, kept, strict=True) if value > 0})


def tidy(value: float) -> float:
    """``value`` with seven significant digits, or the whole number that it is next to."""
    nearest = round(value)
    if nearest and abs(value - nearest) <= 1e-9 * abs(nearest):
        return float(nearest)
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
