"""``canitrain trace``: any torch model to a profile that ``check`` takes."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from canitrain.cli.output import check_writable, file_to_write, tell, write_file
from canitrain.core.limits import LARGEST_SIDE
from canitrain.core.units import format_bytes

EXAMPLES = (
    "canitrain trace torchvision:fasterrcnn_resnet50_fpn --output fasterrcnn.json",
    "canitrain trace yolov5:yolov5s --output yolov5s.json",
    "canitrain trace timm:vit_base_patch16_224 --image-size 384 --output vit384.json",
    "canitrain trace my_model.py:build --output my_model.json",
    "Needs torch and the model's library: pip install 'canitrain[models]'",
)


def trace_command(
    spec: Annotated[
        str,
        typer.Argument(metavar="SPEC", help="LIBRARY:MODEL (torchvision, timm, yolov5, effdet) or FILE.py:FUNCTION."),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PROFILE.json", parser=file_to_write, help="Where to write the profile."
        ),
    ],
    image_size: Annotated[
        int | None,
        typer.Option(
            "--image-size",
            "-s",
            metavar="N",
            min=1,
            max=LARGEST_SIDE,
            help="Side, if not the default; of timm models and files.",
        ),
    ] = None,
) -> int:
    """Run training steps of a real model on the CPU, record them, and write a profile for `check --model`.

    FILE.py:FUNCTION is a model of your own: the function returns a torch.nn.Module (see docs/own-model.md).
    """
    check_writable(output)
    from canitrain.trace.spec import at_size, trace_spec  # noqa: PLC0415  # imports torch
    from canitrain.trace.writer import profile_json  # noqa: PLC0415

    spec = spec if image_size is None else at_size(spec, image_size)
    slow = f"tracing {spec}: this runs several training steps and can take minutes"
    profile = trace_spec(spec, begins=lambda: tell(slow))
    write_file(output, profile_json(profile))
    tell(f"{profile.title}: {profile.parameters:,} parameters, {format_bytes(output.stat().st_size)} in {output}")
    for note in profile.notes:
        tell(f"note: {note}")
    tell(f"next: canitrain check --model {quote(str(output))} --images 20000")
    return 0
