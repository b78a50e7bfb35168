"""Predicted against measured as an SVG: log-log, one dot a figure, memory left, time right, epochs last."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from canitrain.core.accuracy import Accuracy, AccuracyRow, Figure
from canitrain.core.units import GIB_BYTES, HOUR_S
from canitrain.render.accuracy_text import amount, figure_name

_SIDE, _MARGIN, _GAP = 340, 52, 40
_COLORS = ("#1b6ca8", "#d1495b", "#2e933c", "#e08e0b", "#6a4c93", "#00798c", "#8d6a4f", "#555555")
_NAMED_DOTS = 50
"""Those farthest off say what they are; all of them would make the file five times as large."""
_BANDS = (1.1, 1.25)
"""Lines at 10 % and 25 % from the diagonal."""


def accuracy_plot(accuracy: Accuracy) -> str:
    """A self-contained SVG, coloured by model family: a panel for memory (GiB), seconds a step and hours an epoch."""
    families = sorted({row.run.profile.family for row in accuracy.rows})
    colors = {family: _COLORS[index % len(_COLORS)] for index, family in enumerate(families)}
    memory = [row for row in accuracy.rows if row.figure is Figure.MEMORY_BYTES]
    epochs = [row for row in accuracy.rows if row.figure is Figure.EPOCH_S]
    time = [row for row in accuracy.rows if row.figure in {Figure.STEP_S, Figure.IMAGES_PER_S}]
    titled = (("memory, GiB", memory), ("seconds a step", time), ("hours an epoch", epochs))
    panels = [(title, rows) for title, rows in titled if rows]
    width = 2 * _MARGIN + len(panels) * _SIDE + max(0, len(panels) - 1) * (_GAP + _MARGIN)
    legend_top = _SIDE + 2 * _MARGIN
    height = legend_top + 18 * math.ceil(len(families) / 4) + 10
    body = [
        _panel(title, rows, colors, _MARGIN + index * (_SIDE + _GAP + _MARGIN))
        for index, (title, rows) in enumerate(panels)
    ]
    for index, family in enumerate(families):
        x, y = _MARGIN + (index % 4) * 165, legend_top + 18 * (index // 4)
        body.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colors[family]}"/>')
        body.append(f'<text x="{x + 9}" y="{y + 4}">{escape(family)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#333">\n<title>Predicted against measured</title>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _values(row: AccuracyRow) -> tuple[float, float]:
    """Measured and predicted in the panel's unit; images a second become seconds a step."""
    run = row.run.measurement
    match row.figure:
        case Figure.MEMORY_BYTES:
            return row.measured / GIB_BYTES, row.predicted.expected / GIB_BYTES
        case Figure.STEP_S:
            return row.measured, row.predicted.expected
        case Figure.EPOCH_S:
            return row.measured / HOUR_S, row.predicted.expected / HOUR_S
        case Figure.IMAGES_PER_S:
            images = run.batch_size * run.gpus
            return images / row.measured, images / row.predicted.expected


def _panel(title: str, rows: list[AccuracyRow], colors: dict[str, str], left: float) -> str:
    """One square with its grid, the diagonal, the bands and the dots."""
    values = [value for row in rows for value in _values(row)]
    low = math.floor(math.log10(min(values)) * 2) / 2
    high = math.ceil(math.log10(max(values)) * 2) / 2
    span = max(high - low, 0.5)

    def x(value: float) -> float:
        return left + (math.log10(value) - low) / span * _SIDE

    def y(value: float) -> float:
        return _MARGIN + _SIDE - (math.log10(value) - low) / span * _SIDE

    least, most = 10**low, 10 ** (low + span)
    out = [
        f'<text x="{left}" y="{_MARGIN - 18}" font-size="13" font-weight="bold">{escape(title)}</text>',
        f'<rect x="{left}" y="{_MARGIN}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
    ]
    for tick in _ticks(least, most):
        out.append(f'<path d="M{x(tick):.1f} {_MARGIN}v{_SIDE}M{left} {y(tick):.1f}h{_SIDE}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{_MARGIN + _SIDE + 15}" text-anchor="middle">{tick:g}</text>')
        out.append(f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for band in _BANDS:
        for factor in (band, 1 / band):
            start, end = max(least, least / factor), min(most, most / factor)
            out.append(
                f'<path d="M{x(start):.1f} {y(start * factor):.1f}L{x(end):.1f} {y(end * factor):.1f}" stroke="#ccc" '
                'stroke-dasharray="3 3"/>'
            )
    out.append(f'<path d="M{left} {_MARGIN + _SIDE}L{left + _SIDE} {_MARGIN}" stroke="#777"/>')
    named = {id(row) for row in sorted(rows, key=lambda row: -abs(row.error))[:_NAMED_DOTS]}
    for family, color in colors.items():
        out.append(f'<g fill="{color}" fill-opacity="0.6">')
        for row in (row for row in rows if row.run.profile.family == family):
            measured, predicted = _values(row)
            dot = f'<circle cx="{x(measured):.1f}" cy="{y(predicted):.1f}" r="3"'
            out.append(f"{dot}><title>{escape(_hint(row))}</title></circle>" if id(row) in named else f"{dot}/>")
        out.append("</g>")
    bottom = _MARGIN + _SIDE + 32
    out.append(f'<text x="{left + _SIDE / 2}" y="{bottom}" text-anchor="middle">measured</text>')
    out.append(f'<text x="{left + 6}" y="{_MARGIN + 15}">predicted; dashes at 10 % and 25 %</text>')
    return "\n".join(out)


def _hint(row: AccuracyRow) -> str:
    """What a reader sees who points at a dot."""
    run = row.run.measurement
    sizes = f"{amount(row, row.predicted.expected)} predicted, {amount(row, row.measured)} measured"
    return f"{row.run.profile.name} batch {run.batch_size}, {row.run.card.name}, {figure_name(row)}: {sizes}"


def _ticks(least: float, most: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between the ends; only 1s where there would be too many."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)  # noqa: PLR2004 - about twelve labels fit
    return [tick for power in powers for step in steps if least * 0.999 <= (tick := step * 10.0**power) <= most * 1.001]
