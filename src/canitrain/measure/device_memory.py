"""What the driver says that this process holds on its GPU."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

Answer = TypeVar("Answer")

UUID_PREFIX = "GPU-"
"""NVML writes it before the UUID, torch does not."""


class DeviceMemory(Struct, frozen=True, kw_only=True):
    """Memory of every GPU, by UUID, before this process touched one."""

    before_bytes: dict[str, int]

    def used_bytes(self) -> int | None:
        """Bytes of this process on torch's current GPU, or the card's less what it held before.

        Inside a container the driver often cannot tell processes apart; ``None`` where it says nothing at all.
        """
        import torch  # noqa: PLC0415 - heavy

        uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        own = _ask(lambda nvml: _own(nvml, uuid))
        if own:
            return own
        used = _ask(lambda nvml: _used(nvml, nvml.nvmlDeviceGetHandleByUUID(UUID_PREFIX + uuid)))
        return None if used is None or uuid not in self.before_bytes else max(0, used - self.before_bytes[uuid])


@functools.cache
def memory_before_use() -> DeviceMemory | None:
    """The GPUs as the first call of this process finds them.

    ``None`` where NVML does not answer, or this process already uses a GPU.
    """
    import torch  # noqa: PLC0415 - heavy

    if torch.cuda.is_initialized():
        return None
    before = _ask(lambda nvml: {_uuid(nvml, handle): _used(nvml, handle) for handle in _handles(nvml)})
    return None if before is None else DeviceMemory(before_bytes=before)


def _ask(question: Callable[[Any], Answer]) -> Answer | None:
    """The answer to ``question(pynvml)``, or ``None`` where the library or the driver fails."""
    try:
        import pynvml  # noqa: PLC0415 - heavy

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no package, or NVMLError, whose class the import then has not given
        return None
    try:
        return question(pynvml)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _handles(nvml: Any) -> list[Any]:  # noqa: ANN401 - the bindings are untyped
    return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]


def _uuid(nvml: Any, handle: Any) -> str:  # noqa: ANN401
    return str(nvml.nvmlDeviceGetUUID(handle)).removeprefix(UUID_PREFIX)


def _used(nvml: Any, handle: Any) -> int:  # noqa: ANN401
    return int(nvml.nvmlDeviceGetMemoryInfo(handle).used)


def _own(nvml: Any, uuid: str) -> int | None:  # noqa: ANN401
    handle = nvml.nvmlDeviceGetHandleByUUID(UUID_PREFIX + uuid)
    for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
        if process.pid == os.getpid() and process.usedGpuMemory:
            return int(process.usedGpuMemory)
    return None
