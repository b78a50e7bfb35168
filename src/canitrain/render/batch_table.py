"""Batch sizes side by side: memory, throughput, verdict."""

from __future__ import annotations

from canitrain.core.report import BatchRow, Report, Status
from canitrain.render.figures import gib, images_per_s
from canitrain.render.headline import recommendation_line
from canitrain.render.lines import STATUS_TONE, Line, Span, Tone, labelled
from canitrain.render.words import STATUS

LABEL_COLUMNS, CELL_COLUMNS = 11, 8
UNKNOWN_CELL = "?"
RISKY = "RISKY"
SQUEEZED = "squeezed"
"""Label of the memory that still runs when there is no more: cuDNN's smallest workspaces, no free blocks kept."""


def shown_batches(report: Report, most: int) -> tuple[BatchRow, ...]:
    """At most ``most`` rows around the batch that the report speaks of, the first ones where there is none."""
    rows = report.batches
    if len(rows) <= most:
        return rows
    chosen = next((i for i, row in enumerate(rows) if row.batch_size == report.batch_size), 0)
    start = min(max(0, chosen - most // 2), len(rows) - most)
    return rows[start : start + most]


def batch_lines(report: Report, width: int) -> list[Line]:
    """The table with one column a batch; the batch that the report speaks of stands in brackets."""
    rows = shown_batches(report, (width - LABEL_COLUMNS) // CELL_COLUMNS)
    if not rows:
        return []
    memory = "RAM GiB" if report.memory is None or report.memory.gpu is None else "GPU GiB"
    lines = [
        _line("Batch", [_chosen(report, row, str(row.batch_size)) for row in rows], Tone.STRONG),
        _line(memory, [UNKNOWN_CELL if row.device_bytes is None else gib(row.device_bytes) for row in rows]),
        _line("images/s", [images_per_s(row.images_per_s) for row in rows]),
    ]
    if any(row.required_bytes is not None for row in rows):
        least = [UNKNOWN_CELL if row.required_bytes is None else gib(row.required_bytes) for row in rows]
        lines.insert(2, _line(SQUEEZED, least))
    verdicts = tuple(
        Span(_cell(_chosen(report, row, fit_word(report, row).lower())), STATUS_TONE[row.status]) for row in rows
    )
    advised = labelled("", recommendation_line(report), columns=width, indent=LABEL_COLUMNS)
    return [*lines, (Span("memory".ljust(LABEL_COLUMNS), Tone.QUIET), *verdicts), *advised]


def is_risky(report: Report, row: BatchRow) -> bool:
    """Whether the batch is more likely to run out of GPU memory than to run, though not certain to."""
    gpu = None if report.memory is None else report.memory.gpu
    return row.status is Status.TIGHT and gpu is not None and _exceeds(row.required_bytes, gpu.budget_bytes)


def fit_word(report: Report, row: BatchRow) -> str:
    """The batch's status, ``RISKY`` for the worse half of tight."""
    return RISKY if is_risky(report, row) else STATUS[row.status]


def _exceeds(need_bytes: float | None, budget_bytes: float | None) -> bool:
    return need_bytes is not None and budget_bytes is not None and need_bytes > budget_bytes


def _line(label: str, cells: list[str], tone: Tone = Tone.PLAIN) -> Line:
    return (Span(label.ljust(LABEL_COLUMNS), Tone.QUIET), *(Span(_cell(cell), tone) for cell in cells))


def _cell(text: str) -> str:
    return text.rjust(CELL_COLUMNS) if text.endswith("]") else f"{text} ".rjust(CELL_COLUMNS)


def _chosen(report: Report, row: BatchRow, text: str) -> str:
    return f"[{text}]" if row.batch_size == report.batch_size else text
