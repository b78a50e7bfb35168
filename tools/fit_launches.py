"""Fits what launching a step cost the host of old loops: calls of libraries, and how much dearer torch 1.x was.

    python tools/fit_launches.py CALIBRATION_FOLDER TORCHVISION_TRACES

``published.csv`` has a plain loop of torchvision's classifiers, 12 images a step, in fp32 and as ``model.half()``.
Where half precision, which halves bytes and more than halves arithmetic, takes hardly less time than fp32 on the same
card, the card is not what the step waits for: the half rows are then the host's time alone. Two cards have such rows,
each in a host of its own. What torch's own kernels cost today was measured (``measure_dispatch.py``) and is kept;
fitted are what a call of cuDNN costs beside them, the ratio of that time to today, and how much slower the second
host is. The loop sets each gradient to zero, one kernel a parameter tensor, and copies its images from pageable
memory, both inside the clock. Every printed error is of a model held out. ``fit_time.py`` fits the same, and writes
it. Needs numpy and scipy.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from scipy.optimize import least_squares

from canitrain.catalog import load_calibration
from canitrain.core.calibration import Calibration
from canitrain.core.evidence import Coefficient
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase, Precision
from canitrain.core.time_calibration import LaunchCosts
from canitrain.estimate.launches import LIBRARY_KINDS, stage_launches_s

TOOL = "tools/fit_launches.py"
SOURCE, CARDS = "ryujaehun", ("a100-40gb-sxm", "titan-rtx")
"""The first card's host stands for its time."""
HOST_BOUND = 0.8
"""Half precision / fp32 from which on the host is what a step waits for."""
IMAGES, PIXELS, CHANNELS, HALF_BYTES = 12, 224**2, 3, 2
START = (3.0, 20e-6, 1.3)
"""Ratio, seconds of a library's kernel, slowness of the second host."""


class LaunchRow(Struct, frozen=True, kw_only=True):
    """One host-bound row: today's seconds of launches by what is known of them, and what was measured."""

    model: str
    host: int
    library_kernels: float
    other_s: float
    """Of all other launches of the step."""
    copied_s: float
    step_s: float


class LaunchFit(Struct, frozen=True, kw_only=True):
    """What came out."""

    costs: LaunchCosts
    slowness: dict[str, float]
    """Of each card's host, by ``gpu_key``: how many times as long its launches take as today's."""


def launch_fit(folder: Path, profiles: Mapping[str, ModelProfile], known: Calibration) -> LaunchFit:
    """The fit over all rows, its residual that of models held out."""
    rows = host_bound_rows(folder, profiles, known)
    errors = np.abs(held_out(rows))
    residual = f"models held out: median {np.median(errors):.1%}, worst {errors.max():.1%}, {len(rows)} steps"
    ratio, library_s, second = map(float, fit(rows))
    costs = msgspec.structs.replace(
        known.time.launch,
        library_kernel_s=Coefficient(value=library_s, unit="s", source=TOOL, residual=residual),
        old_torch_ratio=Coefficient(value=ratio, unit="ratio", source=TOOL, residual=residual),
    )
    return LaunchFit(costs=costs, slowness=dict(zip(CARDS, (ratio, ratio * second), strict=True)))


def host_bound_rows(folder: Path, profiles: Mapping[str, ModelProfile], known: Calibration) -> list[LaunchRow]:
    """The rows whose card hardly counts."""
    copied_s = IMAGES * PIXELS * CHANNELS * HALF_BYTES / known.host.handover.copied_bytes_per_s.value
    measured: dict[tuple[str, str, bool], float] = {}
    with (folder / "published.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if SOURCE in row["source"]:
                measured[row["model"], row["gpu_key"], "half" in row["precision"]] = float(row["s_per_iter"])
    return [
        _row(model, profiles[model], known.time.launch, host=CARDS.index(card), copied_s=copied_s, step_s=half_s)
        for (model, card, half), half_s in sorted(measured.items())
        if half and card in CARDS and model in profiles and half_s >= HOST_BOUND * measured[model, card, False]
    ]


def _row(
    model: str, profile: ModelProfile, costs: LaunchCosts, *, host: int, copied_s: float, step_s: float
) -> LaunchRow:
    shape = BatchShape(batch_size=IMAGES, pixels=float(PIXELS), boxes=0.0)
    library, other_s = 0.0, profile.parameter_tensors * costs.optimizer_kernel_s.value
    for stage in profile.traces[Precision.FP32].stages:
        for phase, works in ((Phase.FORWARD, stage.forward), (Phase.BACKWARD, stage.backward)):
            kernels = {kind: work.kernels.at(shape) for kind, work in works.items()}
            calls = sum(count for kind, count in kernels.items() if kind in LIBRARY_KINDS)
            library += calls
            other_s += stage_launches_s(phase, kernels, costs) - calls * costs.library_kernel_s.value
    return LaunchRow(
        model=model,
        host=host,
        library_kernels=library,
        other_s=other_s,
        copied_s=copied_s,
        step_s=step_s,
    )


def fit(rows: list[LaunchRow]) -> np.ndarray:
    """Ratio, seconds of a library's kernel today, slowness of the second host."""

    def residuals(logs: np.ndarray) -> list[float]:
        return [float(np.log(predicted_s(np.exp(logs), row) / row.step_s)) for row in rows]

    return np.exp(least_squares(residuals, np.log(START)).x)


def predicted_s(values: np.ndarray, row: LaunchRow) -> float:
    """Seconds of a step by the fitted values."""
    ratio, library_s, second = values
    host = second if row.host else 1.0
    return float(ratio * host * (row.library_kernels * library_s + row.other_s) + row.copied_s)


def held_out(rows: list[LaunchRow]) -> list[float]:
    """Predicted / measured - 1 of every row, by a fit without its model."""
    errors = []
    for model in sorted({row.model for row in rows}):
        values = fit([row for row in rows if row.model != model])
        for row in (row for row in rows if row.model == model):
            errors.append(predicted_s(values, row) / row.step_s - 1)
            print(f"{row.model:20s} {CARDS[row.host]:14s} {row.step_s * 1e3:6.1f} ms  {errors[-1]:+.1%}")
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("traces", type=Path)
    options = parser.parse_args()
    profiles = {
        path.stem: msgspec.json.decode(path.read_bytes(), type=ModelProfile) for path in options.traces.glob("*.json")
    }
    found = launch_fit(options.calibration, profiles, load_calibration())
    for name in ("library_kernel_s", "old_torch_ratio"):
        coefficient = getattr(found.costs, name)
        print(f"{name:18s} {coefficient.value:.4g} {coefficient.unit}  {coefficient.residual}")
    print("slowness of the hosts:", found.slowness)


if __name__ == "__main__":
    main()
