"""The machine as text."""

from __future__ import annotations

from made_up import REPORT
from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench
from canitrain.render import render
from canitrain.render.formats import Format
from canitrain.render.hardware import hardware_text

BENCH = Bench(
    decode_s_per_megapixel=Known(value=0.0058, source="test"),
    sequential_read_bytes_per_s=Known(value=595e6, source="test"),
    random_read_bytes_per_s=Unknown(reason="the disk is full"),
    memory_bytes_per_s=Known(value=29.8e9, source="test"),
)


def test_rates_of_the_bench_are_in_units_that_people_use() -> None:
    text = hardware_text(replace(REPORT.hardware, bench=BENCH), columns=80)
    for row in ("decode 5.8 ms a megapixel", "sequential read 595 MB/s", "random read unknown", "memory 29.8 GB/s"):
        assert row in text


def test_what_the_bench_could_not_measure_says_why() -> None:
    text = hardware_text(replace(REPORT.hardware, bench=BENCH), columns=80)
    assert "random read unknown (the disk is full)" in text


def test_dev_shm_is_named_on_linux_only() -> None:
    elsewhere = replace(REPORT.hardware, software=replace(REPORT.hardware.software, os="Windows 10.0.22631"))
    assert "\n/dev/shm " in render(REPORT, Format.TEXT)
    on_windows = render(replace(REPORT, hardware=elsewhere), Format.TEXT)
    assert "\n/dev/shm " not in on_windows
    assert "\nShared mem " in on_windows
