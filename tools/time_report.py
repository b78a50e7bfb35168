"""What ``fit_time.py`` prints of a fit."""

from __future__ import annotations

import numpy as np
from time_table import CELLS, LONE_PRIORS, Table


def summary(predicted: np.ndarray, measured: np.ndarray, rows: np.ndarray) -> str:
    """Median and 90th percentile of the relative error over ``rows``."""
    error = np.abs(predicted / measured - 1)[rows]
    return f"median {np.median(error):.1%}, 90th percentile {np.quantile(error, 0.9):.1%}, {rows.sum()} runs"


def print_cards(table: Table, predicted: np.ndarray) -> None:
    """Median error of each card, source, precision and layout."""
    keys = [
        (card.name, run.source, run.precision.value, run.channels_last)
        for run, card in zip(table.runs, table.cards, strict=True)
    ]
    for key in sorted(set(keys)):
        rows = np.array([own == key for own in keys])
        error = (predicted / table.step_s - 1)[rows]
        print(
            f"  {key!s:90s} {rows.sum():3d} runs  median {np.median(error):+.3f}, size {np.median(np.abs(error)):.3f}"
        )


def print_worst(table: Table, predicted: np.ndarray, rows: np.ndarray) -> None:
    """The 25 runs that are predicted worst."""
    error = np.log(predicted / table.step_s)
    worst = sorted(np.flatnonzero(rows), key=lambda i: -abs(error[i]))[:25]
    print("worst:", ", ".join(f"{table.runs[i].model} {table.runs[i].source} {np.expm1(error[i]):+.0%}" for i in worst))


def print_coefficients(logs: np.ndarray) -> None:
    """Shares of arithmetic, bandwidth and backward by cell, then the lone ones."""
    values = np.exp(logs)
    for index, (rate, layout, kind, grouped) in enumerate(CELLS):
        print(
            f"  {rate.value} {layout and layout.value} {kind.value:15s} {grouped}"
            f" {values[index]:.2f} {values[len(CELLS) + index]:.2f} {values[2 * len(CELLS) + index]:.2f}"
        )
    print(
        "  ",
        {name: float(f"{value:.3g}") for name, value in zip(LONE_PRIORS, values[-len(LONE_PRIORS) :], strict=True)},
    )
