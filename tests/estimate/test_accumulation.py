"""When gradients outlive a backward pass: by the recipe's batch over all GPUs, not by the batch at hand."""

from __future__ import annotations

import memory_cases as cases
import pytest
from msgspec.structs import replace

from canitrain.estimate.persistent import accumulates


@pytest.mark.parametrize(
    ("batch_size", "gpus", "nodes", "accumulating"),
    [
        (None, 1, 1, True),  # the default batch of 16 has to be gone through four times
        (None, 4, 1, False),
        (None, 2, 2, False),
        (None, 3, 1, True),
        (64, 1, 1, False),
        (63, 1, 1, True),
        (8, 4, 1, True),
        (1, 64, 1, False),
    ],
)
def test_64_images_an_update_are_accumulated_where_the_gpus_take_fewer_at_once(batch_size, gpus, nodes, accumulating):
    profile = cases.profile()
    defaults = replace(profile.defaults, batch_size=16)
    profile = replace(profile, defaults=defaults)
    recipe = cases.recipe(batch_size=batch_size, gpus=gpus, nodes=nodes, effective_batch_size=64)
    assert accumulates(profile, recipe) is accumulating
