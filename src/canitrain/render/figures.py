"""Numbers as a reader sees them: intervals, percentages, bars, parts that add up."""

from __future__ import annotations

from collections.abc import Mapping

from canitrain.core.interval import Interval
from canitrain.core.report import Time
from canitrain.core.units import (
    DAY_S,
    GIB_BYTES,
    HOUR_S,
    KIB_BYTES,
    MIB_BYTES,
    MINUTE_S,
    TIB_BYTES,
    WHOLE_TIME_FROM,
    format_bytes,
    format_duration,
    format_number,
)

_UNIT_S = {"years": 365.25 * DAY_S, "days": DAY_S, "h": HOUR_S, "min": MINUTE_S, "s": 1.0, "ms": 0.001}
"""The units that ``format_duration`` writes."""
_UNIT_BYTES = {"TiB": TIB_BYTES, "GiB": GIB_BYTES, "MiB": MIB_BYTES, "KiB": KIB_BYTES, "B": 1}
"""The units that ``format_bytes`` writes."""
FULL, EMPTY = "#", "-"
LEAST_SHOWN_S = 0.05e-3
"""What one decimal of a millisecond can show."""
_ONE_DECIMAL_FROM = 0.995
"""From here on two decimals would round to 1.00."""
MOST_PERCENT = 999
"""Above it a percentage says no more than ``>999 %``."""


def bytes_interval(interval: Interval) -> str:
    """``8.1 GiB (7.6-8.7)``, all in the unit of the expected value; the range is left out where it rounds to nothing.

    An end that is nothing in that unit keeps its own: ``1.2 GiB (3.0 MiB-1.4)``.
    """
    expected = format_bytes(interval.expected)
    unit = expected.rsplit(" ", 1)[1]
    low, high = (_bytes_in_unit(end_bytes, unit) for end_bytes in (interval.low, interval.high))
    if low == high:
        return expected
    return f"{expected} ({low}-{high})"


def duration_interval(interval: Interval) -> str:
    """``19 h (17-23)``, all in the unit of the expected value; the range is left out where it rounds to nothing."""
    expected = format_duration(interval.expected)
    unit = expected.rsplit(" ", 1)[1]
    low, high = (_in_unit(end_s, unit) for end_s in (interval.low, interval.high))
    return expected if low == high else f"{expected} ({low}-{high})"


def epoch(time: Time) -> str:
    """Seconds of an epoch, and how many of them validation takes where there is any."""
    validation = f", {format_duration(time.validation_s)} of it validation" if time.validation_s > 0 else ""
    return f"{duration_interval(time.epoch_s)}{validation}"


def energy(energy_kwh: float) -> str:
    """Kilowatt-hours with two figures."""
    return f"{format_number(energy_kwh)} kWh"


def percent(need: float, budget: float) -> str:
    """``need`` as a share of ``budget``: ``72 %``, ``>999 %``."""
    if budget <= 0:
        return f">{MOST_PERCENT} %"
    share = 100 * need / budget
    if share > MOST_PERCENT:
        return f">{MOST_PERCENT} %"
    return f"{share:.0f} %" if share >= 1 or share == 0 else "<1 %"


def bar(need: float, budget: float, cells: int) -> str:
    """``[######----]`` with ``cells`` between the brackets; anything above nothing shows, only too much fills it."""
    share = 1.0 if budget <= 0 else min(1.0, need / budget)
    filled = round(share * cells)
    if need > 0:
        filled = max(1, filled)
    if need < budget:
        filled = min(cells - 1, filled)
    return f"[{FULL * filled}{EMPTY * (cells - filled)}]"


def gib(size_bytes: float) -> str:
    """``size_bytes`` in GiB with one decimal and no unit, for tables whose head says GiB."""
    return f"{size_bytes / GIB_BYTES:.1f}"


def parts_that_add_up(parts: Mapping[str, float]) -> dict[str, float]:
    """``parts`` in bytes, rounded to 0.01 GiB so that the rounded parts add up to the rounded total, largest first.

    The largest remainders are rounded up (Hamilton's method).
    """
    cell_bytes = GIB_BYTES / 100
    cells = {name: size_bytes / cell_bytes for name, size_bytes in parts.items()}
    floors = {name: int(count) for name, count in cells.items()}
    missing = round(sum(cells.values())) - sum(floors.values())
    for name in sorted(cells, key=lambda name: floors[name] - cells[name])[:missing]:
        floors[name] += 1
    largest_first = sorted(floors, key=lambda name: -floors[name])
    return {name: floors[name] * cell_bytes for name in largest_first}


def shows(duration_s: float) -> bool:
    """Whether a part of the step is more than ``0.0 ms`` once printed."""
    return duration_s >= LEAST_SHOWN_S


def images_per_s(rate: float) -> str:
    """Images a second with two or three figures."""
    if rate >= 99.95:  # noqa: PLR2004  # three figures: less would round to 100.0
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= _ONE_DECIMAL_FROM else f"{rate:.2f}"


def _in_unit(duration_s: float, unit: str) -> str:
    """``duration_s`` in ``unit`` with two or three figures."""
    value = duration_s / _UNIT_S[unit]
    if value >= WHOLE_TIME_FROM:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= _ONE_DECIMAL_FROM else f"{value:.2f}"


def _bytes_in_unit(size_bytes: float, unit: str) -> str:
    """``size_bytes`` in ``unit`` as ``format_bytes`` rounds; in a unit of its own where that would show nothing."""
    own = format_bytes(size_bytes)
    value = size_bytes / _UNIT_BYTES[unit]
    if own.endswith(f" {unit}"):
        return own.removesuffix(f" {unit}")
    if value >= 1:  # the next unit up
        return f"{value:.0f}"
    return f"{value:.2f}" if value >= 0.005 else own  # noqa: PLR2004  # what two decimals can show
