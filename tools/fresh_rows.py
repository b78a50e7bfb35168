"""Published detector runs that nothing was tuned on, as rows: what each one ran, beyond its line of ``published.csv``.

Which count was written down before any of their errors was known; see ``fresh_detectors.py``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import geometric_mean

import msgspec
from msgspec import Struct
from published_detectors import FASTER, KEYPOINT, MASK, TABLE_CARD

from canitrain.core.loop import StepPart
from canitrain.core.profile import Precision
from canitrain.core.recipe import Strategy

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
