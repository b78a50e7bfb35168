"""The options of ``canitrain check``, one name each, in the groups in which its help shows them."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from canitrain.cli.output import file_to_write
from canitrain.cli.recipe import PrecisionChoice
from canitrain.core.hardware import StorageKind
from canitrain.core.limits import LARGEST_COUNT, MOST_CORES, MOST_NODES, MOST_WORKERS
from canitrain.core.recipe import CacheMode, DeviceChoice, Freeze, Optimizer, Strategy
from canitrain.render.formats import Format

_WHAT, _MACHINE, _RECIPE, _ANSWER = "What to train", "On which machine", "How to train", "The answer"


def number_between(least: float, most: float) -> Callable[[str], float]:
    """A parser of numbers from ``least`` to ``most``: click's own ranges let NaN through."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a number") from None
        if math.isnan(number) or not least <= number <= most:
            raise typer.BadParameter(f"{text} is not a number from {least:g} to {most:,}")
        return number

    return parse


class FailOn(enum.Enum):
    """``--fail-on``: the mildest verdict that makes the exit code non-zero."""

    TIGHT = "tight"
    UNKNOWN = "unknown"
    NO_GO = "no-go"


Model = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME|FILE", help="A model of `canitrain models`, or a profile file.",
                 rich_help_panel=_WHAT),
]  # fmt: skip
Images = Annotated[
    int | None,
    typer.Option(
        "--images",
        "-n",
        metavar="N",
        min=1,
        max=LARGEST_COUNT,
        help="Training images; otherwise like --dataset.",
        rich_help_panel=_WHAT,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The folder of the training images, which is scanned.",
                 rich_help_panel=_WHAT),
]  # fmt: skip
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME",
                 help="Whose images they are like: coco (imagenet for classifiers) unless given, kitti, open-images, "
                 "visdrone, voc.",
                 rich_help_panel=_WHAT),
]  # fmt: skip
ImageBytes = Annotated[
    str | None,
    typer.Option("--image-bytes", metavar="SIZE", help="Mean size of an image file, 150KB.", rich_help_panel=_WHAT),
]
BoxesPerImage = Annotated[
    float | None,
    typer.Option(
        "--boxes-per-image",
        metavar="N",
        parser=number_between(0, LARGEST_COUNT),
        help="Mean boxes an image.",
        rich_help_panel=_WHAT,
    ),
]

HardwareFile = Annotated[
    Path | None,
    typer.Option(
        "--hardware",
        metavar="HOST.json",
        help="A machine saved by `canitrain probe --save`; - reads one from stdin.",
        rich_help_panel=_MACHINE,
    ),
]
GpuText = Annotated[
    str | None,
    typer.Option("--gpu", metavar="CARDS", help='Cards in place of the machine\'s: "2x RTX 3060".',
                 rich_help_panel=_MACHINE),
]  # fmt: skip
Nodes = Annotated[
    int,
    typer.Option("--nodes", metavar="N", min=1, max=MOST_NODES, help="Machines like this one that train together.",
                 rich_help_panel=_MACHINE),
]  # fmt: skip
Network = Annotated[
    str | None,
    typer.Option("--network", metavar="100Gb/s", help="What connects them; 10Gb/s unless given.",
                 rich_help_panel=_MACHINE),
]  # fmt: skip
CpuCores = Annotated[
    float | None,
    typer.Option(
        "--cpu-cores",
        metavar="N",
        parser=number_between(0.1, MOST_CORES),
        help="Cores that the job may use.",
        rich_help_panel=_MACHINE,
    ),
]
RamText = Annotated[
    str | None,
    typer.Option("--ram", metavar="SIZE", help="RAM that the job may use: 64GiB.", rich_help_panel=_MACHINE),
]
Storage = Annotated[
    StorageKind | None,
    typer.Option("--storage", help="What the images lie on.", rich_help_panel=_MACHINE),
]
Disk = Annotated[
    str | None,
    typer.Option("--disk", metavar="SIZE", help="Free space for images and checkpoints: 500GB.",
                 rich_help_panel=_MACHINE),
]  # fmt: skip
Device = Annotated[
    DeviceChoice,
    typer.Option("--device", help="Where to train; auto takes the best GPU.", rich_help_panel=_MACHINE),
]
AssumeIdle = Annotated[
    bool,
    typer.Option("--assume-idle", help="Count on the whole card, not on what is free now.", rich_help_panel=_MACHINE),
]

ImageSizeText = Annotated[
    str | None,
    typer.Option("--image-size", "-s", metavar="640|800x1333", help="Training size in pixels.",
                 rich_help_panel=_RECIPE),
]  # fmt: skip
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", "-b", metavar="N", min=1, max=LARGEST_COUNT, help="Images a GPU and step.",
                 rich_help_panel=_RECIPE),
]  # fmt: skip
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs", "-e", metavar="N", min=1, max=LARGEST_COUNT, help="Passes over the images.", rich_help_panel=_RECIPE
    ),
]
PrecisionName = Annotated[
    PrecisionChoice,
    typer.Option("--precision", help="auto: what the library's own script uses.", rich_help_panel=_RECIPE),
]
OptimizerName = Annotated[
    Optimizer | None, typer.Option("--optimizer", help="Else the library's own.", rich_help_panel=_RECIPE)
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", metavar="N", min=0, max=MOST_WORKERS, help="Loader processes a GPU.", rich_help_panel=_RECIPE
    ),
]
Cache = Annotated[
    CacheMode,
    typer.Option("--cache", help="Where decoded images are kept between epochs.", rich_help_panel=_RECIPE),
]
StrategyName = Annotated[
    Strategy | None,
    typer.Option("--strategy", help="How several GPUs share a step; ddp unless given.", rich_help_panel=_RECIPE),
]
FreezeName = Annotated[
    Freeze,
    typer.Option("--freeze", help="Which layers get no gradient.", rich_help_panel=_RECIPE),
]
Checkpointing = Annotated[
    bool,
    typer.Option("--checkpointing", help="Recompute activations to save memory.", rich_help_panel=_RECIPE),
]
MultiScale = Annotated[
    bool,
    typer.Option("--multi-scale", help="Vary the image size by half, as YOLOv5 can.", rich_help_panel=_RECIPE),
]
ChannelsLast = Annotated[
    bool,
    typer.Option("--channels-last", help="Keep tensors in NHWC order.", rich_help_panel=_RECIPE),
]
Loop = Annotated[
    str | None,
    typer.Option("--loop", metavar="NAME",
                 help="Whose training loop runs the step, if not the library's own: torchvision, detectron2, "
                 "mmdetection, maskrcnn-benchmark, yolov5, effdet, timm, or pinned for one whose DataLoader has "
                 "pin_memory=True.",
                 rich_help_panel=_RECIPE),
]  # fmt: skip
MaxTime = Annotated[
    str | None,
    typer.Option("--max-time", metavar="3d", help="No-go beyond it; 7 days unless given.", rich_help_panel=_RECIPE),
]
Price = Annotated[
    float | None,
    typer.Option("--price-per-hour", metavar="X", parser=number_between(0, LARGEST_COUNT),
                 help="Of one whole machine, for the cost.", rich_help_panel=_RECIPE),
]  # fmt: skip

OutputFormat = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="text unless given; github: annotations and a job summary.",
                 rich_help_panel=_ANSWER),
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="Short for --format json.", rich_help_panel=_ANSWER)]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", parser=file_to_write, help="Write the report there.",
                 rich_help_panel=_ANSWER),
]  # fmt: skip
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Add what holds the memory, stage by stage.", rich_help_panel=_ANSWER),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; only exit.", rich_help_panel=_ANSWER)]
FailOnStatus = Annotated[
    FailOn,
    typer.Option("--fail-on", help="Mildest verdict that fails: tight (1), unknown (3), no-go (1).",
                 rich_help_panel=_ANSWER),
]  # fmt: skip
ExitZero = Annotated[
    bool,
    typer.Option("--exit-zero", help="Exit 0 whatever the verdict.", rich_help_panel=_ANSWER),
]
