"""Images a second that files give when they are read in random order."""

from __future__ import annotations

from canitrain.core.fact import Known, value_or_none
from canitrain.core.hardware import Hardware, StorageKind
from canitrain.core.host_calibration import HostCalibration, StorageRates
from canitrain.core.interval import Interval


def storage_rate(
    hardware: Hardware,
    calibration: HostCalibration,
    *,
    file_bytes: float,
    readers: int,
    reads: float,
    cached_ratio: float,
) -> Interval:
    """Training images a second, from ``reads`` files each, of which ``cached_ratio`` lie in the page cache.

    Args:
        hardware: its storage kind, and its bench where there is one.
        calibration: one row a kind of storage, and the spread of a bench.
        file_bytes: mean bytes of a file.
        readers: processes that read at once, at least 1.
        reads: files that one training image needs (> 0).
        cached_ratio: share of the reads that memory serves, 0 to 1.
    """
    memory = calibration.storage[StorageKind.MEMORY]
    low, expected, high = _device_files_per_s(hardware, calibration, file_bytes, readers)
    memory_s = _memory_file_s(memory, file_bytes, readers)

    def images_per_s(device_files_per_s: float, memory_ratio: float) -> float:
        miss_s = 1 / device_files_per_s
        # What comes from the device goes through the page cache too.
        hit_s = min(memory_s / memory_ratio, miss_s)
        return 1 / (reads * ((1 - cached_ratio) * miss_s + cached_ratio * hit_s))

    return Interval(
        low=images_per_s(low, memory.low_ratio.value),
        expected=images_per_s(expected, 1.0),
        high=images_per_s(high, memory.high_ratio.value),
    )


def _device_files_per_s(
    hardware: Hardware, calibration: HostCalibration, file_bytes: float, readers: int
) -> tuple[float, float, float]:
    """Files a second from the device itself: low, expected, high."""
    rates = calibration.storage
    memory_s = _memory_file_s(rates[StorageKind.MEMORY], file_bytes, readers)
    kind = value_or_none(hardware.storage.kind)
    bench = hardware.bench
    if bench is not None and isinstance(bench.random_read_bytes_per_s, Known):
        # Measured one file at a time; further readers help as far as the kind's queue and the device's rate go.
        random_s = file_bytes / bench.random_read_bytes_per_s.value
        overlap = min(readers, rates[kind].queue_depth.value) if kind is not None else 1
        stream = value_or_none(bench.sequential_read_bytes_per_s)
        stream_s = file_bytes / stream if stream else random_s / overlap
        expected = 1 / max(random_s / overlap, min(stream_s, random_s))
        spread = calibration.bench.read_ratio.value
        return expected / spread, expected, expected * spread
    if kind is None:
        # Nothing decides on a guess alone: the interval runs from a slow disk to a fast one.
        slow, middle, fast = (rates[k] for k in (StorageKind.HDD, StorageKind.SSD, StorageKind.NVME))
        return (
            slow.low_ratio.value / max(memory_s, _file_s(slow, file_bytes, readers)),
            1 / max(memory_s, _file_s(middle, file_bytes, readers)),
            fast.high_ratio.value / max(memory_s, _file_s(fast, file_bytes, readers)),
        )
    row = rates[kind]
    # A file from a device is copied out of the page cache like any other.
    device_s = 0.0 if kind is StorageKind.MEMORY else _file_s(row, file_bytes, readers)
    expected = 1 / max(memory_s, device_s)
    return expected * row.low_ratio.value, expected, expected * row.high_ratio.value


def _file_s(row: StorageRates, file_bytes: float, readers: int) -> float:
    """Seconds a file with ``readers`` at once: access times overlap as deep as the queue, transfers do not."""
    transfer_s = file_bytes / row.read_bytes_per_s.value
    return max(transfer_s, (row.access_s.value + transfer_s) / min(readers, row.queue_depth.value))


def _memory_file_s(memory: StorageRates, file_bytes: float, readers: int) -> float:
    """The same out of the page cache, where every reader copies for itself until memory is busy."""
    copy_s = file_bytes / memory.read_bytes_per_s.value
    return (memory.access_s.value + copy_s) / min(readers, memory.queue_depth.value)
