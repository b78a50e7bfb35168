"""Where a batch stops to fit."""

from __future__ import annotations

import memory_cases as cases
import pytest

from canitrain.core.memory_status import memory_status
from canitrain.core.polynomial import BatchShape
from canitrain.core.report import Status
from canitrain.estimate.gpu_memory import gpu_memory


@pytest.mark.parametrize(
    ("batch_size", "status"), [(10, Status.GO), (11, Status.TIGHT), (32, Status.TIGHT), (33, Status.NO_GO)]
)
def test_the_status_changes_where_the_bounds_cross_the_budget(batch_size, status):
    # device high = 1.1 * (4608 + 12e6 * batch) + 200 MiB; batch 10 needs 132,005,069 + 209,715,200 = 341,720,269
    # required low = 0.8 * (4608 + 12e6 * batch) + 25 MiB; 32 needs 333,418,086 and 33 needs 343,018,086
    shape = BatchShape(batch_size=batch_size, pixels=1e6, boxes=0.0)
    memory = gpu_memory(
        cases.profile(), cases.recipe(), shape, cases.card(), cases.calibration(), total_bytes=None, budget_bytes=None
    )
    assert memory_status(memory, 341_720_269) is status
