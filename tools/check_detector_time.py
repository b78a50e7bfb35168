"""Step times of detectors that others published, beside what canitrain predicts; none of them was in the fit.

    python tools/check_detector_time.py CALIBRATION_FOLDER [--traces TRACES_FOLDER]

Rows: Mask R-CNN in fp32 and in AMP by apex on cards from laptops to A100 (deeplearning-benchmark, which runs NVIDIA's
fork of maskrcnn-benchmark), NVIDIA's own table of that fork, detectron2's zoo and torchvision's own table (8 V100).
With a profile of NVIDIA's SSD300 (``tools/ssd300_resnet50.py``) in TRACES_FOLDER also its runs. The estimate has no
loader, though all but SSD300's decode JPEG on the CPU. torchvision's SSD300 is printed and not used for the width:
nothing that is known of it makes its step that long.

Each run is printed with the estimate that ``check --loop`` gives, which the error is of, and with that of the step as
it ran: with apex's casts, if TRACES_FOLDER has them (``tools/maskrcnn_apex.py``), and with the images that the last
release of NVIDIA's Mask R-CNN decodes in its training process. SSD300 in fp32 was timed until all was launched, not
until it was done, before October 2020: the estimate of what was still queued is left out of the step as it ran, these
runs are summed up apart, and they say nothing of the interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import geometric_mean, median

import msgspec
import numpy as np
from published_detectors import (
    AUTOCAST,
    FASTER,
    KEYPOINT,
    MASK,
    SSD,
    Case,
    logged_handovers,
    published_cases,
)
from scipy.optimize import brentq

from canitrain.catalog import find_card, load_calibration, load_dataset, load_model
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import ModelProfile, Phase, Precision, Stage, Work, WorkKind
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.estimate.handover import handover
from canitrain.estimate.shapes import time_shape
from canitrain.estimate.step_time import StepTime, step_time

COVERAGE = 0.96
"""As of the intervals of ``fit_time.py``."""
UNEXPLAINED = "ssd300_vgg16"
APEX = "maskrcnn_apex"
"""What ``tools/maskrcnn_apex.py`` traces."""
LAUNCH_QUEUE = 1024
"""Launches that wait for a device before the host does: CUDA's queue, observed by many, documented nowhere."""
UPDATE_LAUNCHES = 4
"""Of each parameter tensor: two for the momentum, one for the weights, one that zeroes the gradient; weights, of which
each convolution has one, have one more for their decay (torch/optim/sgd.py of torch 1.4)."""
MEGA = 1e6
VARYING_PIXELS = np.mean([(side / 800) ** 2 for side in (640, 672, 704, 736, 768, 800)])
"""detectron2 and torchvision's Keypoint R-CNN draw the shorter side from these, instead of 800."""
PERSONS, PERSONS_WITH_KEYPOINTS = 262_465 / 64_115, 149_813 / 56_599
"""An image of COCO's train2017 that has any: annotation counts of its person and person keypoints files."""
PROPOSALS_A_BATCH, SAMPLE = 4000, 512
"""The benchmark's configuration: proposals that NVIDIA's RPN keeps of a whole batch, and what the RoI head samples of
an image. It trains random heads at a learning rate of 0, so that only the objects themselves are positive."""


def as_sampled(profile: ModelProfile, *, samples: float, positives: float) -> ModelProfile:
    """``profile`` with RoI heads that work on so many samples and positives an image, as a run is known to."""

    def stage(own: Stage) -> Stage:
        share = positives / own.positives if own.positives else 1.0
        if own.name.startswith("roi_heads.box"):
            share = samples / SAMPLE
        forward, backward = _scaled(own.forward, share), _scaled(own.backward, share)
        return msgspec.structs.replace(own, forward=forward, backward=backward, positives=0)

    traces = {
        precision: msgspec.structs.replace(trace, stages=tuple(map(stage, trace.stages)))
        for precision, trace in profile.traces.items()
    }
    return msgspec.structs.replace(profile, traces=traces)


def _scaled(work: dict[WorkKind, Work], share: float) -> dict[WorkKind, Work]:
    def times(polynomial: Polynomial) -> Polynomial:
        return Polynomial(**{name: value * share for name, value in msgspec.structs.asdict(polynomial).items()})

    return {kind: Work(flops=times(w.flops), bytes=times(w.bytes), kernels=w.kernels) for kind, w in work.items()}


def predicted_s(case: Case, profile: ModelProfile, dataset: Dataset, calibration: Calibration) -> float:
    """Seconds of one step without a loader."""
    return predicted_step(case, profile, dataset, calibration).training_s


def predicted_step(case: Case, profile: ModelProfile, dataset: Dataset, calibration: Calibration) -> StepTime:
    """One step of ``case`` by the estimate; all ran with torch 1.x."""
    recipe = Recipe(
        precision=Precision(case.precision),
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=profile.defaults.image_size,
        batch_size=case.batch_size,
        effective_batch_size=case.batch_size * case.gpus,
        epochs=1,
        workers=4,
        ema=False,
        gpus=case.gpus,
        channels_last=case.channels_last,
        max_time_s=1.0,
        loop=case.loop or "pinned",
    )
    shape = time_shape(profile, recipe, dataset, case.batch_size)
    if case.source == "detectron2" or case.model == KEYPOINT:
        shape = msgspec.structs.replace(shape, pixels=shape.pixels * VARYING_PIXELS)
    if case.model == KEYPOINT:
        # detectron2's head leaves out persons without keypoints.
        persons = PERSONS_WITH_KEYPOINTS if case.source == "detectron2" else PERSONS
        shape = msgspec.structs.replace(shape, boxes=persons)
    if case.source == "benchmark" and case.model == MASK:
        samples = min(SAMPLE, PROPOSALS_A_BATCH / case.batch_size + shape.boxes)
        profile = as_sampled(profile, samples=samples, positives=shape.boxes)
    card = find_card(case.card)
    return step_time(
        profile,
        recipe,
        shape,
        card,
        slowness=calibration.time.launch.old_torch_ratio.value,
        bench=None,
        calibration=calibration.time,
        handover=handover(profile, recipe, dataset, calibration.host),
    )


def still_queued_s(profile: ModelProfile, step: StepTime) -> float:
    """Device seconds of what is still queued when the host has launched all: the update and the backward pass's end.

    That end are the first stages. Each gradient is added to the zeroed one of before by a kernel more.
    """
    backward = [group for group in step.groups if group.phase is Phase.BACKWARD]
    tensors, convolutions = profile.parameter_tensors, profile.traces[Precision.FP32].convolutions
    left = LAUNCH_QUEUE - UPDATE_LAUNCHES * tensors - sum(layer.count.one for layer in convolutions)
    additions = 1 + tensors / sum(group.kernels for group in backward)
    queued_s = step.optimizer_s
    for group in backward:
        launches = group.kernels * additions
        queued_s += group.time_s * min(1.0, max(0.0, left) / launches)
        left -= launches
    return queued_s


def fitted_positives(cases: dict[Case, float], dataset: Dataset, calibration: Calibration) -> float:
    """Positive samples an object with which detectron2's Keypoint R-CNN takes as much longer than its Faster R-CNN."""
    zoo = [case for case in cases if case.source == "detectron2"]
    keypoint, faster = (next(case for case in zoo if case.model == model) for model in (KEYPOINT, FASTER))

    def error(per_box: float) -> float:
        own = msgspec.structs.replace(calibration.time.positives_per_box, value=per_box)
        time = msgspec.structs.replace(calibration.time, positives_per_box=own)
        tried = msgspec.structs.replace(calibration, time=time)
        extra_s = predicted_s(keypoint, load_model(KEYPOINT), dataset, tried)
        extra_s -= predicted_s(faster, load_model(FASTER), dataset, tried)
        return extra_s - (cases[keypoint] - cases[faster])

    return float(brentq(error, 1.0, 100.0))


def profile_of(case: Case, traces: Path | None) -> ModelProfile | None:
    """The profile of the layers that ran; ``None`` for SSD300 without its trace."""
    if case.model != SSD:
        return load_model(case.model)
    return None if traces is None else load_model(str(traces / f"{SSD}.json"))


def measured_ratios(
    cases: dict[Case, float], traces: Path | None, dataset: Dataset, calibration: Calibration
) -> dict[str, list[float]]:
    """Measured / predicted of runs that were timed to the end of a step, by implementation."""
    ratios: dict[str, list[float]] = {}
    for case, measured_s in cases.items():
        profile = profile_of(case, traces)
        if profile is not None and case.model != UNEXPLAINED and case.timed_to_end:
            maker = case.source if case.source == AUTOCAST else case.source.split()[0]
            ratio = measured_s / predicted_s(case, profile, dataset, calibration)
            ratios.setdefault(f"{maker} {case.model} {case.precision}", []).append(ratio)
    return ratios


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
    parser.add_argument("--traces", type=Path, help="folder with ssd300_resnet50.json and maskrcnn_apex.json")
    options = parser.parse_args()
    published = options.calibration / "published.csv"
    cases = published_cases(published)
    alone = [image_s for case, image_s in logged_handovers(published).items() if case.gpus == 1]
    print(f"waited for a batch, by logs: {median(alone) * 1e3:.1f} ms an image, {len(alone)} runs of one GPU")
    calibration, dataset = load_calibration(), load_dataset("coco")
    decode_s = calibration.host.loader.decode_s_per_megapixel.value * dataset.image_pixels / MEGA
    apex = options.traces and options.traces / f"{APEX}.json"
    errors: dict[str, list[float]] = {}
    for case, measured_s in cases.items():
        profile = profile_of(case, options.traces)
        if profile is None:
            continue
        step_s = predicted_s(case, profile, dataset, calibration)
        if case.casts_with_apex and apex and apex.exists():
            profile = load_model(str(apex))
        as_it_ran_s = predicted_s(case, profile, dataset, calibration)
        if case.source == AUTOCAST and case.precision == Precision.AMP.value:
            # Its training process decodes, and the scaler has just waited for the device.
            as_it_ran_s += case.batch_size * decode_s
        if not case.timed_to_end:
            as_it_ran_s -= still_queued_s(profile, predicted_step(case, profile, dataset, calibration))
        said, ran = step_s / measured_s - 1, as_it_ran_s / measured_s - 1
        for group in (case.group, f"all, {case.precision}", "all"):
            errors.setdefault(group, []).append(said)
            errors.setdefault(f"{group}, as it ran", []).append(ran)
            if case.timed_to_end and group.startswith("all"):
                errors.setdefault(f"{group}, timed to the end", []).append(said)
        run = f"{case.source:12s} {case.model:30s} {case.precision} {case.gpus:2d} x {case.card:36s}"
        estimates = f"{step_s:.3f} s  as it ran {as_it_ran_s:.3f} s"
        print(f"{run} batch {case.batch_size:3d}  {estimates}  measured {measured_s:.3f} s  {said:+.0%}")
    print(f"positive samples an object: {fitted_positives(cases, dataset, calibration):.1f}")
    low, high = unfitted_width(measured_ratios(cases, options.traces, dataset, calibration))
    print(f"interval of these implementations, none of them in a fit: x {low:.3f} to x {high:.3f}")
    for group, values in sorted(errors.items()):
        size, middle = np.abs(values), np.median(values)
        summary = f"median {np.median(size):.1%} ({middle:+.1%}), 90th percentile {np.quantile(size, 0.9):.1%}"
        print(f"{group}: {summary}, {len(values)} cases")


if __name__ == "__main__":
    main()
