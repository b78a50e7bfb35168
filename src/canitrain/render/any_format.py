"""One door to all formats."""

from __future__ import annotations

from typing import assert_never

from canitrain.core.report import Report
from canitrain.render.formats import Format

DEFAULT_COLUMNS = 80


def render(
    report: Report, format_: Format, *, columns: int = DEFAULT_COLUMNS, color: bool = False, explain: bool = False
) -> str:
    """``report`` in ``format_``, ending in a newline; only text heeds ``columns`` and ``color``."""
    # One renderer a run: the others need not be imported.
    match format_:
        case Format.TEXT:
            from canitrain.render.text import render_text  # noqa: PLC0415

            return render_text(report, columns=columns, color=color, explain=explain)
        case Format.JSON:
            from canitrain.render.as_json import render_json  # noqa: PLC0415

            return render_json(report)
        case Format.MARKDOWN:
            from canitrain.render.markdown import render_markdown  # noqa: PLC0415

            return render_markdown(report, explain=explain)
        case Format.GITHUB:
            from canitrain.render.github import render_github  # noqa: PLC0415

            return render_github(report, explain=explain)
        case Format.HTML:
            from canitrain.render.html import render_html  # noqa: PLC0415

            return render_html(report)
        case _:
            assert_never(format_)
