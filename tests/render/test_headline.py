"""The answer's words are as sure as the figures are."""

from __future__ import annotations

import pytest
from made_up import GIB, HARDWARE, MEMORY, REPORT, known, with_status
from msgspec.structs import replace

from canitrain.core.profile import Phase
from canitrain.core.report import Bottleneck, CardOption, Report, Resource, Status
from canitrain.render import render
from canitrain.render.batch_table import fit_word
from canitrain.render.formats import Format
from canitrain.render.headline import answer, cards_line, recommendation_line, run_line


def with_budget(report: Report, budget_gib: float) -> Report:
    gpu = replace(MEMORY.gpu, budget_bytes=budget_gib * GIB)
    return replace(report, memory=replace(MEMORY, gpu=gpu))


# The step needs 5.9 GiB to run.
@pytest.mark.parametrize(("budget_gib", "words"), [(6.0, "trains on"), (5.8, "may not fit on")])
def test_what_more_likely_runs_out_is_not_said_to_train(budget_gib: float, words: str) -> None:
    said = answer(with_budget(with_status(Status.TIGHT), budget_gib))

    assert words in said
    assert ("trains" in said) is (words == "trains on")


@pytest.mark.parametrize(
    ("resource", "writable", "words"),
    [
        (Resource.RAM, True, "but only just"),
        (Resource.DISK, True, "but only just"),
        (Resource.DISK, False, "but see to this first"),
        (Resource.SHM, True, "but see to this first"),
        (Resource.SOFTWARE, True, "but see to this first"),
    ],
)
def test_what_a_change_mends_is_not_only_just(resource: Resource, writable: bool, words: str) -> None:  # noqa: FBT001
    storage = replace(HARDWARE.storage, writable=known(writable))
    report = replace(with_status(Status.TIGHT, resource), hardware=replace(HARDWARE, storage=storage))

    assert words in answer(report)


def with_least(status: Status, least_gib: float | None) -> Report:
    least_bytes = None if least_gib is None else least_gib * GIB
    return replace(REPORT, batches=(replace(REPORT.batches[0], status=status, required_bytes=least_bytes),))


@pytest.mark.parametrize(
    ("status", "least_gib", "word"),
    [
        (Status.TIGHT, 11.3, "RISKY"),  # of 11.2 GiB
        (Status.TIGHT, 11.1, "TIGHT"),
        (Status.NO_GO, 11.3, "NO-GO"),
        (Status.TIGHT, None, "TIGHT"),
    ],
)
def test_a_batch_that_more_likely_runs_out_is_risky(status: Status, least_gib: float | None, word: str) -> None:
    report = with_least(status, least_gib)

    assert fit_word(report, report.batches[0]) == word


def test_the_batch_table_shows_the_least_that_runs() -> None:
    on_gpu, on_cpu = (render(with_least(Status.TIGHT, least_gib), Format.TEXT) for least_gib in (11.3, None))
    (row,) = (line for line in on_gpu.splitlines() if line.startswith("squeezed"))

    assert "11.3" in row
    assert "\nsqueezed" not in on_cpu


def options(*totals_s: float, bottleneck: Bottleneck = Bottleneck.LAUNCHES) -> tuple[CardOption, ...]:
    (card,) = REPORT.cards
    return tuple(replace(card, total_s=total_s, bottleneck=bottleneck) for total_s in totals_s)


def test_cards_that_are_equally_fast_say_what_they_wait_for() -> None:
    said = render(replace(REPORT, cards=options(200.0, 100.0, 97.0)), Format.TEXT)

    assert "the fastest 2 are alike: they wait for the CPU launching GPU kernels" in " ".join(said.split())


@pytest.mark.parametrize(
    "cards",
    [
        options(100.0),
        options(100.0, 90.0),
        options(100.0, 99.0, bottleneck=Bottleneck.GPU_COMPUTE),
        options(100.0, 99.0) + options(99.0, bottleneck=Bottleneck.DECODE),
        (),
    ],
)
def test_cards_that_differ_need_no_explanation(cards: tuple[CardOption, ...]) -> None:
    assert cards_line(cards) is None


def test_fewer_workers_are_recommended_beside_the_batch_and_the_run_keeps_its_own() -> None:
    fewer = replace(REPORT, recommendation=replace(REPORT.recommendation, workers=1))

    assert recommendation_line(REPORT).endswith("GPU memory")
    assert "--workers 1 to fit into /dev/shm" in recommendation_line(fewer)
    assert "4 loader workers" in run_line(fewer)


def test_the_moment_that_decides_is_marked_among_the_bars() -> None:
    first, second = REPORT.explain
    report = replace(REPORT, explain=(replace(first, fullest=Phase.BACKWARD), second))
    lines = render(report, Format.TEXT, explain=True).splitlines()

    assert [line.split()[:2] for line in lines if line.endswith("] <")] == [["backward", first.stage]]
    assert any(line.startswith(" < decides: ") and "1.6 GiB" in line for line in lines)
    assert f"backward {first.stage} (decides, with its workspace)" in render(report, Format.HTML)
    assert " < decides" not in render(REPORT, Format.TEXT, explain=True)
