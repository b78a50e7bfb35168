"""The report as one HTML file: no script, nothing fetched, light and dark."""

from __future__ import annotations

from html import escape

from canitrain.core.profile import Phase
from canitrain.core.report import Report, StageMemory, Status
from canitrain.core.units import format_bytes
from canitrain.render import headline
from canitrain.render.asked import asked_rows_with_batch
from canitrain.render.batch_table import RISKY
from canitrain.render.figures import percent
from canitrain.render.needs import Need, needs
from canitrain.render.page_style import STYLE
from canitrain.render.tables import (
    Table,
    advice_table,
    batches_table,
    cards_table,
    parts_table,
    time_table,
)
from canitrain.render.words import EVIDENCE, STATUS

_STATUS_WORDS = {word: status for status, word in STATUS.items()}


def render_html(report: Report) -> str:
    """The report as a page of its own."""
    title = f"{STATUS[report.verdict.status]}: {headline.answer(report)}"
    body = [_answer(report), _asked(report), _needs(report)]
    if report.time is not None:
        body.append(_table(time_table(report, report.time)))
    body += [_table(batches_table(report)), _table(advice_table(report)), _table(cards_table(report))]
    body += [_warnings(report), _table(parts_table(report)), _timeline(report), _evidence(report)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _answer(report: Report) -> str:
    status = report.verdict.status
    reasons = "".join(
        f"<li>{_badge(reason.status)} {escape(reason.message)}</li>" for reason in headline.other_reasons(report)
    )
    listed = f"<ul>{reasons}</ul>" if reasons else ""
    return f'<header class="{status.value}">{_badge(status)}<h1>{escape(headline.answer(report))}</h1>{listed}</header>'


def _asked(report: Report) -> str:
    rows = asked_rows_with_batch(report).items()
    items = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in rows)
    return f"<dl>{items}</dl>"


def _needs(report: Report) -> str:
    rows = "".join(_need(row) for row in needs(report))
    return f"<section><h2>Need against budget</h2><table>{rows}</table></section>" if rows else ""


def _need(row: Need) -> str:
    if row.budget is None:
        gauge, share = "", ""
    else:
        filled = 100.0 if row.budget <= 0 else min(100.0, 100 * row.need.expected / row.budget)
        gauge = f'<div class="bar {row.status.value}"><span style="width:{filled:.1f}%"></span></div>'
        share = percent(row.need.expected, row.budget)
    return (
        f"<tr><th>{escape(row.label)}</th><td>{escape(row.need_text)}</td><td>of {escape(row.budget_text)}</td>"
        f'<td class="gauge">{gauge}</td><td>{escape(share)}</td><td>{_badge(row.status)}</td></tr>'
    )


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    head = f"<thead><tr>{head}</tr></thead>" if any(table.head) else ""
    rows = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in table.rows)
    return f"<section><h2>{escape(table.title)}</h2><table>{head}<tbody>{rows}</tbody></table></section>"


def _cell(text: str) -> str:
    if text == RISKY:
        return f'<td><span class="badge {Status.TIGHT.value}">{RISKY}</span></td>'
    status = _STATUS_WORDS.get(text)
    return f"<td>{escape(text) if status is None else _badge(status)}</td>"


def _badge(status: Status) -> str:
    return f'<span class="badge {status.value}">{STATUS[status]}</span>'


def _warnings(report: Report) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in headline.other_warnings(report))
    return f"<section><h2>Warnings</h2><ul>{items}</ul></section>" if items else ""


def _timeline(report: Report) -> str:
    """Live bytes at the fullest moment of each stage, forward and backward, as bars."""

    def named(row: StageMemory, phase: Phase) -> str:
        return f"{phase.value} {row.stage}{' (decides, with its workspace)' if row.fullest is phase else ''}"

    moments = [(named(row, Phase.FORWARD), row.forward_peak_bytes) for row in report.explain]
    moments += [(named(row, Phase.BACKWARD), row.backward_peak_bytes) for row in reversed(report.explain)]
    known = [(name, peak_bytes) for name, peak_bytes in moments if peak_bytes is not None]
    if not known:
        return ""
    most_bytes = max(1.0, *(peak_bytes for _, peak_bytes in known))
    rows = "".join(
        f'<tr><th>{escape(name)}</th><td>{format_bytes(peak_bytes)}</td><td class="gauge"><div class="bar plain">'
        f'<span style="width:{100 * peak_bytes / most_bytes:.1f}%"></span></div></td></tr>'
        for name, peak_bytes in known
    )
    return f"<details><summary>Live memory by stage of the step, first to last</summary><table>{rows}</table></details>"


def _evidence(report: Report) -> str:
    evidence = report.evidence
    return (
        f"<footer>Memory {EVIDENCE[evidence.memory.level]}: {escape(evidence.memory.detail)}. "
        f"Time {EVIDENCE[evidence.time.level]}: {escape(evidence.time.detail)}. "
        f"canitrain {escape(report.version)}, {escape(report.model.implementation.release)}.</footer>"
    )
