"""What more images, boxes, cores or RAM do to every figure of a run, with real profiles and calibration."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_report_laws import CARDS, GIB, MODELS, calibration, model

from canitrain import catalog
from canitrain.cli.recipe import PrecisionChoice, RecipeOptions, decide_recipe
from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware, StorageKind
from canitrain.core.question import Question, RunEstimate
from canitrain.core.recipe import Freeze, Strategy
from canitrain.core.target import GpuTarget
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.estimates import Estimates
from canitrain.verdict.device import choose_target

EASE = settings(max_examples=200, deadline=None, derandomize=True)
SAME = 1 + 1e-9
OPTIONS = st.fixed_dictionaries(
    {
        "precision": st.sampled_from([PrecisionChoice.FP32, PrecisionChoice.AMP]),
        "freeze": st.sampled_from(Freeze),
        "checkpointing": st.booleans(),
        "channels_last": st.booleans(),
        "epochs": st.sampled_from([1, 2, 300]),
        "workers": st.sampled_from([0, 1, 16]),
    }
)
NODES = st.one_of(
    st.fixed_dictionaries(
        {"nodes": st.sampled_from([2, 3, 64]), "network": st.sampled_from([None, "1Gb/s", "400Gb/s"])}
    ),
    st.fixed_dictionaries({"strategy": st.sampled_from(Strategy)}),
)


def machine(card: str, gpus: int, *, cores: float = 8.0, ram_gib: int = 64, hz: float = 3e9) -> Hardware:
    def known(value: Any) -> Known[Any]:
        return Known(value=value, source="made up")

    empty = unknown_machine("made up", "made up")
    return replace(
        empty,
        gpus=known(catalog.describe_gpus(f"{gpus}x {card}")),
        cpu=replace(empty.cpu, usable_cores=known(cores), max_hz=known(hz)),
        ram=replace(empty.ram, usable_bytes=known(ram_gib * GIB)),
        storage=replace(empty.storage, kind=known(StorageKind.NVME)),
    )


def estimated(
    hardware: Hardware, name: str, batch_size: int, *, images: int = 10**6, boxes: float = 7.0, **options: Any
) -> RunEstimate:
    recipe = decide_recipe(RecipeOptions(**options), model(name), hardware)
    target = choose_target(hardware, recipe)
    assert isinstance(target, GpuTarget)
    dataset = replace(catalog.load_dataset("coco"), images=images, boxes_mean=boxes, boxes_max=10 * boxes)
    question = Question(hardware=hardware, profile=model(name), dataset=dataset, recipe=recipe, target=target)
    return Estimates(calibration=calibration())(question, batch_size)


def assert_no_figure_is_lower(more: RunEstimate, less: RunEstimate) -> None:
    for name in ("allocated_bytes", "reserved_bytes", "device_bytes", "required_bytes"):
        larger, smaller = getattr(more.memory.gpu, name), getattr(less.memory.gpu, name)
        for end in ("low", "expected", "high"):
            assert getattr(larger, end) * SAME >= getattr(smaller, end), (name, end)
    assert more.time.step_s.expected * SAME >= less.time.step_s.expected


@EASE
@given(
    name=st.sampled_from(MODELS), card=st.sampled_from(CARDS), gpus=st.sampled_from([1, 2, 8]),
    batch_size=st.integers(1, 64), more=st.integers(1, 16), options=OPTIONS, nodes=NODES,
)  # fmt: skip
def test_a_larger_batch_lowers_no_figure(  # noqa: PLR0917 - one argument a draw
    name: str, card: str, gpus: int, batch_size: int, more: int, options: dict[str, Any], nodes: dict[str, Any]
) -> None:
    host = machine(card, gpus)
    less, larger = (estimated(host, name, size, **options, **nodes) for size in (batch_size, batch_size + more))
    assert_no_figure_is_lower(larger, less)


@EASE
@given(
    name=st.sampled_from(MODELS), card=st.sampled_from(CARDS), batch_size=st.integers(1, 64),
    boxes=st.floats(0, 100), more=st.floats(0, 100), options=OPTIONS, nodes=NODES,
)  # fmt: skip
def test_more_boxes_lower_no_figure(  # noqa: PLR0917 - one argument a draw
    name: str, card: str, batch_size: int, boxes: float, more: float, options: dict[str, Any], nodes: dict[str, Any]
) -> None:
    host = machine(card, 2)
    less, larger = (estimated(host, name, batch_size, boxes=each, **options, **nodes) for each in (boxes, boxes + more))
    assert_no_figure_is_lower(larger, less)


@EASE
@given(
    name=st.sampled_from(MODELS), card=st.sampled_from(CARDS), gpus=st.sampled_from([1, 2]),
    cores=st.sampled_from([0.1, 0.5, 1.0, 7.5, 64.0]), ram_gib=st.sampled_from([1, 8, 256]),
    images=st.sampled_from([1, 3, 17, 500, 118_287]), batch_size=st.integers(1, 64), options=OPTIONS, nodes=NODES,
)  # fmt: skip
@example(
    name="yolov5s", card="Tesla T4", gpus=1, cores=1.0, ram_gib=1, images=1, batch_size=28, nodes={"nodes": 2},
    options={"precision": PrecisionChoice.AMP, "epochs": 2, "workers": 0},
)  # fmt: skip
def test_more_cores_ram_or_clock_never_make_a_run_longer(  # noqa: PLR0917 - one argument a draw
    name: str, card: str, gpus: int, cores: float, ram_gib: int, images: int, batch_size: int,
    options: dict[str, Any], nodes: dict[str, Any],
) -> None:  # fmt: skip
    here: dict[str, Any] = {"cores": cores, "ram_gib": ram_gib, "hz": 3e9}
    runs = [
        estimated(machine(card, gpus, **each), name, batch_size, images=images, **options, **nodes).time
        for each in (here, {**here, "cores": 2 * cores}, {**here, "ram_gib": 4 * ram_gib}, {**here, "hz": 4.5e9})
    ]
    for time in runs:
        for end in ("low", "expected", "high"):
            assert getattr(time.total_s, end) <= getattr(runs[0].total_s, end) * SAME, end


@EASE
@given(
    name=st.sampled_from(MODELS), card=st.sampled_from(CARDS), gpus=st.sampled_from([1, 2, 8]),
    cores=st.sampled_from([0.1, 0.5, 1.0, 2.0, 7.5, 16.0, 64.0]), fewer=st.integers(0, 16), more=st.integers(1, 16),
    images=st.sampled_from([17, 500, 118_287]), batch_size=st.integers(1, 64), options=OPTIONS, nodes=NODES,
)  # fmt: skip
@example(
    name="yolov5s", card="Tesla T4", gpus=8, cores=7.5, fewer=0, more=1, images=118_287, batch_size=16,
    nodes={"strategy": Strategy.DDP}, options={"precision": PrecisionChoice.AMP, "epochs": 2},
)  # fmt: skip
def test_more_workers_never_make_a_run_longer(  # noqa: PLR0917 - one argument a draw
    name: str, card: str, gpus: int, cores: float, fewer: int, more: int, images: int, batch_size: int,
    options: dict[str, Any], nodes: dict[str, Any],
) -> None:  # fmt: skip
    # RAM enough for all workers and the files: else workers take room from the page cache.
    host = machine(card, gpus, cores=cores, ram_gib=4096)
    few, many = (
        estimated(host, name, batch_size, images=images, **{**options, "workers": workers}, **nodes).time.total_s
        for workers in (fewer, fewer + more)
    )
    for end in ("low", "expected", "high"):
        assert getattr(many, end) <= getattr(few, end) * SAME, end


@EASE
@given(
    name=st.sampled_from(["yolov5s", "fasterrcnn"]), card=st.sampled_from(CARDS), gpus=st.integers(1, 15),
    cores=st.sampled_from([0.5, 2.0, 7.5, 16.0, 64.0]), batch_size=st.integers(64, 128), options=OPTIONS,
)  # fmt: skip
@example(
    name="yolov5s", card="A100-SXM4-80GB", gpus=5, cores=16.0, batch_size=64,
    options={"precision": PrecisionChoice.AMP, "epochs": 2, "workers": 2},
)  # fmt: skip
def test_another_gpu_costs_no_images_a_second_but_for_the_exchange(  # noqa: PLR0917 - one argument a draw
    name: str, card: str, gpus: int, cores: float, batch_size: int, options: dict[str, Any]
) -> None:
    # An update after every step, by one card and by more; RAM enough for all workers and the files.
    less, more = (
        estimated(machine(card, each, cores=cores, ram_gib=4096), name, batch_size, **options).time
        for each in (gpus, gpus + 1)
    )
    exchange_s = more.parts.communication_s
    assert (more.step_s.expected - exchange_s) / (gpus + 1) <= less.step_s.expected / gpus * SAME
