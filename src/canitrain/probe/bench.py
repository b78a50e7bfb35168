"""Rates of this machine, measured in under 10 s: decoding, reading the data directory, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench
from canitrain.probe.decode_rate import decode_s_per_megapixel
from canitrain.probe.read_rate import (
    plausible_random_rate,
    random_read_rate,
    scratch_file,
    sequential_read_rate,
    some_files,
)

BUDGET_S = 8.0
"""Leaves room for what cannot be cut short: one slow write, importing a decoder."""
_MEMORY_SHARE, _WRITE_SHARE, _SEQUENTIAL_SHARE, _RANDOM_SHARE = 0.1, 0.2, 0.2, 0.25
_COPY_BYTES = 64 * 2**20
"""Larger than most last-level caches' share of one core."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what comes next."""


def bench(path: Path, budget_s: float = BUDGET_S, progress: Progress | None = None) -> Bench:
    """Measure decoding, sequential and random reading of the directory ``path``, and memory; each may be unknown.

    Reads existing files where there are enough, else a scratch file that is removed again. One process, one file at a
    time; what is in the page cache is dropped first, where the system allows.

    Args:
        path: the data directory.
        budget_s: seconds for everything; each part stops when its share is used up.
        progress: told before each part and at the end.

    Raises:
        InputError: there is no such directory.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder", hint="give the data directory: canitrain probe --data DIR --bench")
    tell = progress or (lambda _share, _what: None)
    tell(0.0, "memory")
    memory = memory_rate(budget_s * _MEMORY_SHARE)
    tell(_MEMORY_SHARE, "looking for files")
    files = some_files(path)
    tell(0.15, "sequential reading")
    with scratch_file(path, budget_s * _WRITE_SHARE) as scratch:
        sequential = sequential_read_rate(files, scratch, budget_s * _SEQUENTIAL_SHARE)
        tell(0.5, "random reading")
        random_reading = random_read_rate(files, scratch, budget_s * _RANDOM_SHARE)
    tell(0.75, "decoding")
    decoding = decode_s_per_megapixel(files, budget_s / 4)
    tell(1.0, "done")
    return Bench(
        decode_s_per_megapixel=decoding,
        sequential_read_bytes_per_s=sequential,
        random_read_bytes_per_s=plausible_random_rate(random_reading, sequential),
        memory_bytes_per_s=memory,
    )


def memory_rate(budget_s: float) -> Known[float] | Unknown:
    """Bytes read and written a second while every usable core copies memory; the best round counts.

    Source: the convention of STREAM's copy, which counts both directions.
    """
    import ctypes  # noqa: PLC0415 - only a bench needs it
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(threads, 64)
    try:
        pairs = [(bytearray(_COPY_BYTES), bytearray(_COPY_BYTES)) for _ in range(threads)]
    except MemoryError:
        return Unknown(reason=f"no {2 * threads * _COPY_BYTES // 2**20} MiB of memory to copy")

    def copy(pair: tuple[bytearray, bytearray]) -> None:
        # memmove through ctypes lets other threads run, which a bytearray's own copy does not.
        source, target = ((ctypes.c_char * _COPY_BYTES).from_buffer(side) for side in pair)
        ctypes.memmove(target, source, _COPY_BYTES)

    end = time.perf_counter() + budget_s
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        while best == 0.0 or time.perf_counter() < end:
            start = time.perf_counter()
            list(pool.map(copy, pairs))
            best = max(best, 2 * threads * _COPY_BYTES / (time.perf_counter() - start))
    return Known(value=best, source=f"copied {_COPY_BYTES // 2**20} MiB in each of {threads} threads")
