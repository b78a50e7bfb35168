"""What the rules say beside their status: of which budget, which limit, how much to ask for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import GIB, HARDWARE, around, known, question, run

from canitrain.core.interval import exactly
from canitrain.core.question import Question, RunEstimate
from canitrain.core.report import Resource, Status
from canitrain.core.units import DAY_S
from canitrain.verdict.rules import judge


def message(resource: Resource, asked: Question, estimated: RunEstimate) -> str:
    return next(reason.message for reason in judge(asked, estimated) if reason.resource is resource)


@pytest.mark.parametrize(("assume_idle", "there"), [(True, "11.0 GiB in all"), (False, "11.0 GiB free")])
def test_a_budget_is_what_is_free_or_the_whole_card(*, assume_idle: bool, there: str) -> None:
    assert message(Resource.GPU_MEMORY, question(assume_idle=assume_idle), run()).endswith(there)


@pytest.mark.parametrize(
    ("given", "epochs", "text"),
    [
        ((), 1, "1 epoch takes 1.0 h, the limit is 7 days, the default of --max-time"),
        (("max_time",), 26, "26 epochs take 1.0 h, the limit is 7 days"),
    ],
)
def test_a_limit_that_nobody_set_is_called_a_default(given: tuple[str, ...], epochs: int, text: str) -> None:
    asked = question(given=given, epochs=epochs, max_time_s=7 * DAY_S)
    assert message(Resource.TIME, asked, run(total=exactly(3600.0))) == text.replace("1.0 h", "60 min")


def test_time_that_is_just_enough_is_enough() -> None:
    reasons = judge(question(max_time_s=3600.0), run(total=exactly(3600.0)))
    assert next(reason.status for reason in reasons if reason.resource is Resource.TIME) is Status.GO


@pytest.mark.parametrize(("need_gib", "size"), [(0.5, "1g"), (8.5, "9g"), (9.0, "10g")])
def test_the_shm_to_ask_for_is_the_next_whole_gib(need_gib: float, size: str) -> None:
    text = message(Resource.SHM, question(), run(shm=exactly(need_gib * GIB), shm_budget_bytes=0.1 * GIB))
    assert text.endswith(f"--shm-size={size}")


def test_a_run_that_needs_one_byte_of_shm_needs_it() -> None:
    assert message(Resource.SHM, question(), run(shm=exactly(1.0), shm_budget_bytes=0.0))
    reasons = judge(question(), run(shm=exactly(0.0), shm_budget_bytes=0.0))
    assert all(reason.resource is not Resource.SHM for reason in reasons)


@pytest.mark.parametrize(("disk_bytes", "status"), [(0.0, Status.GO), (1.0, Status.TIGHT)])
def test_a_read_only_disk_is_in_the_way_of_the_first_byte(disk_bytes: float, status: Status) -> None:
    storage = replace(HARDWARE.storage, writable=known(False))  # noqa: FBT003 - a fact
    reasons = judge(question(hardware=replace(HARDWARE, storage=storage)), run(disk_bytes=disk_bytes))
    assert next(reason.status for reason in reasons if reason.resource is Resource.DISK) is status


def test_an_estimate_that_cannot_end_in_time_by_its_expected_value_is_a_no_go() -> None:
    reasons = judge(question(max_time_s=3600.0), run(total=around(3601.0)))
    assert next(reason.status for reason in reasons if reason.resource is Resource.TIME) is Status.NO_GO
