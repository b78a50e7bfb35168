"""Published detector runs that nothing was ever fitted, tuned or explained on, beside what canitrain says of them.

    python tools/fresh_detectors.py CALIBRATION_FOLDER [--traces TRACES_FOLDER]

``check_detector_time.py`` compares runs of deeplearning-benchmark, NVIDIA, detectron2's zoo and torchvision. The others
of ``published.csv`` are here: detectron2's comparison of libraries, the zoos of maskrcnn-benchmark and mmdetection,
YOLOv5's notebooks and, with its profile in TRACES_FOLDER, YOLOv3-SPP (``yolov3-spp.json``: yolov5's
models/hub/yolov3-spp.yaml at 416 pixels, with SiLU where 2019 had LeakyReLU, and YOLOv5's loss). Which rows count was
written down before any of their errors was known: PyTorch, trains, times whole steps, has the layers of a profile. Two
of them were known in part: YOLOv3's T4 beside its V100 (``clock_power``), YOLOv5's T4. Printed and not counted: other
frameworks, and runs that share only the larger part of a profile's layers.

Three estimates of each: the step on the reference host, its loop being that of its library (``check --loop``); what
``check`` says with all that the source tells of the host, loader included; and the step as it ran, with what the
library's source says of its own host work (``AsItRan``), which no profile has. The third was looked for because the
first missed: it explains, and forecasts nothing. Rows of one configuration count once, as their geometric mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import numpy as np
from check_detector_time import PERSONS, VARYING_PIXELS, measured_ratios, unfitted_width
from fresh_rows import (
    HEAD_STAGES,
    MOST_POSITIVES,
    UNPICKLED_BYTES_PER_S,
    UPDATE_LAUNCHES,
    YOLOV3,
    Fresh,
    Host,
    Row,
    fresh_runs,
)
from published_detectors import KEYPOINT, published_cases

from canitrain.catalog import complete, describe_gpus, find_card, load_calibration, load_dataset, load_model
from canitrain.check import check
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.fact import Known
from canitrain.core.hardware import Cpu, Hardware, Package
from canitrain.core.loop import Handover
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase
from canitrain.core.recipe import CacheMode, Optimizer, Recipe, Strategy
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.communication import exchange
from canitrain.estimate.handover import handover
from canitrain.estimate.positives import positive_share
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import step_time


def profile_of(row: Row, traces: Path | None) -> ModelProfile | None:
    """The profile with the row's stages; ``None`` where it needs a trace that is not there."""
    path = traces / f"{row.model}.json" if traces and row.model == YOLOV3 else None
    if row.model == YOLOV3 and (path is None or not path.exists()):
        return None
    profile = load_model(str(path) if path else row.model)
    if not row.without:
        return profile
    own = {
        precision: msgspec.structs.replace(
            trace, stages=tuple(stage for stage in trace.stages if not stage.name.startswith(row.without))
        )
        for precision, trace in profile.traces.items()
    }
    return msgspec.structs.replace(profile, traces=own)


def recipe_of(run: Fresh, profile: ModelProfile) -> Recipe:
    """The recipe of ``run``."""
    images = run.batch_size * run.gpus
    defaults = profile.defaults
    return Recipe(
        precision=run.precision,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=defaults.image_size,
        batch_size=run.batch_size,
        effective_batch_size=max(images, defaults.effective_batch_size) if defaults.accumulates else images,
        epochs=1,
        workers=run.row.workers,
        ema=defaults.ema,
        cache=CacheMode.RAM if run.row.cached else CacheMode.NONE,
        gpus=run.gpus,
        strategy=run.row.strategy,
        max_time_s=1e9,
        assume_idle=True,
        loop=run.row.loop,
    )


def shape_of(run: Fresh, profile: ModelProfile, dataset: Dataset) -> BatchShape:
    """What a step of ``run`` works on."""
    shape = time_shape(profile, recipe_of(run, profile), dataset, run.batch_size)
    if run.row.jitter:
        shape = msgspec.structs.replace(shape, pixels=shape.pixels * VARYING_PIXELS)
    if run.row.model == KEYPOINT:
        shape = msgspec.structs.replace(shape, boxes=PERSONS)
    return shape


def alone_s(run: Fresh, profile: ModelProfile, dataset: Dataset, calibration: Calibration) -> float:
    """Seconds of one step on the reference host without a loader, as ``check_detector_time.py`` has it."""
    recipe = recipe_of(run, profile)
    return step_time(
        profile,
        recipe,
        shape_of(run, profile, dataset),
        find_card(run.card),
        slowness=calibration.time.launch.old_torch_ratio.value,
        bench=None,
        calibration=calibration.time,
        handover=handover(profile, recipe, dataset, calibration.host),
    ).training_s


def as_it_ran_s(run: Fresh, profile: ModelProfile, dataset: Dataset, calibration: Calibration) -> float:
    """The same with the host that the source tells, and what is known of the library's own host work."""
    ran, time, card = run.row.ran, calibration.time, find_card(run.card)
    recipe, shape = recipe_of(run, profile), shape_of(run, profile, dataset)
    slowness = time.launch.old_torch_ratio.value
    if ran.early:
        alone = msgspec.structs.replace(time.positives_per_box, value=1.0)
        time = msgspec.structs.replace(time, positives_per_box=alone)
    costs = calibration.host.handover
    own = handover(profile, recipe, dataset, calibration.host)
    if ran.reads_after:
        copied_bytes = shape.pixels * ran.copied_bytes_per_pixel
        masks_s = shape.pixels * shape.boxes * ran.mask_bytes_per_pixel / UNPICKLED_BYTES_PER_S
        own = Handover(
            batch_s=costs.batch_s.value,
            image_s=copied_bytes / costs.mapped_bytes_per_s.value + masks_s,
            copied_image_s=copied_bytes / costs.copied_bytes_per_s.value,
            reads_after=frozenset(ran.reads_after),
        )
    step = step_time(profile, recipe, shape, card, slowness=slowness, bench=None, calibration=time, handover=own)
    step_s = step.training_s + ran.batch_s
    share = positive_share(MOST_POSITIVES, shape.boxes, time.positives_per_box.value)
    step_s += ran.sample_s * run.batch_size * MOST_POSITIVES * share
    if ran.head_launches is not None:
        traced = [g.kernels for g in step.groups if g.phase is Phase.FORWARD and g.stage.startswith(HEAD_STAGES)]
        step_s += slowness * (ran.head_launches - sum(traced)) * time.launch.code_kernel_s.value
    step_s += slowness * ran.tensors_read * UPDATE_LAUNCHES * time.launch.optimizer_kernel_s.value
    if ran.exchanged_after:
        step_s += _hidden_exchange_s(run, profile, calibration)
    return step_s


def _hidden_exchange_s(run: Fresh, profile: ModelProfile, calibration: Calibration) -> float:
    """What of the exchange of gradients the estimate hides under the backward pass."""

    def exposed_s(backward_s: float) -> float:
        return exchange(
            Strategy.DDP,
            gpus=run.gpus,
            gradient_bytes=profile.trainable_parameter_bytes,
            parameter_tensors=profile.parameter_tensors,
            batch_bytes=0.0,
            backward_s=backward_s,
            card=find_card(run.card),
            links=calibration.time.links,
        ).exposed_s

    return exposed_s(0.0) - exposed_s(1.0)


def described_host(run: Fresh) -> Hardware:
    """The machine as far as the source tells: its cards, its processor where that is named, and torch 1.x."""
    machine = unknown_machine("published run", "a published run does not say")
    cards = Known(value=describe_gpus(f"{run.gpus}x {run.card}"), source="published")
    if host := run.row.host:
        machine = msgspec.structs.replace(machine, cpu=cpu_of(host, machine.cpu))
    torch = Known(value=Package(name="torch", version="1"), source="published")
    software = msgspec.structs.replace(machine.software, torch=torch)
    return complete(msgspec.structs.replace(machine, gpus=cards, software=software))


def cpu_of(host: Host, unknown: Cpu) -> Cpu:
    """``unknown`` with what is known of ``host``."""
    facts = {
        "model": host.name, "physical_cores": host.cores, "logical_cores": host.threads,
        "usable_cores": float(host.threads), "base_hz": host.base_hz, "max_hz": host.max_hz,
    }  # fmt: skip
    return msgspec.structs.replace(
        unknown, **{name: Known(value=value, source="published") for name, value in facts.items()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("--traces", type=Path, help=f"folder with {YOLOV3}.json")
    options = parser.parse_args()
    calibration = load_calibration()
    errors: dict[str, list[tuple[float, ...]]] = {}
    width = calibration.time.unfitted_width
    within: list[tuple[bool, bool]] = []
    ratios: dict[str, list[float]] = {}
    runs = fresh_runs(options.calibration / "published.csv")
    for run in sorted(runs, key=lambda each: (not each.row.counted, each.row.model, each.row.label)):
        profile = profile_of(run.row, options.traces)
        if profile is None:
            continue
        dataset = load_dataset(run.row.dataset)
        time = check(described_host(run), profile, dataset, recipe_of(run, profile), calibration).time
        assert time is not None, run.numbers
        estimates = (
            alone_s(run, profile, dataset, calibration),
            time.step_s.expected,
            as_it_ran_s(run, profile, dataset, calibration),
        )
        found = tuple(each / run.step_s - 1 for each in estimates)
        if run.row.counted:
            for group in ("all", f"all, {run.precision.value}", run.row.label.split(",")[0]):
                errors.setdefault(group, []).append(found)
            implementation = f"{run.row.label.split(',')[0]} {run.row.model} {run.precision.value}"
            ratios.setdefault(implementation, []).append(run.step_s / estimates[0])
            alone = width.low_ratio <= run.step_s / estimates[0] <= width.high_ratio
            within.append((alone, time.step_s.low <= run.step_s <= time.step_s.high))
        inside = "inside" if time.step_s.low <= run.step_s <= time.step_s.high else "OUTSIDE"
        rows = run.numbers[0] if len(run.numbers) == 1 else f"{run.numbers[0]}+{len(run.numbers) - 1}"
        what = f"{rows:8s} {run.row.label:35s} {run.row.model:24s} {run.precision.value:4s} {run.gpus} x {run.card:20s}"
        step, said, ran = (f"{each:.3f} s {error:+.0%}" for each, error in zip(estimates, found, strict=True))
        print(f"{what} batch {run.batch_size:2d}  measured {run.step_s:.3f} s  step {step}", end="")
        print(f"  check {said} {inside} ({time.bottleneck.value})  as it ran {ran}")
    tuned = measured_ratios(
        published_cases(options.calibration / "published.csv"), options.traces, load_dataset("coco"), calibration
    )
    low, high = unfitted_width(tuned | ratios)
    print(f"interval of an implementation that was in no fit: x {low:.3f} to x {high:.3f}")
    print("inside the interval: step alone {:.0%}, check {:.0%}".format(*np.mean(within, axis=0)))
    for group, triples in errors.items():
        for name, values in zip(("step", "check", "as it ran"), np.array(triples).T, strict=True):
            size = np.abs(values)
            middle = f"median {np.median(size):.1%} ({np.median(values):+.1%})"
            print(f"{group}, {name}: {middle}, 90th percentile {np.quantile(size, 0.9):.1%}, {len(size)} cases")


if __name__ == "__main__":
    main()
