"""``canitrain doctor``: everything the probe saw, fit to paste into a bug report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from canitrain.cli.machine import here
from canitrain.cli.output import answer

EXAMPLES = ("canitrain doctor", "canitrain doctor --data /data/coco")
SHORTEST_NAME = 3
"""A shorter user or host name is part of too many words to be left out everywhere."""


def doctor_command(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="The data directory, whose storage is looked at.")
    ] = Path(),
) -> int:
    """Show every fact with its source, and why others are unknown; no host name, user, path, UUID or serial number."""
    from importlib.metadata import version  # noqa: PLC0415 - slow to import

    from canitrain.probe import probe  # noqa: PLC0415
    from canitrain.render.doctor import doctor_text  # noqa: PLC0415

    answer(doctor_text(probe(here() / data), version("canitrain"), private=private_words()))
    return 0


def private_words() -> tuple[str, ...]:
    """This user's and this host's names."""
    import socket  # noqa: PLC0415 - the one use

    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME")}
    host = socket.gethostname()
    names |= {host, host.partition(".")[0], Path.home().name}
    return tuple(sorted((name for name in names if len(name) >= SHORTEST_NAME), key=len, reverse=True))
