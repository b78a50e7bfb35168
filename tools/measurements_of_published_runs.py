"""The runs that the fits rest on, as the CSV that ``canitrain accuracy`` replays; ``docs/accuracy.md`` is made from it.

    python tools/measurements_of_published_runs.py CALIBRATION_FOLDER TRACES_FOLDER > runs.csv
    python tools/measurements_of_published_runs.py CALIBRATION_FOLDER TRACES_FOLDER --memory-traces FOLDER --write

The second form writes ``docs/accuracy.md`` and its picture. Memory is compared with the traces of ``--memory-traces``
where given: those of ``tools/fit_memory.py``.
CALIBRATION_FOLDER has ``timm_memory_a100_40gb.csv``, ``timm_speed.csv`` and ``published.csv``; TRACES_FOLDER has
profiles of timm models (``tools/trace_for_fits.py``), one a file. Only implementations that a profile covers;
repeats of one configuration are averaged (geometric mean).
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fit_memory import FAILED
from timed_runs import published_runs, timm_runs

from canitrain.catalog.measurements import COLUMNS, MORE_COLUMNS
from canitrain.cli.app import run
from canitrain.core.units import GB_BYTES, GIB_BYTES, MIB_BYTES

DOCS = Path(__file__).parent.parent / "docs"
NOTE = """\
These are the runs that the calibration was fitted on, and the errors are those of the fit: timm models (GPUMemNet's
memory, timm's own step times), published times of classifiers, and the YOLOv5, SSD, Mask R-CNN and Keypoint R-CNN rows
whose implementation a profile covers; no memory of these detectors was fitted. Errors on models and cards that a fit
has not seen stand beside each coefficient in `profiles/calibration/`. Hosts are not known and taken as fast enough.
torchvision's four rows (2019 and 2021, eight V100s) include loading and ran on torch 1.1 to 1.9; `docs/memory.md` says
what of their memory is not explained, and compares other libraries. YOLOv5's two times (V100, Tesla T4) are last epochs
of its notebooks: 8 steps of 16 images from RAM, the first of them waiting for the loader, on rented hosts that launch
slowly. No host is told here, so that their errors hold it too; `tools/fresh_detectors.py` tells it to `check`."""
TIMM_MEMORY_CARD = "A100-SXM4-40GB"
DETECTOR_CARDS = {
    "v100": "V100",
    "v100-16gb-sxm": "Tesla V100-SXM2-16GB",
    "a100": "A100",
    "t4": "Tesla T4",
    "p100": "P100",
}
TORCHVISION = {"ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"}
PRINTED_GB_BYTES = 1000 * MIB_BYTES
"""What a table calls a GB that was copied from a log in MiB, at the least.

mmengine, mmcv, detectron2, maskrcnn-benchmark and torchvision's MetricLogger all log ``max_memory_allocated / 1024**2``
and call it MB. mmdetection's script for its tables divides that by 1024, people who type may divide by 1000: what is
printed may mean 2.4 % more than is taken here, and its one decimal is worth up to 3 % of a small model. Source:
mmengine/device/utils.py, mmcv/runner/hooks/logger/text.py, mmdetection/.dev_scripts/gather_models.py,
torchvision references/detection/utils.py.
"""
MMYOLO = {"YOLOv5-n": "yolov5n", "YOLOv5-m": "yolov5m", "YOLOv5-n-P6": "yolov5n6", "YOLOv5-m-P6": "yolov5m6"}

YOLOV5_RELEASES = ("v6.", "v7.")
"""Those whose architecture is the traced one; v2 to v5 have other stems, blocks and activations."""

Line = dict[str, str | int | float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("traces", type=Path)
    parser.add_argument("--memory-traces", type=Path, help="of the timm that the memory runs had (tools/fit_memory.py)")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md and docs/accuracy.svg")
    options = parser.parse_args()
    text = as_csv(options.calibration, options.traces, options.memory_traces or options.traces)
    if not options.write:
        sys.stdout.write(text)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs.csv"
        runs.write_text(text, encoding="utf-8")
        outputs = ["--markdown", str(DOCS / "accuracy.md"), "--plot", str(DOCS / "accuracy.svg"), "--note", NOTE]
        sys.exit(run(["accuracy", "--measurements", str(runs), "--skip-unknown", *outputs]))


def as_csv(calibration: Path, traces: Path, memory_traces: Path) -> str:
    """All measured runs."""
    traced, of_memory = (
        {path.stem: str(path) for path in sorted(folder.glob("*.json"))} for folder in (traces, memory_traces)
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, *MORE_COLUMNS), restval="", lineterminator="\n")
    writer.writeheader()
    for lines in (timm_memory(calibration, of_memory), times(calibration, traced), detectors(calibration)):
        writer.writerows(lines)
    return text.getvalue()


def timm_memory(calibration: Path, traced: dict[str, str]) -> Iterator[Line]:
    """Device memory of timm models; the optimizer is the fit's (SGD with momentum unless it says otherwise)."""
    for row in _rows(calibration / "timm_memory_a100_40gb.csv"):
        if row["model"] in traced and row["model"] not in FAILED:
            yield {
                "model": traced[row["model"]],
                "batch_size": row["batch_size"],
                "gpu": TIMM_MEMORY_CARD,
                "precision": "fp32",
                "memory_kind": "device",
                "memory_bytes": int(row["device_mib"]) * MIB_BYTES,
                "source": "GPUMemNet timm",
            }


def times(calibration: Path, traced: dict[str, str]) -> Iterator[Line]:
    """Steps of classifiers; rows in channels-last order have no column here and are left out."""
    runs = [*timm_runs(calibration / "timm_speed.csv"), *published_runs(calibration / "published.csv", {})]
    for timed in runs:
        if timed.training and not timed.channels_last and timed.model in traced:
            yield {
                "model": traced[timed.model],
                "image_size": timed.image_size,
                "batch_size": timed.batch_size,
                "gpu": timed.card,
                "precision": timed.precision.value,
                "step_s": timed.step_s,
                "source": timed.source,
            }


def detectors(calibration: Path) -> Iterator[Line]:
    """Whole training runs of detectors that a profile covers."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in _rows(calibration / "published.csv"):
        if row["confidence"] != "low" and _model(row) and row["gpu_key"] in DETECTOR_CARDS:
            key = ("model", "image_size", "batch_per_gpu", "n_gpus", "gpu_key", "precision", "framework")
            groups.setdefault((*(row[name] for name in key), str(_before_validation(row))), []).append(row)
    for rows in groups.values():
        row = rows[0]
        line: Line = {
            "model": _model(row) or "",
            "image_size": "x".join(
                sorted({part for part in row["image_size"].split()[0].split("x") if part.isdigit()})
            ),
            "batch_size": round(float(row["batch_per_gpu"])),
            "gpus": round(float(row["n_gpus"])),
            "gpu": DETECTOR_CARDS[row["gpu_key"]],
            "precision": "amp" if "amp" in row["precision"] else "fp32",
            "source": row["framework"],
        }
        memory = [float(each["train_mem_gb"]) for each in rows if each["train_mem_gb"]]
        seconds = [float(each["s_per_iter"]) for each in rows if each["s_per_iter"]]
        reserved = "reserved" in row["metric_kind"]
        if memory:
            line["memory_kind"] = "reserved" if reserved else "allocated"
            line["memory_bytes"] = _mean(memory) * unit_bytes(row)
            line["validated"] = "no" if _before_validation(row) else "yes"
        if seconds and not _before_validation(row):
            line["step_s"] = _mean(seconds)
        if "memory_bytes" in line or "step_s" in line:
            yield line


def unit_bytes(row: dict[str, str]) -> int:
    """Bytes of what ``row`` calls a GB."""
    if row["mem_unit"].startswith("GiB"):
        return GIB_BYTES
    return GB_BYTES if row["mem_unit"].startswith("GB decimal") else PRINTED_GB_BYTES


def _model(row: dict[str, str]) -> str | None:
    """The profile that covers the row's implementation."""
    if "references/detection" in row["framework"]:
        return row["variant"] if row["variant"] in TORCHVISION else None
    if row["framework"] == "ultralytics/yolov5" and row["model"] == "YOLOv5s":
        return "yolov5s" if row["framework_version"].startswith(YOLOV5_RELEASES) else None
    return MMYOLO.get(row["model"]) if row["framework"].startswith("mmyolo") else None


def _before_validation(row: dict[str, str]) -> bool:
    """Whether it is the first epoch of a YOLOv5 log, whose 8 steps start the workers and the device as well."""
    return "before any validation" in row["notes"]


def _mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    main()
