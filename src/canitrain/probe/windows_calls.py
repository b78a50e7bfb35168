"""What Windows says of the disk under a path. Only ``sources`` asks, and only there; ``windows_disk`` reads the answer.

Source: Microsoft, ``fileapi.h`` and ``winioctl.h``. The request is ``FILE_ANY_ACCESS``: a handle that was opened
without any access will do, and with it no administrator is needed.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes

assert sys.platform == "win32"

REMOTE, RAM_DISK = 4, 6
"""``GetDriveType``: drives without a device of this machine's."""
_NO_ACCESS, _SHARED, _OPEN_EXISTING = 0, 3, 3
_QUERY_PROPERTY = 0x2D1400
_DEVICE, _SEEK_PENALTY = 0, 7
"""``STORAGE_PROPERTY_ID``: StorageDeviceProperty and StorageDeviceSeekPenaltyProperty."""
_QUERY_BYTES, _ANSWER_BYTES, _CHARACTERS = 12, 1024, 261
_INVALID_HANDLE = ctypes.c_void_p(-1).value


def disk_of(path: str) -> dict[str, object]:
    """``drive`` (``GetDriveType``), ``filesystem``, and for a disk of its own ``device`` and ``seek_penalty`` in hex.

    Raises:
        OSError: Windows refuses.
    """
    kernel = _kernel()
    root, filesystem, volume = (ctypes.create_unicode_buffer(_CHARACTERS) for _ in range(3))
    _succeed(kernel.GetVolumePathNameW(path, root, _CHARACTERS))
    _succeed(kernel.GetVolumeInformationW(root.value, None, 0, None, None, None, filesystem, _CHARACTERS))
    drive = int(kernel.GetDriveTypeW(root.value))
    if drive in {REMOTE, RAM_DISK}:
        return {"drive": drive, "filesystem": filesystem.value}
    _succeed(kernel.GetVolumeNameForVolumeMountPointW(root.value, volume, _CHARACTERS))
    handle = kernel.CreateFileW(volume.value.rstrip("\\"), _NO_ACCESS, _SHARED, None, _OPEN_EXISTING, 0, None)
    if handle in {None, _INVALID_HANDLE}:
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        device, seek_penalty = (_property(kernel, handle, number) for number in (_DEVICE, _SEEK_PENALTY))
    finally:
        kernel.CloseHandle(handle)
    return {"drive": drive, "filesystem": filesystem.value, "device": device, "seek_penalty": seek_penalty}


def _kernel() -> ctypes.WinDLL:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    word, pointer, text = wintypes.DWORD, wintypes.LPVOID, wintypes.LPCWSTR
    kernel.CreateFileW.argtypes = (text, word, word, pointer, word, word, wintypes.HANDLE)
    kernel.CreateFileW.restype = wintypes.HANDLE
    kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    kernel.DeviceIoControl.argtypes = (wintypes.HANDLE, word, pointer, word, pointer, word, pointer, pointer)
    return kernel


def _property(kernel: ctypes.WinDLL, handle: int, number: int) -> str:
    """One descriptor in hex; empty where the disk's driver does not know that property."""
    query = number.to_bytes(4, "little").ljust(_QUERY_BYTES, b"\0")
    answer, size = ctypes.create_string_buffer(_ANSWER_BYTES), wintypes.DWORD()
    known = kernel.DeviceIoControl(
        handle, _QUERY_PROPERTY, query, len(query), answer, _ANSWER_BYTES, ctypes.byref(size), None
    )
    return answer.raw[: size.value].hex() if known else ""


def _succeed(result: int) -> None:
    if not result:
        raise ctypes.WinError(ctypes.get_last_error())
