"""Advice comes from estimating again: only what helps, best first, with the verdict it leads to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from runs import CARD, GIB, HARDWARE, around, cpu_question, estimate, estimator, known, question, run

from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Bench, StorageKind
from canitrain.core.interval import Interval
from canitrain.core.profile import Precision
from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.recipe import CacheMode, Freeze, Optimizer, Strategy
from canitrain.core.report import Advice, Status
from canitrain.core.target import GpuTarget
from canitrain.core.units import DAY_S
from canitrain.verdict.advice import MOST_ADVICE, advise
from canitrain.verdict.cards import COMMON_CARDS, MOST_CARDS, suitable_cards
from canitrain.verdict.changes import CHANGES, changes
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


@pytest.mark.parametrize(
    ("now_gib", "cached_gib", "said"),
    [
        (9.0, 20.0, True),
        (9.0, 90.0, False),
        # 24 GiB are too small without the cache too: no more of them may be taken.
        (30.0, 30.0, True),
        (30.0, 31.0, False),
    ],
)
def test_what_takes_more_of_what_lacks_does_not_help_a_run_that_takes_too_long(
    now_gib: float, cached_gib: float, *, said: bool
) -> None:
    @estimator
    def caching(asked: Question, batch_size: int) -> RunEstimate:
        cached = asked.recipe.cache is CacheMode.RAM
        ram = around((cached_gib if cached else now_gib) * GIB)
        return run(ram=ram, total=around((10.0 if cached else 20.0) * DAY_S), batch_size=batch_size)

    asked = question(batch_size=4)
    plan = make_plan(asked, caching)

    assert plan.verdict.status is Status.NO_GO
    assert ("--cache ram" in [each.change for each in advise(asked, plan, caching)]) is said


def test_faster_storage_is_tried_with_the_decoding_that_was_benched() -> None:
    rate = known(1.0)
    bench = Bench(
        decode_s_per_megapixel=rate,
        sequential_read_bytes_per_s=rate,
        random_read_bytes_per_s=rate,
        memory_bytes_per_s=rate,
    )
    disk = replace(HARDWARE.storage, kind=known(StorageKind.HDD))
    asked = question(hardware=replace(HARDWARE, storage=disk, bench=bench))
    (tried,) = (each.question.hardware.bench for each in changes(asked) if "NVMe" in each.option)

    assert tried == bench.elsewhere()
    assert tried.decode_s_per_megapixel == rate


def test_what_ends_one_of_two_obstacles_is_said() -> None:
    @estimator
    def too_long_and_too_much_cached(asked: Question, batch_size: int) -> RunEstimate:
        cached = asked.recipe.cache is CacheMode.RAM
        return run(ram=around((90.0 if cached else 9.0) * GIB), total=around(30 * DAY_S), batch_size=batch_size)

    asked = question(batch_size=4, cache=CacheMode.RAM)
    plan = make_plan(asked, too_long_and_too_much_cached)
    (advice,) = advise(asked, plan, too_long_and_too_much_cached)

    assert (advice.change, advice.effect) == ("--cache none", "makes room")
    assert advice.status is Status.NO_GO  # it still takes 30 days


def test_too_large_a_batch_is_told_the_one_that_fits_with_accumulation() -> None:
    asked = question(free_gib=5.6, batch_size=16)
    advice = advise(asked, make_plan(asked, estimate), estimate)

    assert advice[0].change == "--batch-size 4 with 4 accumulation steps"
    assert advice[0].status is Status.GO


@estimator
def launch_bound(asked: Question, batch_size: int) -> RunEstimate:
    """Steps of one length: time goes down with the batch, which AMP makes room for."""
    image = (1.0 if asked.recipe.precision is Precision.AMP else 2.0) * GIB
    days = 40.0 / batch_size
    return run(
        device=around(image * batch_size), batch_size=batch_size, total=around(days * DAY_S), images_per_s=batch_size
    )


def test_where_time_is_short_a_change_is_worth_the_batch_that_it_makes_room_for() -> None:
    asked = question(free_gib=11.0)
    plan = make_plan(asked, launch_bound)
    (amp,) = (each for each in advise(asked, plan, launch_bound) if each.change.startswith("--precision"))

    assert plan.run.batch_size == 5  # 40 days / 5 = 8, and 7 are allowed
    assert amp.change == "--precision amp --batch-size 10"  # 40 / 10 = 4
    assert amp.status is Status.GO
    assert amp.effect == "2.0x faster"


def test_a_batch_that_was_given_stays() -> None:
    asked = question(free_gib=11.0, batch_size=4)
    assert advise(asked, make_plan(asked, launch_bound), launch_bound) == ()


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


@pytest.mark.parametrize(("workers_days", "bought_is_said"), [(1.0, False), (1.05, False), (1.2, True)])
def test_hardware_is_advised_only_for_more_than_an_option_brings(workers_days: float, *, bought_is_said: bool) -> None:
    @estimator
    def loading(asked: Question, batch_size: int) -> RunEstimate:
        more_cores = asked.hardware.cpu.usable_cores != HARDWARE.cpu.usable_cores
        more_workers = asked.recipe.workers > 4
        days = 1.0 if more_cores else workers_days if more_workers else 2.0
        return run(total=around(days * DAY_S), batch_size=batch_size)

    asked = question(batch_size=4, workers=4)
    options = [each.change for each in advise(asked, make_plan(asked, loading), loading)]

    assert any(option.startswith("--workers") for option in options)
    assert any("CPU cores" in option for option in options) is bought_is_said


def test_an_option_with_a_price_does_not_stand_for_hardware() -> None:
    @estimator
    def frozen_or_cores(asked: Question, batch_size: int) -> RunEstimate:
        changed = asked.recipe.freeze is not Freeze.NONE or asked.hardware != HARDWARE
        return run(total=around(DAY_S if changed else 2 * DAY_S), batch_size=batch_size)

    asked = question(batch_size=4)
    options = [each.change for each in advise(asked, make_plan(asked, frozen_or_cores), frozen_or_cores)]

    assert "--freeze backbone" in options
    assert any("CPU cores" in option for option in options)


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


def test_cards_keep_the_recipes_batch_where_the_largest_that_fits_is_hardly_faster() -> None:
    def batches(images_per_s: Callable[[int], float]) -> list[int]:
        @estimator
        def found(asked: Question, batch_size: int) -> RunEstimate:
            of_card = by_card(asked, batch_size)
            return replace(of_card, time=replace(of_card.time, images_per_s=images_per_s(batch_size)))

        asked = cpu_question(max_time_s=99 * DAY_S)
        return [option.batch_size for card in catalog()[:5] for option in suitable_cards(asked, [card], found)]

    # (1 + b) * 1.06 GiB: 2, 6, 10, 14 and 16 surely fit 4, 8, 12, 16 and 20 GiB; steps of 2, 4 and 8 make 16.
    assert batches(lambda _: 10.0) == [2, 4, 8, 8, 16]
    assert batches(float) == [2, 6, 10, 14, 16]


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


def own_gpu_and(cards: Interval, *, own: Interval, **fields: Any) -> Estimator:
    """The machine's GPU takes ``own`` seconds in all, any other ``cards``; ``fields`` are of both."""

    @estimator
    def found(asked: Question, batch_size: int) -> RunEstimate:
        catalogs = isinstance(asked.target, GpuTarget) and asked.target.card.name in COMMON_CARDS
        budget_bytes = asked.target.budget_bytes if isinstance(asked.target, GpuTarget) else None
        common = {"budget_bytes": budget_bytes, "batch_size": batch_size, **fields}
        return run(total=cards if catalogs else own, **common)

    return found


OWN_CARD = replace(CARD, name="the machine's own")


def would_do(asked: Question, estimate: Estimator) -> int:
    return len(suitable_cards(asked, catalog()[2:], estimate, make_plan(asked, estimate)))


@pytest.mark.parametrize(
    ("own_days", "cards_days", "fields", "named"),
    [
        (9.0, 1.0, {}, True),  # takes too long
        (9.0, 8.0, {}, False),  # and still does with any card, as where the loader is waited for
        (2.0, 1.0, {"shm": around(20.0 * GIB)}, False),  # /dev/shm, which is the same with any card
        (2.0, 1.0, {"disk_bytes": 500.0 * GIB}, False),
        (2.0, 1.0, {"ram": around(90.0 * GIB)}, False),
        (2.0, 1.0, {}, False),  # nothing is in the way
    ],
)
def test_cards_are_named_only_where_a_card_is_what_lacks(
    own_days: float, cards_days: float, fields: dict[str, Any], *, named: bool
) -> None:
    asked = replace(question(batch_size=2), target=replace(question().target, card=OWN_CARD))
    estimate = own_gpu_and(around(cards_days * DAY_S), own=around(own_days * DAY_S), **fields)

    assert (would_do(asked, estimate) > 0) is named


def test_no_card_mends_a_torch_that_lacks_code_for_the_own() -> None:
    obstacle = replace(HARDWARE, software=replace(HARDWARE.software, obstacles=("torch has no code for this card",)))
    asked = replace(question(batch_size=2, hardware=obstacle), target=replace(question().target, card=OWN_CARD))

    assert would_do(asked, own_gpu_and(around(DAY_S), own=around(2 * DAY_S))) == 0


@pytest.mark.parametrize(("cards_days", "named"), [(1.0, True), (1.9, False), (2.2, False)])
def test_beside_a_processor_that_does_only_faster_cards_are_named(cards_days: float, *, named: bool) -> None:
    asked = cpu_question(batch_size=2)

    assert (would_do(asked, own_gpu_and(around(cards_days * DAY_S), own=around(2 * DAY_S))) > 0) is named


def test_no_card_is_named_that_the_catalog_lacks() -> None:
    assert suitable_cards(cpu_question(), [replace(CARD, name="Nobody's")], by_card) == ()


def test_the_catalog_has_every_common_card() -> None:
    from canitrain.catalog import load_cards  # noqa: PLC0415

    names = {card.name for card in load_cards()}

    assert set(COMMON_CARDS) <= names
