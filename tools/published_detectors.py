"""Published step times of detectors as cases: which run of which card, its seconds a step, and what its log says."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import geometric_mean, mean

from msgspec import Struct
from timed_runs import PUBLISHED_CARDS

from canitrain.catalog import find_card
from canitrain.core.profile import Precision

TABLE_CARD = "Tesla V100-SXM2-16GB"
DLE_CARDS = {
    "v100-16gb-sxm": TABLE_CARD,
    "v100-32gb-sxm": "Tesla V100-SXM2-32GB",
    "a100-40gb": "A100-SXM4-40GB",
    "a100-80gb": "A100-SXM4-80GB",
}
AUTOCAST = "NVIDIA 21.12"
"""Torch's own autocast, channels last, images decoded by the training process itself (coco.py, HybridDataLoader).

The releases before it, and the benchmark, cast with apex (O1), and loader processes hand their batches over.
"""
LAST_SSD = "NVIDIA 22.10"
"""Channels last under AMP, which its main.py takes by default and does not recommend in fp32; others channels first."""
SSD = "ssd300_resnet50"
MASK, KEYPOINT, FASTER = "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn"
ZOO = {"COCO-Detection/faster_rcnn_R_50_FPN_1x": FASTER, "COCO-Detection/faster_rcnn_R_50_FPN_3x": FASTER,
       "COCO-Detection/retinanet_R_50_FPN_1x": "retinanet_resnet50_fpn",
       "COCO-Detection/retinanet_R_50_FPN_3x": "retinanet_resnet50_fpn",
       "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x": MASK,
       "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x": MASK,
       "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x": KEYPOINT,
       "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x": KEYPOINT}  # fmt: skip
"""detectron2's configurations to the profile of the same layers."""
WAITS_SINCE = "2020-10"
"""SSD300's benchmark loop waits for the device before it stops its clock; forks of that autumn have it, those of March
2019 to September 2020 do not (src/train.py). The wait is then in the loader's ``__next__``, off the clock."""
DATED = re.compile(r"\d\d-(\d\d)-(\d{4})_")
"""Month and year of a log of deeplearning-benchmark."""
LOGGED = re.compile(r"run mean [\d.]+ s, data ([\d.]+) s")
"""Seconds a step between the end of the one before and the batch in hand, as maskrcnn-benchmark's loop logs them."""


class Case(Struct, frozen=True, kw_only=True, order=True):
    """One published configuration."""

    source: str
    model: str
    card: str
    gpus: int
    batch_size: int
    """Images a GPU."""
    precision: str
    timed_to_end: bool = True
    """Whether the clock was stopped after the device was done, not once all was launched."""

    @property
    def loop(self) -> str | None:
        """Whose training loop ran it, where images came from loader processes; SSD's come from DALI, ready."""
        if self.source in ("detectron2", "torchvision"):
            return self.source
        return "maskrcnn-benchmark" if self.model == MASK and self.source != AUTOCAST else None

    @property
    def channels_last(self) -> bool:
        """Whether its script lays images out so."""
        return self.source == AUTOCAST or (self.source == LAST_SSD and self.precision == Precision.AMP.value)

    @property
    def casts_with_apex(self) -> bool:
        """Whether it is a Mask R-CNN under AMP by apex (O1), which moves more bytes than autocast."""
        return self.model == MASK and self.precision == Precision.AMP.value and self.source != AUTOCAST

    @property
    def group(self) -> str:
        """What is scored together."""
        card = find_card(self.card)
        laptop = card.laptop or "Max-Q" in card.name
        cards = "laptops" if laptop else "one GPU" if self.gpus == 1 else "GPUs"
        clock = "" if self.timed_to_end else ", clock stopped early"
        return f"{self.source}, {'SSD300 ' if self.model == SSD else ''}{cards}, {self.precision}{clock}"


def published_cases(path: Path) -> dict[Case, float]:
    """Measured seconds a step; repeats of one case averaged."""
    seconds: dict[Case, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for case in _cases(row):
                step_s = row["s_per_iter"] or case.gpus * case.batch_size / float(row["images_per_s"])
                seconds.setdefault(case, []).append(float(step_s))
    return {case: geometric_mean(all_s) for case, all_s in sorted(seconds.items())}


def _cases(row: dict[str, str]) -> Iterator[Case]:
    """The case of ``row``, if it has a time and its layers a profile."""
    if not (row["s_per_iter"] or row["images_per_s"]) or not row["batch_per_gpu"]:
        return
    masks = row["family"] == "mask_rcnn"
    model = SSD if row["model"].startswith("SSD300") else MASK
    zoo = next((model for name, model in ZOO.items() if name in row["variant"] and "R50" in row["backbone"]), None)
    if "lambdal" in row["source"] and (masks or model == SSD) and row["gpu_key"] in PUBLISHED_CARDS:
        found = ("benchmark", model, PUBLISHED_CARDS[row["gpu_key"]])
    elif "DeepLearningExamples" in row["source"] and ((masks and "FrozenBN" in row["notes"]) or model == SSD):
        found = (f"NVIDIA {row['framework_version'].removeprefix('NGC ')[:5]}", model, DLE_CARDS[row["gpu_key"]])
    elif "detectron2" in row["source"] and zoo:
        found = ("detectron2", zoo, TABLE_CARD)
    elif "pytorch/vision" in row["source"]:
        found = ("torchvision", row["variant"], TABLE_CARD)
    else:
        return
    precision = Precision.AMP if "amp" in row["precision"] else Precision.FP32
    yield Case(
        source=found[0],
        model=found[1],
        card=found[2],
        gpus=round(float(row["n_gpus"])),
        batch_size=round(float(row["batch_per_gpu"])),
        precision=precision.value,
        # Under AMP the gradient scaler reads a result after the backward pass.
        timed_to_end=found[1] != SSD or precision is Precision.AMP or _month(row) >= WAITS_SINCE,
    )


def _month(row: dict[str, str]) -> str:
    dated = DATED.search(row["source"])
    return f"{dated[2]}-{dated[1]}" if dated else row["source_date"]


def logged_handovers(path: Path) -> dict[Case, float]:
    """Seconds an image that runs waited for their batch; their logs' means, repeats of one case averaged.

    The median of those with one GPU is ``taken_s_per_image`` of maskrcnn-benchmark in profiles/calibration/host.toml.
    """
    logged: dict[Case, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for case in _cases(row):
                if found := LOGGED.search(row["notes"]):
                    logged.setdefault(case, []).append(float(found[1]) / case.batch_size)
    return {case: mean(all_s) for case, all_s in logged.items()}
