"""A plain table that fits the terminal: a name that is too long for its column stands on a line of its own."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from canitrain.render.lines import Line, Span, Tone

GAP = "  "
LEAST_COLUMNS = 12
"""The first column is never narrower than this."""


class Column(Struct, frozen=True):
    """A heading, and whether its cells stand at the right (numbers) or at the left."""

    heading: str
    right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """``rows`` below the headings, within ``width`` columns of text where the cells beyond the first leave room."""
    headings = [column.heading for column in columns]
    widths = [max(len(row[index]) for row in [headings, *rows]) for index in range(len(columns))]
    others = sum(widths[1:]) + len(GAP) * (len(columns) - 1)
    widths[0] = min(widths[0], max(width - others, LEAST_COLUMNS))
    lines: list[Line] = [(Span(_row(columns, headings, widths), Tone.QUIET),)]
    for first, *rest in rows:
        if len(first) > widths[0]:
            lines.append((Span(first),))
        lines.append((Span(_row(columns, ["" if len(first) > widths[0] else first, *rest], widths)),))
    return lines


def _row(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column.right else cell.ljust(width)
        for column, cell, width in zip(columns, row, widths, strict=True)
    ]
    return GAP.join(padded).rstrip()
