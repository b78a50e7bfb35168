"""Step times of detectors that others published, beside what canitrain predicts; none of them was in the fit.

    python tools/check_detector_time.py CALIBRATION_FOLDER

Rows: Mask R-CNN in fp32 and in AMP by apex (deeplearning-benchmark; a fork of maskrcnn-benchmark, on cards from laptops
to A100), and torchvision's own table (8 V100, 2019). All load real images; the prediction has no loader. SSD300's
row is printed and not used for the width: four images a step on each of eight GPUs are a loader's time.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from timed_runs import PUBLISHED_CARDS

from canitrain.catalog import find_card, load_calibration, load_dataset, load_model
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.gpu import GpuSpec
from canitrain.core.profile import ModelProfile, Precision
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import step_time

HOST = unknown_machine("published run", "a published run does not say").cpu
COVERAGE = 0.92
"""As of the intervals of ``fit_time.py``."""
TABLE_CARD = "Tesla V100-SXM2-16GB"
LOADER_BOUND = "ssd300_vgg16"
Case = tuple[str, str, int, int, Precision]
"""Profile, card, GPUs, images a GPU, precision."""


def published_cases(path: Path) -> dict[Case, float]:
    """Measured seconds a step; repeats of one case averaged."""
    seconds: dict[Case, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["s_per_iter"]:
                continue
            precision = Precision.AMP if "amp" in row["precision"] else Precision.FP32
            gpus, batch = round(float(row["n_gpus"])), round(float(row["batch_per_gpu"]))
            if "lambdal" in row["source"] and row["family"] == "mask_rcnn" and row["gpu_key"] in PUBLISHED_CARDS:
                case = ("maskrcnn_resnet50_fpn", PUBLISHED_CARDS[row["gpu_key"]], gpus, batch, precision)
            elif "pytorch/vision" in row["source"]:
                case = (row["variant"], TABLE_CARD, gpus, batch, precision)
            else:
                continue
            seconds.setdefault(case, []).append(float(row["s_per_iter"]))
    return {
        case: geometric_mean(all_s)
        for case, all_s in sorted(seconds.items(), key=lambda item: (*item[0][:4], item[0][4].value))
    }


def predicted_s(
    profile: ModelProfile,
    card: GpuSpec,
    dataset: Dataset,
    calibration: Calibration,
    *,
    gpus: int,
    batch_size: int,
    precision: Precision,
) -> float:
    """Seconds of one step without a loader."""
    recipe = Recipe(
        precision=precision,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=profile.defaults.image_size,
        batch_size=batch_size,
        effective_batch_size=batch_size * gpus,
        epochs=1,
        workers=4,
        ema=False,
        gpus=gpus,
        max_time_s=1.0,
    )
    shape = time_shape(profile, recipe, dataset, batch_size)
    step = step_time(profile, recipe, shape, card, cpu=HOST, bench=None, calibration=calibration.time)
    return max(step.compute_s, step.launches_s) + step.waits_s + step.communication_s


def unfitted_width(measured_ratios: dict[str, list[float]]) -> tuple[float, float]:
    """The middle ``COVERAGE`` of measured / predicted over implementations, each of which weighs the same.

    Fifty runs of one implementation say how cards differ; how implementations differ only another one says.
    """
    pairs: list[tuple[float, float]] = []
    for name, ratios in measured_ratios.items():
        print(f"{name}: measured / predicted {geometric_mean(ratios):.2f}, {len(ratios)} cases")
        pairs += [(ratio, 1 / len(ratios)) for ratio in ratios]
    ratios, weights = np.array(sorted(pairs)).T
    ranks = (np.cumsum(weights) - weights / 2) / weights.sum()
    low, high = np.exp(np.interp([(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], ranks, np.log(ratios)))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calibration", type=Path)
    cases = published_cases(parser.parse_args().calibration / "published.csv")
    calibration, dataset = load_calibration(), load_dataset("coco")
    errors: dict[str, list[float]] = {}
    measured_ratios: dict[str, list[float]] = {}
    for (model, name, gpus, batch_size, precision), measured_s in cases.items():
        card = find_card(name)
        profile = load_model(model)
        step_s = predicted_s(profile, card, dataset, calibration, gpus=gpus, batch_size=batch_size, precision=precision)
        error = step_s / measured_s - 1
        group = "laptop cards" if card.laptop or "Max-Q" in card.name else "one GPU" if gpus == 1 else "several GPUs"
        errors.setdefault(f"{group}, {precision.value}", []).append(error)
        if model != LOADER_BOUND:
            measured_ratios.setdefault(f"{model} {precision.value}", []).append(measured_s / step_s)
        times = f"{step_s:.3f} s  {measured_s:.3f} s  {error:+.0%}"
        print(f"{model:30s} {precision.value} {gpus:2d} x {card.name:36s} batch {batch_size:3d}  {times}")
    low, high = unfitted_width(measured_ratios)
    print(f"interval of an implementation that was in no fit: x {low:.3f} to x {high:.3f}")
    for group, values in errors.items():
        size = np.abs(values)
        print(
            f"{group}: median {np.median(size):.1%}, 90th percentile {np.quantile(size, 0.9):.1%}, {len(values)} cases"
        )


if __name__ == "__main__":
    main()
