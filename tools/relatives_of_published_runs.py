"""Published runs of the same architecture by another library, against the profile: how far apart, and nothing fitted.

    python tools/relatives_of_published_runs.py CALIBRATION_FOLDER

Prints a Markdown table, which ``docs/memory.md`` shortens under "Why the same architecture takes more elsewhere". These
rows are never mixed with those of ``measurements_of_published_runs.py``, whose implementation a profile covers.
"""

from __future__ import annotations

import argparse
import csv
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from measurements_of_published_runs import unit_bytes

from canitrain import catalog
from canitrain.accuracy import recipe_of
from canitrain.core.accuracy import Measurement, MemoryKind
from canitrain.core.profile import Precision
from canitrain.core.units import GB_BYTES
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.shapes import memory_shape

CARD = "V100 32GB"
"""For all of them: allocated bytes hardly depend on the card."""
ALLOCATED = ("max_memory_allocated", "max mem")
"""How ``metric_kind`` names the figure."""
FAMILIES = {
    "faster r-cnn": "fasterrcnn_resnet50_fpn",
    "mask r-cnn": "maskrcnn_resnet50_fpn",
    "keypoint": "keypointrcnn_resnet50_fpn",
    "retinanet": "retinanet_resnet50_fpn",
    "ssdlite": "ssdlite320_mobilenet_v3_large",
    "ssd": "ssd300_vgg16",
}
BACKBONES = ("R50-FPN", "R-50-FPN", "R50", "R50-FPN (caffe)", "ResNet-50 FPN")
OTHER_RECIPES = ("LVIS", "Cityscapes", "Scale=", "Cascade", "fast_rcnn", "rpn_R", "panoptic")
"""Parts of a configuration's name that make it another model or data set."""
OTHER_SIZE = "512"
"""SSD512 has a layer more than the traced SSD300."""
LIBRARIES = ("detectron2", "mmdetection", "NVIDIA DLE maskrcnn-benchmark", "maskrcnn-benchmark", "torchvision")


@dataclass(frozen=True, kw_only=True)
class Relative:
    """One published figure and the profile of its architecture."""

    library: str
    model: str
    batch_size: int
    gpus: int
    precision: Precision
    measured_bytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    print("\n".join(table(relatives(parser.parse_args().calibration / "published.csv"))))


def relatives(published: Path) -> Iterator[Relative]:
    """The rows of ``published`` with allocated bytes of a 50-layer FPN detector or an SSD that has a profile."""
    with published.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            library = next((name for name in LIBRARIES if row["framework"].startswith(name)), None)
            names = f"{row['model']} {row['variant']}"
            model = next((profile for part, profile in FAMILIES.items() if part in names.lower()), None)
            if library is None or model is None or not row["train_mem_gb"] or row["confidence"] == "low":
                continue
            known = row["backbone"] in BACKBONES or "ssd" in model
            if row["model"] == "SSD" and OTHER_SIZE in names:
                continue
            if not known or any(part in names for part in OTHER_RECIPES):
                continue
            if any(part in row["metric_kind"] for part in ALLOCATED):
                yield Relative(
                    library=f"{library} {row['framework_version'].split(',')[0][:12]}" if "mm" in library else library,
                    model=model,
                    batch_size=round(float(row["batch_per_gpu"])),
                    gpus=round(float(row["n_gpus"])),
                    precision=Precision.AMP if "amp" in row["precision"] else Precision.FP32,
                    measured_bytes=float(row["train_mem_gb"]) * unit_bytes(row),
                )


def table(runs: Iterable[Relative]) -> Iterator[str]:
    """One line for each library, model, precision and batch; figures that several rows give are averaged."""
    groups: dict[tuple[str, str, str, int], list[Relative]] = {}
    for run in runs:
        groups.setdefault((run.library, run.model, run.precision.value, run.batch_size), []).append(run)
    yield "| library | model | precision | images a GPU | measured | traced | difference |"
    yield "|---|---|---|---|---|---|---|"
    for (library, model, precision, batch_size), group in sorted(groups.items()):
        measured_bytes = sum(run.measured_bytes for run in group) / len(group)
        expected_bytes = traced_bytes(model, group[0].precision, batch_size, group[0].gpus)
        yield (
            f"| {library} | {model} | {precision} | {batch_size} | {measured_bytes / GB_BYTES:.2f} |"
            f" {expected_bytes / GB_BYTES:.2f} | {expected_bytes / measured_bytes - 1:+.0%} |"
        )


@functools.cache
def traced_bytes(model: str, precision: Precision, batch_size: int, gpus: int) -> float:
    """Allocated bytes that the profile of ``model`` says."""
    profile = catalog.load_model(model)
    measurement = Measurement(
        row=1,
        model=model,
        image_size=None,
        batch_size=batch_size,
        gpus=gpus,
        gpu=CARD,
        precision=precision.value,
        optimizer=None,
        memory_kind=MemoryKind.ALLOCATED,
        memory_bytes=None,
        step_s=None,
        images_per_s=None,
        source=None,
    )
    recipe = recipe_of(measurement, profile)
    shape = memory_shape(profile, recipe, catalog.load_dataset("coco"), batch_size)
    calibration = catalog.load_calibration().memory
    memory = gpu_memory(
        profile, recipe, shape, catalog.find_card(CARD), calibration, total_bytes=None, budget_bytes=None
    )
    return memory.allocated_bytes.expected


if __name__ == "__main__":
    main()
