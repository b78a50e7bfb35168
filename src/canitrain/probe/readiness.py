"""Whether the installed torch can use the cards that are there; each finding with the command that mends it."""

from __future__ import annotations

import re

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Package, Software
from canitrain.probe.nvidia import BY_NVML
from canitrain.probe.software import NOT_INSTALLED
from canitrain.probe.software_tables import (
    BUILDS,
    JETSON_CAPABILITIES,
    NEWEST_TORCH,
    PYTHONS,
    build_of,
    cuda_for,
    minimum_driver,
    python_has_torch,
    rocm_runs_on,
    runs_on,
)

BUILDS_FOR = {Vendor.NVIDIA: "cu", Vendor.AMD: "rocm", Vendor.INTEL: "xpu", Vendor.APPLE: "mps"}
"""How the build of torch begins that uses a vendor's cards."""
REINSTALL = "uv pip install --reinstall --upgrade torch torchvision --torch-backend="
GET_STARTED = "or choose it at pytorch.org/get-started"
JETPACK = 'install NVIDIA\'s own torch for this JetPack (developer.nvidia.com, "PyTorch for Jetson")'
MPS = (
    "operators that torch lacks on Apple's GPU stop a detector: "
    "export PYTORCH_ENABLE_MPS_FALLBACK=1 to run those on the CPU"
)
"""Source: torch's "MPS environment variables"."""
TENSORFLOW_CUDA = "12.2"
"""Of TensorFlow 2.15 and later, at the least. Source: tensorflow.org/install/source, "Tested build configurations"."""
NEWEST_ROCM = "rocm99.0"
NO_BUILD = "no build of torch has, so use another card or --device cpu"
OLD_DRIVER = "update the NVIDIA driver first"


def obstacles(software: Software, gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    """What keeps the installed torch from using any of ``gpus``: its build, the driver."""
    if not gpus or software.torch == Unknown(reason=NOT_INSTALLED):
        return ()  # it may be installed elsewhere, where the training will run
    if isinstance(software.torch, Unknown):
        return (_untold(gpus[0], software.torch.reason),)
    return tuple(_torch(software.torch.value, software, gpus))


def card_obstacles(software: Software, gpus: tuple[Gpu, ...], gpu: Gpu) -> tuple[str, ...]:
    """What keeps the installed torch from using ``gpu`` of ``gpus``, where it can use them at all: no code for it."""
    if isinstance(software.torch, Unknown):
        return ()
    torch = software.torch.value
    match _served(torch, gpus):
        case Vendor.AMD:
            found = _rocm_code(torch, software, gpu)
        case Vendor.NVIDIA:
            found = _code(torch, software, gpu)
        case _:
            found = None
    return () if found is None else (found,)


def readiness_warnings(software: Software, gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    """Sentences on torch, its obstacles and TensorFlow; none where all is well."""
    warnings = list(dict.fromkeys((*software.obstacles, *(each for gpu in gpus for each in gpu.obstacles))))
    if software.torch == Unknown(reason=NOT_INSTALLED):
        warnings.append(f"no torch to train with ({NOT_INSTALLED}): {_first_install(software.python)}")
    if any(isinstance(gpu.vendor, Known) and gpu.vendor.value == Vendor.APPLE.value for gpu in gpus):
        warnings.append(MPS)
    for package in software.libraries:
        if package.name == "tensorflow":
            warnings += _tensorflow(package, software, gpus)
    return tuple(warnings)


def _first_install(python: str) -> str:
    """How to get torch into this Python, or which Python to take where there is no torch for this one."""
    install = "pip install torch torchvision"
    if python_has_torch(python):
        return install
    oldest, newest = (".".join(map(str, version)) for version in PYTHONS)
    wheels = f"torch {NEWEST_TORCH} has builds for Python {oldest} to {newest}"
    return f"{wheels}, and this is {python}: uv venv --python {newest}, then {install}"


def needed_builds(software: Software, gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    """What to install for cards that were only described, where ``pip install torch`` alone would not use them."""
    sentences = (_needed_build(software, gpu) for gpu in gpus)
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence is not None))


def cuda_of(build: str | None) -> str | None:
    """``cu128`` as ``12.8``; ``None`` for any other build."""
    match = re.fullmatch(r"cu(\d+)(\d)", build or "")
    return f"{match[1]}.{match[2]}" if match else None


def driver_pair(software: Software) -> tuple[int, int] | None:
    """The NVIDIA driver's first two numbers, or ``None`` where they are not known."""
    version = software.driver.version
    found = re.match(r"(\d+)\.(\d+)", version.value) if isinstance(version, Known) else None
    return (int(found[1]), int(found[2])) if found else None


def _torch(torch: Package, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    """The first card's vendor decides which build is wanted; then the driver of NVIDIA's cards."""
    vendor, cuda = _vendor(gpus), cuda_of(torch.build)
    if vendor is None or vendor is Vendor.APPLE:
        return []
    if torch.build is None:
        return [_untold(gpus[0], "torch/version.py does not state its build")]
    if _served(torch, gpus) is None:
        kind = "the CPU-only build" if torch.build == "cpu" else f"the {torch.build} build"
        return [f"torch {torch.version} is {kind} and cannot use the {gpus[0].name}: {_mend(vendor, software, gpus)}"]
    return _driver(torch, cuda, software, gpus) if vendor is Vendor.NVIDIA and cuda is not None else []


def _vendor(gpus: tuple[Gpu, ...]) -> Vendor | None:
    return next((Vendor(gpu.vendor.value) for gpu in gpus if isinstance(gpu.vendor, Known)), None)


def _served(torch: Package, gpus: tuple[Gpu, ...]) -> Vendor | None:
    """The vendor of ``gpus`` where the build of ``torch`` is not one for another, or for the CPU only."""
    vendor = _vendor(gpus)
    built_for = next((maker for maker, begin in BUILDS_FOR.items() if (torch.build or "").startswith(begin)), vendor)
    return vendor if torch.build != "cpu" and built_for is vendor else None


def _needed_build(software: Software, gpu: Gpu) -> str | None:
    """A sentence on one card; ``None`` where the newest of torch's usual builds has code for it."""
    if isinstance(gpu.vendor, Unknown):
        return None
    vendor = Vendor(gpu.vendor.value)
    capability = gpu.compute_capability.value if isinstance(gpu.compute_capability, Known) else None
    match vendor:
        case Vendor.APPLE:
            return MPS
        case Vendor.NVIDIA:
            return None if capability is None else _needed_cuda(capability, software, gpu)
        case Vendor.AMD if capability is not None and not rocm_runs_on(NEWEST_ROCM, capability):
            return f"code for the {gpu.name} ({capability}) {NO_BUILD}"
        case Vendor.AMD | Vendor.INTEL:
            return f"the {gpu.name} needs a build of torch for its vendor: {_mend(vendor, software, (gpu,))}"


def _needed_cuda(capability: str, software: Software, gpu: Gpu) -> str | None:
    newest = BUILDS[-1]
    mend = _mend(Vendor.NVIDIA, software, (gpu,))
    if capability in JETSON_CAPABILITIES:
        return f"torch's general builds have no code for the {gpu.name}: {mend}"
    if runs_on(newest, capability):
        return None
    card = f"the {gpu.name} (compute capability {capability})"
    cuda = cuda_for(capability, None, windows=_on_windows(software))
    if cuda is None:
        return f"code for {card} {NO_BUILD}"
    return f"torch's newest build, for CUDA {newest.cuda}, has no code for {card}, the one for CUDA {cuda} has: {mend}"


def _driver(torch: Package, cuda: str, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    found, least = driver_pair(software), minimum_driver(cuda, windows=_on_windows(software))
    if isinstance(software.driver.version, Unknown) and gpus[0].vendor == BY_NVML:
        return [_untold(gpus[0], f"driver {software.driver.version.reason}")]
    if found is None or least is None or found >= least:
        return []
    sentence = (
        f"torch {torch.version} is built for CUDA {cuda}, which needs NVIDIA driver {least[0]}.{least[1]} or later, "
        f"and {found[0]}.{found[1]} is installed: update the driver, or {_mend(Vendor.NVIDIA, software, gpus)}"
    )
    return [sentence]


def _code(torch: Package, software: Software, gpu: Gpu) -> str | None:
    """A sentence where the build has no code for ``gpu``. ARM servers' wheels have a list of their own: not checked."""
    cuda, capability = cuda_of(torch.build), gpu.compute_capability
    build = None if cuda is None else build_of(torch.version, cuda)
    if build is None or (isinstance(capability, Known) and "." not in capability.value):
        return None
    if isinstance(capability, Unknown):
        return _untold(gpu, capability.reason)
    if capability.value not in JETSON_CAPABILITIES and runs_on(build, capability.value):
        return None
    return (
        f"torch {torch.version} for CUDA {cuda} has no code for the {gpu.name} "
        f"(compute capability {capability.value}): {_mend(Vendor.NVIDIA, software, (gpu,))}"
    )


def _rocm_code(torch: Package, software: Software, gpu: Gpu) -> str | None:
    """A sentence where the build has no code for an AMD card."""
    capability = gpu.compute_capability
    if isinstance(capability, Unknown) or rocm_runs_on(torch.build or "", capability.value):
        return None
    mend = _mend(Vendor.AMD, software, (gpu,)) if rocm_runs_on(NEWEST_ROCM, capability.value) else NO_BUILD
    return f"torch {torch.version} for {torch.build} has no code for the {gpu.name} ({capability.value}): {mend}"


def _mend(vendor: Vendor, software: Software, gpus: tuple[Gpu, ...]) -> str:
    """The command that installs a build for these cards."""
    match vendor:
        case Vendor.AMD:
            return f"{REINSTALL}rocm ({GET_STARTED})"
        case Vendor.INTEL:
            return f"{REINSTALL}xpu ({GET_STARTED})"
        case _:
            pass
    stated = [gpu.compute_capability.value for gpu in gpus if isinstance(gpu.compute_capability, Known)]
    numbers = [text for text in stated if re.fullmatch(r"\d+\.\d+", text)]  # AMD's are names, like gfx90a
    oldest = min(numbers, key=lambda text: [int(part) for part in text.split(".")], default=None)
    if oldest is None:
        return f"{REINSTALL}auto ({GET_STARTED})"
    if oldest in JETSON_CAPABILITIES:
        return JETPACK
    cuda = cuda_for(oldest, driver_pair(software), windows=_on_windows(software))
    return f"{REINSTALL}cu{cuda.replace('.', '')} ({GET_STARTED})" if cuda else OLD_DRIVER


def _untold(gpu: Gpu, reason: str) -> str:
    return f"whether torch can use the {gpu.name} is unknown ({reason}): run canitrain doctor, or try a tensor on it"


def _tensorflow(tensorflow: Package, software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    """One line at most. Source: tensorflow.org/install/pip: no GPU on Windows, CUDA through an extra on Linux."""
    if not any(isinstance(gpu.vendor, Known) and gpu.vendor.value == Vendor.NVIDIA.value for gpu in gpus):
        return []
    found, least = driver_pair(software), minimum_driver(TENSORFLOW_CUDA, windows=False)
    if _on_windows(software):
        return [f"tensorflow {tensorflow.version} uses no GPU on Windows: run it in WSL2"]
    if tensorflow.build == "cpu":
        return [f"tensorflow {tensorflow.version} has no CUDA libraries beside it: pip install 'tensorflow[and-cuda]'"]
    if found is not None and least is not None and found < least:
        return [
            f"tensorflow {tensorflow.version} needs NVIDIA driver {least[0]}.{least[1]} or later: update the driver"
        ]
    return []


def _on_windows(software: Software) -> bool:
    return software.os.startswith("Windows")
