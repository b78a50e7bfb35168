"""Which batch is recommended, and why not a larger one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from runs import REPORT, around, estimate, estimator, question, run

from canitrain.core.interval import exactly
from canitrain.core.question import Estimator, Question, RunEstimate
from canitrain.core.report import Status
from canitrain.verdict.batches import accumulation_steps, batch_steps, largest_batch
from canitrain.verdict.plan import Plan, make_plan


def plan(asked: Question) -> Plan:
    return make_plan(asked, estimate)


@pytest.mark.parametrize(
    ("limit", "also", "steps"),
    [
        (1, (), [1]),
        (8, (), [1, 2, 4, 6, 8]),
        (10, (), [1, 2, 4, 6, 8, 10]),
        (8, (7,), [1, 2, 4, 6, 7, 8]),
        (4, (64,), [1, 2, 4, 64]),  # a given batch is looked at whatever the limit
    ],
)
def test_batch_steps(limit: int, also: tuple[int, ...], steps: list[int]) -> None:
    assert list(batch_steps(limit, *also)) == steps


@pytest.mark.parametrize(
    ("free_gib", "batch_size"),
    [
        (2.2, 1),  # (1 + 1) * 1.1 = 2.2
        (3.29, 1),
        (3.3, 2),  # (1 + 2) * 1.1 = 3.3
        (7.8, 6),  # (1 + 6) * 1.1 = 7.7
        (9.8, 7),  # (1 + 7) * 1.1 = 8.8, (1 + 8) * 1.1 = 9.9
        (18.7, 16),  # (1 + 16) * 1.1 = 18.7
    ],
)
def test_largest_batch_whose_upper_bound_fits(free_gib: float, batch_size: int) -> None:
    chosen = plan(question(free_gib=free_gib + 1e-9)).recommendation

    assert chosen.batch_size == batch_size
    assert "GPU memory" in chosen.batch_reason


@pytest.mark.parametrize(("limit", "batch_size"), [(1024, 7), (5, 5), (1, 1), (0, None)])
def test_the_search_is_exact_up_to_its_limit(limit: int, batch_size: int | None) -> None:
    assert largest_batch(question(free_gib=9.8), estimate, limit) == batch_size


def test_the_search_asks_for_memory_alone_and_a_few_times_only() -> None:
    asked_at: list[int] = []

    @estimator
    def counting(asked: Question, batch_size: int) -> RunEstimate:
        asked_at.append(batch_size)
        return estimate(asked, batch_size)

    assert largest_batch(question(free_gib=500.0), counting) == 453  # 454 * 1.1 = 499.4
    assert len(asked_at) <= 18  # 9 doublings, 8 halvings, the first


def test_no_search_where_not_even_one_image_fits_or_nobody_knows() -> None:
    assert largest_batch(question(free_gib=2.1), estimate) is None
    assert largest_batch(question(free_gib=None), estimate) is None


def test_the_largest_batch_has_its_row_though_it_is_no_step() -> None:
    rows = {row.batch_size: row.status for row in plan(question(free_gib=9.8)).rows}

    assert (rows[7], rows[8]) == (Status.GO, Status.TIGHT)


@pytest.mark.parametrize(("free_gib", "batch_size", "steps"), [(2.3, 1, 16), (5.6, 4, 4), (7.8, 6, 3), (18.8, 16, 1)])
def test_accumulation_keeps_the_recipes_effective_batch(free_gib: float, batch_size: int, steps: int) -> None:
    # 16 / 1, 16 / 4, 16 / 6 = 2.67 rounded, 16 / 16
    chosen = plan(question(free_gib=free_gib)).recommendation

    assert (chosen.batch_size, chosen.accumulation_steps) == (batch_size, steps)


def speed(images_per_s: Callable[[int], float]) -> Estimator:
    """``estimate``, but with the throughput of ``images_per_s(batch)``."""

    @estimator
    def found(asked: Question, batch_size: int) -> RunEstimate:
        slow = estimate(asked, batch_size)
        return replace(slow, time=replace(slow.time, images_per_s=images_per_s(batch_size)))

    return found


def test_a_few_per_cent_more_images_a_second_do_not_pay_for_leaving_the_recipes_batch() -> None:
    # b / (b + 1) of the top speed: 16 reach 0.94 of it, 32 reach 0.97 and need (1 + 2) / (1 + 1) times the images.
    chosen = plan(question(free_gib=5000.0)).recommendation

    assert chosen.batch_size == 16
    assert chosen.batch_reason == (
        "larger ones fit and give up to 1.1x the images/s, but would leave the recipe's effective batch of 16"
    )


def test_one_image_on_each_gpu_that_is_more_than_the_recipes_batch_has_left_it_already() -> None:
    # 32 GPUs, a recipe of 16 images: larger batches are as fast here.
    chosen = make_plan(question(free_gib=11.0, gpus=8, nodes=4), speed(lambda _: 10.0)).recommendation

    assert chosen.batch_size == 1
    assert chosen.batch_reason == (
        "larger ones fit, are hardly faster, and would go still further beyond the recipe's effective batch of 16"
    )


@pytest.mark.parametrize(
    ("fastest_batch", "batch_size"),
    [
        # Throughput follows the batch and stops: f times the recipe's batch take (1 + f) / 2 / f of the time.
        (16, 16),
        (32, 32),
        (96, 96),
        (256, 256),
    ],
)
def test_beyond_the_recipes_batch_while_the_time_to_the_same_accuracy_falls(
    fastest_batch: int, batch_size: int
) -> None:
    chosen = make_plan(question(free_gib=5000.0), speed(lambda batch: float(min(batch, fastest_batch)))).recommendation

    assert (chosen.batch_size, chosen.accumulation_steps) == (batch_size, 1)


def test_a_doubling_beyond_the_recipes_batch_has_to_bring_half_as_much_again() -> None:
    # 32 for 16: (1 + 2) / (1 + 1) = 1.5 times the images; what is larger stays as fast.
    def at(ratio: float) -> int | None:
        asked = question(free_gib=5000.0)
        return make_plan(asked, speed(lambda batch: ratio if batch >= 32 else 1.0)).recommendation.batch_size

    assert (at(1.49), at(1.51)) == (16, 32)


def test_many_gpus_start_from_one_image_each() -> None:
    # 32 GPUs x 1 image are 2 of the recipe's 16 already, 32 x 2 are 4: (1 + 4) / (1 + 2) = 1.67 times the images.
    def at(ratio: float) -> int | None:
        asked = question(free_gib=5000.0, gpus=8, nodes=4)
        return make_plan(asked, speed(lambda batch: ratio if batch >= 2 else 1.0)).recommendation.batch_size

    assert (at(1.6), at(1.7)) == (1, 2)


def test_throughput_that_falls_with_the_batch_keeps_the_recipes() -> None:
    chosen = make_plan(question(free_gib=5000.0), speed(lambda batch: 100.0 / batch)).recommendation

    assert chosen.batch_size == 16


def test_a_loader_that_cannot_follow_keeps_the_recipes_batch() -> None:
    chosen = make_plan(question(free_gib=5000.0), speed(lambda _: 5.0)).recommendation

    assert chosen.batch_size == 16
    assert "effective batch of 16" in chosen.batch_reason


def test_a_batch_that_keeps_the_recipes_is_taken_where_the_largest_is_hardly_faster() -> None:
    # 11 * 1.1 + 1.1 = 13.2 fit, and 8 in 2 steps are the recipe's 16: 8 / 9 is 0.97 of 11 / 12.
    chosen = plan(question(free_gib=13.3)).recommendation

    assert (chosen.batch_size, chosen.accumulation_steps) == (8, 2)
    # 16 itself is tight: neither it nor 11 or 12 is what the sentence may leave unsaid.
    assert chosen.batch_reason == "the largest shown that surely fits and keeps the recipe's effective batch of 16"


def test_the_largest_is_taken_where_a_batch_that_keeps_the_recipes_is_slower() -> None:
    # 4 in 4 steps are the recipe's 16, and 4 / 5 is 0.93 of 6 / 7.
    assert plan(question(free_gib=7.8)).recommendation.batch_size == 6


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"),
    [
        (1, 1, 1),  # not 16 steps, as there is one an epoch
        (5, 2, 3),  # 2, 2 and 1
        (17, 1, 16),
    ],
)
def test_no_more_steps_are_accumulated_than_an_epoch_has(images: int, batch_size: int, steps: int) -> None:
    asked = replace(question(batch_size=batch_size), dataset=replace(REPORT.dataset, images=images))

    assert accumulation_steps(asked, batch_size) == steps


def test_a_small_dataset_caps_the_batch() -> None:
    asked = replace(question(free_gib=5000.0), dataset=replace(REPORT.dataset, images=3))
    chosen = plan(asked).recommendation

    assert chosen.batch_size == 3
    assert "3 images" in chosen.batch_reason


def test_nothing_fits() -> None:
    found = plan(question(free_gib=0.5))

    assert found.recommendation.batch_size is None
    assert found.verdict.status is Status.NO_GO
    assert found.run.batch_size == 1


def test_unknown_memory_recommends_nothing() -> None:
    found = plan(question(free_gib=None))

    assert found.recommendation.batch_size is None
    assert found.verdict.status is Status.UNKNOWN
    assert "unknown" in found.recommendation.batch_reason


def test_a_given_batch_is_judged_and_the_better_one_recommended() -> None:
    found = plan(question(free_gib=5.6, batch_size=32))

    assert found.run.batch_size == 32
    assert found.verdict.status is Status.NO_GO
    assert found.recommendation.batch_size == 4
    assert 32 in [row.batch_size for row in found.rows]


def test_only_tight_batches_recommend_the_smallest() -> None:
    @estimator
    def narrow(asked: Question, batch_size: int) -> RunEstimate:
        wide = run(device=around(9.0 * 2**30, 0.3), required=exactly(1.0), batch_size=batch_size)
        assert asked.recipe.batch_size is None
        return wide

    found = make_plan(question(free_gib=11.0), narrow)

    assert found.recommendation.batch_size == 1
    assert found.verdict.status is Status.TIGHT


def test_rows_are_ordered_and_get_no_better_with_the_batch() -> None:
    rows = plan(question(free_gib=9.8)).rows
    order = [Status.GO, Status.TIGHT, Status.NO_GO]

    assert [row.batch_size for row in rows] == sorted(row.batch_size for row in rows)
    assert [order.index(row.status) for row in rows] == sorted(order.index(row.status) for row in rows)
    assert rows[-1].status is Status.NO_GO


def test_too_little_ram_for_any_batch_still_speaks_of_one_that_the_card_holds() -> None:
    @estimator
    def hungry(asked: Question, batch_size: int) -> RunEstimate:
        found = estimate(asked, batch_size)
        host = replace(found.memory.host, ram_budget_bytes=1.0)
        return replace(found, memory=replace(found.memory, host=host))

    found = make_plan(question(free_gib=9.8), hungry)

    assert found.recommendation.batch_size is None
    assert found.recommendation.batch_reason == "no batch fits into RAM"
    assert found.run.batch_size == 6
    assert found.verdict.status is Status.NO_GO


def test_ram_that_is_tight_at_any_batch_keeps_what_the_card_holds() -> None:
    @estimator
    def narrow(asked: Question, batch_size: int) -> RunEstimate:
        found = estimate(asked, batch_size)
        host = replace(found.memory.host, ram_budget_bytes=found.memory.host.ram_bytes.expected)
        return replace(found, memory=replace(found.memory, host=host))

    found = make_plan(question(free_gib=9.8), narrow)

    assert found.recommendation.batch_size == 6
    assert "RAM is tight" in found.recommendation.batch_reason
    assert found.verdict.status is Status.TIGHT
