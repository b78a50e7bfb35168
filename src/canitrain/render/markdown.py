"""The report as Markdown, for an issue, a pull request or a job summary."""

from __future__ import annotations

from canitrain.core.report import Report
from canitrain.render import headline
from canitrain.render.asked import asked_rows_with_batch
from canitrain.render.tables import Table, all_tables
from canitrain.render.words import EVIDENCE, STATUS

_SPECIAL = "\\|`*_<>[]"


def render_markdown(report: Report, *, explain: bool = False) -> str:
    """The report in GitHub's Markdown: the answer as heading, then tables."""
    status = report.verdict.status
    sections = [f"## {STATUS[status]}: {escape(headline.answer(report))}"]
    others = [f"- **{STATUS[reason.status]}** {escape(reason.message)}" for reason in headline.other_reasons(report)]
    asked = [f"- {label}: {escape(text)}" for label, text in asked_rows_with_batch(report).items()]
    sections += ["\n".join(others), "\n".join(asked)]
    sections += [_table(table) for table in all_tables(report, explain=explain)]
    sections.append("\n>\n".join(f"> **Warning** {escape(warning)}" for warning in headline.other_warnings(report)))
    evidence = report.evidence
    sections.append(
        f"Memory {EVIDENCE[evidence.memory.level]}: {escape(evidence.memory.detail)}. "
        f"Time {EVIDENCE[evidence.time.level]}: {escape(evidence.time.detail)}. canitrain {report.version}."
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def escape(text: str) -> str:
    """``text`` without anything that Markdown would take for markup or a line break."""
    one_line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in one_line)


def _table(table: Table) -> str:
    rule = tuple("---" for _ in table.head)
    rows = [table.head, rule, *(tuple(escape(cell) for cell in row) for row in table.rows)]
    return "\n".join([f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in rows)])
