"""Predicted against measured, run by run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from canitrain.accuracy.groups import summarize
from canitrain.accuracy.host import UNKNOWN_HOST, with_releases
from canitrain.core.accuracy import Accuracy, AccuracyRow, Figure, MemoryKind, Run, Skipped
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.feed import Feed, FeedRates
from canitrain.core.hardware import Hardware
from canitrain.core.interval import Interval, exactly
from canitrain.core.recipe import Recipe
from canitrain.core.report import GpuMemory, Time
from canitrain.core.units import counted
from canitrain.estimate.feed import feed
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.handover import handover
from canitrain.estimate.run_time import run_time
from canitrain.estimate.shapes import memory_shape

_ENDLESS_IMAGES_PER_S = 1e9


def replay(
    runs: Iterable[Run], dataset: Dataset, calibration: Calibration, *, skipped: tuple[Skipped, ...] = ()
) -> Accuracy:
    """Every memory and time figure of ``runs`` against its prediction, and summaries by family, GPU and memory kind.

    Args:
        runs: measurements with their profile, card and recipe.
        dataset: whose images they trained on where a run does not say; decides padded sizes and boxes.
        calibration: the coefficients under test.
        skipped: lines that were left out already.

    Known limitations: where a run's host is not known, the input pipeline is taken as fast enough.
    """
    rows: list[AccuracyRow] = []
    left_out = list(skipped)
    for run in runs:
        measurement = run.measurement
        if measurement.memory_bytes is not None and measurement.memory_kind is None:
            left_out.append(Skipped(row=measurement.row, reason="memory_bytes without a memory_kind"))
        if measurement.epoch_s is not None and not run.epoch_is_known:
            left_out.append(Skipped(row=measurement.row, reason="epoch_s without images or a dataset"))
        found = tuple(_compare(run, run.dataset or dataset, calibration))
        if not found and measurement.memory_bytes is None and measurement.epoch_s is None:
            left_out.append(Skipped(row=measurement.row, reason="nothing was measured"))
        rows.extend(found)
    left_out.sort(key=lambda each: each.row)
    return Accuracy(rows=tuple(rows), groups=summarize(tuple(rows)), skipped=tuple(left_out))


def _compare(run: Run, dataset: Dataset, calibration: Calibration) -> Iterable[AccuracyRow]:
    """Memory, step and epoch of one run, each where it was measured; images a second only where the step was not."""
    measurement, card, recipe = run.measurement, run.card, run.recipe
    if measurement.memory_bytes is not None and measurement.memory_kind is not None:
        memory = _memory(run, recipe, dataset, calibration)
        # A run that took more than the named card has was on its larger version.
        shown_bytes = max(float(card.memory_bytes), measurement.memory_bytes)
        predicted = _memory_figure(memory, measurement.memory_kind, shown_bytes)
        if measurement.validated is None:
            # The steps alone are expected, as measure and a log's first epoch see them; it may have been later.
            after = _memory(run, replace(recipe, validation=True), dataset, calibration)
            predicted = replace(predicted, high=_memory_figure(after, measurement.memory_kind, shown_bytes).high)
        yield AccuracyRow(
            run=run,
            figure=Figure.MEMORY_BYTES,
            measured=measurement.memory_bytes,
            predicted=predicted,
            refused=memory.required_bytes.low > shown_bytes,
        )
    if measurement.step_s is not None or measurement.images_per_s is not None:
        yield _step_row(run, dataset, calibration)
    if measurement.epoch_s is not None and run.epoch_is_known:
        yield _epoch_row(run, measurement.epoch_s, dataset, calibration)


def _step_row(run: Run, dataset: Dataset, calibration: Calibration) -> AccuracyRow:
    """The step where it was measured, else images a second."""
    measurement = run.measurement
    step_s = _span(run, run.recipe, dataset, calibration, lambda time: time.step_s)
    compared = None if run.hardware is None else "waits for the loader"
    if measurement.step_s is not None:
        return AccuracyRow(
            run=run, figure=Figure.STEP_S, measured=measurement.step_s, predicted=step_s, compared=compared
        )
    images = measurement.batch_size * measurement.gpus
    rate = Interval(low=images / step_s.high, expected=images / step_s.expected, high=images / step_s.low)
    assert measurement.images_per_s is not None
    return AccuracyRow(
        run=run, figure=Figure.IMAGES_PER_S, measured=measurement.images_per_s, predicted=rate, compared=compared
    )


def _epoch_row(run: Run, epoch_s: float, dataset: Dataset, calibration: Calibration) -> AccuracyRow:
    """An epoch with what the row says of it; where it does not say whether it validated, the interval holds both."""
    validated = run.measurement.epoch_validated
    alone, whole = (
        _span(run, replace(run.recipe, validation=validation), dataset, calibration, lambda time: time.epoch_s)
        for validation in (False, True)
    )
    predicted = whole if validated else alone
    if validated is None:
        predicted = replace(alone, high=whole.high)
    steps = math.ceil(dataset.images / (run.measurement.batch_size * run.measurement.gpus))
    validation = {
        True: f"validation of {counted(dataset.validation_images, 'image')}",
        False: "no validation",
        None: "validation only in its upper end",
    }[validated]
    loader = "images as fast as needed" if run.hardware is None else "waits for the loader"
    compared = f"{counted(steps, 'step')} of {counted(dataset.images, 'image')}, {loader}, {validation}, a checkpoint"
    return AccuracyRow(run=run, figure=Figure.EPOCH_S, measured=epoch_s, predicted=predicted, compared=compared)


def _span(
    run: Run, recipe: Recipe, dataset: Dataset, calibration: Calibration, figure: Callable[[Time], Interval]
) -> Interval:
    """``figure`` with each release of PyTorch that the run may have had: expected by the likeliest."""
    spans = [
        figure(_time(run, recipe, dataset, calibration, host))
        for host in with_releases(run.hardware or UNKNOWN_HOST, run.measurement)
    ]
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    return replace(spans[0], low=low, high=high)


def _time(run: Run, recipe: Recipe, dataset: Dataset, calibration: Calibration, host: Hardware) -> Time:
    if run.hardware is None:
        supply = replace(_ENDLESS_FEED, handover=handover(run.profile, recipe, dataset, calibration.host))
    else:
        supply = feed(run.profile, recipe, dataset, host, calibration.host)
    batch_size = run.measurement.batch_size
    return run_time(run.profile, recipe, dataset, batch_size, run.card, host, supply, calibration.time)


def _memory(run: Run, recipe: Recipe, dataset: Dataset, calibration: Calibration) -> GpuMemory:
    profile, card = run.profile, run.card
    return gpu_memory(
        profile,
        recipe,
        memory_shape(profile, recipe, dataset, run.measurement.batch_size),
        card,
        calibration.memory,
        total_bytes=float(card.memory_bytes),
        budget_bytes=float(card.memory_bytes),
    )


def _memory_figure(memory: GpuMemory, kind: MemoryKind, shown_bytes: float) -> Interval:
    match kind:
        case MemoryKind.ALLOCATED:
            return memory.allocated_bytes
        case MemoryKind.RESERVED:
            return memory.reserved_bytes
        case MemoryKind.DEVICE:
            return _as_shown(memory.device_bytes, shown_bytes)


def _as_shown(demand: Interval, most_bytes: float) -> Interval:
    """What a card of ``most_bytes`` shows of a demand: a pool that runs short gives cached blocks back."""
    return Interval(
        low=min(demand.low, most_bytes),
        expected=min(demand.expected, most_bytes),
        high=min(demand.high, most_bytes),
    )


_ENDLESS_RATES = FeedRates(
    loader_images_per_s=exactly(_ENDLESS_IMAGES_PER_S), storage_images_per_s=exactly(_ENDLESS_IMAGES_PER_S)
)
_ENDLESS_FEED = Feed(
    first=_ENDLESS_RATES,
    later=_ENDLESS_RATES,
    image_s=0.0,
    validation_images_per_s=exactly(_ENDLESS_IMAGES_PER_S),
    workers=1,
    overlaps=True,
    cached_ratio=1.0,
)
