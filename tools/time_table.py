"""Traced work of timed runs as arrays, and what the roofline predicts of them, with derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from time_entries import Entry, entries_of
from timed_runs import PLAIN_LOOP, TimedAddition, TimedRun

from canitrain.core.gpu import GpuSpec
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Phase, WorkKind
from canitrain.core.time_calibration import LaunchCosts, Layout, Rate
from canitrain.estimate.device_rates import CONVOLUTIONS, effective_precision, operand_bytes, peak_flops_per_s, rate_of
from canitrain.estimate.launches import around_kernels_s, stage_launches_s

KINDS = tuple(WorkKind)
CELLS = tuple(
    (rate, layout, kind, grouped)
    for rate, layout in ((Rate.FP32, None), (Rate.TF32, None), (Rate.FP16, Layout.NCHW), (Rate.FP16, Layout.NHWC))
    for kind in KINDS
    for grouped in ((False, True) if kind is WorkKind.DEPTHWISE_CONV else (False,))
)
"""One curve each."""


def cell_of(rate: Rate, layout: Layout | None, kind: WorkKind, grouped: bool) -> int:  # noqa: FBT001
    """The place of their coefficients. PyTorch's own depthwise kernel runs in fp32 as in half precision in NCHW."""
    if kind is WorkKind.DEPTHWISE_CONV and not grouped and rate is not Rate.FP16:
        rate, layout = Rate.FP16, Layout.NCHW
    return CELLS.index((rate, layout, kind, grouped))


def is_copied(rate: Rate, layout: Layout | None) -> bool:
    """Whether matrix units work on NCHW, so that cuDNN converts to NHWC and back."""
    return layout is Layout.NCHW or rate is Rate.TF32


COMPUTE_PRIOR = {WorkKind.CONV: (0.9, 0.5), WorkKind.DEPTHWISE_CONV: (0.3, 0.7), WorkKind.GEMM: (0.8, 0.4)}
"""Share of the arithmetic peak, and the spread of its log; other kinds have next to no arithmetic."""
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
NO_ARITHMETIC, AS_FORWARD = (0.55, 0.1), (1.0, 0.01)
BACKWARD_PRIOR = {WorkKind.DEPTHWISE_CONV: (1.0, 0.5)}
LONE_PRIORS = {
    "kernel_s": (2.5e-6, 0.3),
    "vector_convolution_kernel_s": (10e-6, 0.7),
    "matrix_convolution_kernel_s": (10e-6, 0.7),
    "evaluation_norm": (1.0, 0.3),
    "copy_ratio": (1.0, 0.7),
    "bytes_per_cycle": (40.0, 0.7),
    "operand_bytes_per_cycle": (4000.0, 0.7),
    "matrix_outputs": (50.0, 0.7),
    "matrix_terms": (100.0, 0.7),
    "vector_outputs": (16.0, 0.7),
    "vector_terms": (16.0, 0.7),
    "winograd_ratio": (1.5, 0.3),
    "overlap_power": (3.0, 0.3),
    "cache_ratio": (0.5, 0.7),
    "grouped_copy_ratio": (1.0, 0.7),
    "unaligned_ratio": (0.8, 0.3),
    "group_outputs": (16.0, 0.7),
    "copy_channels": (16.0, 0.7),
    "ragged_copies": (1.0, 0.5),
    "many_groups_bandwidth": (0.5, 0.5),
}
LONE = {name: place for place, name in enumerate(LONE_PRIORS)}
RGB_FP32_BYTES = 12
"""Of one input pixel."""
PASSES = {"timm train": 14.0}
"""SGD with Nesterov momentum and weight decay; 12 without Nesterov, see ``[[optimizer]]``."""


FIRST_BACKWARD, FIRST_LONE = 2 * len(CELLS), 3 * len(CELLS)
"""Places in the vector of logarithms: arithmetic, bandwidth and backward share of each cell, then the lone ones."""


def prior() -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the logarithm of each coefficient."""
    rows = [COMPUTE_PRIOR.get(cell[2], NO_ARITHMETIC) for cell in CELLS]
    rows += [BANDWIDTH_PRIOR[cell[2]] for cell in CELLS]
    rows += [BACKWARD_PRIOR.get(cell[2], AS_FORWARD) for cell in CELLS]
    values = np.array([*rows, *LONE_PRIORS.values()])
    return np.log(values[:, 0]), values[:, 1]


STARTS = ("kernel_s", "vector_convolution_kernel_s", "matrix_convolution_kernel_s")


def start_of(rate: Rate, kind: WorkKind) -> int:
    """Which of the three starting costs: any kernel's, a convolution's on vector units, one's on matrix units."""
    return 0 if kind not in CONVOLUTIONS else 1 if rate is Rate.FP32 else 2


class Table:
    """Every group of kernels of every run: seconds at the card's peaks, and which coefficients scale them."""

    def __init__(
        self,
        runs: Sequence[TimedRun | TimedAddition],
        profiles: Mapping[str, ModelProfile],
        cards: Mapping[str, GpuSpec],
        launch: LaunchCosts,
        copied_bytes_per_s: float,
    ) -> None:
        """Evaluate the profiles at the runs' batches; ``cards`` are keyed as the runs name them.

        ``launch`` is what launches cost and ``copied_bytes_per_s`` the rate of copies from pageable memory: both are
        known, not fitted here.
        """
        self.runs = list(runs)
        self.cards = [cards[run.card] for run in runs]
        columns: list[tuple[float, ...]] = []
        update_s, host_s, copied_s = [], [], []
        for index, (run, card) in enumerate(zip(runs, self.cards, strict=True)):
            entries = list(self._entries(run, profiles, card))
            columns += [self._column(index, run, entry, card) for entry in entries]
            host_s.append(self._host_s(run, entries, profiles, launch) if run.training else 0.0)
            copied_s.append(self._copied_bytes(run) / copied_bytes_per_s)
            passes_of_update = PASSES.get(run.source, 12.0) if run.training else 0.0
            parameter_bytes = profiles[run.model].trainable_parameter_bytes if run.training else 0.0
            update_s.append(parameter_bytes * passes_of_update / card.memory_bytes_per_s / 0.8)
        table = np.array(columns).T
        self.run, self.cell = (table[i].astype(int) for i in range(2))
        self.evaluation, self.backward, self.winograd, self.unaligned = (table[i].astype(bool) for i in (2, 3, 4, 12))
        self.channel_ratio = table[13]
        self.compute_s, self.traffic_s, self.kernel_bytes, self.starts = (table[i] for i in range(5, 9))
        self.wanted_operand_bytes_per_cycle, self.per_output, self.per_term = (table[i] for i in range(9, 12))
        self.step_s = np.array([run.step_s for run in runs])
        self.update_s, self.host_s, self.copied_s = np.array(update_s), np.array(host_s), np.array(copied_s)
        self.training = np.array([run.training for run in runs])
        cycle = [card.memory_bytes_per_s / (card.multiprocessors * card.boost_hz) for card in self.cards]
        self.wanted_bytes_per_cycle = np.array(cycle)
        self.cache_bytes = np.array([card.l2_bytes or 0.0 for card in self.cards])
        self.start = table[14].astype(int)
        self.ragged = table[15].astype(bool)
        nhwc = np.array([CELLS[c][1] is Layout.NHWC and CELLS[c][3] for c in self.cell])
        self.many_groups = nhwc & table[16].astype(bool)
        self.compute_s = np.where(self.many_groups, 0.0, self.compute_s)
        self.backward &= ~self.many_groups
        nchw = np.array([is_copied(CELLS[c][0], CELLS[c][1]) for c in self.cell])
        self.copies = nchw & np.array([CELLS[c][2] is WorkKind.CONV for c in self.cell])
        self.grouped_copies = nchw & np.array([CELLS[c][3] for c in self.cell])
        vector = np.array([CELLS[c][0] is Rate.FP32 for c in self.cell])
        grouped = np.array([CELLS[c][3] for c in self.cell])
        self.output_place = np.where(
            grouped, LONE["group_outputs"], np.where(vector, LONE["vector_outputs"], LONE["matrix_outputs"])
        )
        self.term_place = np.where(vector, LONE["vector_terms"], LONE["matrix_terms"])

    def _entries(self, run: TimedRun | TimedAddition, profiles: Mapping[str, ModelProfile], card: GpuSpec):  # noqa: ANN202
        if isinstance(run, TimedAddition):
            return [Entry(Rate.FP32, WorkKind.ELEMENTWISE, backward=False, size_bytes=run.size_bytes, kernels=1.0)]
        precision = effective_precision(run.precision, card)
        shape = BatchShape(batch_size=run.batch_size, pixels=run.image_size**2, boxes=0)
        rates = {kind: rate_of(kind, precision, card) for kind in WorkKind}
        return entries_of(profiles[run.model].traces[precision], shape, rates, training=run.training)

    def _host_s(
        self,
        run: TimedRun | TimedAddition,
        entries: Sequence[Entry],
        profiles: Mapping[str, ModelProfile],
        launch: LaunchCosts,
    ) -> float:
        """Launches of a training step. A plain loop sets every gradient to zero, a kernel a parameter tensor."""
        starts_s = 0.0
        for phase, backward in ((Phase.FORWARD, False), (Phase.BACKWARD, True)):
            kernels = dict.fromkeys(WorkKind, 0.0)
            for entry in entries:
                if entry.backward is backward:
                    kernels[entry.kind] += entry.starts
            starts_s += stage_launches_s(phase, kernels, launch)
        if run.source == PLAIN_LOOP:
            around_s = profiles[run.model].parameter_tensors * launch.optimizer_kernel_s.value
        else:
            around_s = around_kernels_s(0.0, launch)
        return run.host_slowness * (starts_s + around_s)

    def _copied_bytes(self, run: TimedRun | TimedAddition) -> float:
        """A plain loop copies its images from pageable memory inside the clock, and the host waits for that."""
        return run.batch_size * run.image_size**2 * RGB_FP32_BYTES if run.source == PLAIN_LOOP else 0.0

    def _column(self, index: int, run: TimedRun | TimedAddition, entry: Entry, card: GpuSpec) -> tuple[float, ...]:
        layout = (Layout.NHWC if run.channels_last else Layout.NCHW) if entry.rate is Rate.FP16 else None
        peak = peak_flops_per_s(card, entry.kind, entry.rate)
        cycles_per_s = card.multiprocessors * card.boost_hz
        return (
            index,
            cell_of(entry.rate, layout, entry.kind, entry.grouped),
            entry.kind is WorkKind.NORM and not run.training,
            entry.backward and entry.kind in CONVOLUTIONS,
            entry.winograd,
            entry.flops / peak,
            entry.size_bytes / card.memory_bytes_per_s,
            entry.size_bytes / max(entry.kernels, 1e-9),
            entry.starts,
            operand_bytes(entry.rate, entry.kind) * peak / cycles_per_s,
            1 / entry.outputs,
            1 / entry.terms,
            entry.unaligned,
            entry.channel_ratio,
            start_of(entry.rate, entry.kind),
            entry.ragged,
            entry.many_groups,
        )

    def at_peak_s(self) -> np.ndarray:
        """The plain roofline: every group at the datasheet's peaks."""
        return np.bincount(self.run, np.maximum(self.compute_s, self.traffic_s), len(self.runs))

    def predict(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seconds of each run, and their derivatives by each logarithm, runs x coefficients."""
        n, cells = len(self.runs), len(CELLS)
        lone = np.exp(logs[FIRST_LONE:])
        value = {name: lone[place] for name, place in LONE.items()}
        narrow = 1 + lone[self.output_place] * self.per_output
        short = 1 + lone[self.term_place] * self.per_term
        starved = 1 + self.wanted_operand_bytes_per_cycle / value["operand_bytes_per_cycle"]
        compute = self.compute_s * np.exp(-logs[self.cell]) * narrow * short * starved
        back = np.where(self.backward, np.exp(-logs[FIRST_BACKWARD + self.cell]), 1.0)
        compute *= back
        compute /= np.where(self.winograd, value["winograd_ratio"], 1.0)
        compute /= np.where(self.unaligned, value["unaligned_ratio"], 1.0)
        cached = value["cache_ratio"] * self.cache_bytes[self.run]
        hit = cached / (cached + np.maximum(self.kernel_bytes, 1.0))
        issue = self.wanted_bytes_per_cycle[self.run] / value["bytes_per_cycle"]
        slowed = 1 - hit + issue
        at_bandwidth = self.traffic_s * slowed
        traffic_place = np.where(self.many_groups, FIRST_LONE + LONE["many_groups_bandwidth"], cells + self.cell)
        traffic = at_bandwidth * np.exp(-logs[traffic_place]) * back
        traffic = np.where(self.evaluation, traffic / value["evaluation_norm"], traffic)
        padded = 1 + value["copy_channels"] * self.channel_ratio
        ragged = np.where(self.ragged, value["ragged_copies"], 1.0)
        copies = (
            padded
            * ragged
            * at_bandwidth
            * (
                np.where(self.copies, value["copy_ratio"], 0.0)
                + np.where(self.grouped_copies, value["grouped_copy_ratio"], 0.0)
            )
        )
        power = value["overlap_power"]
        larger = np.maximum(np.maximum(compute, traffic), 1e-15)
        left, right = (compute / larger) ** power, (traffic / larger) ** power
        both = np.maximum(left + right, 1e-300)
        kernels_s = larger * both ** (1 / power)
        starts = self.starts * lone[self.start]
        device_s = np.bincount(self.run, kernels_s + copies + starts, n) + self.update_s
        by_compute, by_traffic = kernels_s * left / both, kernels_s * right / both
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.nan_to_num(left * np.log(left)) + np.nan_to_num(right * np.log(right))
        by_power = kernels_s * (spread / both - np.log(both)) / power
        by_memory = (by_traffic + copies) / slowed
        slope = np.zeros((n, len(logs)))

        def lone_place(name: str) -> np.ndarray:
            return np.full_like(self.cell, FIRST_LONE + LONE[name])

        for column, amount in (
            (self.cell, -by_compute),
            (traffic_place, -by_traffic),
            (FIRST_BACKWARD + self.cell, np.where(self.backward, -by_compute - by_traffic, 0.0)),
            (FIRST_LONE + self.start, starts),
            (FIRST_LONE + self.output_place, by_compute * (1 - 1 / narrow)),
            (FIRST_LONE + self.term_place, by_compute * (1 - 1 / short)),
            (lone_place("winograd_ratio"), np.where(self.winograd, -by_compute, 0.0)),
            (lone_place("unaligned_ratio"), np.where(self.unaligned, -by_compute, 0.0)),
            (lone_place("evaluation_norm"), np.where(self.evaluation, -by_traffic, 0.0)),
            (lone_place("copy_ratio"), np.where(self.copies, copies, 0.0)),
            (lone_place("grouped_copy_ratio"), np.where(self.grouped_copies, copies, 0.0)),
            (lone_place("copy_channels"), copies * (1 - 1 / padded)),
            (lone_place("bytes_per_cycle"), -by_memory * issue),
            (lone_place("cache_ratio"), -by_memory * hit * (1 - hit)),
            (lone_place("operand_bytes_per_cycle"), by_compute * (1 / starved - 1)),
            (lone_place("ragged_copies"), np.where(self.ragged, copies, 0.0)),
            (lone_place("overlap_power"), by_power),
        ):
            slope += np.bincount(self.run * len(logs) + column, amount, n * len(logs)).reshape(n, -1)
        slope[self.host_s > device_s] = 0.0
        return np.maximum(device_s, self.host_s) + self.copied_s, slope
