"""Fits ``profiles/calibration/memory.toml`` on measured training runs, and says how well the fit holds.

    python tools/fit_memory.py timm_memory_a100_40gb.csv TRACES_FOLDER [--write]

The csv has ``model, batch_size, device_mib``; TRACES_FOLDER has the profiles of those models
(``tools/trace_for_fits.py``), one a file, traced with timm 1.0.9: the only release that has all their names and in
which mobilenetv3_large_150d trains at 224 px, as it ran. Later ones hold less (Hiera's global attention) or take larger
images. Needs numpy. Folds go by model: every printed error and every interval is of models that the fit has not seen.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from memory_toml import CARD, CONTEXT_SPREAD, DRAFT, FittedMemory, calibration_of, write_memory_toml

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Convolution, ModelProfile, Precision
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.core.units import MIB_BYTES
from canitrain.estimate.step_memory import step_memory
from canitrain.estimate.workspace import WorkspaceKind, is_seldom_winograd, is_winograd, tensors_line, workspace_kind
from canitrain.trace.fit import nonnegative_least_squares

FOLDS = 10
ROBUST_ERROR = 0.05
"""Relative errors beyond this weigh linearly, not squared."""
ITERATIONS = 40
COVERAGE = 0.976
"""Share of held-out rows that the interval must cover."""
FREAKS = 0.001
"""Share of the runs that hold far less than was traced: they seem to have ended early."""
FAILED = {
    "vit_base_patch32_clip_256": "weights and context at either batch",
    "vit_betwixt_patch32_clip_224": "weights and context at batch 8, less than weights, gradients and momentum at 16",
}
"""Runs that ended in their first step, by what they hold."""
KINDS = ("winograd", "seldom winograd", "gemm", "other")
"""Of workspaces. Grouped convolutions and the dense ones that Winograd does not apply to are matrix products alike: too
few models have either as their widest to tell them apart."""
TERMS = ("context", "live", "weights", *(f"workspace {kind}" for kind in KINDS))
FIRST = (1700.0, 0.02, 0.2, 1.0, 1.0, 1.0, 0.1)
"""What the iteration starts from, in the order of ``TERMS``."""
CARD_MIB = CARD.memory_bytes / MIB_BYTES
"""No card shows more than it has: where memory runs short the pool gives back what it caches."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One row a run; bytes in MiB."""

    models: np.ndarray
    batches: np.ndarray
    device: np.ndarray
    slack: np.ndarray
    least: np.ndarray
    """Weights, buffers, optimizer state, cuBLAS and live peak."""
    base: np.ndarray
    """The same with the replayed slack, which takes the update's temporaries: taken as it is."""
    terms: np.ndarray
    """The columns of ``TERMS``."""
    erratic: np.ndarray


def run_recipe(profile: ModelProfile, batch_size: int, optimizer: Optimizer) -> Recipe:
    """How the fitted runs trained: fp32, plain PyTorch."""
    return Recipe(
        precision=Precision.FP32,
        optimizer=optimizer,
        image_size=profile.defaults.image_size,
        batch_size=batch_size,
        effective_batch_size=batch_size,
        epochs=1,
        workers=1,
        ema=False,
        max_time_s=1.0,
    )


def build_table(path: Path, profiles: dict[str, ModelProfile], optimizer: Optimizer) -> Table:
    """The features of every run whose model was traced at the size that ran."""
    calibration = calibration_of(DRAFT)
    blas = calibration.blas_workspace_default.value
    columns = defaultdict(list)
    with path.open() as file:
        runs = [run for run in csv.DictReader(file) if run["model"] in profiles and run["model"] not in FAILED]
    for run in runs:
        profile, batch_size = profiles[run["model"]], int(run["batch_size"])
        size = profile.defaults.image_size
        shape = BatchShape(batch_size=batch_size, pixels=size.shorter * size.longer, boxes=0.0)
        step = step_memory(profile, run_recipe(profile, batch_size, optimizer), shape, CARD, calibration)
        held = step.persistent
        passes = max(moment.gradients_bytes + moment.live.at(batch_size) for moment in step.moments)
        update = held.gradients_bytes + held.step_temporary_bytes
        live = max(passes, update)
        slack = step.slack.at(batch_size) if step.slack is not None else 0.0
        widest = dict.fromkeys(KINDS, 0.0)
        for convolution in profile.traces[Precision.FP32].convolutions:
            kind = fitted_kind(convolution)
            widest[kind] = max(widest[kind], tensors_line(convolution, shape).at(batch_size))
        columns["model"].append(profile.name)
        columns["batch"].append(batch_size)
        columns["device"].append(float(run["device_mib"]))
        columns["slack"].append(slack / MIB_BYTES)
        columns["least"].append((held.held_bytes + blas + live) / MIB_BYTES)
        columns["base"].append((held.held_bytes + blas + max(passes + slack, update)) / MIB_BYTES)
        terms = [MIB_BYTES, live, profile.trainable_parameter_bytes, *widest.values()]
        columns["terms"].append([term / MIB_BYTES for term in terms])
        columns["erratic"].append(step.erratic)
    return Table(
        models=np.array(columns["model"]),
        batches=np.array(columns["batch"]),
        device=np.array(columns["device"]),
        slack=np.array(columns["slack"]),
        least=np.array(columns["least"]),
        base=np.array(columns["base"]),
        terms=np.array(columns["terms"]),
        erratic=np.array(columns["erratic"]),
    )


def fitted_kind(convolution: Convolution) -> str:
    """Which of ``KINDS`` a convolution's workspace is."""
    if is_winograd(convolution):
        return "seldom winograd" if is_seldom_winograd(convolution) else "winograd"
    return "other" if workspace_kind(convolution) is WorkspaceKind.OTHER else "gemm"


def columns_of(table: Table, copies: np.ndarray) -> np.ndarray:
    """The terms with only the workspace that ``copies`` makes the largest left: one convolution runs at a time."""
    spaces = table.terms[:, 3:]
    winner = (spaces * copies).argmax(axis=1)
    kept = np.where(np.arange(spaces.shape[1]) == winner[:, None], spaces, 0.0)
    return np.hstack([table.terms[:, :3], kept])


def predict(table: Table, coefficients: np.ndarray) -> np.ndarray:
    """Device memory in MiB, as the card can show it."""
    return np.minimum(table.base + columns_of(table, coefficients[3:]) @ coefficients, CARD_MIB)


def fit(table: Table, rows: np.ndarray) -> np.ndarray:
    """Coefficients of ``TERMS``, none negative, with the least robust relative error over ``rows``."""
    weights = np.ones(int(rows.sum()))
    coefficients = np.array(FIRST)
    device, base = table.device[rows], table.base[rows]
    for _ in range(ITERATIONS):
        matrix = columns_of(table, np.maximum(coefficients[3:], 1e-3))[rows] / device[:, None]
        target = (device - base) / device
        coefficients = nonnegative_least_squares(matrix * weights[:, None], target * weights)
        errors = matrix @ coefficients - target
        weights = 1 / np.sqrt(np.maximum(np.abs(errors), ROBUST_ERROR))
    return coefficients


def held_out(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Every row by a fit that has not seen its model: relative errors, and the predicted workspace in MiB."""
    models = np.unique(table.models)
    fold_of = dict(zip(models, np.random.default_rng(0).permutation(len(models)) % FOLDS, strict=True))
    folds = np.array([fold_of[model] for model in table.models])
    predicted, workspace = np.zeros(len(table.device)), np.zeros(len(table.device))
    for fold in range(FOLDS):
        rows, coefficients = folds == fold, fit(table, folds != fold)
        predicted[rows] = predict(table, coefficients)[rows]
        workspace[rows] = (table.terms[:, 3:] * coefficients[3:]).max(axis=1)[rows]
    return predicted / table.device - 1, workspace


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """An interval of the device figure, as shares of the predicted pool and of the workspace in it."""

    low: float
    plain: float
    erratic: float
    workspace: float

    def ends(
        self, table: Table, predicted: np.ndarray, workspace: np.ndarray, context: float
    ) -> tuple[np.ndarray, ...]:
        """Lower and upper end of every row in MiB."""
        pool = predicted - context
        high = np.where(table.erratic, self.erratic, self.plain)
        return (
            (pool - self.workspace * workspace) * self.low + context * (1 - CONTEXT_SPREAD),
            (pool + self.workspace * workspace) * high + context * (1 + CONTEXT_SPREAD),
        )


def narrowest_interval(
    table: Table, predicted: np.ndarray, workspace: np.ndarray, context: float
) -> tuple[Bounds, np.ndarray, float]:
    """The bounds with the least median width among those that cover ``COVERAGE``; what they cover; that half width.

    The lower bound is common: an estimate that turns erratic as images grow must not fall.
    """
    best: tuple[float, Bounds, np.ndarray] | None = None
    for low, plain, erratic, share in itertools.product(
        np.arange(0.9, 0.98, 0.005), np.arange(1.04, 1.15, 0.005), (1.35, 1.5, 1.65, 1.8), (0.0, 0.3, 0.5, 0.7, 0.9)
    ):
        bounds = Bounds(low=float(low), plain=float(plain), erratic=erratic, workspace=share)
        least, most = bounds.ends(table, predicted, workspace, context)
        covered = (least <= table.device) & (table.device <= most)
        width = float(np.median((most - least) / 2 / predicted))
        if covered.mean() >= COVERAGE and (best is None or width < best[0]):
            best = (width, bounds, covered)
    if best is None:
        raise SystemExit(f"no bounds cover {COVERAGE:.1%} of the runs")
    width, bounds, covered = best
    return bounds, covered, width


def summary(errors: np.ndarray) -> str:
    """Median and 95th percentile of absolute errors, and bias."""
    absolute = np.abs(errors) * 100
    return (
        f"{len(errors)} runs, held-out models: median {np.median(absolute):.1f} %,"
        f" 95th percentile {np.quantile(absolute, 0.95):.1f} %, bias {np.median(errors) * 100:+.1f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("traces", type=Path)
    parser.add_argument("--write", action="store_true", help="write profiles/calibration/memory.toml")
    options = parser.parse_args()
    profiles = {
        path.stem: msgspec.json.decode(path.read_bytes(), type=ModelProfile)
        for path in sorted(options.traces.glob("*.json"))
    }
    for optimizer in (Optimizer.SGD, Optimizer.SGD_MOMENTUM, Optimizer.ADAM):
        table = build_table(options.runs, profiles, optimizer)
        print(f"{optimizer.value:13} {summary(held_out(table)[0])}")
    table = build_table(options.runs, profiles, Optimizer.SGD_MOMENTUM)
    (errors, workspace), coefficients = held_out(table), fit(table, np.ones(len(table.device), dtype=bool))
    print("sgd-momentum is kept:", len(np.unique(table.models)), "models")
    for name, value in zip(TERMS, coefficients, strict=True):
        print(f"  {name:18} {value:9.3f}")
    predicted = (1 + errors) * table.device
    bounds, covered, width = narrowest_interval(table, predicted, workspace, coefficients[0])
    above = table.device > bounds.ends(table, predicted, workspace, coefficients[0])[1]
    print(f"  pool less {bounds.workspace:.0%} of the workspace x{bounds.low:.3f}, plus that much, and then")
    for name, high in (("plain", bounds.plain), ("erratic", bounds.erratic)):
        rows = table.erratic == (name == "erratic")
        print(f"  {name:8} x{high:.3f}: covers {covered[rows].mean():.1%}; {summary(errors[rows])}")
    print(f"covered {covered.mean():.1%}, median half width {width:.1%}, above the upper end {above.mean():.1%}")
    worst = sorted({(float(np.abs(errors[table.models == m]).max()), m) for m in np.unique(table.models)}, reverse=True)
    print("worst:", ", ".join(f"{model} {error:.0%}" for error, model in worst[:25]))
    if options.write:
        replayed = table.slack / np.maximum(table.terms[:, 1], 1.0)
        write_memory_toml(
            FittedMemory(
                context_bytes=float(coefficients[0]) * MIB_BYTES,
                slack_live_ratio=float(coefficients[1]),
                slack_weights_ratio=float(coefficients[2]),
                winograd=float(coefficients[3]),
                winograd_seldom=float(coefficients[4]),
                gemm=float(coefficients[5]),
                other=float(coefficients[6]),
                slack_untraced_ratio=float(np.median(replayed)),
                required_low=float(np.quantile((table.device - coefficients[0]) / table.least, FREAKS)),
                bounds=(bounds.low, bounds.plain),
                bounds_erratic=(bounds.low, bounds.erratic),
                workspace_share=bounds.workspace,
                runs=len(errors),
                residual=summary(errors),
            )
        )


if __name__ == "__main__":
    main()
