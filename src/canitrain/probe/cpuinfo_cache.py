"""py-cpuinfo's answer, which takes over a second: from a cache that a program of its own fills for next time.

``python -m canitrain.probe.cpuinfo_cache PATH`` is that program.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from canitrain.core.fact import Known, Unknown
from canitrain.probe.host import Host, derive


def cpuinfo_flags(host: Host) -> Known[tuple[str, ...]] | Unknown:
    """Flags of the processor by py-cpuinfo's names, from the cache; asks for it to be filled where it is empty."""
    return derive(host.cpuinfo(), lambda text: tuple(str(flag) for flag in json.loads(text)["flags"]))


def fill(path: Path) -> None:
    """Ask py-cpuinfo, and keep its answer in ``path`` (replaced at once, never half written)."""
    import cpuinfo  # noqa: PLC0415 - not for the readers of the cache

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"flags": cpuinfo.get_cpu_info().get("flags", [])}), encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
