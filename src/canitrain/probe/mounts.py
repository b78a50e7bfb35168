"""Mount points of this process, from ``/proc/self/mountinfo``."""

from __future__ import annotations

import re

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.probe.host import Host, derive


class Mount(Struct, frozen=True, kw_only=True):
    """One line of mountinfo. Source: proc_pid_mountinfo(5)."""

    device: str
    """``major:minor``."""
    root: str
    """The folder of that file system which is mounted here."""
    point: str
    filesystem: str
    source: str
    options: tuple[str, ...]
    """Of the mount and of the file system together."""

    def option(self, key: str) -> str | None:
        """The value of ``key=value``, or ``None``."""
        return next((text[len(key) + 1 :] for text in self.options if text.startswith(key + "=")), None)


def read_mounts(host: Host) -> Known[tuple[Mount, ...]] | Unknown:
    """All mounts, in mount order: where two are on one point, the later hides the earlier."""
    return derive(host.read("/proc/self/mountinfo"), parse_mountinfo)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The mounts in ``text``; raises ValueError where it is no mountinfo (no mount on ``/``)."""
    mounts = tuple(_parse_line(line) for line in text.splitlines())
    if not any(mount.point == "/" for mount in mounts):
        raise ValueError(text)
    return mounts


def mount_of(mounts: tuple[Mount, ...], path: str) -> Mount:
    """The mount that holds the absolute ``path``."""
    holding = [mount for mount in mounts if is_under(path, mount.point)]
    deepest = max(len(mount.point) for mount in holding)
    return [mount for mount in holding if len(mount.point) == deepest][-1]


def is_under(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or within it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _parse_line(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    _, _, device, root, point, options, *_ = before.split(" ")
    filesystem, source, super_options = after.split(" ")[:3]
    return Mount(
        device=device,
        root=_unescape(root),
        point=_unescape(point),
        filesystem=filesystem,
        source=_unescape(source),
        options=(*options.split(","), *super_options.split(",")),
    )


def _unescape(text: str) -> str:
    """``text`` without the octal escapes in which mountinfo writes blanks."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
