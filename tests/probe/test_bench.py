"""Benchmarks: bounded in time, honest where they cannot measure, and leaving nothing behind."""

from __future__ import annotations

import importlib.util
import os
import random
import time
from pathlib import Path

import pytest

from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown
from canitrain.probe import bench as bench_module
from canitrain.probe import decode_rate, read_rate
from canitrain.probe.bench import bench, memory_rate


@pytest.fixture
def small(monkeypatch):
    """Scratch files of 16 MiB, so that a test takes no seconds."""
    monkeypatch.setattr(read_rate, "_SCRATCH_BYTES", 16 * 2**20)


@pytest.mark.usefixtures("small")
def test_everything_is_measured_within_the_budget_and_nothing_is_left(tmp_path):
    told = []
    start = time.perf_counter()
    found = bench(tmp_path, budget_s=0.8, progress=lambda share, what: told.append((share, what)))
    # the budget, and what one write or one round may take longer on a busy machine
    assert time.perf_counter() - start < 8
    assert isinstance(found.memory_bytes_per_s, Known)
    assert found.memory_bytes_per_s.value > 1e8
    assert isinstance(found.sequential_read_bytes_per_s, Known)
    assert isinstance(found.random_read_bytes_per_s, Known)
    assert found.random_read_bytes_per_s.value > 0
    assert list(tmp_path.iterdir()) == []
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_the_copies_of_many_cores_stay_within_two_gib(monkeypatch):
    taken = []

    def refusing(size_bytes):
        taken.append(size_bytes)
        if len(taken) == 2 * 64:
            raise MemoryError
        return b""

    monkeypatch.setattr(bench_module.os, "sched_getaffinity", lambda _pid: range(192), raising=False)
    monkeypatch.setattr(bench_module, "bytearray", refusing, raising=False)
    # 64 threads, two copies each: 2 GiB / 128 = 16 MiB.
    assert memory_rate(0.1) == Unknown(reason="no 2048 MiB of memory to copy")
    assert set(taken) == {16 * 2**20}


def test_random_reading_from_a_hidden_cache_counts_as_sequential_and_says_so():
    sequential = Known(value=2.0e8, source="read 128 MiB")
    found = read_rate.plausible_random_rate(Known(value=5.0e8, source="read 900 blocks"), sequential)
    assert found.value == sequential.value
    assert "cache below this system" in found.source


@pytest.mark.parametrize("sequential", [Known(value=2e8, source="read 128 MiB"), Unknown(reason="not measured")])
def test_slower_random_reading_stays_as_measured(sequential):
    slower = Known(value=1.0e8, source="read 900 blocks")
    assert read_rate.plausible_random_rate(slower, sequential) is slower


@pytest.mark.usefixtures("small")
def test_sequential_and_random_reading_share_no_block_of_the_scratch_file(tmp_path, monkeypatch):
    sought = []

    class Watched(random.Random):
        def shuffle(self, x):
            sought.extend(x)

    monkeypatch.setattr(read_rate.random, "Random", Watched)
    with read_rate.scratch_file(tmp_path, 5.0) as scratch:
        sequential = read_rate.sequential_read_rate((), scratch, 5.0)
        read_rate.random_read_rate((), scratch, 5.0)
    # Half of 16 MiB; random reading starts a block behind it.
    assert sequential.source == "read 8 MiB"
    assert min(sought) > 8 * 2**20


def test_images_that_are_there_are_read_in_place_of_a_scratch_file(tmp_path):
    for index in range(60):
        (tmp_path / f"{index}.jpg").write_bytes(os.urandom(2**19))
    found = read_rate.random_read_rate(read_rate.some_files(tmp_path), Unknown(reason="no scratch"), 2.0)
    assert isinstance(found, Known)
    assert found.source == "read 60 images in random order"


def test_a_folder_that_takes_no_file_is_unknown_with_the_reason(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(read_rate.tempfile, "mkstemp", refuse)
    found = bench(tmp_path, budget_s=0.2)
    assert isinstance(found.sequential_read_bytes_per_s, Unknown)
    assert "Read-only file system" in found.sequential_read_bytes_per_s.reason
    assert isinstance(found.random_read_bytes_per_s, Unknown)


def test_a_disk_that_fills_up_leaves_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(read_rate, "_fill", full)
    with read_rate.scratch_file(tmp_path, 1.0) as scratch:
        assert scratch == Unknown(reason="writing stopped: No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_an_interrupted_bench_leaves_no_file(tmp_path):
    def interrupted():
        with read_rate.scratch_file(tmp_path, 1.0) as scratch:
            assert isinstance(scratch, Path)
            assert scratch.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_a_system_without_fadvise_says_that_the_page_cache_is_in_the_way(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    found = bench(tmp_path, budget_s=0.4)
    for rate in (found.sequential_read_bytes_per_s, found.random_read_bytes_per_s):
        assert isinstance(rate, Unknown)
        assert "page cache" in rate.reason


def test_without_a_decoder_the_rate_is_unknown_and_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = decode_rate.decode_s_per_megapixel((), 0.1)
    assert isinstance(found, Unknown)
    assert "pip install pillow" in found.reason


def test_files_that_do_not_decode_are_no_rate(tmp_path, monkeypatch):
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"nothing")
    monkeypatch.setattr(decode_rate, "_decoder", lambda: ("a decoder", lambda _: 0))
    assert isinstance(decode_rate.decode_s_per_megapixel((broken,), 0.05), Unknown)


def test_the_decode_rate_is_processor_seconds_a_megapixel(tmp_path, monkeypatch):
    image = tmp_path / "a.jpg"
    image.write_bytes(b"something")
    clock = iter(range(10**6))
    monkeypatch.setattr(decode_rate, "_decoder", lambda: ("a decoder", lambda _: 500_000))
    monkeypatch.setattr(decode_rate.time, "process_time", lambda: next(clock))
    found = decode_rate.decode_s_per_megapixel((image,), 0.02)
    # one tick of the clock an image of half a megapixel
    assert found == Known(value=2.0, source="a decoder, 1 images of the data directory")


def test_the_memory_rate_counts_both_directions_of_every_thread():
    found = memory_rate(0.0)
    assert isinstance(found, Known)
    assert "threads" in found.source


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        bench(tmp_path / "absent")
