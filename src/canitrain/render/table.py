"""A plain table that fits the terminal: columns of text, the first one cut where there is no room."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from canitrain.render.lines import Line, Span, Tone

GAP = "  "
ELLIPSIS = "..."
LEAST_COLUMNS = 16
"""The first column is never cut below this."""


class Column(Struct, frozen=True):
    """A heading, and whether its cells stand at the right (numbers) or at the left."""

    heading: str
    right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """``rows`` below the headings in at most ``width`` columns of text, where the cells beyond the first leave that."""
    cells = [[column.heading for column in columns], *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    others = sum(widths[1:]) + len(GAP) * (len(columns) - 1)
    widths[0] = max(min(widths[0], width - others), min(widths[0], LEAST_COLUMNS))
    tones = [Tone.QUIET, *[Tone.PLAIN] * len(rows)]
    return [(Span(_row(columns, row, widths), tone),) for row, tone in zip(cells, tones, strict=True)]


def _row(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        _cut(cell, width).rjust(width) if column.right else _cut(cell, width).ljust(width)
        for column, cell, width in zip(columns, row, widths, strict=True)
    ]
    return GAP.join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - len(ELLIPSIS)] + ELLIPSIS
