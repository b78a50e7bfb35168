"""How fast one core decodes JPEG files, with the decoder that a loader here would use."""

from __future__ import annotations

import importlib
import importlib.util
import io
import time
from collections.abc import Callable
from pathlib import Path

from canitrain.core.fact import Known, Unknown
from canitrain.core.units import MEGAPIXEL

_SAMPLE_FILES = 32
_STAND_IN_SIDES = (640, 480)
_STAND_IN_QUALITY = 90

Decoder = Callable[[bytes], int]
"""Decodes a file to RGB; the pixels of the result, 0 where it is no image."""


def decode_s_per_megapixel(files: tuple[Path, ...], budget_s: float) -> Known[float] | Unknown:
    """Seconds of one core a megapixel, over the first JPEG files of ``files``, or a picture made up in their place."""
    found = _decoder()
    if found is None:
        return Unknown(reason="neither OpenCV nor Pillow is installed; pip install pillow, then bench again")
    name, decode = found
    encoded = _encoded(files)
    source = f"{name}, {len(encoded)} images of the data directory"
    if not encoded:
        made_up = _made_up()
        if made_up is None:
            return Unknown(reason="there is no JPEG file here, and Pillow is not installed to make one")
        encoded, source = [made_up], f"{name}, a made-up image"
    pixels, seconds = 0, 0.0
    decode(encoded[0])  # the first call loads tables
    end = time.perf_counter() + budget_s
    while not seconds or time.perf_counter() < end:
        for raw in encoded:
            # Processor time, so that other programs do not count.
            start = time.process_time()
            pixels += decode(raw)
            seconds += time.process_time() - start
            if time.perf_counter() > end:
                break
    if not pixels:
        return Unknown(reason="none of the JPEG files could be decoded")
    return Known(value=seconds / (pixels / MEGAPIXEL), source=source)


def _encoded(files: tuple[Path, ...]) -> list[bytes]:
    """The content of some JPEG files, evenly chosen."""
    jpegs = [path for path in files if path.suffix.lower() in {".jpg", ".jpeg"}]
    chosen = jpegs[:: max(1, len(jpegs) // _SAMPLE_FILES)][:_SAMPLE_FILES]
    contents = []
    for path in chosen:
        try:
            contents.append(path.read_bytes())
        except OSError:
            continue
    return [content for content in contents if content]


def _decoder() -> tuple[str, Decoder] | None:
    """OpenCV's where it is installed, else Pillow's; each on one thread."""
    if importlib.util.find_spec("cv2") and importlib.util.find_spec("numpy"):
        return "OpenCV", _opencv()
    if importlib.util.find_spec("PIL"):
        return "Pillow", _pillow()
    return None


def _opencv() -> Decoder:
    cv2, numpy = importlib.import_module("cv2"), importlib.import_module("numpy")
    cv2.setNumThreads(1)

    def decode(raw: bytes) -> int:
        image = cv2.imdecode(numpy.frombuffer(raw, numpy.uint8), cv2.IMREAD_COLOR)
        return 0 if image is None else int(image.shape[0] * image.shape[1])

    return decode


def _pillow() -> Decoder:
    pillow = importlib.import_module("PIL.Image")

    def decode(raw: bytes) -> int:
        try:
            with pillow.open(io.BytesIO(raw)) as image:
                width, height = image.convert("RGB").size
        except (OSError, ValueError):
            return 0
        return int(width * height)

    return decode


def _made_up() -> bytes | None:
    """A JPEG as detailed as a photograph: noise, blown up and blended with finer noise."""
    if not importlib.util.find_spec("PIL"):
        return None
    pillow = importlib.import_module("PIL.Image")
    width, height = _STAND_IN_SIDES
    coarse = pillow.effect_noise((width // 16, height // 16), 120).resize(_STAND_IN_SIDES)
    fine = pillow.effect_noise(_STAND_IN_SIDES, 24)
    buffer = io.BytesIO()
    pillow.blend(coarse, fine, 0.5).convert("RGB").save(buffer, "JPEG", quality=_STAND_IN_QUALITY)
    return buffer.getvalue()
