"""Units: the one file that knows conversions. Base units inside: bytes, seconds, FLOPs (1 MAC = 2 FLOPs)."""

from __future__ import annotations

import itertools
import math
import re

from canitrain.core.errors import InputError
from canitrain.core.limits import FASTEST_NETWORK_BYTES_PER_S, LARGEST_BYTES

KB_BYTES, MB_BYTES, GB_BYTES, TB_BYTES = 10**3, 10**6, 10**9, 10**12
KIB_BYTES, MIB_BYTES, GIB_BYTES, TIB_BYTES = 2**10, 2**20, 2**30, 2**40
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
KHZ, MHZ, GHZ = 1e3, 1e6, 1e9
"""In Hz."""
MEGAPIXEL = 1e6
"""In pixels."""
FLOPS_PER_MAC = 2
BITS_PER_BYTE = 8
ALLOCATOR_ROUND_BYTES = 512
"""The CUDA caching allocator hands out multiples of this. Source: c10/cuda/CUDACachingAllocator, kMinBlockSize."""
FP32_BYTES, FP16_BYTES = 4, 2
"""Of one number; bf16 is as short as fp16."""

_BYTE_SUFFIXES = {
    "": 1, "b": 1,
    "k": KIB_BYTES, "kb": KB_BYTES, "kib": KIB_BYTES,
    "m": MIB_BYTES, "mb": MB_BYTES, "mib": MIB_BYTES,
    "g": GIB_BYTES, "gb": GB_BYTES, "gib": GIB_BYTES,
    "t": TIB_BYTES, "tb": TB_BYTES, "tib": TIB_BYTES,
}  # fmt: skip
_SECOND_SUFFIXES = {
    "s": 1.0, "sec": 1.0, "m": MINUTE_S, "min": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S,
}  # fmt: skip
_WHOLE_BYTES_FROM, WHOLE_TIME_FROM = 99.95, 9.95
"""From here on a value is printed without decimals: three figures of a size, two of a duration."""
_NEXT_UNIT_FROM = 0.9995
"""From this share of a unit on a size is printed in it: the three figures would round up to the whole."""
_RATE_PREFIXES = {"m": 10**6, "g": 10**9, "t": 10**12}
_RATE = r"\s*(\d+(?:\.\d+)?)\s*([MGTmgt])(b|bit|bE|B)?(?:/s|ps)?\s*"
_DURATION_PART = r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*"
_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*"


def parse_bytes(text: str, *, needs_unit: bool = False) -> int:
    """A size in bytes from text such as ``64GiB``, ``24 GB`` or ``512M`` (a bare K, M, G, T is binary).

    Args:
        text: What was typed; a number alone is in bytes.
        needs_unit: Refuse a number alone, which nobody means in bytes where gigabytes are usual.

    Raises:
        InputError: the text is not a size from 1 byte to 1 EiB, or a number alone and ``needs_unit``.
    """
    match = re.fullmatch(_NUMBER, text)
    factor = _BYTE_SUFFIXES.get(match[2].lower()) if match else None
    size_bytes = float(match[1]) * factor if match and factor else 0.0
    hint = "write it like 64GiB, 24GB or 512MiB"
    if match is None or size_bytes < 1:
        raise InputError(f"{text!r} is not a size in bytes", hint=hint)
    if needs_unit and not match[2]:
        raise InputError(f"{text!r} is a size without a unit", hint=f"did you mean {text.strip()}GiB?")
    if size_bytes > LARGEST_BYTES:
        raise InputError(f"{text!r} is more than any machine has", hint=hint)
    return round(size_bytes)


def parse_duration(text: str) -> float:
    """A duration in seconds from text such as ``3d``, ``12h``, ``1h30m`` or ``45s``; units get smaller.

    Raises:
        InputError: the text is not a positive duration.
    """
    parts = re.findall(_DURATION_PART, text)
    factors = [_SECOND_SUFFIXES.get(unit.lower(), 0.0) for _, unit in parts]
    falling = all(first > second for first, second in itertools.pairwise(factors))
    total_s = sum(float(number) * factor for (number, _), factor in zip(parts, factors, strict=True))
    whole = re.fullmatch(f"(?:{_DURATION_PART})+", text.strip()) is not None
    if not (whole and falling and all(factors) and 0 < total_s < math.inf):
        raise InputError(f"{text!r} is not a duration", hint="write it like 3d, 12h, 1h30m or 45s")
    return total_s


def parse_network(text: str) -> float:
    """A network's line rate in bytes a second from text such as ``100Gb/s``, ``25 Gbit/s``, ``10GbE`` or ``12.5GB/s``.

    Networks are sold in bits: only a capital B means bytes.

    Raises:
        InputError: the text is no such rate, or faster than any network.
    """
    match = re.fullmatch(_RATE, text)
    hint = "write it like 10Gb/s or 100Gb/s"
    if match is None or float(match[1]) <= 0:
        raise InputError(f"{text!r} is not the speed of a network", hint=hint)
    number_per_s = float(match[1]) * _RATE_PREFIXES[match[2].lower()]
    bytes_per_s = number_per_s if match[3] == "B" else number_per_s / BITS_PER_BYTE
    if bytes_per_s > FASTEST_NETWORK_BYTES_PER_S:
        raise InputError(f"{text!r} is faster than any network", hint=hint)
    return bytes_per_s


def format_network(bytes_per_s: float) -> str:
    """``bytes_per_s`` in bits, as networks are sold: ``100 Gb/s``, ``800 Mb/s``."""
    bits_per_s = bytes_per_s * BITS_PER_BYTE
    unit, name = (10**9, "Gb/s") if bits_per_s >= 10**9 * _NEXT_UNIT_FROM else (10**6, "Mb/s")
    return f"{format_number(bits_per_s / unit, 3)} {name}"


def as_allocated(size_bytes: int) -> int:
    """``size_bytes`` as the CUDA caching allocator hands them out."""
    return -(-size_bytes // ALLOCATOR_ROUND_BYTES) * ALLOCATOR_ROUND_BYTES


def format_number(value: float, figures: int = 2) -> str:
    """``value`` with that many figures, or with all that it has before the point: ``0.48``, ``2``, ``154``, ``25,000``.

    Never with an exponent.
    """
    text = f"{value:.{figures}g}"
    if "e" not in text:
        return text
    return f"{value:,.0f}" if abs(value) >= 1 else f"{value:.{figures - 1 - math.floor(math.log10(abs(value)))}f}"


def counted(count: float, noun: str, plural: str | None = None) -> str:
    """``1 epoch``, ``2,500 epochs``, ``0.5 cores``."""
    number = f"{count:,.0f}" if count == round(count) else f"{count:g}"
    return f"{number} {noun}" if count == 1 else f"{number} {plural or noun + 's'}"


def format_bytes(size_bytes: float) -> str:
    """``size_bytes`` in binary units with three figures: ``8.1 GiB``, ``620 MiB``."""
    for unit_bytes, suffix in ((TIB_BYTES, "TiB"), (GIB_BYTES, "GiB"), (MIB_BYTES, "MiB"), (KIB_BYTES, "KiB")):
        if abs(size_bytes) >= unit_bytes * _NEXT_UNIT_FROM:
            value = size_bytes / unit_bytes
            return f"{value:.{0 if value >= _WHOLE_BYTES_FROM else 1}f} {suffix}"
    return f"{size_bytes:.0f} B"


def format_duration(duration_s: float) -> str:
    """``duration_s`` as a reader says it: ``0.53 s``, ``4.5 min``, ``19 h``, ``3.2 days``, ``4.1 years``."""
    if not math.isfinite(duration_s):
        return "forever"
    steps = (
        (730 * DAY_S, 365.25 * DAY_S, "years"),
        (2 * DAY_S, DAY_S, "days"),
        (1.5 * HOUR_S, HOUR_S, "h"),
        (1.5 * MINUTE_S, MINUTE_S, "min"),
        (0.1, 1.0, "s"),
    )
    for limit_s, unit_s, suffix in steps:
        if duration_s >= limit_s:
            value = duration_s / unit_s
            if unit_s > 1 and abs(value - round(value)) < 1e-9:  # noqa: PLR2004  # 7 days, not 7.0
                return f"{value:.0f} {suffix}"
            return (
                f"{value:.0f} {suffix}"
                if value >= WHOLE_TIME_FROM
                else f"{value:.{2 if suffix == 's' else 1}f} {suffix}"
            )
    return f"{duration_s * 1000:.1f} ms"
