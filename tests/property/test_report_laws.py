"""Laws of a whole check, with real profiles and calibration and any machine."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from canitrain import catalog
from canitrain.check import check
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Cpu, Driver, Gpu, Hardware, Ram, Software, Storage, StorageKind
from canitrain.core.profile import ModelProfile
from canitrain.core.report import Report, Status
from canitrain.render import render
from canitrain.render.formats import Format

GIB = 2**30
MODELS = ("yolov5s", "fasterrcnn", "swin_tiny")
CARDS = ("Tesla T4", "GeForce RTX 3060", "A100-SXM4-80GB")
EASE = settings(max_examples=25, deadline=None, derandomize=True)


def facts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    known = values.map(lambda value: Known(value=value, source="made up"))
    return st.one_of(known, known, known, st.just(Unknown(reason="made up")))


@functools.cache
def model(name: str) -> ModelProfile:
    return catalog.load_model(name)


@functools.cache
def calibration() -> Any:
    return catalog.load_calibration()


SIZES = facts(st.integers(min_value=0, max_value=2048).map(lambda gib: gib * GIB))
COUNTS = facts(st.integers(min_value=1, max_value=256))


@st.composite
def gpus(draw: st.DrawFn) -> tuple[Gpu, ...]:
    names = draw(st.lists(st.sampled_from(CARDS), max_size=4))
    if not names:
        return ()
    described = catalog.describe_gpus(", ".join(names))
    return tuple(replace(gpu, free_bytes=draw(SIZES)) for gpu in described)


@st.composite
def machines(draw: st.DrawFn) -> Hardware:
    return Hardware(
        origin="made up",
        cpu=Cpu(
            model=draw(facts(st.text(max_size=20))),
            architecture=draw(facts(st.sampled_from(["x86_64", "aarch64"]))),
            physical_cores=draw(COUNTS),
            logical_cores=draw(COUNTS),
            usable_cores=draw(facts(st.floats(min_value=0.1, max_value=256))),
            base_hz=draw(facts(st.floats(min_value=1e8, max_value=6e9))),
            max_hz=draw(facts(st.floats(min_value=1e8, max_value=6e9))),
            vector_extensions=draw(facts(st.sampled_from([(), ("avx2", "fma"), ("neon",)]))),
        ),
        ram=Ram(
            total_bytes=draw(SIZES),
            available_bytes=draw(SIZES),
            usable_bytes=draw(SIZES),
            swap_bytes=draw(SIZES),
            shm_bytes=draw(SIZES),
        ),
        storage=Storage(
            path="/data",
            kind=draw(facts(st.sampled_from(StorageKind))),
            device=Unknown(reason="made up"),
            filesystem=Unknown(reason="made up"),
            total_bytes=draw(SIZES),
            free_bytes=draw(SIZES),
            free_inodes=Unknown(reason="made up"),
            writable=draw(facts(st.booleans())),
        ),
        gpus=draw(facts(gpus())),
        software=Software(
            python="3.11",
            os="Linux",
            torch=Unknown(reason="made up"),
            driver=Driver(version=Unknown(reason="made up"), cuda_version=Unknown(reason="made up")),
        ),
    )


def report_on(hardware: Hardware, name: str, images: int = 5000, **options: Any) -> Report:
    profile = model(name)
    dataset = replace(catalog.load_dataset("coco"), images=images)
    recipe = decide_recipe(RecipeOptions(**options), profile, hardware)
    return check(hardware, profile, dataset, recipe, calibration())


def numbers(node: Any) -> Iterator[float]:
    match node:
        case bool():
            return
        case int() | float():
            yield node
        case dict() | list():
            for child in node.values() if isinstance(node, dict) else node:
                yield from numbers(child)


@EASE
@given(hardware=machines(), name=st.sampled_from(MODELS), images=st.integers(min_value=1, max_value=10**7))
def test_any_machine_gets_a_report_in_every_format(hardware: Hardware, name: str, images: int) -> None:
    report = report_on(hardware, name, images)

    for format_ in Format:
        assert render(report, format_)
    document = json.loads(render(report, Format.JSON))
    assert all(math.isfinite(number) for number in numbers(document))
    assert msgspec.json.decode(render(report, Format.JSON), type=Report) == report


@EASE
@given(hardware=machines(), name=st.sampled_from(MODELS))
def test_totals_are_the_sums_of_their_parts(hardware: Hardware, name: str) -> None:
    report = report_on(hardware, name)
    if report.memory is None or report.time is None:
        return

    gpu, host, disk, time = report.memory.gpu, report.memory.host, report.memory.disk, report.time
    if gpu is not None:
        assert sum(gpu.parts.values()) == pytest.approx(gpu.device_bytes.expected)
        assert gpu.allocated_bytes.expected <= gpu.reserved_bytes.expected <= gpu.device_bytes.expected
        assert gpu.required_bytes.expected <= gpu.device_bytes.expected
    assert sum(host.parts.values()) == pytest.approx(host.ram_bytes.expected)
    assert sum(disk.parts.values()) == pytest.approx(disk.disk_bytes.expected)
    assert sum(time.kinds_s.values()) == pytest.approx(time.parts.compute_s)
    assert time.step_s.expected == pytest.approx(time.parts.step_s)
    stages_s = sum(row.step_s for row in report.explain)
    beside_s = time.parts.optimizer_s + time.kinds_s.get("loading", 0.0)
    assert stages_s + beside_s == pytest.approx(time.parts.compute_s)
    assert time.step_s.expected <= time.epoch_s.expected <= time.total_s.expected * (1 + 1e-9)


def with_free(hardware: Hardware, free_bytes: int) -> Hardware:
    """``hardware`` with one T4 that has ``free_bytes`` left."""
    (card,) = catalog.describe_gpus("Tesla T4")
    card = replace(card, free_bytes=Known(value=free_bytes, source="made up"))
    return replace(hardware, gpus=Known(value=(card,), source="made up"))


@EASE
@given(
    hardware=machines(),
    name=st.sampled_from(MODELS),
    batch_size=st.sampled_from([1, 4, 16]),
    free_gib=st.floats(min_value=0, max_value=40),
    more_gib=st.floats(min_value=0, max_value=40),
)
def test_more_gpu_memory_never_makes_a_verdict_worse(
    hardware: Hardware, name: str, batch_size: int, free_gib: float, more_gib: float
) -> None:
    less = report_on(with_free(hardware, int(free_gib * GIB)), name, batch_size=batch_size)
    more = report_on(with_free(hardware, int((free_gib + more_gib) * GIB)), name, batch_size=batch_size)
    order = [Status.GO, Status.TIGHT, Status.UNKNOWN, Status.NO_GO]

    assert order.index(more.verdict.status) <= order.index(less.verdict.status)
    assert (more.recommendation.batch_size or 0) >= (less.recommendation.batch_size or 0)


@EASE
@given(hardware=machines(), name=st.sampled_from(MODELS))
def test_a_fact_lost_never_turns_a_no_go_or_unknown_into_a_go(hardware: Hardware, name: str) -> None:
    lost = Unknown(reason="lost")
    before = report_on(hardware, name).verdict.status
    broken = [
        replace(hardware, gpus=lost),
        replace(hardware, ram=replace(hardware.ram, usable_bytes=lost, available_bytes=lost, total_bytes=lost)),
        replace(hardware, storage=replace(hardware.storage, free_bytes=lost)),
    ]
    for machine in broken:
        after = report_on(machine, name).verdict.status

        assert not (before in (Status.NO_GO, Status.UNKNOWN) and after is Status.GO)


@EASE
@given(
    hardware=machines(),
    name=st.sampled_from(MODELS),
    nodes=st.sampled_from([2, 3, 16, 1024]),
    gbit=st.one_of(st.none(), st.integers(min_value=1, max_value=800)),
)
def test_several_nodes_get_a_report_and_never_more_than_their_number(
    hardware: Hardware, name: str, nodes: int, gbit: int | None
) -> None:
    machine = with_free(hardware, 14 * GIB)
    network = None if gbit is None else f"{gbit}Gb/s"
    one = report_on(machine, name, 10**6, batch_size=2)
    many = report_on(machine, name, 10**6, batch_size=2, nodes=nodes, network=network)
    assert one.time is not None
    assert many.time is not None
    assert many.scaling is not None

    for format_ in Format:
        assert render(many, format_)
    assert msgspec.json.decode(render(many, Format.JSON), type=Report) == many
    assert many.time.images_per_s <= nodes * one.time.images_per_s * (1 + 1e-9)
    assert many.time.step_s.expected == pytest.approx(many.time.parts.step_s)
    assert many.scaling.rows[-1].images_per_s == pytest.approx(many.time.images_per_s)
    assert many.time.network is not None
    assert many.time.parts.communication_s >= many.time.network.exposed_s
