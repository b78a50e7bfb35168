"""The processor, from ``/proc/cpuinfo`` and ``/sys`` on Linux, ``sysctl`` on macOS, the registry on Windows."""

from __future__ import annotations

from collections.abc import Collection

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Cpu
from canitrain.core.units import GHZ, KHZ, MHZ
from canitrain.probe.host import Host, derive, filled, first_known, positive
from canitrain.probe.limits import Limits, least

X86_EXTENSIONS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
MACOS_FLAGS = {name: name.upper() for name in X86_EXTENSIONS} | {"sse4_2": "SSE4.2", "avx": "AVX1.0"}
"""As Intel Macs write them. Source: xnu, osfmk/i386/cpuid.c, tables of features."""
ARM_EXTENSIONS = {"asimd": "neon", "neon": "neon", "sve": "sve"}
"""What ``Features`` of ``/proc/cpuinfo`` calls them. Source: Documentation/arch/arm64/elf_hwcaps.rst."""
ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1", "0xd40": "Neoverse-V1", "0xd42": "Cortex-A78AE", "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}  # fmt: skip
"""``CPU part`` of ARM's own cores. Source: the MIDR_EL1 part numbers in the technical reference manuals."""
REGISTRY_KEY = r"HKLM\HARDWARE\DESCRIPTION\System\CentralProcessor\0"


def read_cpu(host: Host, limits: Limits) -> Cpu:
    """The processor, and how many of its cores this process may use."""
    architecture = derive(host.platform, lambda platform: filled(platform.machine.lower()))
    match host.system:
        case "Linux":
            return _linux(host, limits, architecture)
        case "Darwin":
            return _macos(host, limits, architecture)
        case _:
            return _windows(host, limits, architecture)


def _linux(host: Host, limits: Limits, architecture: Known[str] | Unknown) -> Cpu:
    text = host.read("/proc/cpuinfo")
    processors = derive(text, parse_cpuinfo)
    first = derive(processors, lambda rows: rows[0])
    frequency = "/sys/devices/system/cpu/cpu0/cpufreq"
    model = first_known(
        derive(first, lambda row: filled(row.get("model name") or row.get("cpu model") or ARM_PARTS[row["CPU part"]])),
        derive(host.read("/proc/device-tree/model"), lambda name: filled(name.strip("\0"))),
    )
    max_hz = derive(host.read(f"{frequency}/cpuinfo_max_freq"), lambda khz: positive(khz) * KHZ)
    return _cpu(
        limits,
        model=model,
        architecture=architecture,
        physical_cores=derive(processors, _physical_cores),
        logical_cores=derive(processors, len),
        base_hz=first_known(
            derive(host.read(f"{frequency}/base_frequency"), lambda khz: positive(khz) * KHZ),
            derive(model, _stated_hz),
            derive(first, _virtual_hz, "cpu MHz of a virtual machine in /proc/cpuinfo"),
        ),
        max_hz=max_hz,
        vector_extensions=derive(first, _extensions),
    )


def _macos(host: Host, limits: Limits, architecture: Known[str] | Unknown) -> Cpu:
    """Source: ``sysctl`` names of Apple's "Determining system capabilities". Apple silicon states no clock."""
    facts = derive(
        host.run("sysctl", "hw", "machdep.cpu"),
        lambda text: dict(line.split(": ", 1) for line in text.splitlines() if ": " in line),
    )
    return _cpu(
        limits,
        model=derive(facts, lambda row: filled(row["machdep.cpu.brand_string"])),
        architecture=architecture,
        physical_cores=derive(facts, lambda row: positive(row["hw.physicalcpu"])),
        logical_cores=derive(facts, lambda row: positive(row["hw.logicalcpu"])),
        base_hz=derive(facts, lambda row: float(positive(row["hw.cpufrequency"]))),
        max_hz=derive(facts, lambda row: float(positive(row["hw.cpufrequency_max"]))),
        vector_extensions=derive(facts, _macos_extensions),
    )


def _macos_extensions(row: dict[str, str]) -> tuple[str, ...]:
    if row.get("hw.optional.arm64") == "1":
        return ("neon",)
    flags = f"{row['machdep.cpu.features']} {row.get('machdep.cpu.leaf7_features', '')}".split()
    return tuple(name for name in X86_EXTENSIONS if MACOS_FLAGS[name] in flags)


def _windows(host: Host, limits: Limits, architecture: Known[str] | Unknown) -> Cpu:
    from canitrain.probe.cpuinfo_cache import cpuinfo_flags  # noqa: PLC0415 - only where the system has no file for it

    name = host.run("reg", "query", REGISTRY_KEY, "/v", "ProcessorNameString")
    speed = host.run("reg", "query", REGISTRY_KEY, "/v", "~MHz")
    return _cpu(
        limits,
        model=derive(name, lambda text: filled(text.split("REG_SZ", 1)[1].strip())),
        architecture=architecture,
        physical_cores=derive(host.psutil("cpu_count_physical", int), positive),
        logical_cores=derive(host.psutil("cpu_count", int), positive),
        base_hz=derive(speed, lambda text: positive(int(text.split("REG_DWORD", 1)[1].strip(), 16)) * MHZ),
        max_hz=Unknown(reason="Windows states no turbo clock"),
        vector_extensions=derive(cpuinfo_flags(host), _x86_extensions),
    )


def _cpu(
    limits: Limits,
    *,
    model: Known[str] | Unknown,
    architecture: Known[str] | Unknown,
    physical_cores: Known[int] | Unknown,
    logical_cores: Known[int] | Unknown,
    base_hz: Known[float] | Unknown,
    max_hz: Known[float] | Unknown,
    vector_extensions: Known[tuple[str, ...]] | Unknown,
) -> Cpu:
    """What a system says, under the limits on this process."""
    return Cpu(
        model=model,
        architecture=architecture,
        physical_cores=physical_cores,
        logical_cores=logical_cores,
        usable_cores=least(logical_cores, limits.core_bounds, limits.unread_cores),
        bounds=limits.core_bounds,
        base_hz=base_hz,
        max_hz=max_hz,
        vector_extensions=vector_extensions,
    )


def parse_cpuinfo(text: str) -> tuple[dict[str, str], ...]:
    """One record a processor; raises ValueError where there is none. ARM's trailing lines are no processor."""
    rows = []
    for block in text.split("\n\n"):
        row = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if "processor" in row and row["processor"].isdecimal():
            rows.append(row)
    if not rows:
        raise ValueError(text)
    return tuple(rows)


def _physical_cores(rows: tuple[dict[str, str], ...]) -> int:
    """Distinct (package, core) pairs; ARM's cpuinfo names none, and has a thread a core."""
    pairs = {(row.get("physical id"), row.get("core id", row["processor"])) for row in rows}
    return len(pairs)


def _extensions(row: dict[str, str]) -> tuple[str, ...]:
    if "flags" in row:
        return _x86_extensions(row["flags"].split())
    features = row["Features"].split()
    return tuple(dict.fromkeys(ARM_EXTENSIONS[name] for name in features if name in ARM_EXTENSIONS))


def _x86_extensions(flags: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in X86_EXTENSIONS if name in flags)


def _stated_hz(model: str) -> float:
    """``... CPU @ 2.20GHz``: Intel's model names end in the base clock."""
    return float(model.rpartition("@ ")[2].removesuffix("GHz")) * GHZ


def _virtual_hz(row: dict[str, str]) -> float:
    """A virtual machine's clock is its constant time stamp counter's, which is the base clock; bare metal's varies."""
    if "hypervisor" not in row["flags"].split():
        raise ValueError(row["flags"])
    return round(float(row["cpu MHz"])) * MHZ
