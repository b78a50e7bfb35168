"""One memory for GPU and processor: both needs have to fit into it together."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import CARD, GIB, HARDWARE, known, question, run

from canitrain.core.interval import Interval
from canitrain.core.report import Status
from canitrain.core.target import GpuTarget
from canitrain.verdict.unified_memory import unified_memory_rule

RUN = run(
    device=Interval(low=7 * GIB, expected=8 * GIB, high=9 * GIB),
    required=Interval(low=5 * GIB, expected=6 * GIB, high=7 * GIB),
    ram=Interval(low=2 * GIB, expected=3 * GIB, high=4 * GIB),
)


def status_with(usable_gib: float, *, unified_memory: bool) -> Status | None:
    hardware = replace(HARDWARE, ram=replace(HARDWARE.ram, usable_bytes=known(int(usable_gib * GIB))))
    asked = question(hardware=hardware)
    assert isinstance(asked.target, GpuTarget)
    target = replace(asked.target, card=replace(CARD, unified_memory=unified_memory))
    reason = unified_memory_rule(replace(asked, target=target), RUN)
    return None if reason is None else reason.status


@pytest.mark.parametrize(
    ("usable_gib", "status"),
    [
        (13.0, None),  # 9 + 4: even the upper bounds fit
        (12.9, Status.TIGHT),
        (8.0, Status.TIGHT),  # 5 + 3: the least that runs, beside the RAM that is expected
        (7.9, Status.NO_GO),
    ],
)
def test_both_needs_come_out_of_one_pool(usable_gib: float, status: Status | None) -> None:
    assert status_with(usable_gib, unified_memory=True) is status


def test_a_card_with_memory_of_its_own_shares_nothing() -> None:
    assert status_with(1.0, unified_memory=False) is None
