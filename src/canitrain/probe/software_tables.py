"""Which driver a CUDA version needs, and which cards torch's builds contain code for."""

from __future__ import annotations

import re

from msgspec import Struct

MINIMUM_DRIVER_LINUX = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
MINIMUM_DRIVER_WINDOWS = {11: (452, 39), 12: (528, 33), 13: (580, 88)}
"""Least driver by CUDA's major version, with minor version compatibility.

Source: NVIDIA, "CUDA Compatibility", table "CUDA Toolkit 11.x, 12.x and 13.x minimum required driver versions", and the
CUDA Toolkit release notes' table of the same name, read in November 2026.
"""
MINIMUM_DRIVER_CUDA_10 = {"10.0": (410, 48), "10.1": (418, 39), "10.2": (440, 33)}
"""Before 11 every minor version needed a driver of its own. Source: the same page, table of CUDA 10.x, Linux."""
JETSON_CAPABILITIES = frozenset({"5.3", "6.2", "7.2", "8.7"})
"""Jetson modules, for which no general build has code: NVIDIA builds torch for them with JetPack."""


class Build(Struct, frozen=True, kw_only=True):
    """Compute capabilities in torch's wheels: from torch ``torch`` on, until a later row of the same CUDA version."""

    cuda: str
    torch: tuple[int, int]
    capabilities: tuple[str, ...]
    ptx: bool = False
    """The newest of them also as PTX, which the driver compiles for later cards."""


_PASCAL_TO_HOPPER = ("5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0")
_TURING_TO_BLACKWELL = ("7.5", "8.0", "8.6", "9.0", "10.0", "12.0")
BUILDS = (
    Build(cuda="11.6", torch=(1, 12), capabilities=("3.7", "5.0", "6.0", "7.0", "7.5", "8.0", "8.6")),
    Build(cuda="11.7", torch=(1, 13), capabilities=("3.7", "5.0", "6.0", "7.0", "7.5", "8.0", "8.6")),
    Build(cuda="11.8", torch=(2, 0), capabilities=("3.7", *_PASCAL_TO_HOPPER)),
    Build(cuda="12.1", torch=(2, 1), capabilities=_PASCAL_TO_HOPPER),
    Build(cuda="12.4", torch=(2, 4), capabilities=_PASCAL_TO_HOPPER),
    Build(cuda="12.6", torch=(2, 6), capabilities=_PASCAL_TO_HOPPER),
    Build(cuda="12.8", torch=(2, 7), capabilities=_TURING_TO_BLACKWELL, ptx=True),
    Build(cuda="12.8", torch=(2, 8), capabilities=("7.0", *_TURING_TO_BLACKWELL)),
    Build(cuda="12.8", torch=(2, 11), capabilities=_TURING_TO_BLACKWELL),
    Build(cuda="12.9", torch=(2, 8), capabilities=("7.0", *_TURING_TO_BLACKWELL), ptx=True),
    Build(cuda="13.0", torch=(2, 9), capabilities=_TURING_TO_BLACKWELL, ptx=True),
    Build(cuda="13.2", torch=(2, 12), capabilities=_TURING_TO_BLACKWELL, ptx=True),
)
"""Linux x86 and Windows wheels.

Source: pytorch/pytorch RELEASE.md, "PyTorch CUDA Support Matrix" (2.7 to 2.14), .ci/manywheel/build_cuda.sh at 00c7a380
(12.6, 12.8, 12.9), pytorch/builder manywheel/build_cuda.sh at 009ed170 (11.6 to 11.8); torch 2.15+cu132's own list of
architectures agrees with the last row.
"""


NEWEST_TORCH = "2.15"
PYTHONS = ((3, 11), (3, 15))
"""The oldest and the newest Python that ``NEWEST_TORCH`` has wheels for. Source: its metadata."""
ROCM_TARGETS = (
    ((5, 0), frozenset({"gfx900", "gfx906", "gfx908", "gfx90a", "gfx1030", "gfx1100"})),
    ((6, 0), frozenset({"gfx942", "gfx1101", "gfx1102"})),
    ((6, 3), frozenset({"gfx1200", "gfx1201"})),
    ((7, 0), frozenset({"gfx950", "gfx1103", "gfx1150", "gfx1151"})),
)
"""Targets that torch's wheels for ROCm gained with a version of ROCm; none was dropped.

Source: PYTORCH_ROCM_ARCH in pytorch/pytorch .ci/docker/manywheel and .ci/docker/almalinux, build.sh, at several dates.
Which 6.x brought gfx1101 and gfx1102 is taken early, so that no card is called unusable that is not.
"""


def rocm_runs_on(build: str, target: str) -> bool:
    """Whether torch's build ``rocm6.2`` has code for ``gfx90a``; true where the build's version cannot be read."""
    version = re.fullmatch(r"rocm(\d+)\.(\d+).*", build)
    if version is None:
        return True
    return any((int(version[1]), int(version[2])) >= since and target in targets for since, targets in ROCM_TARGETS)


def python_has_torch(python: str) -> bool:
    """Whether there are wheels for Python ``3.11.9``; true where the version cannot be read."""
    version = re.match(r"(\d+)\.(\d+)", python)
    return version is None or PYTHONS[0] <= (int(version[1]), int(version[2])) <= PYTHONS[1]


def build_of(torch: str, cuda: str) -> Build | None:
    """The row for torch ``2.6.0`` built with CUDA ``12.4``, or ``None`` where the table has none."""
    version = re.match(r"(\d+)\.(\d+)", torch)
    if version is None:
        return None
    rows = [row for row in BUILDS if row.cuda == cuda and row.torch <= (int(version[1]), int(version[2]))]
    return max(rows, key=lambda row: row.torch) if rows else None


def runs_on(build: Build, capability: str) -> bool:
    """Whether the build has code for a card: of its major version and not newer than it, or PTX older than it."""
    card = _pair(capability)
    listed = [_pair(text) for text in build.capabilities]
    native = any(major == card[0] and minor <= card[1] for major, minor in listed)
    return native or (build.ptx and card >= max(listed))


def minimum_driver(cuda: str, *, windows: bool) -> tuple[int, int] | None:
    """Least driver (major, minor) for CUDA ``12.4``, or ``None`` where the tables do not say."""
    major = int(cuda.split(".", maxsplit=1)[0])
    table = MINIMUM_DRIVER_WINDOWS if windows else MINIMUM_DRIVER_LINUX
    return table.get(major, MINIMUM_DRIVER_CUDA_10.get(cuda))


def cuda_for(capability: str, driver: tuple[int, int] | None, *, windows: bool) -> str | None:
    """The newest CUDA version whose torch build has code for a card and runs on ``driver`` (``None``: any driver)."""
    fitting = []
    for cuda in {row.cuda for row in BUILDS}:
        newest = max((row for row in BUILDS if row.cuda == cuda), key=lambda row: row.torch)
        least = minimum_driver(cuda, windows=windows)
        if runs_on(newest, capability) and (driver is None or least is None or driver >= least):
            fitting.append(cuda)
    return max(fitting, key=_pair, default=None)


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
