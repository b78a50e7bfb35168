"""The rules as tables: need, budget, status."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import GIB, HARDWARE, around, known, question, run

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Package
from canitrain.core.interval import Interval
from canitrain.core.recipe import CacheMode
from canitrain.core.report import Reason, Resource, Status
from canitrain.core.severity import SEVERITY, worst
from canitrain.core.units import DAY_S
from canitrain.verdict.rules import EXIT_CODES, judge, verdict_of


def gib(low: float, expected: float, high: float) -> Interval:
    return Interval(low=low * GIB, expected=expected * GIB, high=high * GIB)


def status_of(resource: Resource, **figures: object) -> Status | None:
    reasons = judge(question(), run(**figures))
    return next((reason.status for reason in reasons if reason.resource is resource), None)


@pytest.mark.parametrize(
    ("device", "required", "free_gib", "status"),
    [
        (gib(7, 8, 9), gib(5, 6, 7), 9.0, Status.GO),  # even the upper bound fits
        (gib(7, 8, 9), gib(5, 6, 7), 8.9, Status.TIGHT),
        (gib(7, 8, 9), gib(5, 6, 7), 5.0, Status.TIGHT),  # the least may still run
        (gib(7, 8, 9), gib(5, 6, 7), 4.9, Status.NO_GO),
        (gib(7, 8, 9), gib(5, 6, 7), None, Status.UNKNOWN),
        (gib(7, 8, 9), gib(5, 6, 7), 0.0, Status.NO_GO),
    ],
)
def test_gpu_memory(device: Interval, required: Interval, free_gib: float | None, status: Status) -> None:
    budget_bytes = None if free_gib is None else free_gib * GIB
    found = status_of(Resource.GPU_MEMORY, device=device, required=required, budget_bytes=budget_bytes)

    assert found is status


@pytest.mark.parametrize(
    ("free_gib", "words"),
    [
        (6.0, ("most likely runs:", "about 6.0 GiB", "up to 9.0 GiB")),  # the expected least just fits
        (5.9, ("most likely runs out:", "about 6.0 GiB", "5.0 GiB at the very least")),
    ],
)
def test_tight_says_which_way_it_leans(free_gib: float, words: tuple[str, ...]) -> None:
    figures = {"device": gib(7, 8, 9), "required": gib(5, 6, 7), "budget_bytes": free_gib * GIB}
    (message,) = (each.message for each in judge(question(), run(**figures)) if each.resource is Resource.GPU_MEMORY)

    assert all(word in message for word in words)


@pytest.mark.parametrize(
    ("free_gib", "status"),
    [(10.0, Status.GO), (9.9, Status.TIGHT), (9.0, Status.TIGHT), (8.9, Status.NO_GO), (None, Status.UNKNOWN)],
)
def test_ram(free_gib: float | None, status: Status) -> None:
    budget_bytes = None if free_gib is None else free_gib * GIB

    assert status_of(Resource.RAM, ram=gib(8, 9, 10), ram_budget_bytes=budget_bytes) is status


@pytest.mark.parametrize(
    ("need_gib", "free_gib", "status"),
    [(0.0, 0.0, None), (1.0, 2.0, None), (1.0, 0.0625, Status.TIGHT), (1.0, None, Status.TIGHT)],
)
def test_shm_is_never_more_than_tight(need_gib: float, free_gib: float | None, status: Status | None) -> None:
    shm = gib(need_gib / 2, need_gib, need_gib)
    budget_bytes = None if free_gib is None else free_gib * GIB

    assert status_of(Resource.SHM, shm=shm, shm_budget_bytes=budget_bytes) is status


@pytest.mark.parametrize("os", ["Linux", "unknown"])
def test_an_unknown_shm_is_never_better_than_a_small_one(os: str) -> None:
    hardware = replace(HARDWARE, software=replace(HARDWARE.software, os=os))
    small, unknown = (
        verdict_of(judge(question(hardware=hardware), run(shm=gib(1, 1, 1), shm_budget_bytes=budget_bytes)))
        for budget_bytes in (0.0, None)
    )

    assert unknown.status is small.status is Status.TIGHT


@pytest.mark.parametrize("os", ["Windows 11", "Darwin 23.1"])
def test_systems_without_shm_need_none(os: str) -> None:
    hardware = replace(HARDWARE, software=replace(HARDWARE.software, os=os))
    reasons = judge(question(hardware=hardware), run(shm=gib(1, 1, 1), shm_budget_bytes=None))

    assert Resource.SHM not in [reason.resource for reason in reasons]


@pytest.mark.parametrize(("free_gib", "status"), [(1.0, Status.GO), (0.9, Status.NO_GO), (None, Status.UNKNOWN)])
def test_disk(free_gib: float | None, status: Status) -> None:
    budget_bytes = None if free_gib is None else free_gib * GIB

    assert status_of(Resource.DISK, disk_bytes=1.0 * GIB, disk_budget_bytes=budget_bytes) is status


def test_a_read_only_disk_is_tight() -> None:
    storage = replace(HARDWARE.storage, writable=known(False))  # noqa: FBT003
    reasons = judge(question(hardware=replace(HARDWARE, storage=storage)), run())

    assert [reason.status for reason in reasons if reason.resource is Resource.DISK] == [Status.TIGHT]


@pytest.mark.parametrize(("path", "words"), [(None, "the dataset and checkpoints need"), ("/data", ": checkpoints")])
def test_a_read_only_disk_names_what_needs_another_folder(path: str | None, words: str) -> None:
    asked = question(hardware=replace(HARDWARE, storage=replace(HARDWARE.storage, writable=known(False))))  # noqa: FBT003
    reasons = judge(replace(asked, dataset=replace(asked.dataset, path=path)), run())

    assert [words in reason.message for reason in reasons if reason.resource is Resource.DISK] == [True]


@pytest.mark.parametrize(
    ("inodes", "path", "cache", "status"),
    [
        (known(0), "/data", CacheMode.NONE, Status.NO_GO),  # not even a checkpoint
        (known(1), "/data", CacheMode.NONE, Status.GO),
        (known(21_000), None, CacheMode.NONE, Status.NO_GO),  # 20,000 + 1,000 images and a checkpoint
        (known(21_001), None, CacheMode.NONE, Status.GO),
        (known(21_000), "/data", CacheMode.DISK, Status.NO_GO),
        (known(42_000), None, CacheMode.DISK, Status.NO_GO),
        (Unknown(reason="btrfs has no such count"), None, CacheMode.DISK, Status.GO),
    ],
)
def test_files_that_the_file_system_takes(
    inodes: Known[int] | Unknown, path: str | None, cache: CacheMode, status: Status
) -> None:
    storage = replace(HARDWARE.storage, free_inodes=inodes)
    asked = question(hardware=replace(HARDWARE, storage=storage), cache=cache)
    reasons = judge(replace(asked, dataset=replace(asked.dataset, path=path)), run())

    assert [reason.status for reason in reasons if reason.resource is Resource.DISK] == [status]


@pytest.mark.parametrize(
    ("days", "status"), [(6.0, Status.GO), (6.9, Status.TIGHT), (7.0, Status.TIGHT), (7.1, Status.NO_GO)]
)
def test_time_against_seven_days(days: float, status: Status) -> None:
    # +-10 %: 6.0 days end at 6.6, 6.9 days at 7.6
    assert status_of(Resource.TIME, total=around(days * DAY_S, 0.1)) is status


@pytest.mark.parametrize(("build", "status"), [("cpu", Status.TIGHT), ("cu128", None), (None, None)])
def test_cpu_only_torch_beside_a_gpu_is_tight(build: str | None, status: Status | None) -> None:
    torch = known(Package(name="torch", version="2.8.0", build=build))
    hardware = replace(HARDWARE, software=replace(HARDWARE.software, torch=torch))
    reasons = judge(question(hardware=hardware), run())
    found = [reason.status for reason in reasons if reason.resource is Resource.SOFTWARE]

    assert found == ([] if status is None else [status])


def test_missing_torch_is_no_reason_against_a_machine() -> None:
    hardware = replace(HARDWARE, software=replace(HARDWARE.software, torch=Unknown(reason="not installed")))

    assert verdict_of(judge(question(hardware=hardware), run())).status is Status.GO


def test_a_certain_no_go_outranks_an_unknown() -> None:
    reasons = judge(question(), run(ram_budget_bytes=None, total=around(30 * DAY_S)))

    assert verdict_of(reasons).status is Status.NO_GO


def test_an_unknown_is_never_guessed_into_a_go() -> None:
    for budget in ("budget_bytes", "ram_budget_bytes", "disk_budget_bytes"):
        assert verdict_of(judge(question(), run(**{budget: None}))).status is Status.UNKNOWN, budget


def test_verdict_tells_the_deciding_reason_first_and_its_exit_code() -> None:
    for status in Status:
        reasons = tuple(
            Reason(resource=Resource.RAM, status=each, message=each.value)
            for each in SEVERITY[: SEVERITY.index(status) + 1]
        )
        verdict = verdict_of(reasons)

        assert verdict.status is status
        assert verdict.reasons[0].status is status
        assert verdict.exit_code == EXIT_CODES[status]


def test_severity_ranks_every_status() -> None:
    assert set(SEVERITY) == set(Status)
    assert worst(()) is Status.GO
    assert worst(Status) is Status.NO_GO


@pytest.mark.parametrize(
    ("origin", "source", "told"),
    [
        ("described", "/proc/meminfo", True),
        ("described", "command line", False),
        ("this machine", "/proc/meminfo", False),
    ],
)
def test_a_budget_of_another_machine_than_the_described_one_says_so(origin: str, source: str, *, told: bool) -> None:
    ram = replace(HARDWARE.ram, usable_bytes=Known(value=8 * GIB, source=source))
    asked = question(hardware=replace(HARDWARE, origin=origin, ram=ram))

    reasons = judge(asked, run(ram=gib(9, 10, 11), ram_budget_bytes=8 * GIB))

    (message,) = (each.message for each in reasons if each.resource is Resource.RAM)
    assert ("not described: set --ram" in message) is told
