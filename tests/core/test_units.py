"""Units: the one file that knows conversions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.core import units
from canitrain.core.errors import InputError


def test_every_prefix_is_a_thousand_or_1024_times_the_one_before():
    decimal = (units.KB_BYTES, units.MB_BYTES, units.GB_BYTES, units.TB_BYTES)
    binary = (units.KIB_BYTES, units.MIB_BYTES, units.GIB_BYTES, units.TIB_BYTES)
    assert [size / before for before, size in zip((1, *decimal), decimal, strict=False)] == [1000] * 4
    assert [size / before for before, size in zip((1, *binary), binary, strict=False)] == [1024] * 4


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1", 1),
        ("512 b", 512),
        ("1K", 1024),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("512M", 512 * 1024**2),
        ("1.5MB", 1_500_000),
        ("64GiB", 64 * 1024**3),
        ("24 GB", 24_000_000_000),
        ("24g", 24 * 1024**3),
        ("2TB", 2 * 10**12),
        ("2 TiB", 2 * 1024**4),
        (" 0.5 GiB ", 512 * 1024**2),
    ],
)
def test_sizes_are_read_as_people_write_them(text, size_bytes):
    assert units.parse_bytes(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "GiB", "0", "0.6", "0GB", "-1GB", "1.2.3GB", "12 XB", "1e9", "nan", "inf", "64 GiB free"]
)
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="is not a size in bytes") as caught:
        units.parse_bytes(text)
    assert "64GiB" in caught.value.hint


def test_a_number_alone_is_refused_where_a_unit_is_needed():
    with pytest.raises(InputError, match="without a unit") as caught:
        units.parse_bytes("64", needs_unit=True)
    assert caught.value.hint == "did you mean 64GiB?"


def test_the_largest_size_is_taken():
    assert units.parse_bytes("1048576TiB") == 2**60  # 2**20 x 2**40


@pytest.mark.parametrize("text", ["1048577TiB", "2000000TiB", "9" * 400 + "GB"])
def test_more_bytes_than_there_are_are_refused(text):
    with pytest.raises(InputError, match="more than any machine has"):
        units.parse_bytes(text)


def test_a_duration_beyond_all_numbers_is_refused():
    with pytest.raises(InputError, match="is not a duration"):
        units.parse_duration("9" * 400 + "d")


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("45s", 45),
        ("1s", 1),
        ("0.5 sec", 0.5),
        ("45", None),
        ("90m", 5400),
        ("90 min", 5400),
        ("12h", 43_200),
        ("3d", 259_200),
        ("1.5w", 907_200),
        ("1h30m", 5400),
        (" 1d 12h ", 129_600),
    ],
)
def test_durations_need_their_unit(text, duration_s):
    if duration_s is None:
        with pytest.raises(InputError, match="is not a duration"):
            units.parse_duration(text)
    else:
        assert units.parse_duration(text) == duration_s


@pytest.mark.parametrize("text", ["", "0h", "-3d", "3 fortnights", "h", "30m1h", "1h1h", "1h 30", "1h-30m"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="is not a duration") as caught:
        units.parse_duration(text)
    assert "1h30m" in caught.value.hint


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (8.1 * 1024**3, "8.1 GiB"),
        (620 * 1024**2, "620 MiB"),
        (1024**4, "1.0 TiB"),
        (1024**3 - 1, "1.0 GiB"),
        (99.94 * 1024**3, "99.9 GiB"),
        (99.95 * 1024**2, "100 MiB"),
        (99.96 * 1024**3, "100 GiB"),
        (0.9995 * 1024, "1.0 KiB"),
        (0.9994 * 1024, "1023 B"),
        (-3.1 * 1024**3, "-3.1 GiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size_bytes, text):
    assert units.format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.0123, "12.3 ms"),
        (0.0999, "99.9 ms"),
        (0.1, "0.10 s"),
        (0.53, "0.53 s"),
        (9.94, "9.94 s"),
        (10, "10 s"),
        (9.96 * 60, "10 min"),
        (90, "1.5 min"),
        (45, "45 s"),
        (270, "4.5 min"),
        (19 * 3600, "19 h"),
        (3.2 * 86_400, "3.2 days"),
        (7 * 86_400, "7 days"),
        (4.1 * 365.25 * 86_400, "4.1 years"),
        (math.inf, "forever"),
    ],
)
def test_durations_are_shown_as_a_reader_says_them(duration_s, text):
    assert units.format_duration(duration_s) == text


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(min_value=1, max_value=1e15))
def test_a_size_that_is_shown_reads_back_within_its_figures(size_bytes):
    # one decimal below 100 of a unit: at most 0.05 of 1.0, and rounding up to the next unit from 0.9995 of it
    assert units.parse_bytes(units.format_bytes(size_bytes)) == pytest.approx(size_bytes, rel=0.05, abs=0.5)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(min_value=0.1, max_value=1e9))
def test_a_longer_duration_is_never_shown_as_a_shorter_one(duration_s):
    names = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86_400, "years": 365.25 * 86_400}
    number, unit = units.format_duration(duration_s).split()
    assert float(number) * names[unit] == pytest.approx(duration_s, rel=0.05)


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("10Gb/s", 1.25e9),
        ("100 Gb/s", 12.5e9),
        ("25Gbit/s", 3.125e9),
        ("10GbE", 1.25e9),
        ("200gbps", 25e9),
        ("100G", 12.5e9),
        ("800 Mb/s", 1e8),
        ("1.6Tb/s", 2e11),
        ("12.5GB/s", 12.5e9),  # only a capital B means bytes
    ],
)
def test_networks_are_read_in_bits_as_they_are_sold(text, bytes_per_s):
    assert units.parse_network(text) == pytest.approx(bytes_per_s)


def test_the_fastest_network_is_taken():
    assert units.parse_network("80Tb/s") == 1e13


@pytest.mark.parametrize(
    ("count", "noun", "plural", "text"),
    [
        (1, "epoch", None, "1 epoch"),
        (2500, "epoch", None, "2,500 epochs"),
        (0, "box", "boxes", "0 boxes"),
        (1, "box", "boxes", "1 box"),
        (0.5, "core", None, "0.5 cores"),
    ],
)
def test_things_are_counted_as_a_reader_says_them(count, noun, plural, text):
    assert units.counted(count, noun, plural) == text


@pytest.mark.parametrize(("size_bytes", "taken_bytes"), [(0, 0), (1, 512), (512, 512), (513, 1024)])
def test_the_allocator_hands_out_whole_blocks(size_bytes, taken_bytes):
    assert units.as_allocated(size_bytes) == taken_bytes


@pytest.mark.parametrize(
    "text", ["", "fast", "10", "0Gb/s", "-1Gb/s", "10Gb/h", "10 GiB/s", "80.1Tb/s", "1000000Tb/s", "nanGb/s"]
)
def test_what_is_no_network_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(InputError) as raised:
        units.parse_network(text)
    assert "10Gb/s" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("bytes_per_s", "text"),
    [
        (1.25e9, "10 Gb/s"),
        (12.5e9, "100 Gb/s"),
        (1e8, "800 Mb/s"),
        (1.25e8, "1 Gb/s"),
        (3.125e8, "2.5 Gb/s"),
        (1.25e11, "1,000 Gb/s"),
        (2e11, "1,600 Gb/s"),
        (1.2495e11, "1,000 Gb/s"),
    ],
)
def test_networks_are_shown_in_bits(bytes_per_s, text):
    assert units.format_network(bytes_per_s) == text
    assert units.parse_network(text.replace(",", "")) == pytest.approx(bytes_per_s, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "figures", "text"),
    [
        (0.48, 2, "0.48"),
        (2.0, 2, "2"),
        (99.4, 2, "99"),
        (99.6, 2, "100"),
        (154.0, 2, "154"),
        (25_000.4, 4, "25,000"),
        (0.000012, 2, "0.000012"),
        (0.0, 2, "0"),
    ],
)
def test_a_number_has_its_figures_and_never_an_exponent(value, figures, text):
    assert units.format_number(value, figures) == text
