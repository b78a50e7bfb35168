"""How fast the data directory reads, past the page cache."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from canitrain.core.fact import Known, Unknown
from canitrain.core.units import KIB_BYTES, MIB_BYTES
from canitrain.probe.image_files import IMAGE_SUFFIXES

_FOUND_FILES = 2000
"""Looking further takes longer than the answer is worth."""
_ENOUGH_FILES, _ENOUGH_BYTES = 50, 16 * MIB_BYTES
_SCRATCH_BYTES = 256 * MIB_BYTES
_LEAST_SCRATCH_BYTES = 8 * MIB_BYTES
_FREE_RATIO = 10
"""A scratch file takes at most a tenth of the free space."""
_BLOCK_BYTES = MIB_BYTES
_IMAGE_BYTES = 128 * KIB_BYTES
"""Read at once from a scratch file in place of one image: COCO's mean is 163 kB, VOC's 93."""
_NO_DROP = "this system does not let a process drop its files from the page cache"


def some_files(directory: Path) -> tuple[Path, ...]:
    """Image files below ``directory``, the first that are found; other folders are not gone through to the end."""
    found: list[Path] = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if len(found) >= _FOUND_FILES:
            break
    return tuple(found[:_FOUND_FILES])


@contextlib.contextmanager
def scratch_file(directory: Path, budget_s: float) -> Iterator[Path | Unknown]:
    """A file of random bytes in ``directory``, as large as ``budget_s`` allows, removed on leaving; or why not."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".canitrain-bench-", dir=directory)
    except OSError as error:
        yield Unknown(reason=f"no file can be written here: {error.strerror}")
        return
    path = Path(name)
    try:
        try:
            with os.fdopen(descriptor, "wb") as stream:
                _fill(stream.fileno(), directory, budget_s)
        except OSError as error:
            yield Unknown(reason=f"writing stopped: {error.strerror}")
            return
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fill(descriptor: int, directory: Path, budget_s: float) -> None:
    """Write up to the scratch size, and wait until it has reached the device."""
    import shutil  # noqa: PLC0415 - only a bench needs it

    limit_bytes = min(_SCRATCH_BYTES, shutil.disk_usage(directory).free // _FREE_RATIO)
    # Random, so that a file system that compresses or skips zeros reads as much as it seems.
    block = os.urandom(_BLOCK_BYTES)
    end = time.perf_counter() + budget_s
    written_bytes = 0
    while written_bytes < limit_bytes and time.perf_counter() < end:
        written_bytes += os.write(descriptor, block)
        if written_bytes % (16 * _BLOCK_BYTES) == 0:
            os.fsync(descriptor)
    os.fsync(descriptor)


def sequential_read_rate(files: tuple[Path, ...], scratch: Path | Unknown, budget_s: float) -> Known[float] | Unknown:
    """Bytes a second of one large file read from its beginning."""
    large = max(files, key=_size_bytes, default=None)
    path = scratch if isinstance(scratch, Path) else large
    if path is None or _size_bytes(path) < _LEAST_SCRATCH_BYTES:
        reason = scratch.reason if isinstance(scratch, Unknown) else "the scratch file was too slow to write"
        return Unknown(reason=f"{reason}, and no file here is large enough to read instead")
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return Unknown(reason=f"{path.name} cannot be read: {error.strerror}")
    with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as stream:
        if not _drop(descriptor):
            return Unknown(reason=_NO_DROP)
        start = time.perf_counter()
        read_bytes = 0
        # Half a scratch file: a cache below this system keeps what was read, and the other half is for random reading.
        limit_bytes = _size_bytes(path) // 2 if path is scratch else _size_bytes(path)
        while read_bytes < limit_bytes and (block := stream.read(_BLOCK_BYTES)):
            read_bytes += len(block)
            if time.perf_counter() - start > budget_s:
                break
        return Known(value=read_bytes / (time.perf_counter() - start), source=f"read {read_bytes // MIB_BYTES} MiB")


def random_read_rate(files: tuple[Path, ...], scratch: Path | Unknown, budget_s: float) -> Known[float] | Unknown:
    """Bytes a second of image files opened and read whole in random order, one at a time."""
    shuffled = list(files)
    random.Random(0).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    if len(files) >= _ENOUGH_FILES and sum(map(_size_bytes, files)) >= _ENOUGH_BYTES:
        return _read_whole(shuffled, budget_s)
    if isinstance(scratch, Unknown):
        return Unknown(reason=f"{scratch.reason}, and there are too few images to read instead")
    return _read_blocks(scratch, budget_s)


def plausible_random_rate(
    random_rate: Known[float] | Unknown, sequential: Known[float] | Unknown
) -> Known[float] | Unknown:
    """``random_rate``, at most ``sequential``: one reader that jumps is no faster than one that does not.

    Where it seems so, a cache that this system cannot empty (a virtual machine's host, a disk's own) served it.
    """
    if isinstance(random_rate, Unknown) or isinstance(sequential, Unknown) or random_rate.value <= sequential.value:
        return random_rate
    source = f"{random_rate.source}, faster than in sequence, so from a cache below this system: taken as no faster"
    return Known(value=sequential.value, source=source)


def _read_whole(files: list[Path], budget_s: float) -> Known[float] | Unknown:
    end = time.perf_counter() + budget_s
    read_bytes, seconds, count = 0, 0.0, 0
    for path in files:
        if time.perf_counter() > end:
            break
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if not _drop(descriptor):
                    return Unknown(reason=_NO_DROP)
            finally:
                os.close(descriptor)
            start = time.perf_counter()
            read_bytes += len(path.read_bytes())
        except OSError:
            continue
        seconds += time.perf_counter() - start
        count += 1
    if not read_bytes:
        return Unknown(reason="none of the images could be read")
    return Known(value=read_bytes / seconds, source=f"read {count} images in random order")


def _read_blocks(path: Path, budget_s: float) -> Known[float] | Unknown:
    size_bytes = _size_bytes(path)
    places = list(range(size_bytes // 2 + _BLOCK_BYTES, size_bytes - _IMAGE_BYTES, _IMAGE_BYTES))
    if len(places) < _ENOUGH_FILES:
        return Unknown(reason="the scratch file was too slow to write, and there are too few images to read instead")
    random.Random(0).shuffle(places)  # noqa: S311 - an order, not a secret
    end = time.perf_counter() + budget_s
    read_bytes = 0
    with path.open("rb", buffering=0) as stream:
        if not _drop(stream.fileno()):
            return Unknown(reason=_NO_DROP)
        start = time.perf_counter()
        for place in places:
            stream.seek(place)
            read_bytes += len(stream.read(_IMAGE_BYTES))
            if time.perf_counter() > end:
                break
        seconds = time.perf_counter() - start
    blocks = read_bytes // _IMAGE_BYTES
    return Known(
        value=read_bytes / seconds, source=f"read {blocks} blocks of {_IMAGE_BYTES // KIB_BYTES} KiB in random order"
    )


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _drop(descriptor: int) -> bool:
    """Drop the file's clean pages from the page cache; whether the system can."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return True
