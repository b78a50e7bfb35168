"""Summaries of errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable

from canitrain.core.accuracy import AccuracyGroup, AccuracyRow, Figure, Grouping, Quantity

_P95 = 0.95
_QUANTITIES = {Figure.MEMORY_BYTES: Quantity.MEMORY, Figure.EPOCH_S: Quantity.EPOCH}


def summarize(rows: tuple[AccuracyRow, ...]) -> tuple[AccuracyGroup, ...]:
    """All rows, then by family, GPU and memory kind; memory, then time, then epochs."""
    keys: dict[Grouping, Callable[[AccuracyRow], str | None]] = {
        Grouping.ALL: lambda _: "all",
        Grouping.FAMILY: lambda row: row.run.profile.family,
        Grouping.GPU: lambda row: row.run.card.name,
        Grouping.MEMORY_KIND: lambda row: (
            kind.value if row.figure is Figure.MEMORY_BYTES and (kind := row.run.measurement.memory_kind) else None
        ),
    }
    groups = []
    for quantity in Quantity:
        some = [row for row in rows if _QUANTITIES.get(row.figure, Quantity.TIME) is quantity]
        for by, key in keys.items():
            names = sorted({name for row in some if (name := key(row)) is not None})
            groups += [_group(quantity, by, name, [row for row in some if key(row) == name]) for name in names]
    return tuple(groups)


def _group(quantity: Quantity, by: Grouping, name: str, rows: list[AccuracyRow]) -> AccuracyGroup:
    errors = sorted(abs(row.error) for row in rows)
    memory = quantity is Quantity.MEMORY
    return AccuracyGroup(
        quantity=quantity,
        by=by,
        name=name,
        rows=len(rows),
        median_error=statistics.median(errors),
        p95_error=_quantile(errors, _P95),
        bias=statistics.median(_signed_error(row) for row in rows),
        coverage=_share(row.covered for row in rows),
        out_of_memory=_share(row.measured > row.predicted.expected for row in rows) if memory else None,
        out_of_memory_high=_share(row.measured > row.predicted.high for row in rows) if memory else None,
        refused=_share(row.refused for row in rows) if memory else None,
    )


def _signed_error(row: AccuracyRow) -> float:
    """As of a time: images a second that are predicted too high are a time that is predicted too low."""
    return row.measured / row.predicted.expected - 1 if row.figure is Figure.IMAGES_PER_S else row.error


def _share(flags: Iterable[bool]) -> float:
    counted = list(flags)
    return sum(counted) / len(counted)


def _quantile(ordered: list[float], share: float) -> float:
    """Linear between the neighbours, as numpy and statistics' inclusive method have it."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
