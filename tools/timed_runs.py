"""Timed runs of others as rows that the time fit can use: which card, which traced model, how many seconds a step."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from canitrain.core.profile import Precision
from canitrain.core.units import FP32_BYTES

TIMM_CARDS = {
    "cu113-rtx3090": "GeForce RTX 3090",
    "cu124-rtx3090": "GeForce RTX 3090",
    "cu124-rtx4090": "GeForce RTX 4090",
    "cu128-4090": "GeForce RTX 4090",
    "cu130-5090": "GeForce RTX 5090",
    "cu130-pro6000maxq": "RTX PRO 6000 Blackwell Max-Q Workstation Edition",
}
"""``machine`` of the timm benchmark to a catalog card; older runs of a machine that ran again are left out."""
PUBLISHED_CARDS = {
    "rtx2070-maxq": "GeForce RTX 2070 Max-Q",
    "rtx2080-maxq": "GeForce RTX 2080 Max-Q",
    "rtx2080s-maxq": "GeForce RTX 2080 SUPER Max-Q",
    "rtx3080-maxq": "GeForce RTX 3080 Laptop GPU",
    "rtx3090": "GeForce RTX 3090",
    "a100-40gb-sxm": "A100-SXM4-40GB",
    "a100-40gb-pcie": "A100-PCIE-40GB",
    "a100-80gb-pcie": "A100 80GB PCIe",
    "a100-80gb": "A100-SXM4-80GB",
    "a40": "A40",
    "a4000": "RTX A4000",
    "a4500": "RTX A4500",
    "a5000": "RTX A5000",
    "h100-80gb-pcie": "H100 PCIe",
    "h200": "H200 SXM",
    "v100-16gb": "Tesla V100-SXM2-16GB",
    "v100-32gb": "Tesla V100-SXM2-32GB",
    "quadro-rtx5000": "Quadro RTX 5000",
    "quadro-rtx8000": "Quadro RTX 8000",
    "titan-rtx": "TITAN RTX",
    "titan-xp": "TITAN Xp",
}
TRACED_NAMES = {
    "ResNet-50 v1.5": "resnet50",
    "mobilenet_v2": "mobilenetv2_100",
    "mnasnet1_0": "mnasnet_100",
}
"""Names of torchvision and DeepLearningExamples to timm's model of the same layers."""
OTHER_ATTENTION = ("vit", "xcit", "deit", "cait", "crossvit", "volo", "pit", "beit", "twins")
"""timm trained these in 2022 without fused attention, which today's timm that was traced has."""
OTHER_MODEL = ("ig_resnext101_32x16d", "ig_resnext101_32x48d", "ecaresnext50t_32x4d", "tresnet_")
"""Today's timm, which was traced, builds another model under these names than that of 2022, which was timed.

Two old names lead to ResNeXt-101 32x8d, one had 2, 2, 2, 2 blocks, and TResNet has lost its in-place batch norm.
"""
PLAIN_LOOP = "plain loop"
"""Source of runs whose loop has no optimizer, sets gradients to zero and copies its images inside the clock."""
FOLDED = ("mobileone", "fastvit", "repvit", "repvgg", "repghost", "mobileclip", "levit")
"""Their branches are folded into one convolution for inference, which a trace of a training step does not show."""
LARGE_BYTES = 1e8
"""Beyond every cache."""
RECURRENT = "sequencer"
"""An LSTM on the CPU, where models are traced, is not the fused kernel that a GPU runs."""


@dataclass(frozen=True, kw_only=True)
class TimedRun:
    """One timed configuration on one card."""

    model: str
    """As timm names it."""
    card: str
    precision: Precision
    channels_last: bool
    training: bool
    """False: forward pass only, batch norm in eval mode."""
    batch_size: int
    image_size: int
    step_s: float
    source: str
    host_slowness: float = 1.0
    """How many times as long a launch takes as today's; 1, which hardly ever decides, where the host is not known."""


def timm_runs(path: Path) -> Iterator[TimedRun]:
    """Training and inference rows of ``timm_speed.csv`` that ran eagerly on a GPU of ``TIMM_CARDS``."""
    for row in _rows(path):
        card = TIMM_CARDS.get(row["machine"])
        training = row["mode"] == "train"
        if (
            card is None
            or row["model"].startswith(RECURRENT)
            or row["model"].startswith(OTHER_MODEL)
            or row["model"].startswith(OTHER_ATTENTION if training else FOLDED)
        ):
            continue
        yield TimedRun(
            model=row["model"].partition(".")[0],
            card=card,
            precision=Precision.AMP,
            channels_last=row["layout"] == "nhwc",
            training=training,
            batch_size=round(float(row["batch_size"])),
            image_size=int(row["image_size"]),
            step_s=float(row["step_s"]),
            source=f"timm {row['mode']}",
        )


def published_runs(path: Path, host_slowness: Mapping[str, float]) -> Iterator[TimedRun]:
    """Classifiers on one GPU of ``published.csv``: NVIDIA's ResNet-50 and torchvision models in a plain loop.

    ``host_slowness`` is of the plain loop's hosts, by card.

    Rows of one configuration and card are averaged (geometric mean). Whole-model half precision is not AMP: left out.
    """
    groups: dict[tuple[str, str, Precision, bool, int, str], list[float]] = {}
    for row in _rows(path):
        source = next(
            (name for name in ("lambdal", "ryujaehun", "Classification/ConvNets") if name in row["source"]), None
        )
        model = TRACED_NAMES.get(row["model"], row["model"])
        card = PUBLISHED_CARDS.get(row["gpu_key"])
        half_model = "static" in row["precision"] or "half()" in row["precision"]
        if source is None or row["family"] != "classification" or card is None or half_model:
            continue
        if row["n_gpus"] != "1.0" or not row["batch_per_gpu"]:
            continue
        batch = round(float(row["batch_per_gpu"]))
        seconds = float(row["s_per_iter"]) if row["s_per_iter"] else batch / float(row["images_per_s"])
        precision = Precision.AMP if "amp" in row["precision"] else Precision.FP32
        channels_last = precision is Precision.AMP and source == "Classification/ConvNets"
        groups.setdefault((model, card, precision, channels_last, batch, source), []).append(seconds)
    for (model, card, precision, channels_last, batch, source), all_s in groups.items():
        yield TimedRun(
            model=model,
            card=card,
            precision=precision,
            channels_last=channels_last,
            training=True,
            batch_size=batch,
            image_size=224,
            step_s=math.exp(sum(map(math.log, all_s)) / len(all_s)),
            host_slowness=host_slowness.get(card, 1.0) if source == "ryujaehun" else 1.0,
            source={"lambdal": "DLE ResNet-50", "ryujaehun": PLAIN_LOOP}.get(source, "DLE table"),
        )


@dataclass(frozen=True, kw_only=True)
class TimedAddition:
    """One elementwise fp32 addition timed alone: what a card's memory gives."""

    card: str
    size_bytes: float
    step_s: float
    source: str = "addition"
    model: str = ""
    training: bool = False
    host_slowness: float = 1.0
    channels_last: bool = False
    precision: Precision = Precision.FP32
    batch_size: int = 0


def timed_additions(folder: Path, count: int) -> Iterator[TimedAddition]:
    """``count`` large additions of each card, drawn by chance; small ones run in the cache or wait for their launch."""
    chance = random.Random(0)
    by_card: dict[str, list[TimedAddition]] = {}
    for row in _rows(folder / "add_kernels_fp32.csv"):
        size_bytes = 3 * FP32_BYTES * int(row["rows"]) * int(row["columns"])
        if size_bytes >= LARGE_BYTES:
            addition = TimedAddition(card=row["gpu"], size_bytes=size_bytes, step_s=float(row["latency_ms"]) / 1e3)
            by_card.setdefault(row["gpu"], []).append(addition)
    for _, additions in sorted(by_card.items()):
        yield from chance.sample(additions, min(len(additions), count))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
