"""Installed packages, by the names of their metadata folders: nothing is imported."""

from __future__ import annotations

import re

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Driver, Package, Software
from canitrain.probe.host import Host, derive, is_absent

LIBRARIES = ("torchvision", "timm", "effdet", "yolov5", "ultralytics", "tensorflow")
NOT_INSTALLED = "torch is not installed"


class Packages(Struct, frozen=True, kw_only=True):
    """What is installed of torch and of ``LIBRARIES`` that are installed."""

    torch: Known[Package] | Unknown
    libraries: tuple[Package, ...]


def read_packages(host: Host) -> Packages:
    """What is installed of torch, with its build, and of the model libraries."""
    packages = installed(host)
    return Packages(
        torch=_torch(host, packages),
        libraries=tuple(
            Package(name=name, version=packages.value[name][0], build=_library_build(name, packages.value))
            for name in LIBRARIES
            if isinstance(packages, Known) and name in packages.value
        ),
    )


def describe_software(host: Host, packages: Packages, driver: Driver, notes: tuple[str, ...]) -> Software:
    """Python, the operating system, the packages, the driver and what surrounds the process."""
    platform = host.platform.value if isinstance(host.platform, Known) else None
    return Software(
        python=platform.python if platform else "unknown",
        os=f"{platform.system} {platform.release}" if platform else "unknown",
        torch=packages.torch,
        libraries=packages.libraries,
        driver=driver,
        notes=notes,
    )


def installed(host: Host) -> Known[dict[str, tuple[str, str]]] | Unknown:
    """``(version, folder)`` of every package by normalised name; the first on the import path wins."""
    if isinstance(host.platform, Unknown):
        return host.platform
    found: dict[str, tuple[str, str]] = {}
    failure: Unknown | None = None
    for folder in host.platform.value.site_packages:
        names = host.names(folder)
        if isinstance(names, Unknown):
            failure = failure if is_absent(names) else names
            continue
        for name in names.value:
            match = re.fullmatch(r"([A-Za-z0-9_.]+)-([0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info", name)
            if match:
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), (match[2], folder))
    if not found:  # canitrain itself is installed somewhere: nothing at all means that nothing could be read
        return failure or Unknown(reason="no folder of installed packages could be listed")
    return failure or Known(value=found, source="metadata folders of the installed packages")


def _library_build(name: str, packages: dict[str, tuple[str, str]]) -> str | None:
    """``cuda`` for a TensorFlow with NVIDIA's libraries beside it, ``cpu`` without; nothing for other libraries."""
    if name != "tensorflow":
        return None
    return "cuda" if any(other.startswith("nvidia-cudnn-cu") for other in packages) else "cpu"


def _torch(host: Host, packages: Known[dict[str, tuple[str, str]]] | Unknown) -> Known[Package] | Unknown:
    if isinstance(packages, Unknown):
        return packages
    if "torch" not in packages.value:
        return Unknown(reason=NOT_INSTALLED)
    version, folder = packages.value["torch"]
    public, _, tag = version.partition("+")
    build = tag or None
    if host.system == "Darwin":
        build = "mps"  # every build for macOS has it
    elif build is None:
        stated = derive(host.read(f"{folder}/torch/version.py"), _build_of)
        build = stated.value if isinstance(stated, Known) else None
    return Known(value=Package(name="torch", version=public, build=build), source="metadata folder")


def _build_of(text: str) -> str:
    """The build by torch's ``version.py``, which states the toolkit it was compiled with; raises ValueError without."""
    fields = dict(re.findall(r"^(\w+)(?:\s*:[^=\n]*)?\s*=\s*'([^']*)'", text, flags=re.MULTILINE))
    if cuda := fields.get("cuda"):
        return f"cu{cuda.replace('.', '')}"
    if hip := fields.get("hip"):
        return f"rocm{'.'.join(hip.split('.')[:2])}"
    if "xpu" in fields:
        return "xpu"
    if "__version__" in fields:
        return fields["__version__"].partition("+")[2] or "cpu"
    raise ValueError(text)
