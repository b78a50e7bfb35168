"""The moment that ``--explain`` marks is the one whose parts make up the device figure."""

from __future__ import annotations

import pytest
from host_cases import coco, machine
from msgspec.structs import replace

from canitrain import catalog
from canitrain.check import check
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known
from canitrain.core.profile import Phase
from canitrain.core.recipe import DeviceChoice, Freeze
from canitrain.core.report import Report


def report_on(model: str, **options: object) -> Report:
    hardware = replace(machine(), gpus=Known(value=catalog.describe_gpus("RTX 3060"), source="made up"))
    profile = catalog.load_model(model)
    recipe = decide_recipe(RecipeOptions(**options), profile, hardware)
    return check(hardware, profile, coco(), recipe, catalog.load_calibration())


@pytest.mark.parametrize("model", ["yolov5s", "fasterrcnn", "retinanet"])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_one_stage_is_marked_and_holds_the_activations_of_the_device_figure(model: str, batch_size: int) -> None:
    report = report_on(model, batch_size=batch_size)
    (row,) = (each for each in report.explain if each.fullest is not None)
    peak_bytes = row.forward_peak_bytes if row.fullest is Phase.FORWARD else row.backward_peak_bytes
    highest_bytes = max(max(each.forward_peak_bytes or 0, each.backward_peak_bytes or 0) for each in report.explain)
    activations_bytes = report.memory.gpu.parts["activations"]

    # What the row shows is the most of the stage, which need not be what is live beside its largest workspace.
    assert activations_bytes <= peak_bytes * (1 + 1e-9) <= highest_bytes * (1 + 2e-9)
    assert peak_bytes >= 0.5 * highest_bytes


def test_a_frozen_backbone_is_not_marked_backward() -> None:
    report = report_on("yolov5s", freeze=Freeze.BACKBONE)
    profile = catalog.load_model("yolov5s")
    frozen = {stage.name for stage in profile.traces[report.recipe.precision].stages if stage.backbone}

    assert not [row for row in report.explain if row.fullest is Phase.BACKWARD and row.stage in frozen]


def test_nothing_is_marked_on_a_cpu() -> None:
    assert {row.fullest for row in report_on("yolov5s", device=DeviceChoice.CPU).explain} == {None}
