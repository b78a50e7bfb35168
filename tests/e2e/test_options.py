"""Options of ``check`` do what their help says."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal


def png(width: int, height: int) -> bytes:
    """A grey image, written by hand (PNG 1.2, section 3)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + b"\x80" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def report(terminal: Terminal, *options: str, **where: str) -> dict[str, Any]:
    finished = terminal.check("--json", *options, **where)
    assert finished.err == ""
    return json.loads(finished.out)


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


def test_described_gpu_replaces_the_machines(terminal: Terminal) -> None:
    document = report(terminal, "--gpu", "2x A100 80GB", host="cpu-only-laptop")

    assert document["device"].startswith("2x ")
    assert document["recipe"]["gpus"] == 2
    assert document["hardware"]["origin"] == "described"


def test_described_cores_ram_and_storage(terminal: Terminal) -> None:
    machine = report(terminal, "--cpu-cores", "3", "--ram", "7GiB", "--storage", "hdd")["hardware"]

    assert machine["cpu"]["usable_cores"]["value"] == 3
    assert machine["ram"]["usable_bytes"]["value"] == 7 * 2**30
    assert machine["storage"]["kind"]["value"] == "hdd"


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


def test_described_cores_beyond_this_machines_compute_too(terminal: Terminal) -> None:
    def step_s(cores: int) -> float:
        seconds: float = report(terminal, "--device", "cpu", "--cpu-cores", str(cores))["time"]["step_s"]["expected"]
        return seconds

    # The desktop has 6 cores with 2 hardware threads each: 12 usable are 6 that compute, 64 are 32.
    assert step_s(3) > step_s(6) == step_s(12) > step_s(24) > step_s(64)
    cpu = report(terminal, "--cpu-cores", "64")["hardware"]["cpu"]
    assert (cpu["logical_cores"]["value"], cpu["physical_cores"]["value"]) == (64, 32)


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


def test_several_gpus_show_what_each_brings(terminal: Terminal) -> None:
    alone = report(terminal, model="yolov5s")["scaling"]
    shared = report(terminal, model="yolov5s", host="8x-a100")
    rates = [row["images_per_s"] for row in shared["scaling"]["rows"]]

    assert alone is None
    assert len(rates) == 8
    assert rates[-1] == pytest.approx(shared["time"]["images_per_s"])
    assert rates[1] > rates[0]


def test_one_process_for_many_gpus_is_advised_against(terminal: Terminal) -> None:
    one_process = report(terminal, "--strategy", "dp", host="8x-a100")
    (advice,) = [each for each in one_process["advice"] if each["change"] == "--strategy ddp"]

    assert one_process["time"]["bottleneck"] == "launches"
    assert advice["speedup_ratio"] > 2
    assert not any("--strategy" in each["change"] for each in report(terminal, host="8x-a100")["advice"])


NODES = ("--gpu", "2x RTX 3060", "--ram", "64GiB", "--cpu-cores", "8", "--storage", "nvme", "--batch-size", "8")


def test_nodes_share_the_run_and_the_network_is_assumed_and_said(terminal: Terminal) -> None:
    one = report(terminal, *NODES, "--price-per-hour", "2", model="yolov5m")
    four = report(terminal, *NODES, "--price-per-hour", "2", "--nodes", "4", model="yolov5m")

    assert (one["recipe"]["nodes"], four["recipe"]["nodes"]) == (1, 4)
    assert four["device"] == "4 nodes of 2x GeForce RTX 3060"
    assert four["memory"] == one["memory"]
    assert one["time"]["images_per_s"] < four["time"]["images_per_s"] < 4 * one["time"]["images_per_s"]
    assert four["time"]["cost"] == pytest.approx(four["time"]["total_s"]["expected"] / 3600 * 2 * 4)
    assert one["time"]["network"] is None
    assert four["time"]["network"]["assumed"] is True
    assert any("10 Gb/s is assumed (set --network)" in warning for warning in four["warnings"])
    assert [(row["gpus"], row["nodes"]) for row in four["scaling"]["rows"]] == [(1, 1), (2, 1), (4, 2), (8, 4)]


def test_a_slow_network_is_named_and_a_faster_one_advised(terminal: Terminal) -> None:
    slow = report(terminal, *NODES, "--nodes", "4", "--network", "1Gb/s", model="yolov5m")
    fast = report(terminal, *NODES, "--nodes", "4", "--network", "100Gb/s", model="yolov5m")
    shown = " ".join(terminal.check(*NODES, "--nodes", "4", "--network", "1Gb/s", model="yolov5m").out.split())

    assert slow["time"]["bottleneck"] == "network"
    assert slow["time"]["network"]["assumed"] is False
    assert fast["time"]["bottleneck"] != "network"
    assert any(advice["change"] == "--network 100Gb/s" for advice in slow["advice"])
    assert not any("--network" in advice["change"] for advice in fast["advice"])
    # 21.2 million parameters x 4 bytes x 2 x 7 / 8 = 148 MB
    assert "Network each of 4 nodes sends 141 MiB of gradients a step at 1 Gb/s" in shown
    assert "Waits for the network between the nodes" in shown
    assert "another brings little: they wait for the network between the nodes" in shown


@pytest.mark.parametrize("format_", ["text", "markdown", "html", "github"])
def test_every_format_tells_of_the_nodes(terminal: Terminal, format_: str) -> None:
    options = (*NODES, "--nodes", "4", "--price-per-hour", "2", "--format", format_)
    shown = " ".join(terminal.check(*options, model="yolov5m").out.split())

    for words in ("8 GPUs in 4 nodes", "each of 4 nodes: ", "of gradients a step at 10 Gb/s", "for each of 4 nodes"):
        assert words in shown


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--strategy", "dp", "--gpu", "T4"), "--strategy dp changes nothing: the run is on one GPU"),
        (("--strategy", "ddp", "--device", "cpu"), "--strategy ddp changes nothing: the run is on the CPU"),
        (("--strategy", "dp", "--gpu", "2x T4"), None),
        (("--gpu", "T4"), None),
    ],
)
def test_a_strategy_with_nothing_to_share_is_said_to_change_nothing(
    terminal: Terminal, options: tuple[str, ...], warned: str | None
) -> None:
    document = report(terminal, *options, model="yolov5s")

    assert [warning for warning in document["warnings"] if "--strategy" in warning] == ([warned] if warned else [])


def test_two_cores_make_more_gpus_useless_and_the_report_says_why(terminal: Terminal) -> None:
    options = ("--gpu", "8x A100 80GB", "--cpu-cores", "2", "--ram", "500GiB")
    document = report(terminal, *options, model="yolov5s")
    shown = terminal.check(*options, model="yolov5s").out

    assert document["scaling"]["useful_gpus"] < 8
    assert "another brings little: they wait for the loader decoding images" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("options", "pool_gib", "gpu_gib"),
    [
        # Metal's share is two thirds up to 36 GiB, three quarters beyond; a Jetson's GPU may take all.
        (("--gpu", "Apple M1"), 16, 16 * 2 / 3),
        (("--gpu", "Apple M1", "--ram", "8GiB"), 8, 8 * 2 / 3),
        (("--gpu", "Jetson AGX Orin 64GB"), 64, 64),
        (("--gpu", "Jetson AGX Orin 64GB", "--ram", "8GiB"), 8, 8),
        (("--gpu", "Jetson Orin Nano 4GB", "--ram", "64GiB"), 4, 4),
    ],
)
def test_a_described_chip_with_unified_memory_has_one_pool(
    terminal: Terminal, options: tuple[str, ...], pool_gib: float, gpu_gib: float
) -> None:
    document = report(terminal, *options, model="yolov5s")
    (gpu,) = document["hardware"]["gpus"]["value"]

    assert document["hardware"]["ram"]["usable_bytes"]["value"] == pool_gib * 2**30
    assert gpu["free_bytes"]["value"] == pytest.approx(gpu_gib * 2**30, abs=1)
    assert f"one pool of {pool_gib:.1f} GiB" in " ".join(document["warnings"])


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ("K80", ("no code for the Tesla K80", "CUDA 11.8", "cu118")),
        ("GTX 1060", ("compute capability 6.1", "cu126")),
        ("RX 7900 XTX", ("Radeon RX 7900 XTX", "--torch-backend=rocm")),
        ("RX 6700 XT", ("gfx1031", "no build of torch has")),
        ("Arc A770", ("--torch-backend=xpu",)),
        ("Jetson AGX Orin 64GB", ("JetPack",)),
        ("Apple M1", ("PYTORCH_ENABLE_MPS_FALLBACK",)),
    ],
)
def test_a_described_card_that_torch_as_such_does_not_use_is_told_with_the_build(
    terminal: Terminal, gpu: str, words: tuple[str, ...]
) -> None:
    warnings = report(terminal, "--gpu", gpu, model="yolov5s")["warnings"]

    assert any(all(word in warning for word in words) for warning in warnings), warnings


@pytest.mark.parametrize("gpu", ["RTX 3060", "T4", "RTX 5090", "B200", "RTX 4090, K80"])  # the K80 would stay idle
def test_a_described_card_of_today_needs_no_word_on_builds(terminal: Terminal, gpu: str) -> None:
    warnings = " ".join(report(terminal, "--gpu", gpu, model="yolov5s")["warnings"])

    assert "build" not in warnings
    assert "torch-backend" not in warnings


@pytest.mark.parametrize(
    ("gpu", "sentence"),
    [
        ("Arc A770", "'Arc A770' was taken as Arc A770 8GB; there is also Arc A770 16GB: name the one"),
        ("8x A100", "'A100' was taken as A100-SXM4-40GB; there is also A100-SXM4-80GB: name the one"),
        ("Arc A770 16GB", None),
        ("RTX 4090", None),
    ],
)
def test_a_name_that_leaves_the_memory_open_says_which_card_was_taken(
    terminal: Terminal, gpu: str, sentence: str | None
) -> None:
    warnings = report(terminal, "--gpu", gpu, model="yolov5s")["warnings"]

    assert [each for each in warnings if "was taken as" in each] == ([] if sentence is None else [sentence])


def test_a_described_card_in_this_machine_says_what_was_not_described(terminal: Terminal) -> None:
    def told(*options: str) -> list[str]:
        finished = terminal("check", "--model", "yolov5s", "--images", "5000", "--gpu", "T4", "--json", *options)
        return [each for each in json.loads(finished.out)["warnings"] if each.startswith("not described")]

    rest = "not described, so taken from this machine: "
    kind, free = "kind of disk (--storage)", "free disk (--disk)"
    assert told() == [f"{rest}cores (--cpu-cores), RAM and /dev/shm (--ram), {kind}, {free}"]
    assert told("--ram", "64GiB", "--disk", "1TB") == [f"{rest}cores (--cpu-cores), {kind}"]
    assert told("--ram", "64GiB", "--storage", "nvme") == [f"{rest}cores (--cpu-cores), {free}"]
    assert told("--ram", "64GiB", "--storage", "nvme", "--cpu-cores", "8") == []


def test_a_disk_that_decides_and_was_not_described_is_said_to_be(terminal: Terminal) -> None:
    # 500,000 images of 160 KiB are 80 GB, and the disk of the recorded or running host may hold less or more.
    described = ("--gpu", "T4", "--cpu-cores", "8", "--ram", "64GiB", "--storage", "nvme")

    def disk(*options: str) -> dict[str, str]:
        finished = terminal("check", "--model", "yolov5s", "--images", "500000", "--json", *described, *options)
        return next(each for each in json.loads(finished.out)["verdict"]["reasons"] if each["resource"] == "disk")

    assert disk("--disk", "500GB")["status"] == "go"
    assert disk("--disk", "50GB")["status"] == "no-go"
    assert "not described" not in disk("--disk", "50GB")["message"]


def test_a_described_machine_has_the_shared_memory_of_its_own_ram(terminal: Terminal) -> None:
    def shm_bytes(*options: str) -> int:
        finished = terminal("check", "--model", "yolov5s", "--images", "5000", "--json", *options)
        return json.loads(finished.out)["hardware"]["ram"]["shm_bytes"]["value"]

    assert shm_bytes("--gpu", "T4", "--ram", "64GiB") == 32 * 2**30  # tmpfs(5): half of the RAM
    assert shm_bytes("--ram", "64GiB") == shm_bytes()  # this machine, with a limit on its RAM


def test_a_chip_beside_a_card_of_its_own_leaves_the_ram_alone(terminal: Terminal) -> None:
    document = report(terminal, "--gpu", "T4, Apple M1", "--ram", "64GiB", model="yolov5s")

    assert document["hardware"]["ram"]["usable_bytes"]["value"] == 64 * 2**30


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
