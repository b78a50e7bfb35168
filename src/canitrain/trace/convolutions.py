"""The convolutions of a step: which layers ran, what their backward was asked for, merged by shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Convolution
from canitrain.trace.convolution_call import ConvolutionKey
from canitrain.trace.fit import Fitter
from canitrain.trace.step import StepRecord

LayerKind = tuple[ConvolutionKey, bool, bool]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution of one record."""

    key: ConvolutionKey
    weight_gradient: bool
    input_gradient: bool
    forward_run: int
    backward_run: int | None
    input_pixels: int
    """Batch x height x width."""
    output_pixels: int

    @property
    def kind(self) -> LayerKind:
        """What layers that merge share, besides their pixels."""
        return self.key, self.weight_gradient, self.input_gradient


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """All of a trace, and which of them an operator of a record runs."""

    merged: tuple[Convolution, ...]
    by_run: tuple[dict[int, int], ...]
    """For each record: number of the run -> index into ``merged``."""


def layers_of(record: StepRecord) -> list[Layer]:
    """The convolution layers of ``record`` in forward order."""
    backward = {
        run.forward_node: (position, run.convolution)
        for position, run in enumerate(record.runs)
        if run.convolution is not None and run.name == "convolution_backward"
    }
    layers = []
    for position, run in enumerate(record.runs):
        if run.convolution is None or run.name != "convolution":
            continue
        backward_run, asked = backward.get(run.forward_node, (None, run.convolution))
        layers.append(
            Layer(
                key=run.convolution.key,
                weight_gradient=asked.weight_gradient,
                input_gradient=asked.input_gradient,
                forward_run=position,
                backward_run=backward_run,
                input_pixels=run.convolution.input_pixels,
                output_pixels=run.convolution.output_pixels,
            )
        )
    return layers


def merge(fitter: Fitter, records: Sequence[StepRecord]) -> Convolutions:
    """One entry for every shape of convolution, with how often it runs.

    Layers are matched between records by their position; where the number of layers follows the batch (heads that loop
    over images) all layers of one key become one entry of mean size.
    """
    layers = [layers_of(record) for record in records]
    kinds = [[layer.kind for layer in of_record] for of_record in layers]
    if all(other == kinds[0] for other in kinds):
        return _by_position(fitter, layers)
    return _by_key(fitter, layers)


def _by_position(fitter: Fitter, layers: list[list[Layer]]) -> Convolutions:
    index: dict[tuple[LayerKind, Polynomial, Polynomial], int] = {}
    counts: list[int] = []
    by_run: tuple[dict[int, int], ...] = tuple({} for _ in layers)
    for row in zip(*layers, strict=True):
        inputs = fitter.fit([layer.input_pixels for layer in row])
        outputs = fitter.fit([layer.output_pixels for layer in row])
        number = index.setdefault((row[0].kind, inputs, outputs), len(index))
        counts += [0] * (len(index) - len(counts))
        counts[number] += 1
        _assign(by_run, row, number)
    merged = tuple(
        _convolution(kind, Polynomial(one=float(count)), inputs, outputs)
        for (kind, inputs, outputs), count in zip(index, counts, strict=True)
    )
    return Convolutions(merged=merged, by_run=by_run)


def _by_key(fitter: Fitter, layers: list[list[Layer]]) -> Convolutions:
    kinds = list(dict.fromkeys(layer.kind for of_record in layers for layer in of_record))
    by_run: tuple[dict[int, int], ...] = tuple({} for _ in layers)
    merged = []
    for number, kind in enumerate(kinds):
        groups = [[layer for layer in of_record if layer.kind == kind] for of_record in layers]
        for runs, group in zip(by_run, groups, strict=True):
            _assign((runs,) * len(group), group, number)
        merged.append(
            _convolution(
                kind,
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


def _convolution(kind: LayerKind, count: Polynomial, inputs: Polynomial, outputs: Polynomial) -> Convolution:
    key, weight_gradient, input_gradient = kind
    return Convolution(
        **key._asdict(),
        weight_gradient=weight_gradient,
        input_gradient=input_gradient,
        count=count,
        input_pixels=inputs,
        output_pixels=outputs,
    )
