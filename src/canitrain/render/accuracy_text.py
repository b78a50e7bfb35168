"""An accuracy as text: a summary a group, and the rows that are farthest off."""

from __future__ import annotations

from collections import Counter

from canitrain.core.accuracy import Accuracy, AccuracyGroup, AccuracyRow, Figure, Grouping, MemoryKind
from canitrain.core.units import counted, format_bytes, format_duration, format_number
from canitrain.render.figures import MOST_PERCENT

_WORST_ROWS = 5
_NAME_COLUMNS = 30
_SHOWN_SKIPS = 5
_COLUMNS, _ROW_COLUMNS, _LEAST_NAME_COLUMNS = 80, 7, 10


def accuracy_text(accuracy: Accuracy, width: int = _COLUMNS) -> str:
    """For a terminal of ``width`` columns, at least 80, without colour; ends in a newline."""
    width = max(width, _COLUMNS)
    runs = len({row.run.measurement.row for row in accuracy.rows})
    lines = [f"{counted(len(accuracy.rows), 'figure')} of {counted(runs, 'measured run')}"]
    if accuracy.groups:
        lines += ["", _head(), *(_group_line(group) for group in accuracy.groups)]
        lines += ["", "bias: median of predicted / measured - 1, of images/s as of the time they take"]
        lines += ["covered: the interval holds the run; over: the run needs more than its upper end"]
    worst = sorted(accuracy.rows, key=lambda row: -abs(row.error))[:_WORST_ROWS]
    if worst:
        lines += ["", "farthest off", *_row_lines(worst, width)]
    if lines_of_epochs := _epoch_lines(accuracy.rows, width):
        lines += ["", *lines_of_epochs]
    if accuracy.skipped:
        lines += ["", f"{counted(len(accuracy.skipped), 'line')} left out"]
        lines += [f"{each.row:>5}  {each.reason}"[:width] for each in accuracy.skipped[:_SHOWN_SKIPS]]
        more = len(accuracy.skipped) - _SHOWN_SKIPS
        lines += [f"       and {more} more: --json lists all"] if more > 0 else []
    return "\n".join(lines) + "\n"


def _epoch_lines(rows: tuple[AccuracyRow, ...], width: int) -> list[str]:
    """What the predicted epochs hold, which may not be what the measured ones do."""
    import textwrap  # noqa: PLC0415 - only where there are epochs

    epochs = [row for row in rows if row.figure is Figure.EPOCH_S]
    if not epochs:
        return []
    validated = Counter(row.run.measurement.epoch_validated for row in epochs)
    parts = [
        (validated[True], "with validation"),
        (validated[False], "without validation"),
        (validated[None], "of which nobody says: only the upper end of the interval holds a validation"),
        (sum(row.run.hardware is not None for row in epochs), "with an estimated loader"),
        (sum(row.run.hardware is None for row in epochs), "without cores: images come as fast as needed"),
    ]
    said = "; ".join(f"{count} {text}" for count, text in parts if count)
    return textwrap.wrap(f"epochs: all steps, the loader's start, a checkpoint; {said}", width, break_on_hyphens=False)


def group_label(group: AccuracyGroup) -> str:
    """``memory, all`` or ``  yolov5``."""
    return f"{group.quantity.value}, all" if group.by is Grouping.ALL else f"  {group.name}"


def percent(ratio: float | None) -> str:
    """``3.1 %``, at most ``>999 %``, which is a slip of a unit; a dash where it does not apply."""
    if ratio is None:
        return "-"
    return f">{MOST_PERCENT} %" if ratio * 100 > MOST_PERCENT else f"{ratio * 100:z.1f} %"


def amount(row: AccuracyRow, value: float) -> str:
    """``value`` in the row's unit."""
    match row.figure:
        case Figure.MEMORY_BYTES:
            return format_bytes(value)
        case Figure.STEP_S | Figure.EPOCH_S:
            return format_duration(value)
        case Figure.IMAGES_PER_S:
            return f"{format_number(value, 4)} img/s"


def figure_name(row: AccuracyRow) -> str:
    """``allocated``, ``reserved``, ``device``, ``step``, ``images/s`` or ``epoch``."""
    kind = row.run.measurement.memory_kind
    match row.figure:
        case Figure.MEMORY_BYTES:
            return (kind or MemoryKind.DEVICE).value
        case Figure.STEP_S:
            return "step"
        case Figure.IMAGES_PER_S:
            return "images/s"
        case Figure.EPOCH_S:
            return "epoch"


def _head() -> str:
    return f"{'':{_NAME_COLUMNS}}{'rows':>6}{'median':>9}{'p95':>9}{'bias':>9}{'covered':>9}{'over':>8}"


def _group_line(group: AccuracyGroup) -> str:
    return (
        f"{group_label(group)[: _NAME_COLUMNS - 1]:{_NAME_COLUMNS}}{group.rows:>6}{percent(group.median_error):>9}"
        f"{percent(group.p95_error):>9}{percent(group.bias):>9}{percent(group.coverage):>9}"
        f"{percent(group.out_of_memory_high):>8}"
    )


def _row_lines(rows: list[AccuracyRow], width: int) -> list[str]:
    """Row, model and card, and the figures in columns; the names take what the longest figures leave of ``width``."""
    figures = [_figures(row) for row in rows]
    left = max(_LEAST_NAME_COLUMNS, width - _ROW_COLUMNS - max(map(len, figures)))
    names = [f"{row.run.profile.name}, {row.run.card.name}" for row in rows]
    columns = min(left, max(map(len, names)))
    return [
        f"{row.run.measurement.row:>5}  {name[:columns]:{columns}}{figure}"
        for row, name, figure in zip(rows, names, figures, strict=True)
    ]


def _figures(row: AccuracyRow) -> str:
    sizes = f"{amount(row, row.predicted.expected)} for {amount(row, row.measured)}"
    return f" batch {row.run.measurement.batch_size:<4} {figure_name(row):9} {row.error * 100:+z6.0f} %  {sizes}"
