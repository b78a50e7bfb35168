"""What was asked, line by line: machine, run, images and where the rest of the recipe is from."""

from __future__ import annotations

from canitrain.core.dataset import Dataset
from canitrain.core.report import Report
from canitrain.core.units import MEGAPIXEL, format_bytes, format_number
from canitrain.render import headline


def asked_rows(report: Report) -> dict[str, str]:
    """Label and text, in reading order."""
    return {
        "Machine": headline.machine_line(report),
        "Run": headline.run_line(report),
        "Images": images_line(report.dataset),
        "Defaults": headline.defaults_line(report),
    }


def asked_rows_with_batch(report: Report) -> dict[str, str]:
    """``asked_rows`` and the recommended batch, for formats that do not state it below their batch table."""
    rows = asked_rows(report)
    rows["Batch"] = headline.recommendation_line(report)
    return rows


def images_line(dataset: Dataset) -> str:
    """What the images are taken to be like: size of a file, pixels and boxes, and how many validate."""
    found = f" ({dataset.source.removeprefix('scanned: ')})" if dataset.path is not None else ""
    sizes = [format_bytes(dataset.image_bytes), f"{format_number(dataset.image_pixels / MEGAPIXEL)} megapixels"]
    sizes += [f"{format_number(dataset.boxes_mean)} boxes"] if dataset.boxes_mean else []
    each = f"{', '.join(sizes[:-1])} and {sizes[-1]} on average"
    validation = f"{dataset.validation_images:,}" if dataset.validation_images else "none"
    return f"{dataset.name}{found}: {each}; {validation} for validation"
