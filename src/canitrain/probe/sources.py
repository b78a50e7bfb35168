"""The machine's raw sources: everything that the probe can ask, and the only file that asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from canitrain.core.units import MIB_BYTES

READ_LIMIT_BYTES = 8 * MIB_BYTES
"""No file of /proc or /sys that the probe reads is longer; a longer one is cut."""


class Volume(Struct, frozen=True, kw_only=True):
    """A file system's room. ``free_inodes`` is ``None`` where it has no such count (Windows, btrfs)."""

    total_bytes: int
    free_bytes: int
    free_inodes: int | None


class Platform(Struct, frozen=True, kw_only=True):
    """Operating system and interpreter. ``system`` is ``Linux``, ``Darwin`` or ``Windows``."""

    system: str
    release: str
    machine: str
    python: str
    site_packages: tuple[str, ...]
    """Folders with installed packages, in import order."""


class Sources(Protocol):
    """What a machine answers. Every method may raise anything, or hang: ``Host`` deals with that."""

    def platform(self) -> Platform:
        """Operating system and interpreter."""

    def environment(self) -> Mapping[str, str]:
        """Environment variables."""

    def read(self, path: str) -> str:
        """Text of a file."""

    def names(self, path: str) -> tuple[str, ...]:
        """Names in a folder, sorted."""

    def resolve(self, path: str) -> str:
        """The path with symbolic links followed."""

    def volume(self, path: str) -> Volume:
        """Room on the file system that holds ``path``."""

    def writable(self, path: str) -> bool:
        """Whether this user may create files in the folder ``path``."""

    def run(self, command: tuple[str, ...], timeout_s: float) -> str:
        """Standard output of a program that exits with 0."""

    def psutil(self, name: str) -> object:
        """One of psutil's answers: a number, or a dict of its named fields in bytes, Hz as psutil has them."""

    def windows_disk(self, path: str) -> object:
        """A dict on the disk under ``path`` (see ``windows_calls.disk_of``); raises elsewhere than on Windows."""

    def cpuinfo(self) -> str:
        """py-cpuinfo's answer as JSON, from a cache; raises where the cache is still empty, and starts to fill it."""

    def nvml(self, function: str, *arguments: object) -> object:
        """One NVML call by its name in pynvml; structures come back as dicts, handles as they are."""


def _plain(answer: object) -> object:
    """A pynvml structure as a dict, a list of them as a list of dicts; anything else as it is."""
    if isinstance(answer, list):
        return [_plain(item) for item in answer]
    if hasattr(answer, "_fields_"):  # a handle is a pointer, which has none
        return {field[0]: getattr(answer, field[0]) for field in answer._fields_}
    if type(answer).__name__ == "nvmlFriendlyObject":
        return dict(vars(answer))
    return answer


class ThisMachine:
    """The machine that runs this process."""

    def platform(self) -> Platform:
        """Operating system and interpreter."""
        if sys.platform == "win32":
            windows = sys.getwindowsversion()
            system, release = "Windows", f"{windows.major}.{windows.minor}.{windows.build}"
            machine = os.environ.get("PROCESSOR_ARCHITECTURE", "")
        else:
            name = os.uname()
            system, release, machine = name.sysname, name.release, name.machine
        return Platform(
            system=system,
            release=release,
            machine=machine,
            python=".".join(str(part) for part in sys.version_info[:3]),
            site_packages=tuple(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))),
        )

    def environment(self) -> Mapping[str, str]:
        """Environment variables."""
        return dict(os.environ)

    def read(self, path: str) -> str:
        """Text of a file, cut at ``READ_LIMIT_BYTES``."""
        with Path(path).open("rb") as stream:
            return stream.read(READ_LIMIT_BYTES).decode(errors="replace")

    def names(self, path: str) -> tuple[str, ...]:
        """Names in a folder, sorted."""
        return tuple(sorted(os.listdir(path)))  # noqa: PTH208 - names only, no stat each

    def resolve(self, path: str) -> str:
        """The path with symbolic links followed; raises where it does not exist."""
        return os.path.realpath(path, strict=True)

    def volume(self, path: str) -> Volume:
        """Room on the file system that holds ``path``."""
        if sys.platform == "win32":
            import shutil  # noqa: PLC0415 - only Windows needs it

            usage = shutil.disk_usage(path)
            return Volume(total_bytes=usage.total, free_bytes=usage.free, free_inodes=None)
        stat = os.statvfs(path)
        return Volume(
            total_bytes=stat.f_blocks * stat.f_frsize,
            free_bytes=stat.f_bavail * stat.f_frsize,
            free_inodes=stat.f_favail if stat.f_files else None,
        )

    def writable(self, path: str) -> bool:
        """Whether this user may create files in the folder ``path``."""
        return os.access(path, os.W_OK | os.X_OK)

    def run(self, command: tuple[str, ...], timeout_s: float) -> str:
        """Standard output of a program that exits with 0."""
        done = subprocess.run(  # noqa: S603 - fixed commands of ours, no shell
            command, capture_output=True, check=True, timeout=timeout_s, stdin=subprocess.DEVNULL
        )
        return done.stdout.decode(errors="replace")

    def psutil(self, name: str) -> object:
        """``virtual_memory``, ``swap_memory``, ``cpu_count``, ``cpu_count_physical`` or ``cpu_affinity``."""
        import psutil  # noqa: PLC0415 - 10 ms that Linux does without

        match name:
            case "cpu_count_physical":
                return psutil.cpu_count(logical=False)
            case "cpu_affinity":
                return psutil.Process().cpu_affinity()
            case "cpu_count":
                return psutil.cpu_count()
            case _:
                return getattr(psutil, name)()._asdict()

    def windows_disk(self, path: str) -> object:
        """A dict on the disk under ``path`` (see ``windows_calls.disk_of``)."""
        if sys.platform == "win32":
            from canitrain.probe.windows_calls import disk_of  # noqa: PLC0415 - does not import elsewhere

            return disk_of(path)
        raise FileNotFoundError

    def cpuinfo(self) -> str:
        """py-cpuinfo takes over a second: a program of its own fills the cache for the next probe."""
        import platformdirs  # noqa: PLC0415 - only where the system's own files say nothing

        path = Path(platformdirs.user_cache_dir("canitrain")) / "cpuinfo.json"
        if path.exists():
            return path.read_text(encoding="utf-8")
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            (sys.executable, "-m", "canitrain.probe.cpuinfo_cache", str(path)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        raise TimeoutError

    def nvml(self, function: str, *arguments: object) -> object:
        """One NVML call by its name in pynvml; structures come back as dicts, handles as they are."""
        import pynvml  # noqa: PLC0415 - loads the driver's library

        return _plain(getattr(pynvml, function)(*arguments))
