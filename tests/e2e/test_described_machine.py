"""`check` for a machine that options describe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import HOSTS, Terminal, report


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


def test_other_storage_leaves_what_was_benched_of_processor_and_memory(terminal: Terminal, tmp_path: Path) -> None:
    rates = {"decode_s_per_megapixel": 0.05, "memory_bytes_per_s": 2e10}
    reads = {"sequential_read_bytes_per_s": 1e6, "random_read_bytes_per_s": 1e6}
    machine = json.loads((HOSTS / "rtx3060-desktop.json").read_text(encoding="utf-8"))
    known = {name: {"state": "known", "value": rate, "source": "benched"} for name, rate in (rates | reads).items()}
    host = tmp_path / "host.json"
    host.write_text(json.dumps(machine | {"bench": known}), encoding="utf-8")

    bench = report(terminal, "--storage", "ssd", "--hardware", str(host))["hardware"]["bench"]

    assert {name: bench[name]["value"] for name in rates} == rates
    assert {bench[name]["state"] for name in reads} == {"unknown"}


def test_described_cores_beyond_this_machines_compute_too(terminal: Terminal) -> None:
    def step_s(cores: int) -> float:
        seconds: float = report(terminal, "--device", "cpu", "--cpu-cores", str(cores))["time"]["step_s"]["expected"]
        return seconds

    # The desktop has 6 cores with 2 hardware threads each: 12 usable are 6 that compute, 64 are 32.
    assert step_s(3) > step_s(6) == step_s(12) > step_s(24) > step_s(64)
    cpu = report(terminal, "--cpu-cores", "64")["hardware"]["cpu"]
    assert (cpu["logical_cores"]["value"], cpu["physical_cores"]["value"]) == (64, 32)


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
