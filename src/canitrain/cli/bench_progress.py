"""The bench with a progress bar, where someone is there to see it."""

from __future__ import annotations

import sys
from pathlib import Path

from canitrain.core.hardware import Bench


def bench_with_progress(path: Path) -> Bench:
    """``bench(path)``, with a bar on stderr while it runs if that is a terminal.

    Raises:
        InputError: there is no such directory.
    """
    from canitrain.probe.bench import bench  # noqa: PLC0415 - only where it was asked for

    if not sys.stderr.isatty():
        return bench(path)
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("bench"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        return bench(path, progress=lambda share, what: bar.update(task, completed=share, description=what))
