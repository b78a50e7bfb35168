"""How published runs slow down from one GPU to several, beside the estimate; fits what the slowest of them costs.

    python tools/fit_scaling.py CALIBRATION_FOLDER [--traces TRACES_FOLDER]

Pairs of runs of one benchmark, model, precision and card: seconds an image and GPU on n cards / on one card, measured
and estimated, so that what an estimate of one card gets wrong does not count. Traces as for check_detector_time.py.

Fitted as medians, on cards that reach each other's memory: ``straggler_ratio`` in fp32, and maskrcnn-benchmark's
``late_batch_ratio`` on what Mask R-CNN under AMP waits beyond it, each less the other and the exchange; printed again
without each card and each lab, with the errors of the runs left out. Cards without peer access are in no fit: they test
``host_memory_bytes_per_s``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from check_detector_time import APEX, predicted_s, predicted_step, profile_of, still_queued_s
from msgspec import Struct
from published_detectors import SSD, Case, published_cases

from canitrain.catalog import find_card, load_calibration, load_dataset, load_model
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.profile import Precision
from canitrain.estimate.communication import reaches_peers

ROUNDS = 50
"""Of the two medians, each less the other; they stand still after ten."""


class Pair(Struct, frozen=True, kw_only=True):
    """One run on several cards beside one on a single card."""

    case: Case
    measured: float
    """Seconds an image and GPU on all cards / on one."""
    one_s: float
    """Estimated step of one card of this run."""
    estimated: float
    alone_s: float
    """Of ``one_s`` without its loop."""
    handover_s: float
    """Of ``one_s``, not hidden."""
    exchange_s: float
    """Estimated, not hidden."""

    @property
    def doublings(self) -> float:
        """From one card to those of the run."""
        return math.log2(self.case.gpus)

    @property
    def error(self) -> float:
        """Estimated / measured - 1."""
        return self.estimated / self.measured - 1

    def error_with(self, straggler: float, late_batch: float) -> float:
        """The same with other coefficients."""
        waited_s = (straggler * self.alone_s + late_batch * self.handover_s) * self.doublings
        return (1 + (self.exchange_s + waited_s) / self.one_s) / self.measured - 1

    def waited_s(self) -> float:
        """Measured seconds that are no exchange, a doubling."""
        return ((self.measured - 1) * self.one_s - self.exchange_s) / self.doublings


def pairs(published: Path, traces: Path | None, dataset: Dataset, calibration: Calibration) -> list[Pair]:
    """All runs on several cards that have one on a single card beside them, the nearest by batch size."""
    cases = published_cases(published)
    alone = [case for case in cases if case.gpus == 1]
    loops = {loop.name: loop for loop in calibration.host.loop}
    found: list[Pair] = []
    for case, measured_s in cases.items():
        profile = profile_of(case, traces)
        same = [one for one in alone if kind_of(one) == kind_of(case)]
        if case.gpus == 1 or profile is None or not same:
            continue
        if case.casts_with_apex and traces and (apex := traces / f"{APEX}.json").exists():
            profile = load_model(str(apex))
        one = min(same, key=lambda one: abs(one.batch_size - case.batch_size))

        def estimated_s(run: Case, profile=profile) -> float:  # noqa: ANN001 -- of this turn
            seconds = predicted_s(run, profile, dataset, calibration)
            if not run.timed_to_end:
                seconds -= still_queued_s(profile, predicted_step(run, profile, dataset, calibration))
            return seconds

        step = predicted_step(case, profile, dataset, calibration)
        alone_s = max(step.compute_s, step.launches_s) + step.waits_s
        straggled_s = calibration.time.links.straggler_ratio[profile.size_rule].value * alone_s
        late = loops[case.loop].late_batch_ratio if case.loop else None
        late_s = late.value * step.handover_s if late else 0.0
        waited_s = (straggled_s + late_s) * math.log2(case.gpus)
        images = case.batch_size / one.batch_size
        found.append(
            Pair(
                case=case,
                measured=measured_s / cases[one] / images,
                estimated=estimated_s(case) / estimated_s(one) / images,
                one_s=alone_s + step.handover_s,
                alone_s=alone_s,
                handover_s=step.handover_s,
                exchange_s=step.communication_s - waited_s,
            )
        )
    return found


def kind_of(case: Case) -> tuple[str, ...]:
    """What two runs share that are compared."""
    return (case.source, case.model, case.precision, case.card, str(case.timed_to_end))


def fitted(rows: Iterable[Pair]) -> tuple[float, float]:
    """``straggler_ratio`` and ``late_batch_ratio``, 0 where no run of ``rows`` hands over under AMP."""
    full = [row for row in rows if row.case.precision == Precision.FP32.value]
    half = [row for row in rows if row.case.precision == Precision.AMP.value and row.case.loop == "maskrcnn-benchmark"]
    straggler, late = 0.0, 0.0
    for _ in range(ROUNDS):
        straggler = median((row.waited_s() - late * row.handover_s) / row.alone_s for row in full)
        if half:
            late = median((row.waited_s() - straggler * row.alone_s) / row.handover_s for row in half)
    return straggler, late


def held_out(rows: Sequence[Pair], part_of: Callable[[Pair], str]) -> dict[str, list[float]]:
    """Errors by precision of each part of ``rows`` with coefficients of the others, which are printed."""
    errors: dict[str, list[float]] = {}
    for part in sorted({part_of(row) for row in rows}):
        straggler, late = fitted([row for row in rows if part_of(row) != part])
        print(f"  without {part}: straggler {straggler:.4f}, late batch {late:.3f}")
        for row in rows:
            if part_of(row) == part:
                errors.setdefault(row.case.precision, []).append(row.error_with(straggler, late))
    return errors


def summary(errors: Sequence[float]) -> str:
    """Median and 90th percentile of their sizes."""
    size = np.abs(errors)
    middle = f"median {np.median(size):.1%} ({np.median(errors):+.1%})"
    return f"{middle}, 90th percentile {np.quantile(size, 0.9):.1%}, {len(errors)} runs"


def main() -> None:
    """Print every pair, the errors by group, and the fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("--traces", type=Path, help="folder with ssd300_resnet50.json and maskrcnn_apex.json")
    options = parser.parse_args()
    rows = pairs(options.calibration / "published.csv", options.traces, load_dataset("coco"), load_calibration())
    groups: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: (row.case.model, row.case.precision, row.case.card, row.case.gpus)):
        case = row.case
        run = f"{case.source:12s} {case.model:24s} {case.precision} {case.gpus:2d} x {case.card:24s}"
        print(f"{run} batch {case.batch_size:3d}  measured {row.measured:.2f}  estimated {row.estimated:.2f}")
        peers = "peers" if reaches_peers(find_card(case.card)) else "no peer access"
        for group in (f"{case.model} {case.precision}, {peers}", "all"):
            groups.setdefault(group, []).append(row.error)
    for group, errors in sorted(groups.items()):
        print(f"{group}: {summary(errors)}")
    for model in sorted({row.case.model for row in rows}, key=lambda model: model == SSD):
        own = [row for row in rows if row.case.model == model and reaches_peers(find_card(row.case.card))]
        straggler, late = fitted(own)
        print(f"{model}: straggler {straggler:.4f}, late batch {late:.3f}")
        for name, part_of in (("card", lambda row: row.case.card), ("lab", lambda row: row.case.source.split()[0])):
            for precision, errors in held_out(own, part_of).items():
                print(f"  held out by {name}, {precision}: {summary(errors)}")


if __name__ == "__main__":
    main()
