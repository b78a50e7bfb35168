"""The report for a terminal: the answer, need against budget, time, batches, what would help, evidence."""

from __future__ import annotations

from canitrain.core.evidence import Evidence
from canitrain.core.report import Report, Time
from canitrain.core.units import format_bytes, format_duration
from canitrain.render import headline
from canitrain.render.asked import asked_rows
from canitrain.render.batch_table import batch_lines
from canitrain.render.figures import bar, duration_interval, energy, epoch, images_per_s, percent, shows
from canitrain.render.lines import BAR_COLUMNS, EMPTY_LINE, STATUS_TONE, Line, Span, Tone, labelled, paint
from canitrain.render.memory_timeline import timeline_lines
from canitrain.render.needs import Need, needs
from canitrain.render.words import BOTTLENECK, EVIDENCE, STATUS

LEAST_COLUMNS, MOST_COLUMNS = 40, 120
INDENT = 11
TOLD_RATIO = 0.02
"""A part of the step that is smaller than this share of it is not worth a word."""
CARDS_HEAD = "that would do, idle"
NEED_COLUMNS, BUDGET_COLUMNS, PERCENT_COLUMNS = 23, 17, 7


def render_text(report: Report, *, columns: int = 80, color: bool = False, explain: bool = False) -> str:
    """The report in at most ``columns`` columns (40 to 120), with ANSI colour where ``color``."""
    width = min(max(columns, LEAST_COLUMNS), MOST_COLUMNS)
    blocks = [
        _answer(report, width),
        _asked(report, width),
        _needs(report, width),
        _time(report, width),
        batch_lines(report, width),
        _help(report, width),
        _cards(report, width),
        _warnings(report, width),
        _evidence(report, width),
        timeline_lines(report, width) if explain else [],
    ]
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [*block, EMPTY_LINE]
    return paint(lines[:-1], color=color)


def _answer(report: Report, width: int) -> list[Line]:
    status = report.verdict.status
    lines = labelled(STATUS[status], headline.answer(report), columns=width, indent=INDENT, tone=STATUS_TONE[status])
    for reason in headline.other_reasons(report):
        tone = STATUS_TONE[reason.status]
        lines += labelled(f"  {STATUS[reason.status].lower()}", reason.message, columns=width, indent=INDENT, tone=tone)
    return lines


def _asked(report: Report, width: int) -> list[Line]:
    rows = asked_rows(report).items()
    return [line for label, text in rows for line in labelled(label, text, columns=width, indent=INDENT)]


def _needs(report: Report, width: int) -> list[Line]:
    return [line for row in needs(report) for line in _need_lines(row, width)]


def _need_lines(row: Need, width: int) -> list[Line]:
    """One line with a bar; a sentence where the terminal has no room for bars."""
    if width >= BAR_COLUMNS:
        return [_need_line(row, width)]
    share = "" if row.budget is None else f", {percent(row.need.expected, row.budget)}"
    text = f"{row.need_text} of {row.budget_text}{share}"
    return labelled(row.label, text, columns=width, indent=INDENT, tone=STATUS_TONE[row.status])


def _need_line(row: Need, width: int) -> Line:
    head = (Span(row.label.ljust(INDENT), Tone.QUIET), Span(row.need_text.ljust(NEED_COLUMNS)))
    if row.budget is None:
        return (*head, Span(f"of {row.budget_text}", Tone.CAUTION))
    cells = width - INDENT - NEED_COLUMNS - BUDGET_COLUMNS - PERCENT_COLUMNS - len("[]") - 1
    tone = STATUS_TONE[row.status]
    return (
        *head,
        Span(f"of {row.budget_text}".ljust(BUDGET_COLUMNS)),
        Span(f" {bar(row.need.expected, row.budget, cells)}", tone),
        Span(percent(row.need.expected, row.budget).rjust(PERCENT_COLUMNS), tone),
    )


def _time(report: Report, width: int) -> list[Line]:
    time = report.time
    if time is None:
        return []
    rows = {
        "Step": f"{duration_interval(time.step_s)} = {_step_parts(time)}",
        "Waits for": f"{BOTTLENECK[time.bottleneck]}; {images_per_s(time.images_per_s)} images/s",
        "Epoch": epoch(time),
    }
    if report.scaling is not None:
        rows["GPUs"] = headline.scaling_line(report.scaling)
    if time.network is not None:
        rows["Network"] = headline.network_line(time.network)
    if time.energy_kwh is not None:
        rows["Energy"] = f"about {energy(time.energy_kwh)} for the GPU{'' if report.recipe.all_gpus == 1 else 's'}"
    if time.cost is not None:
        rows["Cost"] = headline.cost_line(report, time.cost)
    return [line for label, text in rows.items() for line in labelled(label, text, columns=width, indent=INDENT)]


def _step_parts(time: Time) -> str:
    """How the parts make the step: side by side, or with no loader processes one after the other."""
    parts = time.parts
    beside = []
    if parts.waits_s > TOLD_RATIO * parts.device_s:
        beside.append(f"and {format_duration(parts.waits_s)} in which these two wait for each other")
    if parts.handover_s > TOLD_RATIO * parts.device_s:
        beside.append(f"and {format_duration(parts.handover_s)} for the hand-over of its batch")
    if parts.communication_s > 0:
        beside.append(f"and {format_duration(parts.communication_s)} between GPUs")
    device = _named({"compute": parts.compute_s, "launches": parts.launches_s})
    device += f" ({', '.join(beside)})" if beside else ""
    feed = _named({"loader": parts.loader_s, "disk": parts.storage_s})
    if parts.loads_between_steps and feed:
        return f"the slower of {device}; plus, with no loader processes, {feed}"
    return f"the slowest of {', '.join(part for part in (device, feed) if part)}"


def _named(parts_s: dict[str, float]) -> str:
    return ", ".join(f"{name} {format_duration(part_s)}" for name, part_s in parts_s.items() if shows(part_s))


def _help(report: Report, width: int) -> list[Line]:
    lines: list[Line] = []
    for advice in report.advice:
        label = "" if lines else "Would help"
        outcome = f" ({STATUS[advice.status].lower()} then)" if advice.status is not report.verdict.status else ""
        lines += labelled(label, f"{advice.change}: {advice.effect}{outcome}", columns=width, indent=INDENT)
    return lines


def _cards(report: Report, width: int) -> list[Line]:
    if not report.cards:
        return []
    if width < BAR_COLUMNS:
        return _cards_as_sentences(report, width)
    name_columns = max(len(CARDS_HEAD), *(len(card.name) for card in report.cards))
    head = f"{CARDS_HEAD.ljust(name_columns)}  batch     memory  whole run"
    lines: list[Line] = labelled("Cards", head, columns=INDENT + len(head), indent=INDENT)
    for card in report.cards:
        label = ""
        text = (
            f"{card.name.ljust(name_columns)}  {card.batch_size:>5}  {format_bytes(card.device_bytes):>9}"
            f"  {format_duration(card.total_s):>9}  "
        )
        lines.append(
            (
                Span(label.ljust(INDENT), Tone.QUIET),
                Span(text),
                Span(STATUS[card.status].lower(), STATUS_TONE[card.status]),
            )
        )
    if (common := headline.cards_line(report.cards)) is not None:
        lines += labelled("", common, columns=width, indent=INDENT)
    return lines


def _cards_as_sentences(report: Report, width: int) -> list[Line]:
    lines: list[Line] = []
    for card in report.cards:
        takes = f"{format_bytes(card.device_bytes)}, {format_duration(card.total_s)}, {STATUS[card.status].lower()}"
        text = f"{card.name}: batch {card.batch_size}, {takes}"
        lines += labelled("" if lines else "Cards", text, columns=width, indent=INDENT)
    common = headline.cards_line(report.cards)
    return lines if common is None else lines + labelled("", common, columns=width, indent=INDENT)


def _warnings(report: Report, width: int) -> list[Line]:
    lines: list[Line] = []
    for warning in headline.other_warnings(report):
        lines += labelled("Warning", warning, columns=width, indent=INDENT, tone=Tone.CAUTION)
    return lines


def _evidence(report: Report, width: int) -> list[Line]:
    if report.memory is None:
        return []

    def said(evidence: Evidence) -> str:
        return f"{EVIDENCE[evidence.level]} ({evidence.detail})"

    rows = {"Evidence": f"memory: {said(report.evidence.memory)}", "": f"time: {said(report.evidence.time)}"}
    return [line for label, text in rows.items() for line in labelled(label, text, columns=width, indent=INDENT)]
