"""Fits the GPU curves of ``profiles/calibration/time.toml`` on timed runs of others, and says how well they hold.

    python tools/fit_time.py CALIBRATION_FOLDER TRACES_FOLDER [TRACES_FOLDER ...] [--write]

CALIBRATION_FOLDER has ``timm_speed.csv``, ``published.csv`` and ``add_kernels_fp32.csv``; TRACES_FOLDERs have profiles
of models of timm and torchvision (``tools/trace_for_fits.py``), a file each; of two with one name the later folder's
counts. Needs numpy and scipy. Folds go by model (a card of the fit, an unseen model), by card and by architecture;
every printed error and every interval is of held-out rows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from calibration_toml import read_time_toml, write_time_toml
from fit_launches import launch_fit
from msgspec.structs import replace
from scipy.optimize import least_squares
from time_report import print_cards, print_coefficients, print_worst, summary
from time_table import CELLS, LONE_PRIORS, STARTS, Table, cell_of, is_copied, prior, start_of
from timed_runs import PUBLISHED_CARDS, TimedAddition, TimedRun, published_runs, timed_additions, timm_runs

from canitrain.catalog import find_card, load_calibration
from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.profile import ModelProfile, WorkKind
from canitrain.core.time_calibration import (
    ConvolutionShapes,
    Curve,
    LaunchCosts,
    Layout,
    LevelWidth,
    Rate,
    TimeCalibration,
    UnfittedWidth,
)
from canitrain.estimate.convolution_time import has_grouped_convolutions
from canitrain.estimate.device_rates import CONVOLUTIONS, working

ERROR_SCALE = 0.1
"""Errors beyond this weigh linearly, not squared."""
ADDITIONS = 15
"""Elementwise kernels timed alone that are used of each card."""
ROWS_A_CARD = 120
"""A card with more rows weighs as much as one with this many."""
MODELS = {True: 10_000, False: 100}
"""How many of the traced models are used of training and of inference runs, drawn by chance."""
INFERENCE_WEIGHT = 0.5
"""Forward passes alone say less of a training step."""
FOLDS = 5
MANY_ROWS = 60
"""Cards with so many rows tell how well a card of the fit is known."""
Width = tuple[float, float, str]
"""Low and high ratio of measured to predicted, and the held-out error in words."""
FITTED = "tools/fit_time.py"
UNSEEN_VENDOR = 1.3
"""Assumed, not measured: what another vendor's software adds at both ends where only the datasheet speaks."""
HOST_SHARE = 0.67
"""A step whose host launches for longer than this share of it says little of its card."""
TAIL = 0.02
"""Share of runs that may lie beyond each end of an interval. At 0.025 the widths of other cards hold 88 % of rows."""


def load_profiles(folders: list[Path]) -> dict[str, ModelProfile]:
    """Every profile in ``folders``, by file name."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=ModelProfile)
        for folder in folders
        for path in sorted(folder.glob("*.json"))
    }


def usable_runs(folder: Path, profiles: dict[str, ModelProfile], host_slowness: dict[str, float]) -> list[TimedRun]:
    """Runs whose model was traced at their image size; inference of some models only, once a card and layout."""
    runs = [*timm_runs(folder / "timm_speed.csv"), *published_runs(folder / "published.csv", host_slowness)]
    traced = [
        run
        for run in runs
        if run.model in profiles and profiles[run.model].defaults.image_size.shorter == run.image_size
    ]
    some = {
        training: set(
            np.random.default_rng(0).permutation(sorted({r.model for r in traced if r.training is training}))[:count]
        )
        for training, count in MODELS.items()
    }
    once = {(r.source, r.card, r.model, r.channels_last, r.batch_size, r.precision): r for r in traced}
    return [
        r
        for r in once.values()
        if "timm" not in r.source or (r.model in some[r.training] and (r.training or r.card != "GeForce RTX 3090"))
    ]


def table_of(folder: Path, profiles: dict[str, ModelProfile]) -> tuple[Table, LaunchCosts]:
    """All runs that say something of their card, and what launches were found to cost."""
    calibration = load_calibration()
    known, copied = calibration.time, calibration.host.handover.copied_bytes_per_s.value
    launches = launch_fit(folder, profiles, calibration)
    slowness = {PUBLISHED_CARDS[key]: value for key, value in launches.slowness.items()}
    runs = [*usable_runs(folder, profiles, slowness), *timed_additions(folder, ADDITIONS)]
    cards = {run.card: working(find_card(run.card), known) for run in runs}
    table = Table(runs, profiles, cards, launches.costs, copied)
    runs = [run for run, host_s in zip(runs, table.host_s, strict=True) if host_s <= HOST_SHARE * run.step_s]
    return Table(runs, profiles, cards, launches.costs, copied), launches.costs


def fit(table: Table, rows: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Logarithms of all coefficients: what explains the chosen rows best, their priors where rows say little."""
    mean, spread = prior()
    counts = Counter(run.card for run, chosen in zip(table.runs, rows, strict=True) if chosen)
    weights = np.array([min(1.0, ROWS_A_CARD / max(1, counts[run.card])) ** 0.5 for run in table.runs])[rows]
    weights *= np.where(table.training[rows], 1.0, INFERENCE_WEIGHT)

    last: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def predict(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = logs.tobytes()
        if key not in last:
            last.clear()
            last[key] = table.predict(logs)
        return last[key]

    def residuals(logs: np.ndarray) -> np.ndarray:
        scaled = np.log(predict(logs)[0] / table.step_s)[rows] / ERROR_SCALE
        return np.concatenate([weights * _soft(scaled)[0], (logs - mean) / spread])

    def slopes(logs: np.ndarray) -> np.ndarray:
        seconds, slope = predict(logs)
        scaled = np.log(seconds / table.step_s)[rows] / ERROR_SCALE
        relative = (slope / seconds[:, None])[rows] / ERROR_SCALE
        return np.vstack([(weights * _soft(scaled)[1])[:, None] * relative, np.diag(1 / spread)])

    return least_squares(
        residuals, mean if start is None else start, slopes, max_nfev=30 if start is None else 8, x_scale=1.0
    ).x


def _soft(error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the soft absolute value, signed, and its derivative."""
    root = np.sqrt(1 + error**2)
    value = np.sign(error) * np.sqrt(2 * (root - 1))
    return value, np.where(np.abs(error) > 1e-6, np.abs(error) / root / np.maximum(np.abs(value), 1e-9), 1.0)


def held_out(table: Table, start: np.ndarray, fold_of: Callable[[TimedRun, GpuSpec], object]) -> np.ndarray:
    """Seconds of every run, predicted by a fit that saw none of its fold."""
    folds = [fold_of(run, card) for run, card in zip(table.runs, table.cards, strict=True)]
    predicted = np.zeros(len(table.runs))
    for fold in sorted(set(folds), key=str):
        inside = np.array([own == fold for own in folds])
        predicted[inside] = table.predict(fit(table, ~inside, start))[0][inside]
    return predicted


def ends(ratios: np.ndarray) -> tuple[float, float]:
    """The interval of a next run: the i-th of n lies, on average over such samples, at i / (n + 1) of all runs."""
    low, high = np.exp(np.quantile(np.log(ratios), (TAIL, 1 - TAIL), method="weibull"))
    return float(low), float(high)


def covered(ratios: np.ndarray, folds: Sequence[object]) -> float:
    """Share of ``ratios`` inside an interval whose width comes from the other folds."""
    own = np.array([str(fold) for fold in folds])
    inside = 0
    for fold in set(own):
        low, high = ends(ratios[own != fold])
        inside += int(((ratios[own == fold] >= low) & (ratios[own == fold] <= high)).sum())
    return inside / len(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("traces", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="time.toml to rewrite")
    options = parser.parse_args()
    profiles = load_profiles(options.traces)
    table, launch = table_of(options.calibration, profiles)
    runs = table.runs
    print(f"{len(profiles)} profiles, {len(runs)} runs: {dict(Counter(run.source for run in runs))}")
    logs = fit(table, np.ones(len(runs), dtype=bool))
    models = {name: index % FOLDS for index, name in enumerate(np.random.default_rng(1).permutation(sorted(profiles)))}
    by_model = held_out(table, logs, lambda run, _: models.get(run.model, 0))
    by_card = held_out(table, logs, lambda _, card: card.name)
    by_generation = held_out(table, logs, lambda _, card: card.generation.value)
    peak = table.at_peak_s()
    fullness = Counter(run.card for run in runs)
    many = np.array([fullness[run.card] >= MANY_ROWS for run in runs])
    plain = np.array([run.training and not run.channels_last for run in runs])
    alone = np.array([isinstance(run, TimedAddition) for run in runs])
    forward = ~table.training & ~alone
    grouped = np.array([run.model in profiles and has_grouped_convolutions(profiles[run.model]) for run in runs])
    nhwc = table.training & ~plain
    widths = {}
    for title, predicted, rows, level in (
        ("training, NCHW, unseen model on a card of the fit", by_model, plain & many, None),
        ("training, NHWC, grouped convolutions", by_model, nhwc & grouped & many, None),
        ("training, NHWC, no grouped convolutions", by_model, nhwc & ~grouped & many, None),
        ("training, NHWC, unseen model on a card of the fit", by_model, nhwc & many, None),
        (
            "training, all but grouped in NHWC, card of the fit",
            by_model,
            (plain | (nhwc & ~grouped)) & many,
            EvidenceLevel.CALIBRATED,
        ),
        ("inference, unseen model on a card of the fit", by_model, forward & many, None),
        ("training, unseen card", by_card, plain, EvidenceLevel.GENERATION),
        ("training, unseen card, published only", by_card, plain & ~many, None),
        ("inference, unseen card", by_card, forward, None),
        ("elementwise kernels, unseen card", by_card, alone, None),
        ("training, unseen architecture", by_generation, plain, EvidenceLevel.DATASHEET),
    ):
        ratio = (table.step_s / predicted)[rows]
        print(f"{title:52s} {summary(predicted, table.step_s, rows)} | at peak {summary(peak, table.step_s, rows)}")
        if level is not None:
            margin = UNSEEN_VENDOR if level is EvidenceLevel.DATASHEET else 1.0
            low, high = ends(ratio)
            widths[level] = (low / margin, high * margin, summary(predicted, table.step_s, rows))
    widths = widening(widths)
    rows = (plain | (nhwc & ~grouped)) & many
    folds = [models.get(run.model, 0) for run, kept in zip(runs, rows, strict=True) if kept]
    cards = [run.card for run, kept in zip(runs, plain, strict=True) if kept]
    print(f"intervals of other folds' widths cover {covered((table.step_s / by_model)[rows], folds):.1%} by model,")
    print(f"  {covered((table.step_s / by_card)[plain], cards):.1%} by card")
    print_cards(table, by_card)
    print_worst(table, by_model, plain)
    print_coefficients(logs)
    if options.write:
        rows = nhwc & grouped & many
        low, high = ends((table.step_s / by_model)[rows])
        case = UnfittedWidth(
            low_ratio=low,
            high_ratio=high,
            source=FITTED,
            residual=f"held-out rows: {summary(by_model, table.step_s, rows)}",
        )
        written = fitted(read_time_toml(options.write), table, logs, widths)
        written = replace(written, grouped_channels_last_width=case, launch=launch)
        write_time_toml(options.write, written)


def fitted(old: TimeCalibration, table: Table, logs: np.ndarray, widths: dict[EvidenceLevel, Width]) -> TimeCalibration:
    """``old`` with the curves, factors and widths of this fit."""
    values = np.exp(logs)
    lone = dict(zip(LONE_PRIORS, map(float, values[-len(LONE_PRIORS) :]), strict=True))
    residual = widths[EvidenceLevel.CALIBRATED][2]
    copies = {(WorkKind.CONV, False): lone["copy_ratio"], (WorkKind.DEPTHWISE_CONV, True): lone["grouped_copy_ratio"]}
    copies_of = {cell: copies.get((cell[2], cell[3]), 0.0) if is_copied(cell[0], cell[1]) else 0.0 for cell in CELLS}
    curves = [
        Curve(
            rate=rate,
            kind=kind,
            layout=layout,
            grouped=grouped,
            compute_ratio=float(values[index]),
            bandwidth_ratio=float(values[len(CELLS) + index]),
            backward_ratio=float(values[2 * len(CELLS) + index]) if kind in CONVOLUTIONS else 1.0,
            copy_ratio=copies_of[rate, layout, kind, grouped],
            ragged_copy_ratio=copies_of[rate, layout, kind, grouped] * lone["ragged_copies"],
            many_groups_bandwidth_ratio=lone["many_groups_bandwidth"] if grouped and layout is Layout.NHWC else 0.0,
            kernel_s=lone[STARTS[start_of(rate, kind)]],
            source=FITTED,
        )
        for index, (rate, layout, kind, grouped) in ((cell_of(*cell), cell) for cell in CELLS)
    ]
    training = [card for run, card in zip(table.runs, table.cards, strict=True) if run.training]
    measured = next(row for row in old.width if row.level is EvidenceLevel.MEASURED_HERE)

    def coefficient(before: Coefficient, name: str) -> Coefficient:
        return Coefficient(value=lone[name], unit=before.unit, source=FITTED, residual=residual)

    shapes = {name: coefficient(getattr(old.convolution, name), name) for name in old.convolution.__struct_fields__}

    return replace(
        old,
        fitted_cards=tuple(sorted({card.name for card in training})),
        fitted_generations=tuple(sorted({card.generation for card in table.cards}, key=lambda g: g.value)),
        fitted_libraries=("timm",),
        fit=f"{len(table.runs)} timed runs on {len({c.name for c in table.cards})} cards; held-out models: {residual}",
        curve=(*curves, *(curve for curve in old.curve if curve.rate is Rate.CPU)),
        multiprocessor_bytes_per_cycle=coefficient(old.multiprocessor_bytes_per_cycle, "bytes_per_cycle"),
        overlap_power=coefficient(old.overlap_power, "overlap_power"),
        cache_ratio=coefficient(old.cache_ratio, "cache_ratio"),
        convolution=ConvolutionShapes(**shapes),
        operand_bytes_per_cycle=coefficient(old.operand_bytes_per_cycle, "operand_bytes_per_cycle"),
        width=(
            measured,
            *(
                LevelWidth(
                    level=level,
                    low_ratio=float(min(low, 1.0)),
                    high_ratio=float(max(high, 1.0)),
                    source=f"held-out rows: {text}",
                )
                for level, (low, high, text) in widths.items()
            ),
        ),
    )


def widening(widths: dict[EvidenceLevel, Width]) -> dict[EvidenceLevel, Width]:
    """Each level at least as wide as the better one before it."""
    low, high, widened = 1.0, 1.0, {}
    for level, (own_low, own_high, text) in widths.items():
        low, high = min(low, own_low), max(high, own_high)
        widened[level] = (low, high, text)
    return widened


if __name__ == "__main__":
    main()
