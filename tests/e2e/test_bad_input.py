"""Bad input: one line of error, one of hint, exit 2, nothing on stdout, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import HOSTS, Finished, Terminal

from canitrain.catalog.locate import profiles_path

IMAGES = ("--images", "20000")
YOLO = ("check", "--model", "yolov5s")

CASES = {
    "unknown model, near a name": (("check", "--model", "fastercnn", *IMAGES), "fastercnn", "fasterrcnn"),
    "unknown model, near nothing": (("check", "--model", "qqq", *IMAGES), "qqq", "canitrain trace timm:NAME"),
    "no images": ((*YOLO, "--images", "0"), "needs a whole number from 1 to 1,000,000,000, not 0", "check --help"),
    "fewer than no images": ((*YOLO, "--images", "-5"), "-5", "check --help"),
    "images that are no number": (
        (*YOLO, "--images", "abc"),
        "--images needs a whole number from 1 to 1,000,000,000, not 'abc'",
        "check --help",
    ),
    "both images and data": ((*YOLO, *IMAGES, "--data", "."), "--images and --data", "one"),
    "images in thousands": ((*YOLO, "--images", "20k"), "not '20k'", "check --help"),
    "both a dataset and data": ((*YOLO, "--data", ".", "--dataset", "voc"), "--dataset and --data", "leave --dataset"),
    "several nodes in one process": (
        (*YOLO, *IMAGES, "--gpu", "2x T4", "--nodes", "2", "--strategy", "dp"),
        "--nodes 2",
        "leave --strategy out",
    ),
    "several nodes on their processors": ((*YOLO, *IMAGES, "--nodes", "2", "--device", "cpu"), "--device cpu", "--gpu"),
    "several nodes of chips that train alone": (
        (*YOLO, *IMAGES, "--gpu", "Apple M2", "--nodes", "2"),
        "torch has no way",
        "--gpu",
    ),
    "several nodes without a GPU": (
        (*YOLO, *IMAGES, "--hardware", str(HOSTS / "cpu-only-laptop.json"), "--nodes", "2"),
        "this one has none",
        "--gpu",
    ),
    "a loop that nobody knows": (
        (*YOLO, *IMAGES, "--loop", "lightning"),
        "'lightning'",
        "there is torchvision, detectron2",
    ),
    "a network of one node": ((*YOLO, *IMAGES, "--network", "10Gb/s"), "there is one", "--nodes 2"),
    "a network of no speed": (
        (*YOLO, *IMAGES, "--gpu", "T4", "--nodes", "2", "--network", "fast"),
        "'fast' is not the speed of a network",
        "100Gb/s",
    ),
    "no node": ((*YOLO, *IMAGES, "--nodes", "0"), "--nodes", "check --help"),
    "two formats": ((*YOLO, *IMAGES, "--json", "--format", "html"), "--json and --format html", "one"),
    "a report into a folder": ((*YOLO, *IMAGES, "--output", "never/"), "never/: that is a folder", "report.json"),
    "a machine into a folder": (("probe", "--save", "never/"), "never/: that is a folder", "name a file"),
    "a size for a list of cards": (("gpus", "--memory", "much"), "'much'", ">=16GB"),
    "neither images nor data": (YOLO, "how many images", "--images"),
    "a dataset and no number": ((*YOLO, "--dataset", "voc"), "how many images", "all of voc: --images"),
    "a file as data": ((*YOLO, "--data", __file__), "test_bad_input.py is a file", "tests"),
    "code for a profile": (("check", "--model", "net.py:unet", *IMAGES), "net.py:unet is code", "trace net.py:unet"),
    "code without a function": (
        ("check", "--model", "m/net.py", *IMAGES),
        "is code",
        "m/net.py:build --output net.json",
    ),
    "a data folder that is none": ((*YOLO, "--data", "no/such/folder"), "no/such/folder", "folder"),
    "off the stride": (
        ("check", "--model", "efficientdet-d0", *IMAGES, "--image-size", "650"),
        "650 is not a multiple of 128",
        "--image-size 640",
    ),
    "a size for a model that has its own": (
        ("check", "--model", "ssd300_vgg16", *IMAGES, "--image-size", "600"),
        "resizes every image to 300 px itself",
        "leave --image-size out",
    ),
    "an image size of zero": ((*YOLO, *IMAGES, "--image-size", "0"), "'0' is not an image size", "800x1333"),
    "a side of zeros": ((*YOLO, *IMAGES, "--image-size", "640x00"), "'640x00' is not an image size", "800x1333"),
    "an image size in words": ((*YOLO, *IMAGES, "--image-size", "big"), "'big'", "800x1333"),
    "an image size beyond all": ((*YOLO, *IMAGES, "--image-size", "99968"), "99968", "4096"),
    "a size that was not traced": (
        ("check", "--model", "vit", *IMAGES, "--image-size", "384"),
        "vit_base_patch16_224 was traced at 224 px only",
        "--image-size 384",
    ),
    "a size that varies, of a model traced at one": (
        ("check", "--model", "vit", *IMAGES, "--multi-scale"),
        "traced at one image size only",
        "--multi-scale",
    ),
    "a library that is not traced": (
        ("trace", "keras:vgg", "--output", "never.json"),
        "'keras' is no",
        "timm:resnet50",
    ),
    "a file that is not there": (("trace", "no.py:build", "--output", "never.json"), "no Python file no.py", "path"),
    "a traced size for a library that takes none": (
        ("trace", "yolov5:yolov5s", "--image-size", "320", "--output", "never.json"),
        "yolov5:yolov5s is not traced at a size",
        "check --image-size",
    ),
    "an empty batch": ((*YOLO, *IMAGES, "--batch-size", "0"), "0", "check --help"),
    "no epochs": ((*YOLO, *IMAGES, "--epochs", "0"), "0", "check --help"),
    "an unknown GPU": ((*YOLO, *IMAGES, "--gpu", "RTX 9999"), "RTX 9999", "canitrain gpus"),
    "an unknown dataset": ((*YOLO, *IMAGES, "--dataset", "coca"), "coca", "coco"),
    "an image of no bytes": ((*YOLO, *IMAGES, "--image-bytes", "none"), "none", "64GiB"),
    "RAM without a size": ((*YOLO, *IMAGES, "--ram", "plenty"), "plenty", "64GiB"),
    "a limit that is no time": ((*YOLO, *IMAGES, "--max-time", "soon"), "soon", "3d"),
    "a precision that is none": ((*YOLO, *IMAGES, "--precision", "fp8"), "fp8", "check --help"),
    "boxes that are infinite": ((*YOLO, *IMAGES, "--boxes-per-image", "inf"), "inf", "check --help"),
    "cores that are no number": ((*YOLO, *IMAGES, "--cpu-cores", "nan"), "nan", "check --help"),
    "more cores than there are": ((*YOLO, *IMAGES, "--cpu-cores", "1e300"), "1e300", "check --help"),
    "RAM without a unit": ((*YOLO, *IMAGES, "--ram", "64"), "'64'", "did you mean 64GiB?"),
    "no core": ((*YOLO, *IMAGES, "--cpu-cores", "0"), "--cpu-cores: 0 is not a number from 0.1", "check --help"),
    "a price that is no number": ((*YOLO, *IMAGES, "--price-per-hour", "cheap"), "'cheap'", "check --help"),
    "more images than there are": ((*YOLO, "--images", "99999999999999"), "99999999999999", "check --help"),
    "an image below the stride": (("check", "--model", "fasterrcnn", *IMAGES, "-s", "8"), "smaller", "at least 32"),
    "an option that is none": ((*YOLO, *IMAGES, "--imagesize", "640"), "--imagesize", "check --help"),
    "no model": (("check", *IMAGES), "--model", "canitrain check --model "),
    "a command that is none": (("chekc",), "chekc", "canitrain --help"),
    "a schema that is none": (("schema", "everything"), "everything", "schema --help"),
}


def assert_refused(finished: Finished, problem: str, way_out: str) -> None:
    lines = finished.err.splitlines()
    assert finished.code == 2
    assert finished.out == ""
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert problem in lines[0]
    assert lines[1].startswith("hint: ")
    assert way_out in lines[1]


@pytest.mark.parametrize("case", CASES)
def test_bad_option_is_refused_in_two_lines(case: str, terminal: Terminal) -> None:
    arguments, problem, way_out = CASES[case]

    assert_refused(terminal(*arguments), problem, way_out)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        ("", "empty"),
        ("{not json", "not valid JSON"),
        ('{"schema": "canitrain.hardware/1"}', "missing required field"),
    ],
)
def test_bad_hardware_file_is_refused(terminal: Terminal, tmp_path: Path, content: str | None, problem: str) -> None:
    host = tmp_path / "host.json"
    if content is not None:
        host.write_text(content)

    finished = terminal(*YOLO, *IMAGES, "--hardware", str(host))

    assert_refused(finished, problem, "probe --save")


def test_truncated_hardware_file_is_refused_at_every_tenth(terminal: Terminal, tmp_path: Path) -> None:
    whole = (HOSTS / "rtx3060-desktop.json").read_text()
    host = tmp_path / "host.json"
    for tenth in range(1, 10):
        host.write_text(whole[: len(whole) * tenth // 10])

        assert_refused(terminal(*YOLO, *IMAGES, "--hardware", str(host)), "not valid JSON", "probe --save")


def _profile_with(path: Path, key: str, text: str) -> None:
    """yolov5s with the value of ``key`` replaced by the JSON ``text``."""
    profile = json.loads(next(profiles_path().rglob("yolov5s.json")).read_text())
    profile[key] = "REPLACED"
    path.write_text(json.dumps(profile).replace('"REPLACED"', text))


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("surprise", "1", "surprise"),
        ("parameter_bytes", "NaN", "JSON"),
        ("parameter_bytes", "-4", "below zero"),
        ("parameter_bytes", "0", "above zero"),
        ("parameters", '"many"', "many"),
    ],
)
def test_bad_profile_is_refused(terminal: Terminal, tmp_path: Path, key: str, text: str, problem: str) -> None:
    profile = tmp_path / "profile.json"
    _profile_with(profile, key, text)

    finished = terminal("check", "--model", str(profile), *IMAGES)

    assert_refused(finished, problem, "canitrain trace")


@pytest.mark.parametrize("format_", ["text", "json", "markdown", "github", "html"])
def test_output_into_a_missing_folder_is_refused(terminal: Terminal, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "missing" / "report"

    finished = terminal.check("--output", str(target), "--format", format_)

    assert_refused(finished, "there is no folder", "mkdir")
    assert list(tmp_path.iterdir()) == []


def test_output_onto_a_folder_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    assert_refused(terminal.check("--output", str(tmp_path)), "it is a folder", "report.json")


def test_bad_input_leaves_an_older_report_alone(terminal: Terminal, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("older")

    finished = terminal.check("--output", str(target), "--image-size", "0", model="yolov5s")

    assert finished.code == 2
    assert target.read_text() == "older"
