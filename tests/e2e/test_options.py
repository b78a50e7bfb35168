"""Options of ``check`` do what their help says."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal, report


def png(width: int, height: int) -> bytes:
    """A grey image, written by hand (PNG 1.2, section 3)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + b"\x80" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def device_bytes(document: dict[str, Any]) -> float:
    return document["memory"]["gpu"]["device_bytes"]["expected"]


def test_data_counts_the_images_of_a_folder(terminal: Terminal, tmp_path: Path) -> None:
    for index in range(12):
        (tmp_path / f"{index}.png").write_bytes(png(64, 48))
    finished = terminal("check", "--model", "yolov5s", "--data", str(tmp_path), "--json")
    dataset = json.loads(finished.out)["dataset"]

    assert finished.code in (0, 1, 3)
    assert dataset["images"] == 12
    assert dataset["image_pixels"] == 64 * 48


def test_data_without_an_image_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    finished = terminal("check", "--model", "yolov5s", "--data", str(tmp_path))

    assert finished.code == 2
    assert len(finished.err.splitlines()) == 2


def test_images_scale_the_validation_images(terminal: Terminal) -> None:
    dataset = report(terminal)["dataset"]

    # COCO: 5,000 beside 118,287; 20,000 * 5,000 / 118,287 = 845
    assert (dataset["images"], dataset["validation_images"]) == (20000, 845)


@pytest.mark.parametrize(("model", "like"), [("resnet50", "imagenet"), ("yolov5s", "coco")])
def test_images_are_like_those_that_such_models_train_on_unless_said_otherwise(
    terminal: Terminal, model: str, like: str
) -> None:
    assert report(terminal, model=model)["dataset"]["name"] == f"20,000 images like {like}"
    assert report(terminal, "--dataset", "voc", model=model)["dataset"]["name"] == "20,000 images like voc"


@pytest.mark.parametrize(
    "options",
    [("--precision", "amp"), ("--freeze", "backbone"), ("--checkpointing",), ("--image-size", "320")],
)
def test_options_that_save_memory(terminal: Terminal, options: tuple[str, ...]) -> None:
    plain = ("--batch-size", "8", "--precision", "fp32")
    before = report(terminal, *plain, model="yolov5s")
    after = report(terminal, *plain, *options, model="yolov5s")

    assert device_bytes(after) < device_bytes(before)


def test_multi_scale_and_adam_take_more_memory(terminal: Terminal) -> None:
    plain = ("--batch-size", "4")
    before = device_bytes(report(terminal, *plain, model="yolov5s"))

    assert device_bytes(report(terminal, *plain, "--multi-scale", model="yolov5s")) > before
    assert device_bytes(report(terminal, *plain, "--optimizer", "adam", model="yolov5s")) > before


def test_more_epochs_take_longer_and_cost_more(terminal: Terminal) -> None:
    once = report(terminal, "--epochs", "1", "--price-per-hour", "2")["time"]
    thrice = report(terminal, "--epochs", "3", "--price-per-hour", "2")["time"]

    assert thrice["total_s"]["expected"] > 2 * once["total_s"]["expected"]
    assert once["cost"] == pytest.approx(once["total_s"]["expected"] / 3600 * 2)


def test_assume_idle_counts_on_the_whole_card(terminal: Terminal) -> None:
    busy = report(terminal, host="rtx3060-occupied")["memory"]["gpu"]["budget_bytes"]
    idle = report(terminal, "--assume-idle", host="rtx3060-occupied")["memory"]["gpu"]["budget_bytes"]

    assert (busy, idle) == (4.5 * 2**30, 12 * 2**30)


def test_device_cpu_trains_on_the_processor_of_a_machine_with_a_gpu(terminal: Terminal) -> None:
    document = report(terminal, "--device", "cpu")

    assert document["memory"]["gpu"] is None
    assert document["time"]["bottleneck"] == "cpu-compute"


def test_amp_is_off_on_a_cpu_unless_asked_for(terminal: Terminal) -> None:
    assert report(terminal, model="yolov5s")["recipe"]["precision"] == "amp"
    assert report(terminal, "--device", "cpu", model="yolov5s")["recipe"]["precision"] == "fp32"
    assert "AMP" in " ".join(report(terminal, "--device", "cpu", "--precision", "amp", model="yolov5s")["warnings"])


@pytest.mark.parametrize(("card", "precision"), [("M3 Max", "fp32"), ("RX 7900 XTX", "amp"), ("T4", "amp")])
def test_amp_is_for_cuda_and_rocm_unless_asked_for(terminal: Terminal, card: str, precision: str) -> None:
    def used(*options: str) -> str:
        said: str = report(terminal, "--gpu", card, *options, model="yolov5s")["recipe"]["precision"]
        return said

    assert used() == precision
    assert used("--precision", "amp") == "amp"


def test_a_slow_disk_and_few_cores_are_named_as_bottleneck(terminal: Terminal) -> None:
    slow = report(terminal, "--storage", "hdd", "--cpu-cores", "2", "--ram", "8GiB", "--workers", "2", model="yolov5s")
    fast = report(terminal, "--storage", "nvme", "--cpu-cores", "16", "--workers", "16", model="yolov5s")

    assert slow["time"]["bottleneck"] in ("decode", "storage")
    assert fast["time"]["bottleneck"].startswith("gpu")


def test_given_options_are_named_and_the_rest_is_the_librarys(terminal: Terminal) -> None:
    recipe = report(terminal, "--epochs", "5", "--workers", "1")["recipe"]

    assert set(recipe["given"]) == {"epochs", "workers"}
    assert recipe["optimizer"] == "sgd-momentum"


@pytest.mark.parametrize("format_", ["markdown", "html", "github", "json", "text"])
def test_output_writes_what_stdout_would_have_shown(terminal: Terminal, tmp_path: Path, format_: str) -> None:
    shown = terminal.check("--format", format_).out
    target = tmp_path / "report"
    finished = terminal.check("--format", format_, "--output", str(target))

    assert target.read_text(encoding="utf-8") == shown
    assert finished.out == ""


def test_explain_adds_the_timeline(terminal: Terminal) -> None:
    shown = terminal.check("--explain").out

    assert shown.startswith(terminal.check().out)
    assert "Live memory by stage" in shown
    assert "backward" in shown


@pytest.mark.parametrize(
    ("model", "asked", "trained"),
    [
        ("yolov5s", 650, 672),
        ("yolov5s", 20, 64),  # at least two strides
        ("yolov5s", 640, 640),
        ("yolov5s6", 650, 704),
        ("resnet50", 650, 650),  # timm's nets take any size
    ],
)
def test_a_size_off_the_stride_is_what_the_library_makes_of_it(
    terminal: Terminal, tmp_path: Path, model: str, asked: int, trained: int
) -> None:
    document = report(terminal, "--image-size", str(asked), "--batch-size", "2", model=model)
    recipe, warnings = document["recipe"], " ".join(document["warnings"])

    assert recipe["image_size"] == {"shorter": trained, "longer": trained}
    assert (f"--image-size {asked} is trained at {trained}: yolov5 rounds up" in warnings) is (asked != trained)
    assert recipe["asked_image_size"] == (None if asked == trained else {"shorter": asked, "longer": asked})

    # `accuracy` predicts such a run as the one that was trained.
    header = (
        "model,image_size,batch_size,gpus,gpu,precision,optimizer,memory_kind,memory_bytes,step_s,images_per_s,source"
    )
    rows = [f"{model},{size},2,1,T4,amp,,device,3e9,,," for size in (asked, trained)]
    runs = tmp_path / "runs.csv"
    runs.write_text("\n".join([header, *rows]) + "\n")
    first, second = json.loads(terminal("accuracy", "--measurements", str(runs), "--json").out)["rows"]
    assert first["predicted"] == second["predicted"]


def test_of_two_worker_counts_that_fit_into_shared_memory_only_the_larger_is_advised(terminal: Terminal) -> None:
    document = json.loads(terminal.check("--json", model="yolov5s", host="gtx1060-hdd").out)

    advised = [each["change"] for each in document["advice"] if each["change"].startswith("--workers")]
    assert advised == [f"--workers {document['recommendation']['workers']}"]


def test_an_unknown_gpu_comes_with_a_way_on(terminal: Terminal) -> None:
    asked = ("--json",)
    stuck = json.loads(terminal.check(*asked, host="driver-broken").out)
    on = json.loads(terminal.check(*asked, "--gpu", "RTX 3060", host="driver-broken").out)

    assert stuck["verdict"]["status"] == "unknown"
    assert any('--gpu "RTX 3060"' in warning for warning in stuck["warnings"])
    assert on["verdict"]["status"] == "go"


def test_no_part_of_a_step_is_told_as_nothing(terminal: Terminal) -> None:
    described = ("--gpu", "RTX 3060", "--cpu-cores", "8", "--ram", "64GiB", "--storage", "nvme", "--disk", "1TB")
    # Batch 1 of a fast disk: 160 KiB at 3 GB/s and eight readers are microseconds.
    for style in ("text", "markdown", "html"):
        finished = terminal.check(*described, "--batch-size", "1", "--format", style, host="rtx3060-desktop")
        assert finished.code == 0
        assert not any(before.endswith(" ") for before in finished.out.split("0.0 ms")[:-1])


def test_a_loop_that_pins_its_batches_saves_the_hand_over(terminal: Terminal) -> None:
    card = ("--gpu", "RTX 4090", "--precision", "amp", "--batch-size", "8")
    own = report(terminal, *card, model="fasterrcnn")["time"]
    pinned = report(terminal, *card, "--loop", "pinned", model="fasterrcnn")["time"]

    assert own["parts"]["handover_s"] > 0
    assert pinned["parts"]["handover_s"] == 0
    saved_s = own["step_s"]["expected"] - pinned["step_s"]["expected"]
    assert saved_s == pytest.approx(own["parts"]["handover_s"])


def test_a_pinning_loop_is_advised_where_the_hand_over_holds_the_step_up(terminal: Terminal) -> None:
    card = ("--gpu", "H100 SXM", "--precision", "amp", "--cpu-cores", "32")
    advice = [row["change"] for row in report(terminal, *card, model="ssdlite")["advice"]]

    assert "batches pinned ahead (--loop pinned)" in advice
    # Neither twice, nor without loader processes, for which torch starts no thread that pins.
    for options in (("--loop", "pinned"), ("--workers", "0")):
        rows = report(terminal, *card, *options, model="ssdlite")["advice"]
        assert not any("--loop" in row["change"] for row in rows)
