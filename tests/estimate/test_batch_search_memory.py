"""The largest batch that fits."""

from __future__ import annotations

import memory_cases as cases
import pytest

from canitrain.core.memory_status import memory_status
from canitrain.core.polynomial import BatchShape
from canitrain.core.report import Status
from canitrain.estimate.batch_search import largest_batch
from canitrain.estimate.gpu_memory import gpu_memory

SHAPE = BatchShape(batch_size=1, pixels=1e6, boxes=0.0)


def search(budget_bytes: float, **options: object) -> int | None:
    return largest_batch(
        cases.profile(), cases.recipe(), SHAPE, cases.card(), cases.calibration(), budget_bytes=budget_bytes, **options
    )


def test_the_largest_batch_is_the_last_whose_upper_bound_fits():
    # device high = 1.1 * (4608 + 12e6 * batch) + 200 MiB; batch 10 needs 132,005,069 + 209,715,200 = 341,720,269
    assert search(341_720_269) == 10
    assert search(341_720_268) == 9


def test_nothing_fits_when_one_image_does_not():
    assert search(200 * cases.MIB_BYTES) is None


def test_the_limit_caps_the_batch():
    assert search(1e12, limit=7) == 7
    assert search(1e12, limit=1) == 1


def test_tight_reaches_further_than_go():
    # required low = 0.8 * (4608 + 12e6 * batch) + 25 MiB; 32 needs 333,418,086 and 33 needs 343,018,086
    assert search(341_720_269, status=Status.TIGHT) == 32


@pytest.mark.parametrize(
    ("batch_size", "status"), [(10, Status.GO), (11, Status.TIGHT), (32, Status.TIGHT), (33, Status.NO_GO)]
)
def test_the_status_changes_where_the_bounds_cross_the_budget(batch_size, status):
    shape = BatchShape(batch_size=batch_size, pixels=1e6, boxes=0.0)
    memory = gpu_memory(
        cases.profile(), cases.recipe(), shape, cases.card(), cases.calibration(), total_bytes=None, budget_bytes=None
    )
    assert memory_status(memory, 341_720_269) is status
