"""Which batch sizes are looked at, and how far a dataset or a recipe lets them go."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import question

from canitrain.verdict.batches import LARGEST_BATCH, batch_steps, dataset_limit, recipe_limit


@pytest.mark.parametrize(
    ("limit", "also", "steps"),
    [
        (1, (), [1]),
        (2, (), [1, 2]),
        (3, (), [1, 2, 3]),
        (4, (), [1, 2, 4]),
        (5, (), [1, 2, 4, 5]),
        (8, (), [1, 2, 4, 6, 8]),
        (24, (), [1, 2, 4, 6, 8, 12, 16, 24]),
        (24, (7, 40), [1, 2, 4, 6, 7, 8, 12, 16, 24, 40]),
    ],
)
def test_steps_grow_by_a_half_and_a_third_up_to_the_limit(limit: int, also: tuple[int, ...], steps: list[int]) -> None:
    assert list(batch_steps(limit, *also)) == steps


def test_the_largest_batch_of_all_is_a_step() -> None:
    assert list(batch_steps(LARGEST_BATCH))[-2:] == [768, LARGEST_BATCH]


@pytest.mark.parametrize(
    ("images", "gpus", "nodes", "limit"),
    [(100, 1, 1, 100), (100, 3, 1, 33), (100, 4, 2, 12), (1, 4, 1, 1), (0, 1, 1, 1), (10**6, 1, 1, LARGEST_BATCH)],
)
def test_a_batch_is_no_larger_than_each_gpus_share_of_the_images(
    images: int, gpus: int, nodes: int, limit: int
) -> None:
    asked = question(gpus=gpus, nodes=nodes)
    assert dataset_limit(replace(asked, dataset=replace(asked.dataset, images=images))) == limit


@pytest.mark.parametrize(("gpus", "nodes", "limit"), [(1, 1, 16), (3, 1, 5), (4, 2, 2), (8, 8, 1)])
def test_the_recipes_batch_is_shared_by_all_gpus(gpus: int, nodes: int, limit: int) -> None:
    assert recipe_limit(question(gpus=gpus, nodes=nodes, effective_batch_size=16)) == limit
