"""Parsers and tables of the probe, on text and numbers written by hand."""

from __future__ import annotations

import re
import subprocess

import pytest
from msgspec import structs
from recorded_machine import CloudContainer, RecordedMachine

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.probe.cpu import read_cpu
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, TimeLimits, derive, failure_text, filled, is_absent, not_negative, positive
from canitrain.probe.limits import Limits
from canitrain.probe.machine import probe_host
from canitrain.probe.mounts import mount_of, parse_mountinfo
from canitrain.probe.software_tables import BUILDS, build_of, cuda_for, minimum_driver, rocm_runs_on, runs_on
from canitrain.probe.visible import visible


def gpus(count: int, vendor: Vendor = Vendor.NVIDIA):
    uuids = ("GPU-aaaa0000-1", "GPU-bbbb0000-2", "GPU-bbbb1111-3", "MIG-cccc0000-4")
    cards = [sparse_gpu(f"card {number}", vendor, "test", unstated="test") for number in range(count)]
    return tuple(
        structs.replace(card, uuid=Known(value=uuid, source="test")) for card, uuid in zip(cards, uuids, strict=False)
    )


def test_the_deepest_and_last_mount_holds_a_path():
    text = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /data rw - ext4 /dev/sdb1 rw\n"
        "3 1 8:3 / /data rw - xfs /dev/sdc1 rw\n4 1 8:4 / /data\\040two rw - xfs /dev/sdd1 rw\n"
    )
    mounts = parse_mountinfo(text)
    paths = {"/data/x": "8:3", "/database": "8:1", "/data two/x": "8:4", "/": "8:1"}
    assert {path: mount_of(mounts, path).device for path in paths} == paths


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,0", ["card 1", "card 0"]),
        ("0,9,1", ["card 0"]),
        ("-1", []),
        ("", []),
        ("GPU-aaaa", ["card 0"]),
        ("GPU-bbbb", []),  # two cards begin like that
        ("GPU-bbbb1,0", ["card 2", "card 0"]),
        ("MIG-cccc0000-4", ["card 3"]),
        ("0,0", []),  # CUDA offers nothing where a card is named twice
        ("garbage", []),
    ],
)
def test_cuda_visible_devices_selects_and_numbers_as_cuda_does(text, names):
    shown, _ = visible(Host(CloudContainer(environment={"CUDA_VISIBLE_DEVICES": text})), gpus(4), Vendor.NVIDIA)
    assert [gpu.name for gpu in shown] == names
    assert [gpu.index for gpu in shown] == list(range(len(names)))


def test_rocm_applies_its_variables_in_turn():
    environment = {"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "0"}
    shown, _ = visible(Host(CloudContainer(environment=environment)), gpus(3, Vendor.AMD), Vendor.AMD)
    # ROCR leaves cards 1 and 2; HIP's number 1 of those is card 2; CUDA's variable is not looked at beside HIP's
    assert [gpu.name for gpu in shown] == ["card 2"]


def test_an_affinity_mask_of_level_zero_may_name_tiles():
    shown, _ = visible(
        Host(CloudContainer(environment={"ZE_AFFINITY_MASK": "1.0"})), gpus(2, Vendor.INTEL), Vendor.INTEL
    )
    assert [gpu.name for gpu in shown] == ["card 1"]


@pytest.mark.parametrize(
    ("torch", "cuda", "capability", "runs"),
    [
        ("2.6.0", "12.4", "8.9", True),  # code of 8.6 runs on 8.9
        ("2.6.0", "12.4", "12.0", False),
        ("2.7.1", "12.8", "12.0", True),
        ("2.7.1", "12.8", "7.0", False),  # Volta left in 2.7,
        ("2.8.0", "12.8", "7.0", True),  # came back in 2.8,
        ("2.11.0", "12.8", "7.0", False),  # and left again in 2.11
        ("2.9.0", "12.6", "6.1", True),
        ("2.9.0", "13.0", "6.1", False),
        ("2.15.0", "13.2", "12.1", True),
    ],
)
def test_the_table_of_builds_says_which_card_runs(torch, cuda, capability, runs):
    assert runs_on(build_of(torch, cuda), capability) is runs


def test_a_build_that_the_table_lacks_is_not_judged():
    assert build_of("1.4.0", "10.1") is None
    assert build_of("garbage", "12.8") is None


def test_the_advised_cuda_version_runs_on_the_driver_and_the_card():
    assert cuda_for("8.9", None, windows=False) == "13.2"
    assert cuda_for("8.9", (560, 35), windows=False) == "12.9"
    assert cuda_for("6.1", (560, 35), windows=False) == "12.6"
    assert cuda_for("6.1", (470, 256), windows=False) == "11.8"
    assert cuda_for("12.0", (470, 256), windows=False) is None


def test_every_build_names_a_cuda_version_with_a_known_driver():
    assert all(minimum_driver(row.cuda, windows=windows) for row in BUILDS for windows in (False, True))


@pytest.mark.parametrize(
    ("python", "advice"),
    [
        ("3.11.9", "(torch is not installed): pip install torch torchvision"),
        ("3.15.0", "(torch is not installed): pip install torch torchvision"),
        ("3.10.4", "Python 3.11 to 3.15, and this is 3.10.4: uv venv --python 3.15, then pip install torch"),
        ("3.16.0a1", "and this is 3.16.0a1"),
        ("pypy", "(torch is not installed): pip install torch torchvision"),
    ],
)
def test_a_python_that_torch_has_no_wheels_for_is_told_with_one_that_it_has(python, advice):
    machine = RecordedMachine("no-gpu-vm")
    machine.facts["platform"]["python"] = python
    (warning,) = (text for text in probe_host(Host(machine), machine.data_path).warnings if "no torch" in text)
    assert advice in warning


def test_reasons_are_short_and_tell_no_path():
    reasons = {
        FileNotFoundError(2, "No such file or directory", "/home/ada/x"): "not there",
        PermissionError(13, "Permission denied", "/home/ada/x"): "permission denied",
        subprocess.CalledProcessError(9, ["nvidia-smi"]): "exited with 9",
        OSError(5, "Input/output error", "/home/ada/x"): "input/output error",
        ValueError("a\nb"): "ValueError: a",
    }
    assert {error: failure_text(error) for error in reasons} == reasons


def test_a_file_is_read_once_however_often_it_is_asked_for():
    machine = CloudContainer()
    host = Host(machine)
    first = host.read("/proc/meminfo")
    machine.files["/proc/meminfo"] = "changed"
    assert host.read("/proc/meminfo") == first


def test_after_its_time_the_host_answers_nothing_more():
    host = Host(CloudContainer(), TimeLimits(total_s=0.0))
    assert isinstance(host.read("/proc/meminfo"), Unknown)


def test_a_value_that_makes_no_sense_is_unknown():
    assert isinstance(derive(Known(value="x", source="file"), int), Unknown)
    assert derive(Known(value="7", source="file"), int) == Known(value=7, source="file")


@pytest.mark.parametrize(
    ("build", "target", "runs"),
    [
        ("rocm6.2", "gfx90a", True),
        ("rocm6.2", "gfx1201", False),
        ("rocm6.4", "gfx1201", True),
        ("rocm7.0", "gfx950", True),
        ("rocm7.0", "gfx803", False),
        ("rocm", "gfx803", True),  # a version that cannot be read is not judged
    ],
)
def test_the_table_of_rocm_builds_says_which_card_runs(build, target, runs):
    assert rocm_runs_on(build, target) is runs


@pytest.mark.parametrize(
    ("facts", "extensions"),
    [
        (
            "machdep.cpu.features: FPU SSE4.2 AVX1.0 FMA\nmachdep.cpu.leaf7_features: BMI1 AVX2 AVX512F\n",
            ("sse4_2", "avx", "avx2", "fma", "avx512f"),
        ),
        ("machdep.cpu.features: FPU SSE4.2\n", ("sse4_2",)),
        ("hw.optional.arm64: 1\n", ("neon",)),
    ],
)
def test_a_macs_vector_extensions_are_read_by_apples_names(facts, extensions):
    machine = RecordedMachine("macbook-m2")
    machine.run = lambda command, _timeout_s: facts if command[0] == "sysctl" else ""
    limits = Limits(core_bounds=(), ram_bounds=(), ram_room_bytes=(), unread_cores=(), unread_ram=(), open_files=None)
    assert read_cpu(Host(machine), limits).vector_extensions.value == extensions


def test_an_absent_file_is_told_from_one_that_does_not_answer():
    class Sources(RecordedMachine):
        def read(self, path):
            if path == "/forbidden":
                raise PermissionError
            return super().read(path)

    host = Host(Sources("no-gpu-vm"))
    assert is_absent(host.read("/no/such/file"))
    assert not is_absent(host.read("/forbidden"))


@pytest.mark.parametrize(("how", "text"), [(positive, "0"), (not_negative, "-1"), (filled, " \n"), (filled, 7)])
def test_a_value_of_the_wrong_kind_is_refused(how, text):
    with pytest.raises(ValueError, match=re.escape(str(text))):
        how(text)


def test_zero_is_a_count_that_is_not_negative():
    assert not_negative("0") == 0
