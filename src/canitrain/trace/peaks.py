"""Candidate peaks: the moments at which live bytes, alone or with a convolution's workspace, may be highest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Convolution, Peak, Phase
from canitrain.trace.convolutions import Convolutions
from canitrain.trace.fit import Fitter, terms
from canitrain.trace.step import StepRecord

_GRID_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_GRID_SCALES = (0.25, 1.0, 4.0, 16.0)
"""Pixels of the grid relative to the largest fitted shape."""
_WORKSPACE_BOUND = 8
"""No workspace is taken to pass this many times a convolution's input and output bytes. It only prunes candidates."""

Cell = tuple[int, Phase]
Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One moment, matched between the records."""

    cell: Cell
    live_bytes: Polynomial
    gradient_bytes: int
    convolution: int | None


def pick_peaks(fitter: Fitter, records: Sequence[StepRecord], convolutions: Convolutions) -> tuple[Peak, ...]:
    """The highest moment of every stage and phase, and convolutions whose workspace could lift them above it."""
    cells = [_cells(record) for record in records]
    order = [cell for cell in cells[0] if all(cell in other for other in cells)]
    highest: list[Candidate] = []
    running: list[Candidate] = []
    for cell in order:
        rows = [of_record[cell] for of_record in cells]
        names = {tuple(record.runs[run].name for run in row) for record, row in zip(records, rows, strict=True)}
        if len(names) == 1:
            tops, others = _matched(fitter, records, convolutions, cell, rows)
            highest += tops
            running += others
        else:
            highest.append(_unmatched(fitter, records, convolutions, cell, rows))
    grid = _Grid(fitter, records, convolutions.merged)
    kept = grid.envelope_by_cell(highest) + grid.worth_keeping(running, highest)
    stages = records[0].stages
    position = {cell: number for number, cell in enumerate(order)}
    unique = {(c.cell, c.live_bytes, c.gradient_bytes, c.convolution): c for c in kept}.values()
    return tuple(
        Peak(
            stage=stages[candidate.cell[0]],
            phase=candidate.cell[1],
            live_bytes=candidate.live_bytes,
            gradient_bytes=candidate.gradient_bytes,
            convolution=candidate.convolution,
        )
        for candidate in sorted(unique, key=lambda candidate: position[candidate.cell])
    )


def _cells(record: StepRecord) -> dict[Cell, list[int]]:
    cells: dict[Cell, list[int]] = defaultdict(list)
    for number, run in enumerate(record.runs):
        cells[run.stage, run.phase].append(number)
    return cells


def _matched(
    fitter: Fitter, records: Sequence[StepRecord], convolutions: Convolutions, cell: Cell, rows: list[list[int]]
) -> tuple[list[Candidate], list[Candidate]]:
    """Same operators in every record: a candidate is the k-th of them. The highest ones, and other convolutions."""
    tops = set()
    highest: list[Candidate] = []
    running: list[Candidate] = []
    for record, row in zip(records, rows, strict=True):
        live = [record.live_bytes[run] for run in row]
        total = [record.live_bytes[run] + record.gradient_bytes[run] for run in row]
        tops |= {live.index(max(live)), total.index(max(total))}
    for place in range(len(rows[0])):
        runs = [row[place] for row in rows]
        convolution = convolutions.by_run[0].get(runs[0])
        if place not in tops and convolution is None:
            continue
        candidate = Candidate(
            cell=cell,
            live_bytes=fitter.fit([record.live_bytes[run] for record, run in zip(records, runs, strict=True)]),
            gradient_bytes=records[-1].gradient_bytes[runs[-1]],
            convolution=convolution,
        )
        (highest if place in tops else running).append(candidate)
    return highest, running


def _unmatched(
    fitter: Fitter, records: Sequence[StepRecord], convolutions: Convolutions, cell: Cell, rows: list[list[int]]
) -> Candidate:
    """Operators follow the batch or the boxes: the highest moment of the stage in each record."""
    tops = [
        max(row, key=lambda run: record.live_bytes[run] + record.gradient_bytes[run])
        for record, row in zip(records, rows, strict=True)
    ]
    return Candidate(
        cell=cell,
        live_bytes=fitter.fit([record.live_bytes[run] for record, run in zip(records, tops, strict=True)]),
        gradient_bytes=max(record.gradient_bytes[run] for record, run in zip(records, tops, strict=True)),
        convolution=convolutions.by_run[-1].get(tops[-1]),
    )


class _Grid:
    """Compares candidates at many shapes at once."""

    def __init__(self, fitter: Fitter, records: Sequence[StepRecord], convolutions: Sequence[Convolution]) -> None:
        largest = max(record.shape[1] * record.shape[2] for record in records)
        boxes = sorted({record.shape[3] for record in records})
        scales = _GRID_SCALES if any("p" in name for name in fitter.basis) else (1.0,)
        shapes = [
            (batch, int(largest * scale), 1, count) for batch in _GRID_BATCHES for scale in scales for count in boxes
        ]
        self._basis = fitter.basis
        self._terms = np.array([terms(shape, fitter.basis) for shape in shapes])
        self._convolution_bytes = [
            (item.in_channels * self._at(item.input_pixels) + item.out_channels * self._at(item.output_pixels))
            * item.element_bytes
            for item in convolutions
        ]
        self._classes = [(item.groups > 1, item.kernel == (1, 1)) for item in convolutions]

    def _at(self, polynomial: Polynomial) -> Array:
        return np.asarray(self._terms @ np.array([getattr(polynomial, name) for name in self._basis]))

    def envelope_by_cell(self, candidates: list[Candidate]) -> list[Candidate]:
        """Of every stage and phase those candidates that are highest somewhere on the grid."""
        by_cell: dict[Cell, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            by_cell[candidate.cell].append(candidate)
        return [kept for group in by_cell.values() for kept in self._undominated(group)]

    def worth_keeping(self, running: list[Candidate], highest: list[Candidate]) -> list[Candidate]:
        """Convolutions that a workspace could lift above every other moment, less those that another one covers."""
        if not running:
            return []
        ceiling = np.max([self._at(item.live_bytes) + item.gradient_bytes for item in highest], axis=0)
        hopeful = [
            item
            for item in running
            if (
                self._at(item.live_bytes) + item.gradient_bytes + _WORKSPACE_BOUND * self._workspace(item) > ceiling
            ).any()
        ]
        covering = [item for item in highest if item.convolution is not None]
        undominated = self._undominated([*covering, *hopeful])
        return [item for item in undominated if item in hopeful]

    def _workspace(self, candidate: Candidate) -> Array:
        return self._convolution_bytes[candidate.convolution] if candidate.convolution is not None else np.zeros(())

    def _undominated(self, candidates: list[Candidate]) -> list[Candidate]:
        live = [self._at(item.live_bytes) for item in candidates]
        kept: list[int] = []
        # Highest first, so that a candidate can only be covered by one that is kept already.
        for number in sorted(
            range(len(candidates)), key=lambda i: -float(live[i].sum() + candidates[i].gradient_bytes)
        ):
            if not any(self._covers(candidates, live, other, number) for other in kept):
                kept.append(number)
        return [candidates[number] for number in sorted(kept)]

    def _covers(self, candidates: list[Candidate], live: list[Array], big: int, small: int) -> bool:
        one, other = candidates[big], candidates[small]
        if (live[big] < live[small]).any():
            return False
        if (live[big] + one.gradient_bytes < live[small] + other.gradient_bytes).any():
            return False
        if other.convolution is None:
            return True
        if one.convolution is None or self._classes[one.convolution] != self._classes[other.convolution]:
            return False
        return bool((self._workspace(one) >= self._workspace(other)).all())
