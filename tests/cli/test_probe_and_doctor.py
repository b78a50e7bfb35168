"""``canitrain probe`` and ``canitrain doctor`` as a shell sees them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from canitrain.catalog import load_hardware
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Gpu, GpuProcess, Hardware
from canitrain.probe import probe
from canitrain.render.doctor import clean, doctor_text

UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"


def canitrain(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "canitrain", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **environment},
    )


def with_card(hardware: Hardware) -> Hardware:
    """``hardware`` with a card that has a UUID, and a process run from somebody's home."""
    nothing = Unknown(reason="test: /home/ada/driver does not say")
    card = Gpu(
        index=0,
        name="NVIDIA GeForce RTX 3060",
        vendor=Known(value="nvidia", source="NVML"),
        uuid=Known(value=UUID, source="NVML"),
        total_bytes=Known(value=12 * 2**30, source="NVML"),
        free_bytes=nothing,
        compute_capability=nothing,
        multiprocessors=nothing,
        boost_hz=nothing,
        memory_hz=nothing,
        memory_bus_bits=nothing,
        pcie_bytes_per_s=nothing,
        power_limit_w=nothing,
        laptop=nothing,
        processes=(GpuProcess(pid=7, name=Known(value="python", source="NVML"), memory_bytes=nothing),),
    )
    gpus = Known(value=(card,), source="NVML")
    return msgspec.structs.replace(hardware, gpus=gpus, warnings=(f"card {UUID} of ada: see /home/ada/notes",))


def test_probe_says_every_part_within_80_columns():
    done = canitrain("probe")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if line[:1].isalpha()][:4] == [
        "CPU", "RAM", "Storage", "GPU"
    ]  # fmt: skip
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_probe_json_is_a_hardware_file():
    done = canitrain("probe", "--json")
    assert json.loads(done.stdout)["schema"] == "canitrain.hardware/1"
    assert isinstance(msgspec.json.decode(done.stdout, type=Hardware), Hardware)


def test_a_saved_machine_is_read_back_as_it_was_printed(tmp_path):
    saved = tmp_path / "host.json"
    done = canitrain("probe", "--json", "--save", str(saved))
    printed = msgspec.json.decode(done.stdout, type=Hardware)
    assert f"check --model fasterrcnn --images 20000 --hardware {saved}" in done.stderr
    assert load_hardware(saved) == msgspec.structs.replace(printed, origin=str(saved))


def test_saving_into_a_missing_folder_is_refused_before_the_probe(tmp_path):
    done = canitrain("probe", "--save", str(tmp_path / "none" / "host.json"))
    assert done.returncode == 2
    assert "hint:" in done.stderr
    assert done.stdout == ""


def test_doctor_leaves_out_whose_machine_it_is(tmp_path):
    folder = tmp_path / "secret-project"
    folder.mkdir()
    done = canitrain("doctor", "--data", str(folder), folder=folder, USER="ada-lovelace", LOGNAME="ada-lovelace")
    assert done.returncode == 0
    for private in ("secret-project", str(tmp_path), str(Path.home()), "ada-lovelace"):
        assert private not in done.stdout.replace("\n    ", "")
    assert f" {socket.gethostname()} " not in done.stdout


def test_doctor_names_source_or_reason_of_every_fact():
    text = doctor_text(with_card(probe(Path.cwd())), "0.0.0", private=("ada",), columns=1000)
    rows = [line.split("  ") for line in text.splitlines() if line.startswith(("cpu.", "ram.", "storage."))]
    told = [
        row for row in rows if row[0] not in {"storage.path", "ram.bounds", "cpu.bounds"} and "bounds." not in row[0]
    ]
    assert len(told) >= 18
    assert all(row[-1].startswith(("[", "unknown: ")) for row in told)


def test_doctor_shows_a_card_without_its_uuid_and_without_paths():
    text = doctor_text(with_card(probe(Path.cwd())), "0.0.0", private=("ada",), columns=1000)
    assert "NVIDIA GeForce RTX 3060" in text
    assert "8932f937" not in text
    assert not re.search(r"\bada\b", text)


def test_doctor_leaves_out_a_data_path_with_blanks_whole():
    hardware = probe(Path.cwd())
    storage = msgspec.structs.replace(
        hardware.storage, path="/home/ada/my films", kind=Unknown(reason="statvfs /home/ada/my films: not there")
    )
    text = doctor_text(msgspec.structs.replace(hardware, storage=storage), "0.0.0", columns=1000)
    assert "films" not in text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("access /home/ada/data: not there", "access <path>: not there"),
        ("/proc/self/cgroup: permission denied", "/proc/self/cgroup: permission denied"),
        (r"C:\Users\ada\data is full", "<path> is full"),
        (f"card {UUID} is lost", "card <id> is lost"),
        ("/sys/fs/cgroup/docker/0123456789abcdef0123/cpu.max", "/sys/fs/cgroup/docker/<id>/cpu.max"),
        ("read 270553174016 bytes", "read 270553174016 bytes"),
        ("host grace, graceful", "host <private>, graceful"),
    ],
)
def test_what_tells_a_person_is_replaced_and_nothing_else(text, cleaned):
    assert clean(text, ("grace",)) == cleaned
