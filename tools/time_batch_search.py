"""Times the search of the largest batch: every built-in profile on every catalog card, milliseconds a pair.

The search that ``canitrain check`` makes, with everything that it counts in; nothing is estimated beside it.

python tools/time_batch_search.py
"""

from __future__ import annotations

import time

from msgspec.structs import replace

from canitrain.catalog import load_calibration, load_cards, load_dataset, load_model, model_names
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known
from canitrain.core.question import Question
from canitrain.core.units import TIB_BYTES
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.estimates import Estimates
from canitrain.verdict.batches import largest_batch
from canitrain.verdict.cards import idle


def main() -> None:
    """Print the mean and the slowest."""
    nothing = unknown_machine("a card of the catalog", "not asked about")
    ram = replace(nothing.ram, usable_bytes=Known(value=TIB_BYTES, source="assumed"))
    machine = replace(nothing, ram=ram)
    estimate, cards, dataset = Estimates(calibration=load_calibration()), load_cards(), load_dataset("coco")
    profiles = [load_model(name) for name in model_names()]
    pairs, searching_s, slowest_s, slowest = 0, 0.0, 0.0, ""
    for profile in profiles:
        recipe = decide_recipe(RecipeOptions(), profile, machine)
        for card in cards:
            question = Question(hardware=machine, profile=profile, dataset=dataset, recipe=recipe, target=idle(card))
            start_s = time.perf_counter()
            largest_batch(question, estimate)
            spent_s = time.perf_counter() - start_s
            searching_s += spent_s
            pairs += 1
            if spent_s > slowest_s:
                slowest_s, slowest = spent_s, f"{profile.name} on {card.name}"
    print(f"{len(profiles)} profiles x {len(cards)} cards: {searching_s / pairs * 1000:.3f} ms a pair")
    print(f"slowest: {slowest_s * 1000:.2f} ms, {slowest}")


if __name__ == "__main__":
    main()
