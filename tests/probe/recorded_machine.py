"""A machine of ``tests/machines`` as the probe's ``Sources``; the format is in ``tests/machines/README.md``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from canitrain.probe.sources import Platform, Volume

MACHINES = Path(__file__).parent.parent / "machines"


class NVMLError_LibraryNotFound(Exception):  # noqa: N801, N818 - named as pynvml names it
    """What pynvml raises where there is no driver."""


class NVMLError(Exception):
    """Any other error of NVML's."""


def machine_names() -> list[str]:
    return sorted(path.name for path in MACHINES.iterdir() if (path / "machine.toml").exists())


class Expected:
    """What must come out: the facts of ``expected.toml``, and verdict and warnings as the README states them."""

    def __init__(self, name: str) -> None:
        self.facts: dict[str, Any] = tomllib.loads((MACHINES / name / "expected.toml").read_text(encoding="utf-8"))
        readme = (MACHINES / name / "README.md").read_text(encoding="utf-8")
        verdicts, _, warnings = readme.partition("Verdict: ")[2].partition("\n")
        self.verdicts = verdicts.split(" or ")
        self.warnings = [line[2:] for line in warnings.splitlines() if line.startswith("- ")]


class RecordedMachine:
    """Answers from the files of one folder. Nothing of the machine that runs the tests is asked."""

    def __init__(self, name: str) -> None:
        self.folder = folder = MACHINES / name
        self.facts: dict[str, Any] = tomllib.loads((folder / "machine.toml").read_text(encoding="utf-8"))
        self.data_path = next(path for path in self.facts["volumes"] if path != "/dev/shm")
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        if self.facts["platform"]["system"] == "Linux":
            self._load(MACHINES / "linux.txt")
        if (folder / "files.txt").exists():
            self._load(folder / "files.txt")
        for path in self.facts.get("absent", ()):
            del self.files[path]
        if "cpuinfo" in self.facts:
            self.files["/proc/cpuinfo"] = cpuinfo_text(**self.facts["cpuinfo"])
        for package in self.facts.get("packages", ()):
            self.files[f"/venv/site-packages/{package}.dist-info/METADATA"] = ""
        nvml = folder / "nvml.json"
        self.nvml_answers: dict[str, Any] | None = json.loads(nvml.read_text()) if nvml.exists() else None
        self.devices = _devices(self.nvml_answers or {})

    def _load(self, path: Path) -> None:
        for section in path.read_text(encoding="utf-8").split("=== ")[1:]:
            header, _, text = section.partition("\n")
            name, arrow, target = header.partition(" -> ")
            if arrow:
                self.links[name] = target
            else:
                self.files[name] = text

    def platform(self) -> Platform:
        return Platform(site_packages=("/venv/site-packages",), **self.facts["platform"])

    def environment(self) -> Mapping[str, str]:
        return dict(self.facts.get("environment", {}))

    def read(self, path: str) -> str:
        path = self._follow(path)
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        if self.files[path].startswith("!EACCES"):
            raise PermissionError(13, "Permission denied", path)
        return self.files[path]

    def names(self, path: str) -> tuple[str, ...]:
        inside = self._follow(path).rstrip("/") + "/"
        found = {name[len(inside) :].split("/")[0] for name in [*self.files, *self.links] if name.startswith(inside)}
        if not found:
            raise FileNotFoundError(2, "No such file or directory", path)
        return tuple(sorted(found - {"."}))

    def resolve(self, path: str) -> str:
        return self._follow(path)

    def _follow(self, path: str) -> str:
        for _ in range(8):
            link = next((name for name in self.links if path == name or path.startswith(name + "/")), None)
            if link is None:
                return path
            path = self.links[link] + path[len(link) :]
        raise OSError(40, "Too many levels of symbolic links")

    def volume(self, path: str) -> Volume:
        volumes = self.facts["volumes"]
        if path not in volumes:
            raise FileNotFoundError(2, "No such file or directory", path)
        total, free, inodes = volumes[path]
        return Volume(total_bytes=total, free_bytes=free, free_inodes=None if inodes < 0 else inodes)

    def writable(self, path: str) -> bool:
        return path not in self.facts.get("not_writable", ())

    def run(self, command: tuple[str, ...], timeout_s: float) -> str:
        commands = self.facts.get("commands", {})
        if " ".join(command) not in commands:
            raise FileNotFoundError(2, "No such file or directory", command[0])
        return commands[" ".join(command)]

    def psutil(self, name: str) -> object:
        return self.facts["psutil"][name]

    def windows_disk(self, path: str) -> object:
        return self.facts["windows_disk"]

    def cpuinfo(self) -> str:
        return self.facts["py_cpuinfo"]

    def nvml(self, function: str, *arguments: object) -> object:
        if self.nvml_answers is None:
            raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")
        if function == "nvmlSystemGetProcessName":
            return _answer(self.nvml_answers["process_names"][str(arguments[0])])
        if function == "nvmlDeviceGetHandleByIndex":
            return self._handle(int(str(arguments[0])))
        if function == "nvmlDeviceGetMigDeviceHandleByIndex":
            return self._slice_handle(str(arguments[0]), int(str(arguments[1])))
        if arguments:
            return self._of_device(function, str(arguments[0]), list(arguments[1:]))
        usual = {"nvmlInit": None, "nvmlDeviceGetCount": len(self.devices)}
        return _answer({**usual, **self.nvml_answers}[function])

    def _handle(self, number: int) -> str:
        if "lost" in self.devices[number]:
            raise NVMLError("GPU is lost")
        return f"device {number}"

    def _slice_handle(self, handle: str, number: int) -> str:
        if number >= len(self._device(handle).get("slices", [])):
            raise NVMLError("Not Found")
        return f"{handle} slice {number}"

    def _device(self, handle: str) -> dict[str, Any]:
        words = handle.split()
        device = self.devices[int(words[1])]
        return device["slices"][int(words[3])] if len(words) > 2 else device

    def _of_device(self, function: str, handle: str, rest: list[object]) -> object:
        answers = self._device(handle)
        if function not in answers:
            if function.endswith("RunningProcesses"):
                return []
            raise NVMLError("Not Supported")
        if function == "nvmlDeviceGetNvLinkState" and int(str(rest[0])) >= 4:
            raise NVMLError("Invalid Argument")  # the cards here have four links at the most
        answer = answers[function]
        if function == "nvmlDeviceGetMaxClockInfo":
            answer = answer[str(rest[0])]
        return tuple(answer) if function == "nvmlDeviceGetCudaComputeCapability" else _answer(answer)


class CloudContainer(RecordedMachine):
    """The T4 machine with other files and variables."""

    def __init__(self, files: dict[str, str] | None = None, environment: dict[str, str] | None = None) -> None:
        super().__init__("t4-docker-cloud")
        self.files.update(files or {})
        self.facts["environment"] = environment or {}


def _devices(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """The devices, of which ``copies`` equal ones may be written as one; the last digits of their UUIDs count up."""
    devices = []
    for device in answers.get("devices", []):
        for _ in range(device.get("copies", 1)):
            uuid = device.get("nvmlDeviceGetUUID", "")
            devices.append({**device, "nvmlDeviceGetUUID": uuid[: len(uuid) - 2] + f"{len(devices):02d}"})
    return devices


def _answer(answer: Any) -> Any:
    if isinstance(answer, dict) and set(answer) == {"error"}:
        raise NVMLError(answer["error"])
    return answer


def cpuinfo_text(*, model: str, flags: str, sockets: int, cores: int, threads: int, mhz: float | None = None) -> str:
    """``/proc/cpuinfo`` of x86, one block a thread: all cores first, then their second threads."""
    blocks = []
    for thread in range(threads):
        for socket in range(sockets):
            for core in range(cores):
                number = (thread * sockets + socket) * cores + core
                lines = [
                    f"processor\t: {number}",
                    f"model name\t: {model}",
                    *([f"cpu MHz\t\t: {mhz:.3f}"] if mhz else []),
                    f"physical id\t: {socket}",
                    f"core id\t\t: {core}",
                    f"flags\t\t: {flags}",
                ]
                blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"
