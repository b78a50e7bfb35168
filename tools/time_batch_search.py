"""Times the search of the largest batch: every built-in profile on every catalog card, milliseconds a pair.

python tools/time_batch_search.py
"""

from __future__ import annotations

import time

from canitrain.catalog import load_calibration, load_cards, load_model, model_names
from canitrain.core.polynomial import BatchShape
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.estimate.batch_search import largest_batch


def main() -> None:
    calibration, cards = load_calibration().memory, load_cards()
    profiles = [load_model(name) for name in model_names()]
    pairs, searching_s, slowest_s, slowest = 0, 0.0, 0.0, ""
    for profile in profiles:
        defaults = profile.defaults
        recipe = Recipe(
            precision=defaults.precision,
            optimizer=Optimizer.SGD_MOMENTUM,
            image_size=defaults.image_size,
            batch_size=None,
            effective_batch_size=defaults.effective_batch_size,
            epochs=1,
            workers=1,
            ema=defaults.ema,
            max_time_s=1.0,
        )
        pixels = float(defaults.image_size.shorter * defaults.image_size.longer)
        shape = BatchShape(batch_size=1, pixels=pixels, boxes=20.0)
        for card in cards:
            start_s = time.perf_counter()
            largest_batch(profile, recipe, shape, card, calibration, budget_bytes=card.memory_bytes)
            spent_s = time.perf_counter() - start_s
            searching_s += spent_s
            pairs += 1
            if spent_s > slowest_s:
                slowest_s, slowest = spent_s, f"{profile.name} on {card.name}"
    print(f"{len(profiles)} profiles x {len(cards)} cards: {searching_s / pairs * 1000:.3f} ms a pair")
    print(f"slowest: {slowest_s * 1000:.2f} ms, {slowest}")


if __name__ == "__main__":
    main()
