"""The report's tables as plain cells, for Markdown and HTML."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.report import Report, Time
from canitrain.core.units import format_bytes, format_duration
from canitrain.render.batch_table import SQUEEZED, fit_word, shown_batches
from canitrain.render.figures import (
    bytes_interval,
    duration_interval,
    energy,
    epoch,
    images_per_s,
    parts_that_add_up,
    percent,
    shows,
)
from canitrain.render.headline import cost_line, network_line, scaling_line
from canitrain.render.needs import needs
from canitrain.render.words import BOTTLENECK, GPU_PART, STATUS

MOST_BATCHES = 10


class Table(Struct, frozen=True, kw_only=True):
    """``rows`` of as many cells as ``head``."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def needs_table(report: Report) -> Table:
    """Need against budget."""
    rows = tuple(
        (
            need.label,
            need.need_text,
            need.budget_text,
            "" if need.budget is None else percent(need.need.expected, need.budget),
            STATUS[need.status],
        )
        for need in needs(report)
    )
    return Table(title="Need against budget", head=("", "needs", "of", "share", "verdict"), rows=rows)


def time_table(report: Report, time: Time) -> Table:
    """Step, epoch, run, what a step is made of, and what further GPUs bring."""
    parts = time.parts
    rows = [
        ("step", duration_interval(time.step_s)),
        ("epoch", epoch(time)),
        ("whole run", duration_interval(time.total_s)),
        ("throughput", f"{images_per_s(time.images_per_s)} images/s"),
        ("waits for", BOTTLENECK[time.bottleneck]),
    ]
    named = {
        "a step's compute": parts.compute_s,
        "its kernel launches": parts.launches_s,
        "waiting of the two for each other": parts.waits_s,
        "hand-over of its batch": parts.handover_s,
        "its image loading": parts.loader_s,
        "its disk reads": parts.storage_s,
        "its gradient exchange": parts.communication_s,
    }
    rows += [(name, format_duration(part_s)) for name, part_s in named.items() if shows(part_s)]
    if time.energy_kwh is not None:
        rows.append(
            (f"energy of the GPU{'' if report.recipe.all_gpus == 1 else 's'}", f"about {energy(time.energy_kwh)}")
        )
    if time.cost is not None:
        rows.append(("cost", cost_line(report, time.cost)))
    if report.scaling is not None:
        rows.append(("more GPUs", scaling_line(report.scaling)))
    if time.network is not None:
        rows.append(("network", network_line(time.network)))
    return Table(title="Time", head=("", ""), rows=tuple(rows))


def batches_table(report: Report) -> Table:
    """Batch sizes, one a row."""
    memory = "RAM" if report.memory is None or report.memory.gpu is None else "GPU memory"
    rows = tuple(
        (
            f"{row.batch_size}{' (this run)' if row.batch_size == report.batch_size else ''}",
            "unknown" if row.device_bytes is None else format_bytes(row.device_bytes),
            "" if row.required_bytes is None else format_bytes(row.required_bytes),
            format_duration(row.step_s),
            images_per_s(row.images_per_s),
            fit_word(report, row),
        )
        for row in shown_batches(report, MOST_BATCHES)
    )
    return Table(title="Batch sizes", head=("batch", memory, SQUEEZED, "step", "images/s", "fits"), rows=rows)


def advice_table(report: Report) -> Table:
    """What would help."""
    rows = tuple((advice.change, advice.effect, STATUS[advice.status]) for advice in report.advice)
    return Table(title="What would help", head=("change", "effect", "verdict then"), rows=rows)


def cards_table(report: Report) -> Table:
    """Cards that would do."""
    rows = tuple(
        (
            card.name,
            str(card.batch_size),
            format_bytes(card.device_bytes),
            format_duration(card.total_s),
            STATUS[card.status],
        )
        for card in report.cards
    )
    return Table(title="Cards that would do", head=("card", "batch", "memory", "whole run", "verdict"), rows=rows)


def parts_table(report: Report) -> Table:
    """What the device memory of a GPU holds; the rows add up to the last."""
    gpu = None if report.memory is None else report.memory.gpu
    if gpu is None:
        return Table(title="GPU memory by part", head=("part", "memory"), rows=())
    rows = [
        (GPU_PART.get(name, name), format_bytes(size_bytes))
        for name, size_bytes in parts_that_add_up(gpu.parts).items()
        if size_bytes
    ]
    figures = {
        "in all, as nvidia-smi shows it": gpu.device_bytes,
        "torch.cuda.max_memory_allocated": gpu.allocated_bytes,
        "torch.cuda.max_memory_reserved": gpu.reserved_bytes,
        "the least that runs": gpu.required_bytes,
    }
    rows += [(name, bytes_interval(figure)) for name, figure in figures.items()]
    return Table(title="GPU memory by part", head=("part", "memory"), rows=tuple(rows))


def all_tables(report: Report, *, explain: bool) -> tuple[Table, ...]:
    """The tables that have rows, in reading order."""
    tables = [needs_table(report)]
    if report.time is not None:
        tables.append(time_table(report, report.time))
    tables += [batches_table(report), advice_table(report), cards_table(report)]
    if explain:
        tables.append(parts_table(report))
    return tuple(table for table in tables if table.rows)
