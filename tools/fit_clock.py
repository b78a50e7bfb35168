"""Fits the clock that a card's power allows, on clocks and watts that NVIDIA prints together.

    python tools/fit_clock.py [--write profiles/calibration/time.toml]

``clock_by_power.csv`` has what NVIDIA lists for laptops: one chip at several powers, each with the boost clock that is
typical there (GPU Boost). Multiprocessors and chip are the catalog's. With w watts of a card, n multiprocessors::

    clock = ((w - clock_rest_w) / (n x multiprocessor_w)) ** (1 / 3) GHz, at most the highest of the generation's list

Each card weighs the same. The highest: a small chip at 115 W is listed at the clock of a larger one, it does not use
its power. No time of any run is looked at. Needs numpy and scipy; the printed error is of cards held out.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
from calibration_toml import read_time_toml, write_time_toml
from msgspec.structs import replace
from scipy.optimize import least_squares

from canitrain.catalog import find_card
from canitrain.core.evidence import Coefficient
from canitrain.core.time_calibration import ClockPower
from canitrain.core.units import GHZ, MHZ
from canitrain.estimate.sustained_clock import CLOCK_POWER

PAIRS = Path(__file__).parent / "clock_by_power.csv"
START_REST_W, START_EACH_W = 15.0, 0.5


class Pairs:
    """The list as arrays, one entry a line."""

    def __init__(self, path: Path) -> None:
        """Read ``path``."""
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
        specs = [find_card(row["card"]) for row in rows]
        self.cards = np.array([spec.name.split(" with")[0].removesuffix(" Laptop GPU") for spec in specs])
        self.chips = np.array([spec.compute_capability for spec in specs])
        self.kinds = sorted(set(self.chips), key=float)
        self.kind = np.array([self.kinds.index(chip) for chip in self.chips])
        self.multiprocessors = np.array([spec.multiprocessors for spec in specs])
        self.watts = np.array([float(row["power_w"]) for row in rows])
        self.ghz = np.array([float(row["boost_mhz"]) * MHZ / GHZ for row in rows])
        self.highest_ghz = np.array([self.ghz[self.chips == chip].max() for chip in self.chips])
        lines = Counter(self.cards)
        self.weight = np.array([1 / lines[card] for card in self.cards])

    def errors(self, logs: np.ndarray) -> np.ndarray:
        """Logarithm of predicted / listed clock; ``logs`` of the rest's watts and of each chip's."""
        left_w = np.maximum(self.watts - np.exp(logs[0]), 1.0)
        allowed = (left_w / (self.multiprocessors * np.exp(logs[1:])[self.kind])) ** (1 / CLOCK_POWER)
        return np.log(np.minimum(allowed, self.highest_ghz) / self.ghz)

    def fit(self, rows: np.ndarray) -> np.ndarray:
        """What explains the chosen lines best."""
        start = np.log([START_REST_W, *[START_EACH_W] * len(self.kinds)])
        return least_squares(lambda logs: (self.errors(logs) * np.sqrt(self.weight))[rows], start).x

    def held_out(self) -> np.ndarray:
        """Errors of every line by a fit that has not seen its card."""
        errors = np.zeros(len(self.cards))
        for card in sorted(set(self.cards)):
            own = self.cards == card
            errors[own] = self.errors(self.fit(~own))[own]
        return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="time.toml to rewrite")
    options = parser.parse_args()
    pairs = Pairs(PAIRS)
    values = np.exp(pairs.fit(np.ones(len(pairs.cards), dtype=bool)))
    errors = pairs.held_out()
    rms = float(np.sqrt(np.average(errors**2, weights=pairs.weight)))
    lines = f"{len(pairs.cards)} lines of {len(set(pairs.cards))} cards"
    residual = f"held-out cards: root mean square {rms:.1%} of the clock, {lines}"
    rows = []
    for chip, value in zip(pairs.kinds, values[1:], strict=True):
        own = pairs.chips == chip
        own_rms = float(np.sqrt(np.average(errors[own] ** 2, weights=pairs.weight[own])))
        source = f"tools/fit_clock.py on NVIDIA's clocks and watts of {len(set(pairs.cards[own]))} laptop cards"
        rows.append(ClockPower(compute_capability=str(chip), multiprocessor_w=float(value), source=source))
        print(f"{chip}: {value:.3f} W at 1 GHz, held-out cards: root mean square {own_rms:.1%}")
    rest = Coefficient(value=float(values[0]), unit="W", source="tools/fit_clock.py", residual=residual)
    print(f"the rest: {values[0]:.1f} W; {residual}")
    if options.write:
        old = read_time_toml(options.write)
        write_time_toml(options.write, replace(old, clock_rest_w=rest, clock_power=tuple(rows)))


if __name__ == "__main__":
    main()
