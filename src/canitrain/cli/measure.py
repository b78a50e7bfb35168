"""``canitrain measure``: real training steps of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from canitrain.cli.output import answer, check_writable, file_to_write, tell
from canitrain.core.profile import Precision
from canitrain.core.recipe import Optimizer

EXAMPLES = (
    "canitrain measure --model yolov5s",
    "canitrain measure --model fasterrcnn --batch-size 4 --steps 50 --output runs.csv",
    "Needs torch and the model's library: pip install 'canitrain[models]'",
)


def measure_command(
    *,
    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="NAME|FILE", help="A model of `canitrain models`, or a profile file."),
    ],
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", "-b", metavar="N", min=1, help="Images a step.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Steps to time, after a warm-up.")] = 20,
    image_size: Annotated[
        str | None, typer.Option("--image-size", "-s", metavar="640|800x1333", help="Training size in pixels.")
    ] = None,
    precision: Annotated[Precision | None, typer.Option("--precision", help="The model's own by default.")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option("--optimizer", help="The model's own by default.")] = None,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Use the NHWC memory layout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=file_to_write, help="Append the CSV lines to this file too."
        ),
    ] = None,
) -> int:
    """Train a few steps for real, tell time and memory, and remember them for `check` on this machine."""
    from canitrain import catalog, measure  # noqa: PLC0415  # help must not read profiles
    from canitrain.cli.measuring import run_here  # noqa: PLC0415

    if output is not None:
        check_writable(output)
    profile = catalog.load_model(model)
    tell(f"measuring {profile.title}: {steps} steps on random images of the size that COCO's would have")
    measured = run_here(
        profile,
        batch_size=batch_size,
        steps=steps,
        image_size=image_size,
        precision=precision,
        optimizer=optimizer,
        channels_last=channels_last,
    )
    here = measure.remembered_path()
    for path in (here, output):
        if path is not None:
            measure.remember(measured, path)
    answer(measure.measured_text(measured))
    tell(f"remembered in {here}")
    return 0
