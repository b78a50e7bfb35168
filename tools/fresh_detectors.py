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
import csv
from pathlib import Path
from statistics import geometric_mean

import msgspec
import numpy as np
from check_detector_time import HOST, PERSONS, VARYING_PIXELS, measured_ratios, unfitted_width
from msgspec import Struct
from published_detectors import FASTER, KEYPOINT, MASK, TABLE_CARD, published_cases

from canitrain.catalog import complete, describe_gpus, find_card, load_calibration, load_dataset, load_model
from canitrain.check import check
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.fact import Known
from canitrain.core.hardware import Cpu, Hardware
from canitrain.core.loop import Handover, StepPart
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase, Precision
from canitrain.core.recipe import CacheMode, Optimizer, Recipe, Strategy
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.communication import exchange
from canitrain.estimate.handover import handover
from canitrain.estimate.launches import kernel_launch_s
from canitrain.estimate.positives import positive_share
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import StepTime, step_time

V100_32 = "Tesla V100-SXM2-32GB"
CARDS = {
    "v100": TABLE_CARD,
    "v100-sxm": TABLE_CARD,
    "v100-16gb": TABLE_CARD,
    "v100-16gb-sxm": TABLE_CARD,
    "v100-32gb": V100_32,
    "t4": "Tesla T4",
    "p100": "Tesla P100-SXM2-16GB",
    "k80": "Tesla K80",
}
"""``gpu_key`` to card; ``v100`` alone does not say which, and is taken as SXM2."""
YOLOV3, SSD300, FCOS = "yolov3-spp", "ssd300_vgg16", "fcos_resnet50_fpn"
MOST_POSITIVES = 128
"""Of an image's 512 samples, a quarter."""


class Host(Struct, frozen=True, kw_only=True):
    """What a source tells of the machine; clocks are the datasheet's."""

    name: str
    cores: int
    threads: int
    base_hz: float
    max_hz: float


XEON_4114 = Host(name="2 x Xeon Silver 4114", cores=20, threads=40, base_hz=2.2e9, max_hz=3.0e9)
"""mmdetection's zoo names the processor; that a host of eight cards has two is assumed."""
XEON_6148 = Host(name="2 x Xeon Gold 6148", cores=40, threads=80, base_hz=2.4e9, max_hz=3.7e9)
"""mmdetection's comparison with detectron2."""
NOTEBOOK = Host(name="notebook, 2 vCPU", cores=1, threads=2, base_hz=2.2e9, max_hz=2.2e9)
"""As rented notebooks show themselves; the table says no more than that they are such."""
N1_STANDARD_8 = Host(name="n1-standard-8", cores=4, threads=8, base_hz=2.0e9, max_hz=2.7e9)
"""YOLOv3's README has n1-standard-8 and -16; the clock is that of all cores of a Skylake."""


class AsItRan(Struct, frozen=True, kw_only=True):
    """Host work of a library's own that the source shows and no profile has."""

    head_launches: int | None = None
    """Of targets, proposals and losses, whose kernels are too small to fill a device, in place of the profile's."""
    batch_s: float = 0.0
    """In which the training process does nothing else, a batch: measured with the same calls."""
    sample_s: float = 0.0
    """The same for each positive sample."""
    tensors_read: int = 0
    """Gradients whose norm the host reads one by one, so that nothing hides the update's launches."""
    exchanged_after: bool = False
    """Gradients are exchanged after the backward pass."""
    copied_bytes_per_pixel: float = 0.0
    """Of padded images that are copied from pageable memory."""
    reads_after: tuple[StepPart, ...] = ()
    mask_bytes_per_pixel: float = 0.0
    """Masks that the training process unpickles, a byte for each pixel and object."""
    early: bool = False
    """Only first iterations were timed: a RoI head's positive samples are hardly more than the objects themselves."""


UNPICKLED_BYTES_PER_S = 13.44e6 / 19.1e-3
"""numpy arrays through a worker's queue, in the receiving process, measured on one core of 2.6 GHz (torch 2.13)."""
POLYGONS_SAMPLE_S = 55e-6
"""maskrcnn-benchmark's mask target of one positive sample: crop, resize and rasterize polygons; the same core."""
SHUFFLE_S = 1.8e-3
"""numpy shuffles 190,000 anchors to take 256 of them; the same core."""
UPDATE_LAUNCHES = 7
"""Each tensor: its norm and the read, then weight decay, momentum, its addition, the weights, the zeroed gradient."""
V1_TENSORS = 168
"""Trained by mmdetection's Mask R-CNN: as the profile's, and two for each batch norm from the second stage on."""
RPN_TARGETS, PROPOSALS, BOX_TARGETS, MASK_TARGETS = 483 + 154, 633, 409, 82
"""Launches of mmdetection v1 for two images of 800 x 1216 with 7 objects each, counted operator by operator.

Anchors and targets are made image by image, losses and suppression level by level, and each object is read twice.
"""
HEAD_STAGES = ("rpn.anchor_generator", "roi_heads.box_roi_pool", "roi_heads.box_predictor", "roi_heads.mask_roi_pool")
"""Where the profile has them."""


def _v1(launches: int, *, anchors: bool, masks: bool = False) -> AsItRan:
    """Of mmdetection v1: core/anchor, core/bbox, core/mask, core/utils/dist_utils, datasets/loader, apis/train."""
    return AsItRan(
        head_launches=launches,
        batch_s=2 * SHUFFLE_S if anchors else 0.0,
        tensors_read=V1_TENSORS,
        exchanged_after=True,
        copied_bytes_per_pixel=12,
        reads_after=(StepPart.FORWARD, StepPart.BACKWARD),
        mask_bytes_per_pixel=1.0 if masks else 0.0,
    )


V1_RPN = _v1(RPN_TARGETS, anchors=True)
V1_FAST = _v1(BOX_TARGETS, anchors=False)
V1_FAST_MASKS = _v1(BOX_TARGETS + MASK_TARGETS, anchors=False, masks=True)
V1_MASK = _v1(RPN_TARGETS + PROPOSALS + BOX_TARGETS + MASK_TARGETS, anchors=True, masks=True)
V1_SSD = AsItRan(copied_bytes_per_pixel=12, reads_after=(StepPart.FORWARD,), exchanged_after=True)
V2 = AsItRan(copied_bytes_per_pixel=12, reads_after=(StepPart.FORWARD,))
"""Of mmdetection 2.0: datasets/builder.py pins nothing, detectors/base.py reads the losses, nothing is clipped."""
V2_EARLY = msgspec.structs.replace(V2, early=True)
POLYGONS = AsItRan(sample_s=POLYGONS_SAMPLE_S)
EARLY = AsItRan(early=True)
EARLY_POLYGONS = AsItRan(early=True, sample_s=POLYGONS_SAMPLE_S)


class Row(Struct, frozen=True, kw_only=True):
    """What one row of ``published.csv`` ran, beyond its own columns."""

    label: str
    model: str
    counted: bool = True
    jitter: bool = False
    """Whether the shorter side is drawn from 640 to 800."""
    loop: str | None = "pinned"
    """As ``check --loop`` knows it; those of mmdetection 1 and 2 are none of them."""
    host: Host | None = None
    workers: int = 4
    """Loader processes a GPU."""
    cached: bool = False
    dataset: str = "coco"
    without: str = ""
    """Start of the names of stages that the run has not."""
    strategy: Strategy = Strategy.DDP
    ran: AsItRan = AsItRan()


D2, MRB, MM = "detectron2", "maskrcnn-benchmark", "mmdetection"
ROI_HEADS = "roi_heads"
ROWS: dict[str, Row] = {
    "P0072": Row(label=f"{D2}, torch 1.5", model=MASK, loop=D2, ran=EARLY),
    "P0073": Row(label=f"{MM} 2.0, torch 1.5", model=MASK, workers=2, ran=V2_EARLY),
    "P0074": Row(label=f"{MRB}, torch 1.5", model=MASK, loop=MRB, ran=EARLY_POLYGONS),
    "P0084": Row(label=f"{MRB}, torch 1.0", model=MASK, loop=MRB, ran=POLYGONS),
    # Its configuration draws the shorter side, whatever the table says.
    "P0087": Row(label=f"{MRB}, torch 1.0", model=KEYPOINT, loop=MRB, jitter=True),
    "P0159": Row(label=f"{MM} v1, caffe", model=MASK, ran=V1_MASK, host=XEON_4114, workers=2),
    "P0160": Row(label=f"{MM} v1", model=MASK, ran=V1_MASK, host=XEON_4114, workers=2),
    "P0199": Row(label=f"{MM} v1, COCO", model=SSD300, ran=V1_SSD, host=XEON_4114, workers=2),
    "P0278": Row(label=f"{MM} v1, VOC", model=SSD300, ran=V1_SSD, host=XEON_4114, workers=2, dataset="voc"),
    "P0713": Row(label=f"{D2}, torch 1.4", model=MASK, loop=D2, jitter=True, host=XEON_6148),
    "P0714": Row(label=f"{MM} 2.0, torch 1.4", model=MASK, jitter=True, host=XEON_6148, workers=2, ran=V2),
    "P0717": Row(label=f"{MM} 2.0, torch 1.4", model=MASK, host=XEON_6148, workers=2, ran=V2),
    **{
        number: Row(label="YOLOv5 v6, last epoch", model="yolov5s", loop=None, host=NOTEBOOK, workers=8, cached=True)
        for number in ("P1834", "P1836", "P1840", "P1842", "P1846", "P1848", "P1852")
    },
    **{
        # train.py of 2019 has one process, whatever the number of cards.
        f"P{number}": Row(
            label="YOLOv3-SPP", model=YOLOV3, loop=None, host=N1_STANDARD_8, workers=8, strategy=Strategy.DP
        )
        for number in (1892, 1893, 1894, 1895, 1896, 1899, 1900)
    },
    # Printed, not counted: a part of a profile's layers, other assignment, other frameworks.
    "P0015": Row(label=f"RPN, {D2}", model=FASTER, loop=D2, jitter=True, without=ROI_HEADS, counted=False),
    "P0016": Row(label=f"Fast R-CNN, {D2}", model=FASTER, loop=D2, jitter=True, without="rpn", counted=False),
    **{
        number: Row(label=f"{what}, {MM} v1", model=model, host=XEON_4114, without=gone, ran=ran, counted=False)
        for number, what, model, gone, ran in (
            ("P0145", "RPN, caffe", FASTER, ROI_HEADS, V1_RPN),
            ("P0146", "RPN", FASTER, ROI_HEADS, V1_RPN),
            ("P0166", "Fast R-CNN, caffe", FASTER, "rpn", V1_FAST),
            ("P0167", "Fast R-CNN", FASTER, "rpn", V1_FAST),
            ("P0171", "Fast with masks, caffe", MASK, "rpn", V1_FAST_MASKS),
            ("P0172", "Fast with masks", MASK, "rpn", V1_FAST_MASKS),
            ("P0201", "ATSS", FCOS, "none", AsItRan()),
        )
    },
    "P0075": Row(label="tensorpack", model=MASK, counted=False),
    "P0076": Row(label="simpledet", model=MASK, counted=False),
    "P0077": Row(label="Detectron (Caffe2)", model=MASK, counted=False),
    "P0105": Row(label="Fast with masks, Detectron (Caffe2)", model=MASK, without="rpn", counted=False),
    "P0115": Row(label="Detectron (Caffe2)", model=MASK, counted=False),
    "P0136": Row(label="Detectron (Caffe2)", model=KEYPOINT, counted=False),
    "P0124": Row(label="RPN, Detectron (Caffe2)", model=FASTER, without=ROI_HEADS, counted=False),
}


class Fresh(Struct, frozen=True, kw_only=True):
    """One published configuration with its measured seconds a step."""

    row: Row
    numbers: tuple[str, ...]
    """Of its rows."""
    card: str
    gpus: int
    batch_size: int
    precision: Precision
    step_s: float


def fresh_runs(path: Path) -> list[Fresh]:
    """The runs of ``ROWS`` in ``published.csv``; rows of one configuration and library averaged."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for each in csv.DictReader(file):
            if each["id"] in ROWS:
                groups.setdefault((ROWS[each["id"]].label, each["group_key"]), []).append(each)
    return [_run(rows) for rows in groups.values()]


def _run(rows: list[dict[str, str]]) -> Fresh:
    first = rows[0]
    gpus, batch_size = round(float(first["n_gpus"])), round(float(first["batch_per_gpu"]))
    return Fresh(
        row=ROWS[first["id"]],
        numbers=tuple(each["id"] for each in rows),
        card=CARDS[first["gpu_key"]],
        gpus=gpus,
        batch_size=batch_size,
        precision=Precision.AMP if first["precision"].startswith(("amp", "apex")) else Precision.FP32,
        step_s=geometric_mean(
            float(each["s_per_iter"] or gpus * batch_size / float(each["images_per_s"])) for each in rows
        ),
    )


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
    return _step_s(
        step_time(
            profile,
            recipe,
            shape_of(run, profile, dataset),
            find_card(run.card),
            cpu=HOST,
            bench=None,
            calibration=calibration.time,
            handover=handover(profile, recipe, dataset, calibration.host),
        )
    )


def _step_s(step: StepTime) -> float:
    return max(step.compute_s, step.launches_s) + step.waits_s + step.handover_s + step.communication_s


def as_it_ran_s(run: Fresh, profile: ModelProfile, dataset: Dataset, calibration: Calibration) -> float:
    """The same with the host that the source tells, and what is known of the library's own host work."""
    ran, time, card = run.row.ran, calibration.time, find_card(run.card)
    recipe, shape = recipe_of(run, profile), shape_of(run, profile, dataset)
    cpu = cpu_of(run.row.host, HOST) if run.row.host else HOST
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
    step = step_time(profile, recipe, shape, card, cpu=cpu, bench=None, calibration=time, handover=own)
    step_s = _step_s(step) + ran.batch_s
    share = positive_share(MOST_POSITIVES, shape.boxes, time.positives_per_box.value)
    step_s += ran.sample_s * run.batch_size * MOST_POSITIVES * share
    if ran.head_launches is not None:
        traced = [g.kernels for g in step.groups if g.phase is Phase.FORWARD and g.stage.startswith(HEAD_STAGES)]
        step_s += (ran.head_launches - sum(traced)) * kernel_launch_s(cpu, time.launch)
    slowness = kernel_launch_s(cpu, time.launch) / time.launch.kernel_s.value
    step_s += ran.tensors_read * UPDATE_LAUNCHES * time.launch.optimizer_kernel_s.value * slowness
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
    """The machine as far as the source tells: its cards, and its processor where that is named."""
    machine = unknown_machine("published run", "a published run does not say")
    cards = Known(value=describe_gpus(f"{run.gpus}x {run.card}"), source="published")
    if host := run.row.host:
        machine = msgspec.structs.replace(machine, cpu=cpu_of(host, machine.cpu))
    return complete(msgspec.structs.replace(machine, gpus=cards))


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
