"""py-cpuinfo's answer, which takes over a second: read from a cache that a program of its own fills for the next time."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.probe.host import Host, derive


def cpuinfo_flags(host: Host) -> Known[tuple[str, ...]] | Unknown:
    """Flags of the processor by py-cpuinfo's names, from the cache; asks for it to be filled where it is empty."""
    import json  # noqa: PLC0415 - only where the system's own files say nothing

    cached = host.cpuinfo()
    return derive(cached, lambda text: tuple(str(flag) for flag in json.loads(text)["flags"]))
