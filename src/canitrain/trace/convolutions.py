"""The convolutions of a step: which layers ran, what their backward was asked for, merged by shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Convolution, Phase
from canitrain.trace.fit import Fitter
from canitrain.trace.step import StepRecord


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution of one record."""

    key: tuple[Any, ...]
    """Channels, kernel, stride, ... as ``recorder`` notes them, then whether each gradient is asked."""
    forward_run: int
    backward_run: int | None
    input_pixels: int
    """Batch x height x width."""
    output_pixels: int


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """All of a trace, and which of them an operator of a record runs."""

    merged: tuple[Convolution, ...]
    by_run: tuple[dict[int, int], ...]
    """For each record: number of the run -> index into ``merged``."""


def layers_of(record: StepRecord) -> list[Layer]:
    """The convolution layers of ``record`` in forward order."""
    backward = {
        run.forward_node: (position, run.arguments[3])
        for position, run in enumerate(record.runs)
        if run.arguments is not None and run.phase is Phase.BACKWARD and run.name == "convolution_backward"
    }
    layers = []
    for position, run in enumerate(record.runs):
        if run.arguments is None or run.name != "convolution":
            continue
        key, inputs, output, _ = run.arguments
        backward_run, gradients = backward.get(run.forward_node, (None, (False, False)))
        layers.append(
            Layer(
                key=(*key, *gradients),
                forward_run=position,
                backward_run=backward_run,
                input_pixels=_pixels(inputs),
                output_pixels=_pixels(output),
            )
        )
    return layers


def _pixels(shape: Sequence[int]) -> int:
    pixels = shape[0]
    for size in shape[2:]:
        pixels *= size
    return pixels


def merge(fitter: Fitter, records: Sequence[StepRecord]) -> Convolutions:
    """One entry for every shape of convolution, with how often it runs.

    Layers are matched between records by their position; where the number of layers follows the batch (heads that loop
    over images) all layers of one key become one entry of mean size.
    """
    layers = [layers_of(record) for record in records]
    keys = [[layer.key for layer in of_record] for of_record in layers]
    if all(other == keys[0] for other in keys):
        return _by_position(fitter, layers)
    return _by_key(fitter, layers)


def _by_position(fitter: Fitter, layers: list[list[Layer]]) -> Convolutions:
    index: dict[tuple[Any, ...], int] = {}
    counts: list[int] = []
    by_run: tuple[dict[int, int], ...] = tuple({} for _ in layers)
    for row in zip(*layers, strict=True):
        inputs = fitter.fit([layer.input_pixels for layer in row])
        outputs = fitter.fit([layer.output_pixels for layer in row])
        number = index.setdefault((row[0].key, inputs, outputs), len(index))
        counts += [0] * (len(index) - len(counts))
        counts[number] += 1
        _assign(by_run, row, number)
    merged = tuple(
        _convolution(key, Polynomial(one=float(count)), inputs, outputs)
        for (key, inputs, outputs), count in zip(index, counts, strict=True)
    )
    return Convolutions(merged=merged, by_run=by_run)


def _by_key(fitter: Fitter, layers: list[list[Layer]]) -> Convolutions:
    keys = list(dict.fromkeys(layer.key for of_record in layers for layer in of_record))
    by_run: tuple[dict[int, int], ...] = tuple({} for _ in layers)
    merged = []
    for number, key in enumerate(keys):
        groups = [[layer for layer in of_record if layer.key == key] for of_record in layers]
        for runs, group in zip(by_run, groups, strict=True):
            _assign((runs,) * len(group), group, number)
        merged.append(
            _convolution(
                key,
                fitter.fit([len(group) for group in groups]),
                fitter.fit([_mean([layer.input_pixels for layer in group]) for group in groups]),
                fitter.fit([_mean([layer.output_pixels for layer in group]) for group in groups]),
            )
        )
    return Convolutions(merged=tuple(merged), by_run=by_run)


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _assign(by_run: Sequence[dict[int, int]], row: Sequence[Layer], number: int) -> None:
    for runs, layer in zip(by_run, row, strict=True):
        runs[layer.forward_run] = number
        if layer.backward_run is not None:
            runs[layer.backward_run] = number


def _convolution(key: tuple[Any, ...], count: Polynomial, inputs: Polynomial, outputs: Polynomial) -> Convolution:
    in_channels, out_channels, kernel, stride, dilation, groups, transposed, half, weight, gradient = key
    return Convolution(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        half=half,
        weight_gradient=weight,
        input_gradient=gradient,
        count=count,
        input_pixels=inputs,
        output_pixels=outputs,
    )
