"""Rates of this machine, measured in under 10 s: decoding, reading the data directory, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench
from canitrain.core.units import GIB_BYTES, MIB_BYTES
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
_MEMORY_SHARE, _WRITE_SHARE, _SEQUENTIAL_SHARE, _RANDOM_SHARE, _DECODING_SHARE = 0.1, 0.2, 0.2, 0.25, 0.25
"""Of the budget; together all of it."""
_COPY_BYTES, _ALL_COPIES_BYTES = 64 * MIB_BYTES, 2 * GIB_BYTES
"""Of one thread, larger than most last-level caches' share of a core; and of all: a container may have little RAM."""
_MOST_THREADS = 64
"""As many fill the memory of any machine, and with 16 MiB each."""

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
    tell(_MEMORY_SHARE, "sequential reading")
    with scratch_file(path, budget_s * _WRITE_SHARE) as scratch:
        sequential = sequential_read_rate(files, scratch, budget_s * _SEQUENTIAL_SHARE)
        tell(_MEMORY_SHARE + _WRITE_SHARE + _SEQUENTIAL_SHARE, "random reading")
        random_reading = random_read_rate(files, scratch, budget_s * _RANDOM_SHARE)
    tell(1 - _DECODING_SHARE, "decoding")
    decoding = decode_s_per_megapixel(files, budget_s * _DECODING_SHARE)
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
    threads = min(threads, _MOST_THREADS)
    copy_bytes = min(_COPY_BYTES, _ALL_COPIES_BYTES // (2 * threads))
    try:
        pairs = [(bytearray(copy_bytes), bytearray(copy_bytes)) for _ in range(threads)]
    except MemoryError:
        return Unknown(reason=f"no {2 * threads * copy_bytes // MIB_BYTES} MiB of memory to copy")

    def copy(pair: tuple[bytearray, bytearray]) -> None:
        # memmove through ctypes lets other threads run, which a bytearray's own copy does not.
        source, target = ((ctypes.c_char * copy_bytes).from_buffer(side) for side in pair)
        ctypes.memmove(target, source, copy_bytes)

    end = time.perf_counter() + budget_s
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        while not best or time.perf_counter() < end:
            start = time.perf_counter()
            list(pool.map(copy, pairs))
            best = max(best, 2 * threads * copy_bytes / (time.perf_counter() - start))
    return Known(value=best, source=f"copied {copy_bytes // MIB_BYTES} MiB in each of {threads} threads")
