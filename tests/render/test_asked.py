"""The lines that say what was asked."""

from __future__ import annotations

from made_up import REPORT
from msgspec.structs import replace

from canitrain.render import render
from canitrain.render.asked import images_line
from canitrain.render.formats import Format

SCANNED = replace(
    REPORT.dataset,
    name="cats",
    path="/data/cats",
    source="scanned: YOLO, headers of 40 of 40 training images",
    images=40,
    validation_images=1200,
    image_bytes=64 * 1024,
    image_pixels=480_000,
    boxes_mean=2.875,
)


def test_a_scanned_folder_says_which_labels_were_found_and_what_its_images_are_like() -> None:
    found = "cats (YOLO, headers of 40 of 40 training images)"
    assert images_line(SCANNED) == (
        f"{found}: 64.0 KiB, 0.48 megapixels and 2.9 boxes on average; 1,200 for validation"
    )


def test_images_that_were_only_counted_say_what_they_are_taken_to_be_like() -> None:
    counted = replace(SCANNED, name="500 images like coco", path=None, validation_images=0)
    assert images_line(counted).startswith("500 images like coco: 64.0 KiB")
    assert images_line(counted).endswith("none for validation")


def test_images_without_boxes_do_not_speak_of_any() -> None:
    assert ": 64.0 KiB and 0.48 megapixels on average; 1,200" in images_line(replace(SCANNED, boxes_mean=0.0))


def test_large_images_full_of_boxes_are_told_in_plain_numbers() -> None:
    crowded = replace(SCANNED, image_pixels=100_000_000, boxes_mean=154.2)
    assert "100 megapixels and 154 boxes" in images_line(crowded)


def test_every_format_for_people_tells_them() -> None:
    report = replace(REPORT, dataset=SCANNED)
    for format_ in (Format.TEXT, Format.MARKDOWN, Format.HTML, Format.GITHUB):
        told = " ".join(render(report, format_).split())
        assert "0.48 megapixels" in told
