"""Advice comes from estimating again: only what helps, best first, with the verdict it leads to."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import CARD, GIB, HARDWARE, around, cpu_question, estimate, estimator, known, question, run

from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import Precision
from canitrain.core.question import Question, RunEstimate
from canitrain.core.recipe import CacheMode, Freeze, Optimizer, Strategy
from canitrain.core.report import Advice, Status
from canitrain.core.units import DAY_S
from canitrain.verdict.advice import CHANGES, MOST_ADVICE, advise, changes
from canitrain.verdict.cards import COMMON_CARDS, MOST_CARDS, suitable_cards
from canitrain.verdict.plan import make_plan


@estimator
def halving(asked: Question, batch_size: int) -> RunEstimate:
    """Each change to the recipe that saves memory halves it; AMP also halves the time."""
    recipe = asked.recipe
    memory, seconds = 8.0 * GIB, 2 * DAY_S
    for saving in (recipe.precision is Precision.AMP, recipe.checkpointing, recipe.freeze is Freeze.BACKBONE):
        memory /= 2 if saving else 1
    if recipe.precision is Precision.AMP:
        seconds /= 2
    budget_bytes = getattr(asked.target, "budget_bytes", None)
    return run(device=around(memory), budget_bytes=budget_bytes, batch_size=batch_size, total=around(seconds))


def advice_for(asked: Question) -> tuple[Advice, ...]:
    return advise(asked, make_plan(asked, halving), halving)


def test_memory_short_what_makes_it_fit_comes_first() -> None:
    advice = advice_for(question(free_gib=5.0, batch_size=4))

    assert advice[0].change == "--precision amp"
    assert advice[0].status is Status.GO
    assert advice[0].effect == "-4.0 GiB, 2.0x faster"
    assert advice[0].memory_bytes == pytest.approx(-4.0 * GIB)
    assert advice[0].speedup_ratio == pytest.approx(2.0)
    assert "--checkpointing" in [each.change for each in advice]


def test_when_all_is_well_only_speed_is_worth_a_line() -> None:
    assert [each.change for each in advice_for(question(free_gib=11.0, batch_size=4))] == ["--precision amp"]


def test_what_does_not_help_is_not_said() -> None:
    advice = advice_for(question(free_gib=11.0, batch_size=4, precision=Precision.AMP))

    assert advice == ()


def test_what_makes_the_verdict_worse_is_not_said() -> None:
    @estimator
    def cache_breaks(asked: Question, batch_size: int) -> RunEstimate:
        cached = asked.recipe.cache is CacheMode.RAM
        return run(
            ram=around(90.0 * GIB if cached else 9.0 * GIB),
            total=around(1.0 * DAY_S if cached else 3.0 * DAY_S),
            batch_size=batch_size,
        )

    asked = question(batch_size=4)

    assert "--cache ram" not in [each.change for each in advise(asked, make_plan(asked, cache_breaks), cache_breaks)]


def test_too_large_a_batch_is_told_the_one_that_fits_with_accumulation() -> None:
    asked = question(free_gib=5.6, batch_size=16)
    advice = advise(asked, make_plan(asked, estimate), estimate)

    assert advice[0].change == "--batch-size 4 with 4 accumulation steps"
    assert advice[0].status is Status.GO


def test_no_more_lines_than_a_reader_reads() -> None:
    @estimator
    def everything_helps(asked: Question, batch_size: int) -> RunEstimate:
        changed = asked.recipe != question(batch_size=4).recipe
        return run(total=around(DAY_S if changed else 3 * DAY_S), batch_size=batch_size)

    asked = question(batch_size=4)

    assert len(advise(asked, make_plan(asked, everything_helps), everything_helps)) == MOST_ADVICE


def test_every_change_changes_something_and_names_itself() -> None:
    storage = replace(HARDWARE.storage, kind=known(StorageKind.HDD))
    shared = {"gpus": 2, "nodes": 2, "strategy": Strategy.DP}
    asked = question(hardware=replace(HARDWARE, storage=storage), optimizer=Optimizer.ADAM, workers=2, **shared)
    found = list(changes(asked))

    assert len(found) >= len(CHANGES)
    assert all(change.question != asked for change in found)
    assert len({change.option for change in found}) == len(found)


def test_gpu_options_are_not_advised_on_a_cpu() -> None:
    options = {change.option for change in changes(cpu_question())}

    assert options.isdisjoint({"--precision amp", "--channels-last"})
    assert not any("--assume-idle" in option for option in options)


def catalog() -> list[GpuSpec]:
    return [replace(CARD, name=name, memory_bytes=(4 + 4 * index) * GIB) for index, name in enumerate(COMMON_CARDS)]


@estimator
def by_card(asked: Question, batch_size: int) -> RunEstimate:
    """The dearer the card, the faster."""
    card = asked.target.card
    days = len(COMMON_CARDS) - COMMON_CARDS.index(card.name)
    return run(
        device=around((1.0 + batch_size) * GIB),
        budget_bytes=asked.target.budget_bytes,
        batch_size=batch_size,
        total=around(days * DAY_S),
    )


def test_cards_that_would_do_from_the_slowest_to_the_fastest() -> None:
    options = suitable_cards(cpu_question(max_time_s=6.5 * DAY_S), catalog(), by_card)
    totals = [option.total_s for option in options]

    assert 0 < len(options) <= MOST_CARDS
    assert totals == sorted(totals, reverse=True)
    assert totals[0] <= 6.5 * DAY_S
    assert {option.status for option in options} <= {Status.GO, Status.TIGHT}


def test_cards_hold_the_largest_batch_up_to_the_recipes() -> None:
    options = suitable_cards(cpu_question(), catalog(), by_card)

    # (1 + b) * 1.06 <= memory: 16 in 24 GiB and more
    assert options[-1].batch_size == 16


def test_cards_are_judged_at_the_batch_that_was_asked_for() -> None:
    options = suitable_cards(cpu_question(batch_size=20), catalog(), by_card)

    # 21 GiB * 1.06 = 22.3 surely fits 24 GiB; 21 * 0.8 = 16.8 most likely runs in 20 GiB, not in 16
    assert {option.batch_size for option in options} == {20}
    assert (options[0].name, options[0].status) == (COMMON_CARDS[4], Status.TIGHT)
    assert {option.status for option in options[1:]} == {Status.GO}


def test_cards_that_more_likely_run_out_are_not_named() -> None:
    # 20 images need 16.8 GiB to run and 15.8 at the very least: 16 GiB is no certain no-go, and no advice either
    card = catalog()[3]

    assert card.memory_bytes == 16 * GIB
    assert suitable_cards(cpu_question(batch_size=20, max_time_s=99 * DAY_S), [card], by_card) == ()


def test_no_card_is_named_that_the_catalog_lacks() -> None:
    assert suitable_cards(cpu_question(), [replace(CARD, name="Nobody's")], by_card) == ()


def test_the_catalog_has_every_common_card() -> None:
    from canitrain.catalog import load_cards  # noqa: PLC0415

    names = {card.name for card in load_cards()}

    assert set(COMMON_CARDS) <= names
