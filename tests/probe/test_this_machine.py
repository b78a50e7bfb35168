"""The probe of the machine that runs the tests, against what its own programs say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware
from canitrain.probe import probe

LINUX = sys.platform == "linux"
ON_LINUX = [name for name in ("lscpu", "free", "df", "nproc") if LINUX and shutil.which(name)]


@pytest.fixture(scope="module")
def hardware() -> Hardware:
    return probe(Path.cwd())


def output(*command: str) -> str:
    # nproc obeys OMP_NUM_THREADS, which bounds no loader worker
    environment = {name: text for name, text in os.environ.items() if not name.startswith("OMP_")} | {"LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout


def said_by_lscpu(hardware: Hardware) -> None:
    rows = {
        key.strip(): text.strip() for key, _, text in (line.partition(":") for line in output("lscpu").splitlines())
    }
    assert hardware.cpu.architecture.value == rows["Architecture"]
    assert hardware.cpu.logical_cores.value == int(rows["CPU(s)"])
    if "Model name" in rows and rows["Model name"] != "-":
        assert hardware.cpu.model.value == " ".join(rows["Model name"].split())
    if "Core(s) per socket" in rows and rows["Core(s) per socket"] != "-":
        cores = int(rows["Core(s) per socket"]) * int(rows["Socket(s)"])
        assert hardware.cpu.physical_cores.value == cores
    flags = rows.get("Flags", "").split()
    for extension in hardware.cpu.vector_extensions.value:
        assert extension in flags or extension in {"neon", "sve"}


def said_by_nproc(hardware: Hardware) -> None:
    # nproc knows affinity; a quota of a control group may leave less
    assert hardware.cpu.usable_cores.value <= int(output("nproc"))
    affinity = next(bound.value for bound in hardware.cpu.bounds if bound.name == "affinity")
    assert affinity == len(os.sched_getaffinity(0))


def said_by_free(hardware: Hardware) -> None:
    lines = output("free", "-b").splitlines()
    assert hardware.ram.total_bytes.value == int(lines[1].split()[1])
    # other programs run: available memory moves between two looks
    assert hardware.ram.available_bytes.value == pytest.approx(int(lines[1].split()[6]), rel=0.2)
    assert hardware.ram.swap_bytes.value == int(lines[2].split()[1])


def said_by_df(hardware: Hardware) -> None:
    filesystem, total, free = output("df", "-B1", "--output=fstype,size,avail", str(Path.cwd())).splitlines()[1].split()
    assert hardware.storage.filesystem.value == filesystem
    assert hardware.storage.total_bytes.value == int(total)
    assert hardware.storage.free_bytes.value == pytest.approx(int(free), rel=0.05)


@pytest.mark.parametrize("program", ON_LINUX)
def test_the_probe_agrees_with(program, hardware):
    {"lscpu": said_by_lscpu, "nproc": said_by_nproc, "free": said_by_free, "df": said_by_df}[program](hardware)


def test_no_memory_limit_of_our_control_group_is_overlooked(hardware):
    """Every limit file on the way up, found without the probe's own walk."""
    limits = []
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines() if LINUX else []
    for controllers, path in (line.split(":", 2)[1:] for line in lines):
        for root, name in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
            if controllers in {"", "memory"}:
                folders = [Path(root + path), *Path(root + path).parents]
                limits += [
                    (folder / name).read_text(encoding="utf-8").strip()
                    for folder in folders
                    if (folder / name).is_file()
                ]
    least = min((int(text) for text in limits if text.isdecimal()), default=2**63)
    found = min((bound.value for bound in hardware.ram.bounds if bound.name.startswith("cgroup")), default=2**63)
    assert found == least or (found == 2**63 and least >= 2**60)


def test_the_whole_probe_takes_at_most_half_a_second(tmp_path):
    # the best of three: other programs run on this machine
    times_s = []
    for _ in range(3):
        start_s = time.perf_counter()
        probe(tmp_path)
        times_s.append(time.perf_counter() - start_s)
    assert min(times_s) < 0.5


def test_the_probe_imports_neither_torch_nor_psutil_nor_cpuinfo_where_proc_says_it_all():
    code = (
        "import sys; from pathlib import Path; from canitrain.probe import probe; probe(Path('.')); "
        "print(sorted({'torch', 'psutil', 'cpuinfo', 'importlib.metadata', 'rich', 'typer'} & set(sys.modules)))"
    )
    heavy = output(sys.executable, "-c", code).strip()
    assert heavy == ("[]" if LINUX else "['psutil']")


def test_a_data_directory_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path):
    there, missing = probe(tmp_path), probe(tmp_path / "not" / "yet")
    assert missing.storage.path == str(tmp_path / "not" / "yet")
    assert missing.storage.total_bytes.value == there.storage.total_bytes.value
    assert missing.storage.writable == Known(value=True, source=f"access {tmp_path}")


def test_this_machine_saved_and_read_again_is_the_same(hardware):
    assert msgspec.json.decode(msgspec.json.encode(hardware), type=Hardware) == hardware
