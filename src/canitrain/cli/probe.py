"""``canitrain probe``: what this machine has, and what of it a training job may use."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from canitrain.cli.machine import here
from canitrain.cli.output import answer, check_writable, file_to_write, tell, terminal_columns

EXAMPLES = (
    "canitrain probe",
    "canitrain probe --data /data/coco --bench --save host.json",
    "canitrain probe --json",
)


def probe_command(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="The data directory, whose storage is looked at.")
    ] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print the hardware as JSON (canitrain.hardware/1).")] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="HOST.json", parser=file_to_write, help="Write a file for check --hardware."),
    ] = None,
    bench: Annotated[bool, typer.Option("--bench", help="Measure decoding, storage and memory (up to 10 s).")] = False,
) -> int:
    """Show this machine: CPU, RAM, storage, GPUs, software, limits, and what could not be read."""
    from msgspec import json as msgspec_json  # noqa: PLC0415 - after the options are known to be good
    from msgspec import structs  # noqa: PLC0415

    from canitrain.probe import probe  # noqa: PLC0415

    if save is not None:
        check_writable(save)
    hardware = probe(here() / data)
    if bench:
        from canitrain.cli.bench_progress import bench_with_progress  # noqa: PLC0415 - reads and decodes for seconds

        hardware = structs.replace(hardware, bench=bench_with_progress(data))
    document = msgspec_json.format(msgspec_json.encode(hardware), indent=2)
    if save is not None:
        save.write_bytes(document + b"\n")
    if json:
        answer(document.decode())
    else:
        from canitrain.render.hardware import hardware_text  # noqa: PLC0415 - not for --json

        answer(hardware_text(hardware, columns=terminal_columns()))
    if save is not None:
        tell(f"saved in {save}; next: canitrain check --model fasterrcnn --images 20000 --hardware {quote(str(save))}")
    return 0
