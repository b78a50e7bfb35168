"""A recorded machine of which one answer goes wrong."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping

from recorded_machine import RecordedMachine

from canitrain.probe.sources import Platform, Volume

Call = tuple[str, tuple[object, ...]]


class Fault(enum.Enum):
    MISSING = "missing"
    DENIED = "permission denied"
    GARBAGE = "garbage"
    HANG = "hang"


GARBAGE: dict[str, object] = {
    "platform": "garbage",
    "environment": 7,
    "read": "\x00garbage \ufffd: -1 nan\n{",
    "names": ("\x00garbage",),
    "resolve": "garbage",
    "volume": Volume(total_bytes=-1, free_bytes=-7, free_inodes=-1),
    "writable": "garbage",
    "run": "\x00garbage",
    "psutil": {"total": -1, "available": "garbage"},
    "windows_disk": {"drive": "garbage", "device": "-1"},
    "cpuinfo": "{",
    "nvml": {"garbage": -1},
}


class Faulty:
    """``machine``, but ``call`` meets ``fault``; without a fault it writes down every call in ``calls``."""

    def __init__(self, machine: RecordedMachine, call: Call | None = None, fault: Fault | None = None) -> None:
        self.machine = machine
        self.calls: list[Call] = []
        self._call, self._fault = call, fault
        self.released = threading.Event()

    def _do(self, method: str, *arguments: object) -> object:
        self.calls.append((method, arguments))
        if self._fault is not None and self._call in {(method, arguments), ("everything", ())}:
            match self._fault:
                case Fault.MISSING:
                    raise FileNotFoundError(2, "No such file or directory")
                case Fault.DENIED:
                    raise PermissionError(13, "Permission denied")
                case Fault.GARBAGE:
                    return GARBAGE[method]
                case Fault.HANG:
                    self.released.wait(10)
                    raise TimeoutError
        answer: Callable[..., object] = getattr(self.machine, method)
        return answer(*arguments)

    def platform(self) -> Platform:
        return self._do("platform")  # type: ignore[return-value]

    def environment(self) -> Mapping[str, str]:
        return self._do("environment")  # type: ignore[return-value]

    def read(self, path: str) -> str:
        return self._do("read", path)  # type: ignore[return-value]

    def names(self, path: str) -> tuple[str, ...]:
        return self._do("names", path)  # type: ignore[return-value]

    def resolve(self, path: str) -> str:
        return self._do("resolve", path)  # type: ignore[return-value]

    def volume(self, path: str) -> Volume:
        return self._do("volume", path)  # type: ignore[return-value]

    def writable(self, path: str) -> bool:
        return self._do("writable", path)  # type: ignore[return-value]

    def run(self, command: tuple[str, ...], timeout_s: float) -> str:
        del timeout_s
        return self._do("run", command, 0.0)  # type: ignore[return-value]

    def psutil(self, name: str) -> object:
        return self._do("psutil", name)

    def windows_disk(self, path: str) -> object:
        return self._do("windows_disk", path)

    def cpuinfo(self) -> str:
        return self._do("cpuinfo")  # type: ignore[return-value]

    def nvml(self, function: str, *arguments: object) -> object:
        return self._do("nvml", function, *arguments)
