"""Scanning folders of images in the layouts that people have."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest

from canitrain.core.dataset import Dataset
from canitrain.core.errors import InputError
from canitrain.probe import images
from canitrain.probe.image_files import Split, split_of
from canitrain.probe.images import scan


def png(path: Path, width: int, height: int) -> Path:
    """A file whose PNG header says width x height; nothing reads further."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_a_plain_folder_is_counted_and_sized(tmp_path):
    png(tmp_path / "a.png", 640, 480)
    png(tmp_path / "sub" / "b.PNG", 480, 640)
    text(tmp_path / "notes.txt", "x")
    found = scan(tmp_path)
    assert found.images == 2
    assert found.image_pixels == 640 * 480
    assert found.image_bytes == 33  # 8 of signature, 4 + 17 + 4 of the first chunk
    assert found.aspect_ratios[0] == 0.75
    assert found.aspect_ratios[-1] == pytest.approx(4 / 3, abs=1e-4)
    assert found.path == str(tmp_path)
    assert found.source == "scanned: images without labels, headers of 2 of 2 training images"
    assert any("no labels found" in warning for warning in found.notes)


def test_yolo_labels_are_counted_and_the_data_file_names_the_classes(tmp_path):
    png(tmp_path / "images" / "train" / "a.png", 64, 64)
    png(tmp_path / "images" / "train" / "b.png", 64, 64)
    png(tmp_path / "images" / "val" / "c.png", 64, 64)
    text(tmp_path / "labels" / "train" / "a.txt", "0 .5 .5 .1 .1\n3 .5 .5 .1 .1\n\n1 .5 .5 .1 .1\n")
    text(tmp_path / "labels" / "train" / "b.txt", "")
    text(tmp_path / "data.yaml", "train: images/train\nnc: 7\n")
    found = scan(tmp_path)
    assert found.source.startswith("scanned: YOLO,")
    assert (found.images, found.validation_images) == (2, 1)
    assert (found.boxes_mean, found.boxes_max, found.classes) == (1.5, 3.0, 7)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("content", "classes"),
    [
        ("names: [cat, dog, 'a b']\n", 3),
        ("names:\n  0: cat\n  1: dog\n", 2),
        ("names:\n- cat\n- dog\n", 2),
        ("x: 1", 5),
    ],
)
def test_classes_come_from_names_or_from_the_highest_class(tmp_path, content, classes):
    png(tmp_path / "train" / "images" / "a.png", 64, 64)
    text(tmp_path / "train" / "labels" / "a.txt", "4 .5 .5 .1 .1\n")
    text(tmp_path / "data.yaml", content)
    assert scan(tmp_path).classes == classes


def test_yolo_images_without_a_label_file_get_a_warning(tmp_path):
    for name in "abc":
        png(tmp_path / "images" / f"{name}.png", 64, 64)
    text(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    assert any("2 of 3 training images read have no YOLO label" in warning for warning in scan(tmp_path).notes)


def coco(path: Path, images_boxes: list[int]) -> None:
    boxes = [
        {"id": 1, "image_id": index, "category_id": 1, "bbox": [0, 0, 1, 1]}
        for index, count in enumerate(images_boxes)
        for _ in range(count)
    ]
    listed = [{"id": index, "file_name": f"{index}.png", "width": 1, "height": 1} for index in range(len(images_boxes))]
    content = {"images": listed, "annotations": boxes, "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
    text(path, json.dumps(content))


def test_coco_boxes_come_from_the_training_annotations(tmp_path):
    png(tmp_path / "train2017" / "0.png", 640, 480)
    png(tmp_path / "train2017" / "1.png", 640, 480)
    png(tmp_path / "val2017" / "0.png", 640, 480)
    png(tmp_path / "test2017" / "0.png", 640, 480)
    coco(tmp_path / "annotations" / "instances_train2017.json", [5, 2])
    coco(tmp_path / "annotations" / "instances_val2017.json", [90])
    text(tmp_path / "annotations" / "captions_train2017.json", '{"images": []}')
    found = scan(tmp_path)
    assert found.source.startswith("scanned: COCO,")
    assert (found.images, found.validation_images) == (2, 1)
    assert (found.boxes_mean, found.boxes_max, found.classes) == (3.5, 5.0, 2)
    assert found.notes == ()


def test_coco_annotations_beside_the_images_of_each_split_are_found(tmp_path):
    png(tmp_path / "train" / "0.png", 640, 480)
    png(tmp_path / "valid" / "0.png", 640, 480)
    coco(tmp_path / "train" / "_annotations.coco.json", [4])
    coco(tmp_path / "valid" / "_annotations.coco.json", [9])
    assert scan(tmp_path).boxes_max == 4.0


def test_only_names_inside_the_dataset_tell_its_annotation_files_apart(tmp_path):
    directory = tmp_path / "train" / "boats"
    png(directory / "0.png", 640, 480)
    coco(directory / "annotations" / "instances_all.json", [9])
    coco(directory / "annotations" / "instances_train.json", [4])
    assert scan(directory).boxes_max == 4.0


def test_label_files_are_read_as_utf_8_whatever_the_locale(tmp_path):
    png(tmp_path / "voc" / "JPEGImages" / "a.png", 64, 64)
    text(tmp_path / "voc" / "ImageSets" / "Main" / "train.txt", "a\n")
    png(tmp_path / "yolo" / "images" / "a.png", 64, 64)
    text(tmp_path / "yolo" / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    text(tmp_path / "yolo" / "data.yaml", "nc: 7\n")
    program = "import sys, pathlib; from canitrain.probe.images import scan; scan(pathlib.Path(sys.argv[1]))"
    strict = (sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-c", program)
    for layout in ("voc", "yolo"):
        subprocess.run((*strict, str(tmp_path / layout)), check=True)


def test_images_that_coco_lists_and_the_folder_lacks_get_a_warning(tmp_path):
    png(tmp_path / "train2017" / "0.png", 640, 480)
    png(tmp_path / "val2017" / "0.png", 640, 480)
    coco(tmp_path / "annotations" / "instances_train2017.json", [1, 1, 1])
    assert scan(tmp_path).notes == ("instances_train2017.json lists 3 images, 1 are there",)


@pytest.mark.parametrize("content", ['{"images": [', '{"images": 3, "annotations": []}', '{"images": []}'])
def test_broken_coco_annotations_are_an_error_with_a_hint(tmp_path, content):
    png(tmp_path / "train2017" / "0.png", 640, 480)
    text(tmp_path / "annotations" / "instances_train2017.json", content)
    with pytest.raises(InputError, match=r"instances_train2017\.json is not COCO annotations") as caught:
        scan(tmp_path)
    assert "\n" not in caught.value.message


def test_json_that_is_not_annotations_is_left_alone(tmp_path):
    png(tmp_path / "a.png", 640, 480)
    text(tmp_path / "settings.json", '{"theme": "dark"}')
    assert "images without labels" in scan(tmp_path).source


def test_voc_counts_objects_and_its_lists_name_the_splits(tmp_path):
    root = tmp_path / "VOC2012"
    for name in ("a", "b", "c"):
        png(root / "JPEGImages" / f"{name}.png", 500, 375)
        part = "<part><name>head</name></part>"
        row = f"<object>\n <name>person</name>{part}</object><object><name>dog</name></object>"
        text(root / "Annotations" / f"{name}.xml", f"<annotation>{row * (2 if name == 'a' else 1)}</annotation>")
    png(root / "SegmentationClass" / "a.png", 500, 375)
    text(root / "ImageSets" / "Main" / "train.txt", "a\nb\n")
    text(root / "ImageSets" / "Main" / "val.txt", "c\n")
    for directory in (tmp_path, root):
        found = scan(directory)
        assert found.source.startswith("scanned: VOC,")
        assert (found.images, found.validation_images) == (2, 1)
        assert (found.boxes_mean, found.boxes_max, found.classes) == (3.0, 4.0, 2)


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("train2017",), Split.TRAIN),
        (("val2017",), Split.VALIDATION),
        (("images", "valid"), Split.VALIDATION),
        (("VisDrone2019-DET-val", "images"), Split.VALIDATION),
        (("VisDrone2019-DET-test-dev", "images"), Split.TEST),
        (("my_val",), Split.VALIDATION),
        (("test2017",), Split.TEST),
        (("unlabeled2017",), Split.TEST),
        (("latest", "contest", "cards-value", "crash_tested"), Split.TRAIN),  # no part of a word
    ],
)
def test_the_split_is_what_a_folder_is_called(names, split):
    assert split_of(names) is split


def test_voc_images_of_no_list_do_not_train_and_trainval_stands_in_for_train(tmp_path):
    for name in ("a", "b", "c", "d"):
        png(tmp_path / "JPEGImages" / f"{name}.png", 500, 375)
    lists = tmp_path / "ImageSets" / "Main"
    assert scan(tmp_path).images == 4

    text(lists / "trainval.txt", "a\nb\n")
    assert (scan(tmp_path).images, scan(tmp_path).validation_images) == (2, 0)

    # b is in both: of trainval, train.txt names what trains.
    text(lists / "train.txt", "a\n")
    text(lists / "val.txt", "b\n")
    assert (scan(tmp_path).images, scan(tmp_path).validation_images) == (1, 1)


def test_broken_files_are_skipped_and_counted(tmp_path):
    png(tmp_path / "a.png", 640, 480)
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "c.jpg").write_bytes(b"<html>not found</html>")
    found = scan(tmp_path)
    assert found.images == 1
    assert any("2 of 3 image files read are broken, the first is b.jpg" in warning for warning in found.notes)


def test_large_folders_are_sampled_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "SAMPLE_FILES", 10)
    for index in range(40):
        png(tmp_path / f"{index:02}.png", 100 + index, 100)
    found = scan(tmp_path)
    assert found.images == 40
    # every fourth: 100, 104, ... 136
    assert found.image_pixels == pytest.approx(118 * 100)


@pytest.mark.parametrize("target", ["..", "../..", "/"])
def test_a_link_to_what_the_folder_lies_in_leads_nowhere(tmp_path, target):
    inside = tmp_path / "datasets" / "mine"
    png(inside / "a.png", 64, 64)
    png(inside / "b.png", 64, 64)
    png(tmp_path / "datasets" / "other" / "c.png", 64, 64)
    png(tmp_path / "d.png", 64, 64)
    (inside / "up").symlink_to(target)
    assert scan(inside).images == 2


def test_a_link_to_a_folder_beside_it_is_followed(tmp_path):
    png(tmp_path / "store" / "a.png", 64, 64)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "images").symlink_to(tmp_path / "store")
    assert scan(tmp_path / "mine").images == 1


def test_boxes_of_a_folder_without_labels_are_those_of_coco():
    path = Path(__file__).parents[2] / "profiles" / "datasets" / "coco.toml"
    coco = msgspec.toml.decode(path.read_bytes(), type=Dataset)
    assert (coco.boxes_mean, coco.boxes_max) == (images.ASSUMED_BOXES_MEAN, images.ASSUMED_BOXES_MAX)


def test_a_link_that_leads_in_a_circle_is_walked_once(tmp_path):
    png(tmp_path / "a.png", 10, 10)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert scan(tmp_path).images == 1


def test_what_is_no_folder_of_images_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "empty").mkdir()
    file = text(tmp_path / "file", "x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"nothing")
    png(tmp_path / "held" / "val" / "a.png", 10, 10)
    for directory, message in (
        (tmp_path / "absent", "does not exist"),
        (file, "is a file, not a folder"),
        (tmp_path / "empty", "holds no image"),
        (tmp_path / "broken", "none of the 1 image files"),
        (tmp_path / "held", "none to train on"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            scan(directory)
        assert caught.value.hint
