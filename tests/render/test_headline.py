"""The answer's words are as sure as the figures are."""

from __future__ import annotations

import pytest
from made_up import GIB, HARDWARE, MEMORY, REPORT, known, with_status
from msgspec.structs import replace

from canitrain.core.network import NetworkUse
from canitrain.core.profile import Phase
from canitrain.core.report import Bottleneck, CardOption, Report, Resource, Scaling, ScalingRow, Status
from canitrain.render import render
from canitrain.render.batch_table import fit_word
from canitrain.render.formats import Format
from canitrain.render.headline import (
    answer,
    cards_line,
    cost_line,
    defaults_line,
    network_line,
    other_warnings,
    recommendation_line,
    run_line,
    scaling_line,
)


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


def test_a_risky_batch_has_the_colour_of_tight_in_html() -> None:
    assert '<td><span class="badge tight">RISKY</span></td>' in render(with_least(Status.TIGHT, 99.0), Format.HTML)


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


@pytest.mark.parametrize(("workspace_gib", "decides"), [(1.234, "workspace of 1.2 GiB"), (0.001, "workspace, which")])
def test_the_moment_that_decides_has_the_workspace_of_the_part_above(workspace_gib: float, decides: str) -> None:
    first, second = REPORT.explain
    gpu = replace(MEMORY.gpu, parts={**MEMORY.gpu.parts, "workspace": workspace_gib * GIB})
    memory = replace(MEMORY, gpu=gpu)
    report = replace(REPORT, memory=memory, explain=(replace(first, fullest=Phase.BACKWARD), second))
    lines = render(report, Format.TEXT, explain=True).splitlines()

    label = "workspace of convolutions "
    parts = [line.removeprefix(label).split()[:2] for line in lines if line.startswith(label)]
    assert parts == ([["1.2", "GiB"]] if workspace_gib > 1 else [])
    assert decides in " ".join(" ".join(lines).split())


def scaled(*rows: tuple[int, int, float], useful: tuple[int, int], obstacle: Bottleneck | None = None) -> Scaling:
    """Rows of GPUs in all, nodes and images a second; after which row more bring little."""
    return Scaling(
        rows=tuple(
            ScalingRow(gpus=gpus, nodes=nodes, images_per_s=rate, total_s=1.0, bottleneck=Bottleneck.GPU_COMPUTE)
            for gpus, nodes, rate in rows
        ),
        useful_gpus=useful[0],
        useful_nodes=useful[1],
        obstacle=obstacle,
    )


def test_scaling_counts_gpus_then_nodes_and_says_where_to_stop() -> None:
    gpus = ((1, 1, 100.0), (2, 1, 190.0))
    nodes = ((4, 2, 360.0), (8, 4, 380.0))
    network = Bottleneck.NETWORK

    assert scaling_line(scaled(*gpus, useful=(2, 1))) == "images/s on 1=100, 2=190"
    assert scaling_line(scaled(*gpus, *nodes[:1], useful=(4, 2))) == "images/s on 1=100, 2=190; with 2 nodes=360"
    assert scaling_line(scaled(*gpus, *nodes, useful=(4, 2), obstacle=network)) == (
        "images/s on 1=100, 2=190; with 2 nodes=360, 4 nodes=380; beyond 2 nodes another brings little: "
        "they wait for the network between the nodes"
    )
    assert "beyond 1 node another" in scaling_line(scaled(*gpus, *nodes, useful=(2, 1), obstacle=network))
    assert "beyond 1 another" in scaling_line(scaled(*gpus, *nodes, useful=(1, 1), obstacle=network))


def test_the_network_line_tells_what_is_assumed_and_what_stays_hidden() -> None:
    use = NetworkUse(nodes=4, bytes_per_s=1.25e9, assumed=True, sent_bytes=2.0**27, exchange_s=0.2, exposed_s=0.05)

    assert network_line(use) == (
        "each of 4 nodes sends 128 MiB of gradients a step at 10 Gb/s (assumed): 0.20 s, 50.0 ms "
        "of it not hidden under the backward pass"
    )
    bare = replace(use, assumed=False, exposed_s=0.2)
    assert network_line(bare).endswith("at 10 Gb/s: 0.20 s, none hidden")
    assert network_line(replace(bare, exposed_s=0.0)).endswith("at 10 Gb/s: 0.20 s, all of it hidden")


def test_the_cost_of_nodes_is_said_to_be_each_ones() -> None:
    recipe = replace(REPORT.recipe, price_per_hour=2.5)

    assert cost_line(replace(REPORT, recipe=recipe), 1234.5) == "about 1,234.50 at 2.5 an hour"
    shared = replace(REPORT, recipe=replace(recipe, nodes=4))
    assert cost_line(shared, 1234.5) == "about 1,234.50 at 2.5 an hour for each of 4 nodes"
    in_rupiah = replace(REPORT, recipe=replace(recipe, price_per_hour=1_234_567.5))
    assert cost_line(in_rupiah, 9_999_999.0) == "about 9,999,999.00 at 1,234,567.5 an hour"


@pytest.mark.parametrize("form", [Format.TEXT, Format.MARKDOWN, Format.GITHUB, Format.HTML])
def test_what_the_answer_tells_is_not_told_again_as_a_warning(form: Format) -> None:
    report = replace(with_status(Status.TIGHT, Resource.SOFTWARE), warnings=("another one",))
    told_again = replace(report, warnings=(report.verdict.reasons[0].message, "another one"))

    assert other_warnings(told_again) == ("another one",)
    assert render(told_again, form) == render(report, form)


@pytest.mark.parametrize(("cores", "workers", "limited"), [(8.0, 8, True), (8.0, 4, False), (0.5, 1, True)])
def test_workers_that_the_cores_allow_are_no_default_of_the_library(
    cores: float, workers: int, *, limited: bool
) -> None:
    recipe = replace(REPORT.recipe, workers=workers, gpus=1, given=())
    hardware = replace(HARDWARE, cpu=replace(HARDWARE.cpu, usable_cores=known(cores)))
    source = f"({REPORT.model.defaults_source or REPORT.model.implementation.library})"

    own, _, rest = defaults_line(replace(REPORT, recipe=recipe, hardware=hardware)).partition(source)

    assert ("worker" in own) is not limited
    assert ("cores" in rest) is limited
