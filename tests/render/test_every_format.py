"""Every enum member through every renderer; rendered rows add up; what must not be in the output is not."""

from __future__ import annotations

import enum
import json
from html.parser import HTMLParser

import pytest
from made_up import GIB, REPORT, with_status
from msgspec.structs import replace

from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import Precision
from canitrain.core.recipe import CacheMode, Optimizer
from canitrain.core.report import Bottleneck, EvidenceSummary, Report, Resource, Status
from canitrain.render import render
from canitrain.render.formats import Format
from canitrain.render.words import BOTTLENECK, CACHE, EVIDENCE, OPTIMIZER, PRECISION, RESOURCE, STATUS, STORAGE

TABLES: list[tuple[type[enum.Enum], dict]] = [
    (Status, STATUS),
    (Resource, RESOURCE),
    (Bottleneck, BOTTLENECK),
    (EvidenceLevel, EVIDENCE),
    (Optimizer, OPTIMIZER),
    (Precision, PRECISION),
    (CacheMode, CACHE),
    (StorageKind, STORAGE),
]


@pytest.mark.parametrize(("members", "table"), TABLES)
def test_every_member_has_its_word(members: type[enum.Enum], table: dict) -> None:
    assert set(table) == set(members)
    assert len(set(table.values())) == len(table)


def variants() -> list[Report]:
    evidence = [Evidence(level=level, detail="made up") for level in EvidenceLevel]
    storage = REPORT.hardware.storage
    return [
        *(with_status(status, resource) for status in Status for resource in Resource),
        *(replace(REPORT, time=replace(REPORT.time, bottleneck=bottleneck)) for bottleneck in Bottleneck),
        *(replace(REPORT, evidence=EvidenceSummary(memory=each, time=each)) for each in evidence),
        *(replace(REPORT, recipe=replace(REPORT.recipe, optimizer=each)) for each in Optimizer),
        *(replace(REPORT, recipe=replace(REPORT.recipe, precision=each)) for each in Precision),
        *(replace(REPORT, recipe=replace(REPORT.recipe, cache=each)) for each in CacheMode),
        *(
            replace(
                REPORT,
                hardware=replace(REPORT.hardware, storage=replace(storage, kind=Known(value=kind, source="made up"))),
            )
            for kind in StorageKind
        ),
    ]


@pytest.mark.parametrize("format_", Format)
def test_every_member_goes_through_every_renderer(format_: Format) -> None:
    for report in variants():
        text = render(report, format_, explain=True)

        assert text.endswith("\n")
        assert report.verdict.status.value in text.lower()


@pytest.mark.parametrize("format_", Format)
def test_a_report_without_estimates_renders(format_: Format) -> None:
    empty = replace(
        with_status(Status.UNKNOWN, Resource.HARDWARE, "the GPUs could not be read"),
        memory=None, time=None, batches=(), advice=(), cards=(), explain=(), batch_size=None,
        hardware=replace(REPORT.hardware, gpus=Unknown(reason="NVML is broken")),
    )  # fmt: skip

    assert "the GPUs could not be read" in render(empty, format_, explain=True)


@pytest.mark.parametrize("columns", [40, 50, 71, 72, 80, 100, 120])
def test_text_fits_its_columns(columns: int) -> None:
    for report in variants():
        lines = render(report, Format.TEXT, columns=columns, explain=True).splitlines()

        assert max(len(line) for line in lines) <= columns


def test_colour_changes_no_character() -> None:
    import re  # noqa: PLC0415

    plain = render(REPORT, Format.TEXT)
    colored = render(REPORT, Format.TEXT, color=True)
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)

    assert "\x1b[" in colored
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_rendered_parts_add_up_to_the_rendered_total() -> None:
    from canitrain.render.figures import parts_that_add_up  # noqa: PLC0415

    parts = {"a": 1.004 * GIB, "b": 1.004 * GIB, "c": 1.004 * GIB}  # 3.012 in all: 3.01 and not 3 x 1.00
    hundredths = [round(part / GIB * 100) for part in parts_that_add_up(parts).values()]

    assert sorted(hundredths) == [100, 100, 101]


def test_json_reads_back_as_the_same_report() -> None:
    import msgspec  # noqa: PLC0415

    assert msgspec.json.decode(render(REPORT, Format.JSON), type=Report) == REPORT


def test_text_and_json_state_the_same_batch_and_verdict() -> None:
    text = render(REPORT, Format.TEXT)
    document = json.loads(render(REPORT, Format.JSON))

    assert document["verdict"]["status"] == "go"
    assert text.startswith("GO ")
    assert f"batch {document['recommendation']['batch_size']}," in text


class _Tags(HTMLParser):
    VOID = frozenset({"meta", "link", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_whole_and_fetches_nothing() -> None:
    page = render(REPORT, Format.HTML)
    tags = _Tags()
    tags.feed(page)

    assert tags.open == []
    assert tags.seen.isdisjoint({"script", "link", "img", "iframe"})
    assert "http" not in page


@pytest.mark.parametrize("format_", [Format.MARKDOWN, Format.HTML, Format.GITHUB])
def test_names_cannot_smuggle_markup(format_: Format) -> None:
    nasty = "<script>x</script>|`::error::\n"
    report = replace(REPORT, warnings=(nasty,), model=replace(REPORT.model, title=nasty))

    text = render(report, format_)

    assert format_ is Format.GITHUB or "<script>" not in text  # annotations are plain text
    assert "\n::error::" not in text


def test_github_annotates_by_severity() -> None:
    levels = {status: render(with_status(status), Format.GITHUB).split(" ", 1)[0] for status in Status}

    assert levels == {
        Status.GO: "::notice",
        Status.TIGHT: "::warning",
        Status.UNKNOWN: "::warning",
        Status.NO_GO: "::error",
    }
