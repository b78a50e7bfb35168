"""``--explain``: which stages hold what, as bars."""

from __future__ import annotations

import textwrap

from canitrain.core.report import Report
from canitrain.core.units import format_bytes
from canitrain.render.figures import bar, parts_that_add_up
from canitrain.render.lines import BAR_COLUMNS, Line, Span, Tone, labelled
from canitrain.render.words import GPU_PART

TITLE = "Live memory by stage of the step, first to last"
MARK = " <"
"""Behind the bar of the moment that decides."""
PHASE_COLUMNS, STAGE_COLUMNS, BYTES_COLUMNS = 9, 32, 10


def timeline_lines(report: Report, width: int) -> list[Line]:
    """Device memory by part, then live bytes at the peak of each stage: forward, then backward in reverse order."""
    lines: list[Line] = []
    if report.memory is not None and report.memory.gpu is not None:
        lines.append((Span("GPU memory by part", Tone.STRONG),))
        gpu = report.memory.gpu
        for name, size_bytes in parts_that_add_up(gpu.parts).items():
            if size_bytes > 0:
                lines.append(_bar_line(GPU_PART.get(name, name), size_bytes, gpu.device_bytes.expected, width))
        lines.append(_bar_line("= what nvidia-smi shows", gpu.device_bytes.expected, gpu.device_bytes.expected, width))
    moments = [(_moment("forward", row.stage, width), row.forward_peak_bytes) for row in report.explain]
    moments += [(_moment("backward", row.stage, width), row.backward_peak_bytes) for row in reversed(report.explain)]
    known = [(name, peak_bytes) for name, peak_bytes in moments if peak_bytes is not None]
    if known:
        highest_bytes = max(peak_bytes for _, peak_bytes in known)
        lines += [(), *((Span(part, Tone.STRONG),) for part in textwrap.wrap(TITLE, width))]
        marked = _fullest_moment(report, width)
        for name, peak_bytes in known:
            line = _bar_line(name, peak_bytes, highest_bytes, width)
            lines.append((*line, Span(MARK, Tone.CAUTION)) if name == marked else line)
        if marked is not None:
            lines += labelled(MARK, _decides(report), columns=width, indent=len(MARK) + 1, tone=Tone.CAUTION)
    return lines


def _fullest_moment(report: Report, width: int) -> str | None:
    fullest = ((row.fullest, row.stage) for row in report.explain if row.fullest is not None)
    return next((_moment(phase.value, stage, width) for phase, stage in fullest), None)


def _decides(report: Report) -> str:
    """Why the marked moment and not the longest bar: what the bars leave out."""
    gpu = None if report.memory is None else report.memory.gpu
    workspace_bytes = 0.0 if gpu is None else parts_that_add_up(gpu.parts).get("workspace", 0.0)
    workspace = f" of {format_bytes(workspace_bytes)}" if workspace_bytes > 0 else ""
    return f"decides: the fullest moment with gradients and workspace{workspace}, which the bars leave out"


def _stage_columns(width: int) -> int:
    return min(STAGE_COLUMNS, width - BYTES_COLUMNS - len(MARK))


def _moment(phase: str, stage: str, width: int) -> str:
    """``backward model.24``; of a long name the end, which tells stages apart."""
    most = _stage_columns(width) - PHASE_COLUMNS - 1
    shown = stage if len(stage) <= most else f"~{stage[1 - most :]}"
    return f"{phase.ljust(PHASE_COLUMNS)}{shown}"


def _bar_line(name: str, size_bytes: float, most_bytes: float, width: int) -> Line:
    head = (
        Span(name.ljust(_stage_columns(width)), Tone.QUIET),
        Span(format_bytes(size_bytes).rjust(BYTES_COLUMNS)),
    )
    if width < BAR_COLUMNS:
        return head
    cells = width - STAGE_COLUMNS - BYTES_COLUMNS - len("[] ") - 1 - len(MARK)
    tone = Tone.CAUTION if size_bytes >= most_bytes else Tone.PLAIN
    return (*head, Span(f"  {bar(size_bytes, most_bytes, cells)}", tone))
