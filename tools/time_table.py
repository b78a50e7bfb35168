"""Traced work of timed runs as arrays, and what the roofline predicts of them, with derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from timed_runs import TimedRun

from canitrain.core.gpu import Generation, GpuSpec
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, WorkKind
from canitrain.core.time_calibration import Layout, Rate
from canitrain.estimate.device_rates import CONVOLUTIONS, effective_precision, operand_bytes, peak_flops_per_s, rate_of
from canitrain.estimate.roofline import grouped_ratio

KINDS = tuple(WorkKind)
CELLS = tuple(
    (rate, layout, kind, grouped)
    for rate, layout in ((Rate.FP32, None), (Rate.TF32, None), (Rate.FP16, Layout.NCHW), (Rate.FP16, Layout.NHWC))
    for kind in KINDS
    for grouped in ((False, True) if kind is WorkKind.DEPTHWISE_CONV else (False,))
)
"""One curve each."""
RATES = (Rate.FP32, Rate.TF32, Rate.FP16)
COMPUTE_PRIOR, COMPUTE_SPREAD = 0.55, 0.5
BANDWIDTH_PRIOR = {
    WorkKind.CONV: (0.8, 0.25),
    WorkKind.DEPTHWISE_CONV: (0.4, 0.7),
    WorkKind.GEMM: (0.7, 0.3),
    WorkKind.NORM: (0.45, 0.25),
    WorkKind.ELEMENTWISE: (0.8, 0.12),
    WorkKind.OTHER: (0.5, 0.4),
}
"""Share of the bandwidth that a kernel of this kind reaches, traced bytes counted once, and the spread of its log.

Batch norm reads its input twice. Where the rows say nothing, this is what stays.
"""
LONE_PRIORS = {
    "kernel_s": (2.5e-6, 0.3),
    "convolution_kernel_s": (10e-6, 0.7),
    "half_convolution_kernel_s": (10e-6, 0.7),
    "evaluation_norm": (0.5, 0.3),
    "launch_kernel_s": (40e-6, 0.3),
    "copy_ratio": (1.0, 0.7),
    "bytes_per_cycle": (40.0, 0.7),
    "operand_bytes_per_cycle": (4000.0, 0.7),
}
GENERATION_SPREAD = 0.15
LAUNCH_STEP_S = 1e-3
PASSES = {"timm train": 14.0}
"""SGD with Nesterov momentum and weight decay; 12 without Nesterov, see ``[[optimizer]]``."""


Entry = tuple[float, ...]
"""Run, cell, generation, evaluation, compute seconds, traffic seconds, kernels, operand bytes a cycle."""


@dataclass(frozen=True)
class Parameters:
    """The places of all coefficients in one vector of logarithms, with their priors."""

    generations: tuple[Generation, ...]

    @property
    def names(self) -> list[str]:
        """One name a place."""
        cells = [f"{what}{i}" for what in "CB" for i in range(len(CELLS))]
        return cells + [f"G{i}" for i in range(len(self.generations) * len(RATES) * 2)] + list(LONE_PRIORS)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of each logarithm."""
        rows = [(COMPUTE_PRIOR, COMPUTE_SPREAD) for _ in CELLS]
        rows += [BANDWIDTH_PRIOR[cell[2]] for cell in CELLS]
        rows += [(1.0, GENERATION_SPREAD)] * (len(self.generations) * len(RATES) * 2)
        rows += list(LONE_PRIORS.values())
        values = np.array(rows)
        return np.log(values[:, 0]), values[:, 1]


STARTS = ("kernel_s", "convolution_kernel_s", "half_convolution_kernel_s")
INTENSITY_STEP = 1.0
"""Groups whose FLOPs a byte lie in one step (a power of two) are merged, which makes the fit quick."""


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """One entry a coefficient and step of arithmetic intensity: seconds and kernels add up."""
    sums: dict[tuple[float, ...], list[float]] = {}
    for entry in entries:
        compute_s, traffic_s = entry[4:6]
        step = math.log2(compute_s / traffic_s) // INTENSITY_STEP if compute_s and traffic_s else -math.inf
        total = sums.setdefault((*entry[:4], entry[7], step), [0.0, 0.0, 0.0])
        for place in range(3):
            total[place] += entry[4 + place]
    return [(*key[:4], *total, key[4]) for key, total in sums.items()]


def start_of(rate: Rate, kind: WorkKind) -> int:
    """Which of the three starting costs: any kernel's, a convolution's, a convolution's in half precision."""
    return 0 if kind not in CONVOLUTIONS else 2 if rate is Rate.FP16 else 1


class Table:
    """Every group of kernels of every run: seconds at the card's peaks, and which coefficients scale them."""

    def __init__(
        self, runs: Sequence[TimedRun], profiles: Mapping[str, ModelProfile], cards: Mapping[str, GpuSpec]
    ) -> None:
        """Evaluate the profiles at the runs' batches; ``cards`` are keyed as the runs name them."""
        self.runs = list(runs)
        self.cards = [cards[run.card] for run in runs]
        self.parameters = Parameters(tuple(sorted({card.generation for card in self.cards}, key=lambda g: g.value)))
        entries: list[tuple[float, ...]] = []
        update_s, kernels = [], []
        for index, (run, card) in enumerate(zip(runs, self.cards, strict=True)):
            own = _merged(self._entries(index, run, profiles[run.model], card))
            entries += own
            kernels.append(sum(entry[6] for entry in own))
            passes = PASSES.get(run.source, 12.0) if run.training else 0.0
            update_s.append(profiles[run.model].trainable_parameter_bytes * passes / card.memory_bytes_per_s / 0.8)
        columns = np.array(entries).T
        self.run, self.cell, self.place = (columns[i].astype(int) for i in range(3))
        self.evaluation = columns[3].astype(bool)
        self.compute_s, self.traffic_s, self.kernels = columns[4], columns[5], columns[6]
        self.step_s = np.array([run.step_s for run in runs])
        self.update_s, self.host_kernels = np.array(update_s), np.array(kernels)
        self.training = np.array([run.training for run in runs])
        cycle = [card.memory_bytes_per_s / (card.multiprocessors * card.boost_hz) for card in self.cards]
        self.wanted_bytes_per_cycle = np.array(cycle)
        self.wanted_operand_bytes_per_cycle = columns[7]
        self.start = np.array([start_of(*CELLS[c][::2]) for c in self.cell])
        self.copies = np.array([CELLS[c][2] is WorkKind.CONV and CELLS[c][1] is Layout.NCHW for c in self.cell])

    def _entries(self, index: int, run: TimedRun, profile: ModelProfile, card: GpuSpec):  # noqa: ANN202
        precision = effective_precision(run.precision, card)
        shape = BatchShape(batch_size=run.batch_size, pixels=run.image_size**2, boxes=0)
        generation = self.parameters.generations.index(card.generation)
        trace = profile.traces[precision]
        share = grouped_ratio(trace, shape)
        for stage in trace.stages:
            for phase in (stage.forward, stage.backward) if run.training else (stage.forward,):
                for kind, work in phase.items():
                    rate = rate_of(kind, precision, card)
                    layout = (Layout.NHWC if run.channels_last else Layout.NCHW) if rate is Rate.FP16 else None
                    shares = {True: share, False: 1 - share} if kind is WorkKind.DEPTHWISE_CONV else {False: 1.0}
                    for grouped, part in shares.items():
                        if part:
                            yield (
                                index,
                                CELLS.index((rate, layout, kind, grouped)),
                                2 * (generation * len(RATES) + RATES.index(rate)),
                                kind is WorkKind.NORM and not run.training,
                                part * work.flops.at(shape) / peak_flops_per_s(card, kind, rate),
                                part * work.bytes.at(shape) / card.memory_bytes_per_s,
                                part * work.kernels.at(shape),
                                operand_bytes(rate, kind)
                                * peak_flops_per_s(card, kind, rate)
                                / (card.multiprocessors * card.boost_hz),
                            )

    def at_peak_s(self) -> np.ndarray:
        """The plain roofline: every group at the datasheet's peaks."""
        return np.bincount(self.run, np.maximum(self.compute_s, self.traffic_s), len(self.runs))

    def predict(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seconds of each run, and their derivatives by each logarithm, runs x coefficients."""
        n, cells = len(self.runs), len(CELLS)
        first_generation = 2 * cells
        lone = first_generation + len(self.parameters.generations) * len(RATES) * 2
        kernel_s, conv_kernel_s, half_kernel_s, norm, launch_s, copy, cycle, operand_cycle = np.exp(logs[lone:])
        compute = self.compute_s * np.exp(-logs[self.cell] - logs[first_generation + self.place])
        starved = 1 + self.wanted_operand_bytes_per_cycle / operand_cycle
        compute = compute * starved
        slowed = (1 + self.wanted_bytes_per_cycle / cycle)[self.run]
        at_bandwidth = self.traffic_s * slowed
        traffic = at_bandwidth * np.exp(-logs[cells + self.cell] - logs[first_generation + self.place + 1])
        traffic = np.where(self.evaluation, traffic * norm, traffic)
        copies = np.where(self.copies, at_bandwidth * copy, 0.0)
        waits = traffic > compute
        starts = self.kernels * np.array([kernel_s, conv_kernel_s, half_kernel_s])[self.start]
        device_s = np.bincount(self.run, np.maximum(compute, traffic) + copies + starts, n) + self.update_s
        host_s = np.where(self.training, self.host_kernels * launch_s + LAUNCH_STEP_S, 0.0)
        by_compute, by_traffic = np.where(waits, 0.0, compute), np.where(waits, traffic, 0.0)
        slope = np.zeros((n, len(logs)))
        for column, value in (
            (self.cell, -by_compute),
            (cells + self.cell, -by_traffic),
            (first_generation + self.place, -by_compute),
            (first_generation + self.place + 1, -by_traffic),
            (lone + self.start, starts),
            (np.full_like(self.cell, lone + 3), np.where(self.evaluation, by_traffic, 0.0)),
            (np.full_like(self.cell, lone + 5), copies),
            (np.full_like(self.cell, lone + 6), (by_traffic + copies) * (1 / slowed - 1)),
            (np.full_like(self.cell, lone + 7), by_compute * (1 / starved - 1)),
        ):
            slope += np.bincount(self.run * len(logs) + column, value, n * len(logs)).reshape(n, -1)
        by_host = host_s > device_s
        slope[by_host] = 0.0
        slope[by_host, lone + 4] = (self.host_kernels * launch_s)[by_host]
        return np.maximum(device_s, host_s), slope
