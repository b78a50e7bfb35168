"""Whether the installed torch can use the cards that are there; each finding with the command that mends it."""

from __future__ import annotations

import re

from canitrain.core.fact import Known
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Package, Software
from canitrain.probe.software_tables import JETSON_CAPABILITIES, build_of, cuda_for, minimum_driver, runs_on

GET_STARTED = "see pytorch.org/get-started"


def readiness_warnings(software: Software, gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    """Sentences on torch, its build, the driver and the cards; none where all is well."""
    warnings: list[str] = []
    torch = software.torch.value if isinstance(software.torch, Known) else None
    if torch is None:
        warnings.append(f"torch cannot be found ({software.torch.reason}): pip install torch torchvision")  # type: ignore[union-attr]
    else:
        warnings += _torch(torch, software, gpus)
    tensorflow = next((package for package in software.libraries if package.name == "tensorflow"), None)
    if tensorflow is not None:
        warnings += _tensorflow(tensorflow, software, gpus)
    return tuple(warnings)


def _torch(torch: Package, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    vendors = {gpu.vendor.value for gpu in gpus if isinstance(gpu.vendor, Known)}
    build = torch.build or ""
    wanted = {
        Vendor.NVIDIA.value: ("cu", _wanted_cuda(gpus)),
        Vendor.AMD.value: ("rocm", "rocm"),
        Vendor.INTEL.value: ("xpu", "xpu"),
    }
    for vendor, (prefix, backend) in wanted.items():
        if vendor in vendors and torch.build is not None and not re.match(rf"{prefix}[0-9]|xpu$", build):
            name = next(gpu.name for gpu in gpus if isinstance(gpu.vendor, Known) and gpu.vendor.value == vendor)
            kind = "a CPU-only build" if build == "cpu" else f"a {build} build"
            return [
                f"torch {torch.version} is {kind} and cannot use the {name}: "
                f"uv pip install --reinstall torch torchvision --torch-backend={backend} ({GET_STARTED})"
            ]
    cuda = cuda_of(build)
    if cuda is None or Vendor.NVIDIA.value not in vendors:
        return []
    return [*_driver(torch, cuda, software), *_capabilities(torch, cuda, software, gpus)]


def _driver(torch: Package, cuda: str, software: Software) -> list[str]:
    version = software.driver.version
    least = minimum_driver(cuda, windows=software.os.startswith("Windows"))
    if not isinstance(version, Known) or least is None:
        return []
    found = re.match(r"(\d+)\.(\d+)", version.value)
    if found is None or (int(found[1]), int(found[2])) >= least:
        return []
    return [
        f"torch {torch.version} is built for CUDA {cuda}, which needs driver {least[0]}.{least[1]} or later, and "
        f"{version.value} is installed: update the driver, or uv pip install --reinstall torch torchvision --torch-backend=auto"
    ]


def _capabilities(torch: Package, cuda: str, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    """Cards for which the build has no code. ARM servers' wheels have a list of their own, which is not checked."""
    warnings = []
    build = build_of(torch.version, cuda)
    for gpu in gpus:
        if not isinstance(gpu.compute_capability, Known) or gpu.vendor != Known(value="nvidia", source="NVML"):
            continue
        capability = gpu.compute_capability.value
        if capability in JETSON_CAPABILITIES or build is None or runs_on(build, capability):
            continue
        other = cuda_for(capability)
        mend = (
            f"uv pip install --reinstall --upgrade torch torchvision --torch-backend=cu{other.replace('.', '')}"
            if other
            else "no current build has: use an older torch"
        )
        warnings.append(
            f"torch {torch.version} for CUDA {cuda} has no code for the {gpu.name} (compute capability {capability}): {mend}"
        )
    return list(dict.fromkeys(warnings))


def _tensorflow(tensorflow: Package, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    """One line. Source: tensorflow.org/install/pip: Linux wheels take CUDA from the ``and-cuda`` extra, Windows' have none."""
    nvidia = any(gpu.vendor == Known(value="nvidia", source="NVML") for gpu in gpus)
    if nvidia and software.os.startswith("Windows"):
        return [f"tensorflow {tensorflow.version} uses no GPU on Windows: run it in WSL2"]
    return []


def cuda_of(build: str) -> str | None:
    """``cu128`` as ``12.8``; ``None`` for any other build."""
    match = re.fullmatch(r"cu(\d+)(\d)", build)
    return f"{match[1]}.{match[2]}" if match else None


def _wanted_cuda(gpus: tuple[Gpu, ...]) -> str:
    """The backend that serves every NVIDIA card, by its oldest."""
    capabilities = [
        gpu.compute_capability.value
        for gpu in gpus
        if isinstance(gpu.compute_capability, Known) and "gfx" not in gpu.compute_capability.value
    ]
    oldest = min(capabilities, key=lambda text: tuple(int(part) for part in text.split(".")), default=None)
    cuda = cuda_for(oldest) if oldest is not None else None
    return f"cu{cuda.replace('.', '')}" if cuda else "auto"
