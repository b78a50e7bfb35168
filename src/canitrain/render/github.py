"""The report for a GitHub workflow: annotations that show up on the run, then Markdown for the job summary.

Source: docs.github.com, "Workflow commands for GitHub Actions" (``::error title=...::message`` and its escapes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from canitrain.core.report import Reason, Report, Status
from canitrain.render import headline
from canitrain.render.markdown import render_markdown
from canitrain.render.words import RESOURCE, STATUS


def render_github(report: Report, *, explain: bool = False) -> str:
    """One annotation a finding, one a warning, then the Markdown of the report."""
    return render_annotations(report) + "\n" + render_markdown(report, explain=explain)


def render_annotations(report: Report) -> str:
    """The annotations alone, where the Markdown goes to the job's summary."""
    return "\n".join(_annotations(report)) + "\n"


def _annotations(report: Report) -> Iterator[str]:
    status = report.verdict.status
    yield _command(_level(status), f"canitrain: {STATUS[status]}", headline.answer(report))
    for reason in headline.other_reasons(report):
        yield _of_reason(reason)
    for warning in headline.other_warnings(report):
        yield _command("warning", "canitrain", warning)


def _of_reason(reason: Reason) -> str:
    return _command(_level(reason.status), f"canitrain: {RESOURCE[reason.resource]}", reason.message)


def _level(status: Status) -> str:
    match status:
        case Status.GO:
            return "notice"
        case Status.TIGHT | Status.UNKNOWN:
            return "warning"
        case Status.NO_GO:
            return "error"
        case _:
            assert_never(status)


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escape_property(title)}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
