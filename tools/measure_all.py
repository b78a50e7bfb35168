"""Measure every built-in family at three batches: ``python tools/measure_all.py [--output FILE.csv]``.

On a GPU: fp32 and AMP, channels first and last, time and allocated, reserved and device memory, in under ten minutes.
Without one: one small fp32 step of each family on the CPU, torch's own memory records against the profile's replay.
Needs the extra ``models``.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
import warnings
from pathlib import Path

from canitrain.catalog import load_model
from canitrain.cli.measuring import run_here
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Phase, Precision
from canitrain.measure import remember
from canitrain.measure.cpu_memory import recorded_peak_bytes
from canitrain.measure.run import has_gpu
from canitrain.trace.spec import subject_of

FOLDER = Path(__file__).parents[1] / "profiles" / "measurements"
BATCHES = {
    "yolov5s": (8, 16, 32),
    "yolov5s6": (2, 4, 8),
    "fasterrcnn_resnet50_fpn": (1, 2, 4),
    "fasterrcnn_resnet50_fpn_v2": (1, 2, 4),
    "fasterrcnn_mobilenet_v3_large_fpn": (2, 4, 8),
    "maskrcnn_resnet50_fpn": (1, 2, 4),
    "keypointrcnn_resnet50_fpn": (1, 2, 4),
    "retinanet_resnet50_fpn": (1, 2, 4),
    "fcos_resnet50_fpn": (1, 2, 4),
    "ssd300_vgg16": (4, 8, 16),
    "ssdlite320_mobilenet_v3_large": (8, 24, 48),
    "tf_efficientdet_d0": (4, 8, 16),
    "tf_efficientdet_d3": (1, 2, 4),
}
"""One model a family, more where sizes or norms differ; images a step."""
STEPS = 8
CPU_SHAPES = {
    "yolov5n": (2, 384, 384, 20),
    "fasterrcnn_mobilenet_v3_large_fpn": (2, 320, 320, 8),
    "fasterrcnn_resnet50_fpn": (1, 384, 384, 8),
    "retinanet_resnet50_fpn": (1, 320, 320, 8),
    "fcos_resnet50_fpn": (1, 320, 320, 8),
    "ssd300_vgg16": (2, 300, 300, 8),
    "ssdlite320_mobilenet_v3_large": (4, 320, 320, 8),
    "tf_efficientdet_d0": (2, 256, 256, 8),
}
"""(batch, height, width, boxes): what a laptop's CPU steps through in seconds."""
CPU_COLUMNS = ("model", "batch_size", "height", "width", "boxes", "recorded_bytes", "replayed_bytes")


def main() -> None:
    """Measure what this machine can."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", nargs=2, metavar=("MODEL", "PRECISION"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.worker:
        measure_model(options.worker[0], Precision(options.worker[1]), options.output)
    elif has_gpu():
        measure_on_gpu(options.output or FOLDER / "gpu.csv")
    else:
        compare_on_cpu(options.output or FOLDER / "cpu_memory_records.csv")


def measure_on_gpu(output: Path) -> None:
    """One process a model and precision, so that the driver's figure starts from nothing."""
    start = time.perf_counter()
    for model in BATCHES:
        for precision in Precision:
            arguments = ["--worker", model, precision.value, "--output", str(output)]
            subprocess.run([sys.executable, __file__, *arguments], check=False)
    print(f"{time.perf_counter() - start:.0f} s, lines appended to {output}")


def measure_model(model: str, precision: Precision, output: Path) -> None:
    """All batches and both layouts of one model; a batch that does not fit ends its layout."""
    import torch  # noqa: PLC0415 - heavy

    profile = load_model(model)
    for channels_last in (False, True):
        for batch_size in BATCHES[model]:
            try:
                measured = run_here(
                    profile,
                    batch_size=batch_size,
                    steps=STEPS,
                    image_size=None,
                    precision=precision,
                    optimizer=None,
                    channels_last=channels_last,
                )
            except torch.OutOfMemoryError:
                print(f"{model} {precision.value} batch {batch_size}: out of memory", flush=True)
                break
            remember(measured, output)
            print(
                f"{model} {precision.value} batch {batch_size} {'NHWC' if channels_last else 'NCHW'}:"
                f" {measured.step_s:.4f} s, {(measured.allocated_bytes or 0) / 2**30:.2f} GiB allocated",
                flush=True,
            )


def compare_on_cpu(output: Path) -> None:
    """Write and print torch's memory records beside what the profile's polynomials say."""
    rows = []
    for model, shape in CPU_SHAPES.items():
        profile = load_model(model)
        subject = subject_of(profile.implementation.spec)
        recorded = recorded_peak_bytes(subject.build, shape)
        batch, height, width, boxes = shape
        at = BatchShape(batch_size=batch, pixels=height * width, boxes=boxes)
        replayed = max(
            # The recorded step starts without gradients, whatever the library's script does.
            peak.live_bytes.at(at) + (peak.gradient_bytes if peak.phase is Phase.BACKWARD else 0)
            for peak in profile.traces[Precision.FP32].peaks
        )
        rows.append((model, *shape, recorded, round(replayed)))
        print(
            f"{model} {shape}: recorded {recorded / 2**20:.1f} MiB, replayed {replayed / recorded - 1:+.2%}", flush=True
        )
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CPU_COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
