"""Every recorded machine through the real probe, and its verdict through the real check."""

from __future__ import annotations

import functools
import re

import msgspec
import pytest
from recorded_machine import Expected, RecordedMachine, machine_names

from canitrain.catalog import complete, load_calibration, load_model
from canitrain.check import check
from canitrain.cli.dataset import DatasetOptions, find_dataset
from canitrain.cli.machine import MachineOptions, described
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Hardware, StorageKind
from canitrain.core.recipe import DeviceChoice
from canitrain.core.report import Resource
from canitrain.probe.host import Host
from canitrain.probe.machine import probe_host
from canitrain.render import render
from canitrain.render.formats import Format
from canitrain.render.hardware import hardware_text
from canitrain.verdict.device import best_kind

MACHINES = machine_names()
GIB = 2**30


@functools.cache
def probed(name: str) -> Hardware:
    machine = RecordedMachine(name)
    return probe_host(Host(machine), machine.data_path)


def value(fact: Known | Unknown) -> object:
    return fact.value if isinstance(fact, Known) else "unknown"


def gib(fact: Known | Unknown) -> object:
    return round(fact.value / GIB, 1) if isinstance(fact, Known) else "unknown"


def test_there_are_more_than_twenty_machines_and_each_says_what_is_documented_and_what_made_up():
    assert len(MACHINES) >= 20
    for name in MACHINES:
        readme = (RecordedMachine(name).folder / "README.md").read_text(encoding="utf-8")
        assert all(word in readme for word in ("Documented:", "Made up:", "Should:", "Verdict: ")), name


def test_a_bridge_is_asked_for_between_equal_cards_only():
    assert not any(gpu.notes for gpu in probed("two-unequal-cards").gpus.value)

    machine = RecordedMachine("two-unequal-cards")
    machine.devices[0]["nvmlDeviceGetName"] = machine.devices[1]["nvmlDeviceGetName"]
    equal = probe_host(Host(machine), machine.data_path)
    assert all("fit the NVLink bridge" in note for gpu in equal.gpus.value for note in gpu.notes)
    assert [len(gpu.notes) for gpu in equal.gpus.value] == [1, 1]


@pytest.mark.parametrize("name", MACHINES)
def test_the_probe_finds_the_facts_of_the_machine(name):
    expected, hardware = Expected(name).facts, probed(name)
    torch = hardware.software.torch
    kind = value(hardware.storage.kind)
    found = {
        "logical_cores": value(hardware.cpu.logical_cores),
        "physical_cores": value(hardware.cpu.physical_cores),
        "usable_cores": value(hardware.cpu.usable_cores),
        "cores_bound_by": hardware.cpu.usable_cores.source,
        "usable_ram_gib": gib(hardware.ram.usable_bytes),
        "ram_bound_by": hardware.ram.usable_bytes.source,
        "shm_gib": gib(hardware.ram.shm_bytes),
        "storage": kind if isinstance(kind, str) else kind.value,
        "filesystem": value(hardware.storage.filesystem),
        "torch": f"{torch.value.version} {torch.value.build}" if isinstance(torch, Known) else "unknown",
        "notes": list(hardware.software.notes),
        "gpus": "unknown",
    }
    if isinstance(hardware.gpus, Known):
        found["gpus"] = [
            {
                "name": gpu.name,
                "total_gib": gib(gpu.total_bytes),
                "free_gib": gib(gpu.free_bytes),
                "capability": value(gpu.compute_capability),
                "multiprocessors": value(gpu.multiprocessors),
                "laptop": value(gpu.laptop),
                **({"mig": True} if gpu.mig else {}),
            }
            for gpu in hardware.gpus.value
        ]
    assert found == expected


@pytest.mark.parametrize("name", MACHINES)
def test_the_warnings_are_those_of_the_readme_and_each_has_a_fix(name):
    warnings = probed(name).warnings
    assert [warning[: len(part)] for warning, part in zip(warnings, Expected(name).warnings, strict=True)] == Expected(
        name
    ).warnings
    for warning, part in zip(warnings, Expected(name).warnings, strict=True):
        assert len(warning.removeprefix(part)) > len(": x"), f"no fix in {warning!r}"


@pytest.mark.parametrize(("old_card", "in_the_way"), [(0, False), (1, True)])
def test_a_card_that_torch_has_no_code_for_is_in_the_way_only_where_it_would_train(old_card, *, in_the_way):
    machine = RecordedMachine("two-unequal-cards")
    # Kepler, dropped by CUDA 12; 192 cores a multiprocessor, so that the card is still the catalog's.
    machine.devices[old_card]["nvmlDeviceGetCudaComputeCapability"] = [3, 5]
    machine.devices[old_card]["nvmlDeviceGetNumGpuCores"] = (68, 82)[old_card] * 192
    hardware, profile = complete(probe_host(Host(machine), machine.data_path)), load_model("fasterrcnn")
    dataset = find_dataset(DatasetOptions(images=20_000))
    report = check(hardware, profile, dataset, decide_recipe(RecipeOptions(), profile, hardware), load_calibration())

    assert [bool(gpu.obstacles) for gpu in hardware.gpus.value] == [old_card == 0, old_card == 1]
    assert hardware.software.obstacles == ()
    # The RTX 3090 trains and the RTX 2080 Ti stays idle.
    assert any(reason.resource is Resource.SOFTWARE for reason in report.verdict.reasons) is in_the_way
    assert any("has no code for" in warning for warning in report.warnings) is in_the_way
    assert any("has no code for" in warning for warning in hardware.warnings)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_described_in_full_keeps_no_warning_of_the_one_that_was_probed(name):
    options = MachineOptions(gpu="RTX 4090", ram="64GiB", cpu_cores=8, storage=StorageKind.NVME)
    probe_s = probed(name)
    left = described(probe_s, options).warnings
    # What options cannot describe.
    kept = ("not described", "/dev/shm has only", "at most", "the data directory", "each loader worker", "WSL2 gives")
    assert [warning for warning in left if not warning.startswith(kept)] == []
    assert described(probe_s, MachineOptions()).warnings == probe_s.warnings


def test_a_described_part_keeps_the_warnings_of_the_others():
    def left(name, **options):
        return " ".join(described(probed(name), MachineOptions(**options)).warnings)

    occupied, pod = "rtx3090-occupied", "kubernetes-pod"
    assert "holds 20.0 GiB" in left(occupied, ram="64GiB")
    assert "holds 20.0 GiB" not in left(occupied, gpu="RTX 3090")
    assert "memory.max leaves" in left(pod, cpu_cores=2.0)
    assert "memory.max leaves" not in left(pod, ram="64GiB")
    assert "cpu.max leaves" not in left(pod, cpu_cores=2.0)
    assert "network file system" not in left(pod, storage=StorageKind.NVME)
    assert "network file system" in left(pod, gpu="T4")


@pytest.mark.parametrize("name", MACHINES)
def test_the_verdict_on_faster_rcnn_with_20000_images_is_that_of_the_readme(name):
    hardware, profile = complete(probed(name)), load_model("fasterrcnn")
    dataset = find_dataset(DatasetOptions(images=20_000))
    report = check(hardware, profile, dataset, decide_recipe(RecipeOptions(), profile, hardware), load_calibration())
    assert report.verdict.status.value in Expected(name).verdicts


@pytest.mark.parametrize("name", MACHINES)
def test_a_saved_machine_comes_back_exactly(name):
    hardware = probed(name)
    assert msgspec.json.decode(msgspec.json.encode(hardware), type=Hardware) == hardware


@pytest.mark.parametrize("name", MACHINES)
def test_no_line_of_the_text_is_wider_than_80_columns(name):
    text = hardware_text(probed(name), columns=80)
    # a word longer than the line, like a path or a command, may not be broken
    assert [line for line in text.splitlines() if len(line) > 80 and " " in line[10:].strip()] == []


@pytest.mark.parametrize("name", MACHINES)
def test_no_fact_is_a_zero_that_stands_for_not_knowing(name):
    text = msgspec.json.encode(probed(name)).decode()
    zeros = re.findall(r'"(\w+)":\{"state":"known","value":0(?:\.0)?,', text)
    # a machine without swap has none; everything else that is known is more than nothing
    assert set(zeros) <= {"swap_bytes"}


def test_of_two_mig_slices_a_run_uses_one():
    hardware = complete(probed("a100-mig"))
    assert len(hardware.gpus.value) == 2
    assert len(best_kind(hardware, DeviceChoice.AUTO)) == 1


def test_that_nothing_is_known_of_a_card_is_said_once():
    hardware, profile = complete(probed("rx580-no-code")), load_model("fasterrcnn")
    recipe = decide_recipe(RecipeOptions(), profile, hardware)
    report = check(hardware, profile, find_dataset(DatasetOptions(images=20000)), recipe, load_calibration())
    said = render(report, Format.TEXT)

    assert len(re.findall(r"is\s+not\s+in\s+the\s+GPU\s+catalog", said)) == 1
