"""Every source of the probe fails in turn: no exception, no zero, no better verdict, and an end in time."""

from __future__ import annotations

import functools
import re
import time

import msgspec
import pytest
from faulty_machine import Call, Fault, Faulty
from recorded_machine import RecordedMachine, machine_names

from canitrain.catalog import complete, load_calibration, load_model
from canitrain.check import check
from canitrain.cli.dataset import DatasetOptions, find_dataset
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Hardware
from canitrain.core.report import Status
from canitrain.probe.host import Host, TimeLimits
from canitrain.probe.machine import probe_host

QUICK = (Fault.MISSING, Fault.DENIED, Fault.GARBAGE)
HASTY = TimeLimits(total_s=0.15, call_s=0.03, start_s=0.06)
"""The limits, shortened so that every hang of every machine can be waited for."""
LIMIT_S = 3.0
BETTER = {Status.UNKNOWN: 0, Status.NO_GO: 0, Status.TIGHT: 1, Status.GO: 2}
NOT_GO = ("arc-a770", "cpu-torch-rtx4090", "driver-mismatch", "nvml-fails-midway", "rtx3090-occupied", "vgpu-a10")
NOT_GO += ("no-gpu-vm", "raspberry-pi-5", "kubernetes-pod", "rtx5090-old-torch")
"""Machines on which the run is not plainly possible: only there a fault could make it look better."""


@functools.cache
def calls_of(name: str) -> tuple[Call, ...]:
    """Every different question that the probe asks of a machine."""
    machine = Faulty(RecordedMachine(name))
    probe_host(Host(machine), machine.machine.data_path)
    return tuple(dict.fromkeys(machine.calls))


def with_fault(name: str, call: Call, fault: Fault, limits: TimeLimits | None = None) -> Hardware:
    machine = Faulty(RecordedMachine(name), call, fault)
    try:
        return probe_host(Host(machine, limits), machine.machine.data_path)
    finally:
        machine.released.set()


@functools.cache
def _question():
    return load_model("fasterrcnn"), find_dataset(DatasetOptions(images=20_000)), load_calibration()


def verdict(hardware: Hardware) -> Status:
    profile, dataset, calibration = _question()
    machine = complete(hardware)
    recipe = decide_recipe(RecipeOptions(), profile, machine)
    return check(machine, profile, dataset, recipe, calibration).verdict.status


def facts(hardware: Hardware) -> str:
    """The machine without the wording of reasons and sentences, which no verdict hangs on."""
    text = msgspec.json.encode(msgspec.structs.replace(hardware, warnings=())).decode()
    return re.sub(r'"reason":"(?:[^"\\]|\\.)*"', "", text)


def test_the_sweep_reaches_every_kind_of_source():
    asked = {method for name in machine_names() for method, _ in calls_of(name)}
    assert asked == {
        "platform", "environment", "read", "names", "resolve", "volume", "writable", "run", "psutil", "windows_disk",
        "cpuinfo", "nvml",
    }  # fmt: skip


@pytest.mark.parametrize("name", machine_names())
def test_a_source_that_fails_leaves_a_machine_that_can_be_saved(name):
    for call in calls_of(name):
        for fault in QUICK:
            hardware = with_fault(name, call, fault)
            assert msgspec.json.decode(msgspec.json.encode(hardware), type=Hardware) == hardware, (call, fault)


@pytest.mark.parametrize("name", NOT_GO)
def test_a_source_that_fails_never_makes_the_verdict_better(name):
    whole = RecordedMachine(name)
    without = BETTER[verdict(probe_host(Host(whole), whole.data_path))]
    seen: dict[str, Status] = {}
    for call in calls_of(name):
        for fault in QUICK:
            hardware = with_fault(name, call, fault)
            key = facts(hardware)
            if key not in seen:
                seen[key] = verdict(hardware)
            assert BETTER[seen[key]] <= without, (call, fault, seen[key])


@pytest.mark.parametrize("name", ["slurm-4-of-64", "windows-rtx4070", "macbook-m2", "mi250", "a100-mig"])
def test_every_source_that_hangs_is_left_behind(name):
    for call in calls_of(name):
        start_s = time.monotonic()
        hardware = with_fault(name, call, Fault.HANG, HASTY)
        # a hang lasts ten seconds: whoever waits for it fails here, whoever is merely slow on a busy machine does not
        assert time.monotonic() - start_s < LIMIT_S, call
        assert isinstance(hardware, Hardware)


@pytest.mark.parametrize(
    "call",
    [
        ("read", ("/proc/meminfo",)),
        ("names", ("/sys/fs/cgroup",)),
        ("volume", ("/data",)),
        ("nvml", ("nvmlInit",)),
        ("nvml", ("nvmlDeviceGetName", "device 0")),
        ("everything", ()),
    ],
    ids=lambda call: " ".join([call[0], *map(str, call[1])]),
)
def test_with_the_real_limits_a_probe_that_meets_a_hang_ends_within_three_seconds(call):
    start_s = time.monotonic()
    with_fault("t4-docker-cloud", call, Fault.HANG)
    assert time.monotonic() - start_s < LIMIT_S


@pytest.mark.parametrize("fault", QUICK)
@pytest.mark.parametrize(
    ("call", "part"),
    [
        (("read", ("/proc/cpuinfo",)), "cpu.logical_cores"),
        (("read", ("/proc/meminfo",)), "ram.total_bytes"),
        (("read", ("/proc/self/cgroup",)), "ram.usable_bytes"),
        (("read", ("/sys/fs/cgroup/memory.max",)), "ram.usable_bytes"),
        (("read", ("/sys/fs/cgroup/memory.current",)), "ram.usable_bytes"),
        (("read", ("/sys/fs/cgroup/cpu.max",)), "cpu.usable_cores"),
        (("names", ("/sys/fs/cgroup",)), "cpu.usable_cores"),
        (("read", ("/proc/self/status",)), "cpu.usable_cores"),
        (("read", ("/proc/self/mountinfo",)), "storage.kind"),
        (("volume", ("/dev/shm",)), "ram.shm_bytes"),
        (("nvml", ("nvmlInit",)), "gpus"),
        (("nvml", ("nvmlDeviceGetCount",)), "gpus"),
        (("names", ("/venv/site-packages",)), "software.torch"),
    ],
    ids=str,
)
def test_the_part_that_hangs_on_a_failed_source_is_unknown_with_its_reason(call, part, fault):
    found: object = with_fault("t4-docker-cloud", call, fault)
    for field in part.split("."):
        found = getattr(found, field)
    assert isinstance(found, Unknown)
    assert found.reason


def test_a_slow_library_of_nvidias_does_not_take_the_rest_of_the_machine_with_it():
    hardware = with_fault("t4-docker-cloud", ("nvml", ("nvmlInit",)), Fault.HANG, TimeLimits(start_s=0.2))
    assert isinstance(hardware.gpus, Unknown)
    assert isinstance(hardware.cpu.usable_cores, Known)
    assert isinstance(hardware.storage.free_bytes, Known)
