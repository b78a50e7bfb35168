"""Fits the GPU curves of ``profiles/calibration/time.toml`` on timed runs of others, and says how well they hold.

    python tools/fit_time.py CALIBRATION_FOLDER TRACES_FOLDER [TRACES_FOLDER ...] [--write]

CALIBRATION_FOLDER has ``timm_speed.csv`` and ``published.csv``; a TRACES_FOLDER has profiles of timm models (``canitrain
trace timm:NAME``), one a file. Needs numpy and scipy. Folds go by model (a card of the fit, a model it has not seen), by
card and by architecture; every printed error and every interval is of held-out rows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from calibration_toml import write_time_toml
from scipy.optimize import least_squares
from time_table import CELLS, LONE_PRIORS, RATES, Table
from timed_runs import TimedRun, published_runs, timm_runs

from canitrain.catalog import find_card
from canitrain.core.evidence import EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.profile import ModelProfile

ERROR_SCALE = 0.1
"""Errors beyond this weigh linearly, not squared."""
ROWS_A_CARD = 60
"""A card with more rows weighs as much as one with this many."""
INFERENCE_MODELS = 80
FOLDS = 5
TAIL = 0.04
"""Share of held-out rows that may lie beyond each end of an interval."""


def load_profiles(folders: list[Path]) -> dict[str, ModelProfile]:
    """Every profile in ``folders``, by file name."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=ModelProfile)
        for folder in folders
        for path in sorted(folder.glob("*.json"))
    }


def usable_runs(folder: Path, profiles: dict[str, ModelProfile]) -> list[TimedRun]:
    """Runs whose model was traced at their image size; inference of some models only, once a card and layout."""
    runs = [*timm_runs(folder / "timm_speed.csv"), *published_runs(folder / "published.csv")]
    traced = [
        run
        for run in runs
        if run.model in profiles and profiles[run.model].defaults.image_size.shorter == run.image_size
    ]
    inferred = sorted({run.model for run in traced if not run.training})
    some = set(np.random.default_rng(0).permutation(inferred)[:INFERENCE_MODELS])
    once = {(r.source, r.card, r.model, r.channels_last, r.batch_size, r.precision): r for r in traced}
    return [run for run in once.values() if run.training or run.model in some]


def fit(table: Table, rows: np.ndarray) -> np.ndarray:
    """The logarithms of all coefficients that explain the chosen rows best, close to their priors where rows say little."""
    mean, spread = table.parameters.prior()
    counts = Counter(run.card for run, chosen in zip(table.runs, rows, strict=True) if chosen)
    weights = np.array([min(1.0, ROWS_A_CARD / max(1, counts[run.card])) ** 0.5 for run in table.runs])[rows]

    def residuals(logs: np.ndarray) -> np.ndarray:
        scaled = np.log(table.predict(logs)[0] / table.step_s)[rows] / ERROR_SCALE
        return np.concatenate([weights * _soft(scaled)[0], (logs - mean) / spread])

    def slopes(logs: np.ndarray) -> np.ndarray:
        seconds, slope = table.predict(logs)
        scaled = np.log(seconds / table.step_s)[rows] / ERROR_SCALE
        relative = (slope / seconds[:, None])[rows] / ERROR_SCALE
        return np.vstack([(weights * _soft(scaled)[1])[:, None] * relative, np.diag(1 / spread)])

    return least_squares(residuals, mean, slopes, max_nfev=60).x


def _soft(error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the soft absolute value, signed, and its derivative."""
    root = np.sqrt(1 + error**2)
    value = np.sign(error) * np.sqrt(2 * (root - 1))
    return value, np.where(np.abs(error) > 1e-6, np.abs(error) / root / np.maximum(np.abs(value), 1e-9), 1.0)


def held_out(table: Table, fold_of: Callable[[TimedRun, GpuSpec], object]) -> np.ndarray:
    """Seconds of every run, predicted by a fit that saw none of its fold."""
    folds = [fold_of(run, card) for run, card in zip(table.runs, table.cards, strict=True)]
    predicted = np.zeros(len(table.runs))
    for fold in sorted(set(folds), key=str):
        inside = np.array([own == fold for own in folds])
        predicted[inside] = table.predict(fit(table, ~inside))[0][inside]
    return predicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("traces", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="time.toml to rewrite")
    options = parser.parse_args()
    profiles = load_profiles(options.traces)
    runs = usable_runs(options.calibration, profiles)
    table = Table(runs, profiles, {run.card: find_card(run.card) for run in runs})
    print(f"{len(profiles)} profiles, {len(runs)} runs: {dict(Counter(run.source for run in runs))}")
    logs = fit(table, np.ones(len(runs), dtype=bool))
    models = {name: index % FOLDS for index, name in enumerate(np.random.default_rng(1).permutation(sorted(profiles)))}
    by_model = held_out(table, lambda run, _: models[run.model])
    by_card = held_out(table, lambda _, card: card.name)
    by_generation = held_out(table, lambda _, card: card.generation.value)
    peak = table.at_peak_s()
    fullness = Counter(run.card for run in runs)
    many = np.array([fullness[run.card] > ROWS_A_CARD for run in runs])
    plain = np.array([run.training and not run.channels_last for run in runs])
    widths = {}
    for title, predicted, rows, level in (
        ("training, NCHW, unseen model on a card of the fit", by_model, plain & many, EvidenceLevel.CALIBRATED),
        ("training, NHWC, unseen model on a card of the fit", by_model, table.training & ~plain & many, None),
        ("inference, unseen model on a card of the fit", by_model, ~table.training & many, None),
        ("training, unseen card", by_card, plain, EvidenceLevel.GENERATION),
        ("training, unseen card, published only", by_card, plain & ~many, None),
        ("inference, unseen card", by_card, ~table.training, None),
        ("training, unseen architecture", by_generation, plain, EvidenceLevel.DATASHEET),
    ):
        ratio = (table.step_s / predicted)[rows]
        print(f"{title:52s} {_summary(predicted, table.step_s, rows)} | at peak {_summary(peak, table.step_s, rows)}")
        if level is not None:
            widths[level] = (np.quantile(ratio, TAIL), np.quantile(ratio, 1 - TAIL), _summary(predicted, table.step_s, rows))
    _print_cards(table, by_card)
    _print_worst(table, by_model, plain)
    _print_coefficients(table, logs)
    if options.write:
        write_time_toml(options.write, table, logs, widths)


def _summary(predicted: np.ndarray, measured: np.ndarray, rows: np.ndarray) -> str:
    error = np.abs(predicted / measured - 1)[rows]
    return f"median {np.median(error):.1%}, 90th percentile {np.quantile(error, 0.9):.1%}, {rows.sum()} runs"


def _print_cards(table: Table, predicted: np.ndarray) -> None:
    keys = [(card.name, run.source, run.precision.value, run.channels_last) for run, card in zip(table.runs, table.cards, strict=True)]
    for key in sorted(set(keys)):
        rows = np.array([own == key for own in keys])
        error = (predicted / table.step_s - 1)[rows]
        print(f"  {key!s:90s} n {rows.sum():3d}  median {np.median(error):+.3f}  median abs {np.median(np.abs(error)):.3f}")


def _print_worst(table: Table, predicted: np.ndarray, rows: np.ndarray) -> None:
    error = np.log(predicted / table.step_s)
    worst = sorted(np.flatnonzero(rows), key=lambda i: -abs(error[i]))[:25]
    print("worst:", ", ".join(f"{table.runs[i].model} {table.runs[i].source} {np.expm1(error[i]):+.0%}" for i in worst))


def _print_coefficients(table: Table, logs: np.ndarray) -> None:
    values = np.exp(logs)
    for index, (rate, layout, kind) in enumerate(CELLS):
        print(f"  {rate.value} {layout and layout.value} {kind.value:15s} {values[index]:.2f} {values[len(CELLS) + index]:.2f}")
    start = 2 * len(CELLS)
    for index, generation in enumerate(table.parameters.generations):
        own = values[start + index * len(RATES) * 2 :][: len(RATES) * 2]
        print("  ", generation.value, {rate.value: own[2 * i : 2 * i + 2].round(2).tolist() for i, rate in enumerate(RATES)})
    print("  ", dict(zip(LONE_PRIORS, values[-len(LONE_PRIORS) :], strict=True)))


if __name__ == "__main__":
    main()
