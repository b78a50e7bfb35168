"""``canitrain accuracy`` on epochs, frozen layers, data sets and loaders of single rows."""

from __future__ import annotations

import json

import pytest
from run_lines import MODEL

COCO_IMAGES = 118_287


def lines_of(*rows):
    """A header of all columns that the rows have, and their lines."""
    usual = {"model": MODEL, "batch_size": 16, "gpu": "A100"}
    names = list(dict.fromkeys((*usual, *(name for row in rows for name in row))))
    return [",".join(str((usual | row).get(name, "")) for name in names) for row in rows], ",".join(names)


@pytest.fixture
def compare(replay):
    """The rows of the JSON that ``rows`` give."""

    def command(*rows, options=()):
        lines, header = lines_of(*rows)
        code, out, err = replay(lines, "--json", *options, header=header)
        assert code == 0, err
        return json.loads(out)["rows"]

    return command


@pytest.fixture
def refused(replay):
    """What is said of a row that is refused."""

    def command(row):
        lines, header = lines_of(row)
        code, out, err = replay(lines, header=header)
        assert (code, out) == (2, "")
        assert "hint: " in err
        return err

    return command


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5400", 5400), ("1.5h", 5400), ("1.5 hours", 5400), ("1:30:00", 5400), ("90 min", 5400), ("1h30m", 5400)],
)
def test_an_epoch_may_say_its_unit(compare, text, seconds):
    (row,) = compare({"epoch_s": text, "images": 20000})
    assert (row["figure"], row["measured"]) == ("epoch_s", seconds)


def test_a_step_may_be_in_milliseconds_and_memory_in_gib(compare):
    memory, step = compare({"step_s": "250 ms", "memory_bytes": "8 GiB", "memory_kind": "device"})
    assert step["measured"] == 0.25
    assert memory["measured"] == 8 * 2**30


def test_an_epoch_is_at_least_its_steps_and_grows_with_a_validation(compare):
    step, alone, unsaid, whole = compare(
        {"step_s": 0.1},
        *({"epoch_s": 900, "images": 16_000, "epoch_validated": text} for text in ("no", "", "yes")),
    )
    # 1,000 steps of 16 images, and what an epoch takes beside them
    assert alone["predicted"] > 1000 * step["predicted"]
    assert alone["predicted"] < whole["predicted"]
    assert (unsaid["predicted"], unsaid["high"]) == (alone["predicted"], whole["high"])
    assert "1,000 steps of 16,000 images, images as fast as needed, no validation" in alone["compared"]


def test_validation_images_are_those_of_the_row(compare):
    few, many, none = (
        row["predicted"]
        for row in compare(
            *(
                {"epoch_s": 900, "images": 16_000, "epoch_validated": "yes", "validation_images": count}
                for count in (100, 10_000, 0)
            ),
        )
    )
    assert none < few < many


def test_a_named_data_set_says_how_many_images_an_epoch_has(compare):
    named, counted = compare({"epoch_s": 900, "dataset": "COCO 2017"}, {"epoch_s": 900, "images": COCO_IMAGES})
    assert named["predicted"] == counted["predicted"]


def test_an_epoch_of_nobody_knows_how_many_images_is_left_out_and_said(replay):
    lines, header = lines_of({"epoch_s": 900})
    _, out, _ = replay(lines, "--json", header=header)
    assert json.loads(out)["skipped"] == [{"row": 2, "reason": "epoch_s without images or a dataset"}]
    _, out, _ = replay(lines, "--json", "--dataset", "coco", header=header)
    assert len(json.loads(out)["rows"]) == 1


def test_an_unknown_data_set_for_the_file_is_no_row_s(replay):
    lines, header = lines_of({"epoch_s": 900})
    for options in ((), ("--skip-unknown",)):
        code, out, err = replay(lines, "--dataset", "my-cows", *options, header=header)
        assert (code, out) == (2, "")
        assert err.startswith("error: no dataset is called 'my-cows'\n")


def test_an_unknown_data_set_needs_its_number_of_images(refused, replay):
    assert "row 2: no dataset is called 'my cows', and images is empty" in refused({"epoch_s": 9, "dataset": "my cows"})
    # VOC of one year is not both years, whose count is known here
    assert "no dataset is called 'VOC2007'" in refused({"epoch_s": 9, "dataset": "VOC2007"})
    lines, header = lines_of({"epoch_s": 900, "dataset": "my cows", "images": 3000})
    code, _, err = replay(lines, header=header)
    assert (code, err) == (0, "note: row 2: images of 'my cows' are taken to be like coco's\n")


def test_boxes_of_a_row_take_memory_and_its_pixels_loading(compare):
    few, many = compare(
        *({"memory_bytes": 9e9, "memory_kind": "device", "boxes_per_image": boxes} for boxes in (1, 300)),
    )
    assert few["predicted"] < many["predicted"]
    photo, thumb = compare(
        *({"epoch_s": 900, "images": 9000, "cores": 4, "image_pixels": size} for size in ("4000x3000", 300_000)),
    )
    assert photo["predicted"] > thumb["predicted"]


def test_files_of_larger_images_are_larger_unless_the_row_says(compare):
    base = {"epoch_s": 900, "images": 9000, "cores": 64, "workers": 64, "storage": "network", "ram_bytes": "64 GB"}
    # A file as large as COCO's mean holds twelve megapixels only if a row says so.
    small, large, packed = compare(
        base,
        base | {"image_pixels": "4000x3000"},
        base | {"image_pixels": "4000x3000", "image_bytes": 163474},
    )
    assert small["predicted"] < packed["predicted"] < large["predicted"]


def test_a_frozen_backbone_takes_less_of_both(compare):
    free_memory, free_step, memory, step = compare(
        *({"memory_bytes": 9e9, "memory_kind": "device", "step_s": 0.1, "freeze": text} for text in ("no", "backbone")),
    )
    assert memory["predicted"] < free_memory["predicted"]
    assert step["predicted"] < free_step["predicted"]


@pytest.mark.parametrize(
    ("model", "text", "same_as"),
    [
        (MODEL, "[0]", ""),
        (MODEL, "None", ""),
        (MODEL, "False", "no"),
        (MODEL, "True", "backbone"),
        (MODEL, "[10]", "backbone"),
        (MODEL, "10", "backbone"),
        (MODEL, "10.0", "backbone"),  # as pandas writes a column with empty fields
        ("yolov5s6", "12", "backbone"),
    ],
)
def test_frozen_layers_are_written_in_several_ways(compare, model, text, same_as):
    one, other = compare(*({"step_s": 0.1, "model": model, "freeze": value} for value in (text, same_as)))
    assert one["predicted"] == other["predicted"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"freeze": "head"}, "row 2: freeze is 'head'"),
        ({"freeze": "5"}, "row 2: freeze is '5'"),
        ({"freeze": "12"}, "row 2: freeze is '12'"),
        ({"freeze": "10", "model": "fasterrcnn"}, "row 2: freeze is '10'"),
        ({"epoch_s": "1.5 fortnights"}, "row 2: epoch_s is '1.5 fortnights', not a positive number"),
        ({"epoch_s": "45:30"}, "row 2: epoch_s is '45:30', and may mean two times"),
        ({"step_s": "1.2.3 ms"}, "row 2: step_s is '1.2.3 ms', not a positive number"),
        ({"step_s": "0 ms"}, "row 2: step_s is '0 ms', not a positive number"),
        ({"epoch_s": "9" * 30 + " h"}, "h', more than any run has"),
        ({"memory_bytes": "1.2.3 GB"}, "row 2: memory_bytes is '1.2.3 GB', not a positive number"),
        ({"memory_bytes": "9" * 20 + " TB"}, "TB', more than any run has"),
        ({"image_pixels": "9" * 20 + "x" + "9" * 20}, "', more than any run has"),
        ({"epoch_validated": "sometimes"}, "row 2: epoch_validated is 'sometimes'"),
        ({"images": "2.5"}, "row 2: images is '2.5', not a whole number"),
        ({"images": "0"}, "row 2: images is '0', not a positive number"),
        ({"validation_images": "-1"}, "row 2: validation_images is '-1', not a number from 0 on"),
        ({"image_bytes": "0.2"}, "row 2: image_bytes is '0.2', less than any"),
        ({"image_pixels": "0x640"}, "row 2: image_pixels is '0x640', not a positive number"),
        ({"boxes_per_image": "-3"}, "row 2: boxes_per_image is '-3', not a number from 0 on"),
        ({"workers": "9999"}, "row 2: workers is '9999', more than any run has"),
        ({"cores": "0"}, "row 2: cores is '0', not a positive number"),
        ({"cores": "9999"}, "row 2: cores is '9999', more than any run has"),
        ({"ram_bytes": "64"}, "row 2: ram_bytes is '64', less than any"),
        ({"storage": "tape"}, "row 2: storage is 'tape'"),
        ({"channels_last": "maybe"}, "row 2: channels_last is 'maybe'"),
    ],
)
def test_a_bad_field_names_its_row_and_column(refused, row, message):
    assert message in refused(row)


def test_the_loader_is_estimated_where_the_cores_are_known(compare):
    rows = [
        {"epoch_s": 900, "images": 20_000} | more
        for more in (
            {},
            {"cores": 64, "workers": 16, "storage": "nvme", "ram_bytes": "256 GiB"},
            {"cores": 2, "workers": 1, "storage": "nvme", "ram_bytes": "256 GiB"},
            {"cores": 2, "workers": 1, "storage": "hdd"},
        )
    ]
    free, quick, slow, slowest = (row["predicted"] for row in compare(*rows))
    assert free == pytest.approx(quick, rel=0.02)
    assert quick < slow < slowest
    # a step of such a run waits as well
    step, waiting = (row["predicted"] for row in compare({"step_s": 0.1}, {"step_s": 0.1, "cores": 2, "workers": 1}))
    assert step < waiting


def test_workers_without_cores_change_nothing_and_that_is_said(replay, compare):
    lines, header = lines_of({"step_s": 0.1, "workers": 0}, {"step_s": 0.1})
    _, out, err = replay(lines, "--json", header=header)
    one, other = json.loads(out)["rows"]
    assert one["predicted"] == other["predicted"]
    assert err.startswith("note: rows without cores")


def test_epochs_are_a_group_of_their_own_and_the_text_says_what_they_hold(replay, tmp_path):
    rows = [{"epoch_s": 900, "images": 20_000, "step_s": 0.1, "epoch_validated": text} for text in ("yes", "")]
    lines, header = lines_of(*rows, {"epoch_s": 900, "images": 20_000, "cores": 8})
    picture = tmp_path / "picture.svg"
    _, out, _ = replay(lines, "--plot", str(picture), header=header)
    assert "time, all                          2 " in out
    assert "epoch, all                         3 " in out
    said = " ".join(out[out.index("epochs:") :].split())
    assert "1 with validation; 2 of which nobody says" in said
    assert "1 with an estimated loader; 2 without cores" in said
    assert max(map(len, out.splitlines())) <= 80
    assert "hours an epoch" in picture.read_text()


def test_a_slip_of_a_unit_does_not_run_into_the_next_column(replay):
    lines, header = lines_of({"images_per_s": "1.25"})
    _, out, _ = replay(lines, header=header)
    assert "time, all                          1   >999 %   >999 %  -99.5 %    0.0 %" in out


def test_an_epoch_shorter_than_its_own_steps_is_told(replay):
    # 1,000 steps of 0.5 s are 500 s
    lines, header = lines_of({"epoch_s": 100, "images": 16_000, "step_s": 0.5})
    assert "row 2: epoch_s is 100 s" in replay(lines, header=header)[2].replace("1.7 min", "100 s")
    lines, header = lines_of({"epoch_s": 510, "images": 16_000, "step_s": 0.5})
    assert replay(lines, header=header)[2] == ""


def test_a_loop_that_pins_its_batches_takes_less_than_one_that_does_not(compare):
    base = {"model": "fasterrcnn", "batch_size": 2, "precision": "fp32", "step_s": 0.1}
    own, pinned = compare(base, base | {"loop": "pinned"})
    assert pinned["predicted"] < own["predicted"]


def test_an_unknown_loop_is_refused_with_those_that_are_known(refused):
    said = refused({"step_s": 0.1, "loop": "no-such-loop"})
    assert "row 2: there is no training loop 'no-such-loop'" in said
    assert "detectron2" in said


def test_images_as_fast_as_needed_are_handed_over_as_by_a_fast_loader(compare):
    base = {"model": "fasterrcnn", "batch_size": 2, "precision": "fp32", "step_s": 0.1}
    endless, loader = compare(base, base | {"cores": 96, "workers": 16})
    # with cores, the feed is the one that check estimates
    assert endless["predicted"] == pytest.approx(loader["predicted"], rel=1e-6)


def test_a_release_of_torch_decides_what_launches_cost_and_none_is_an_old_one(compare):
    # YOLOv5s at one image on an A100 waits for the host.
    run = {"batch_size": 1, "step_s": 0.05}
    old, today, untold = compare({**run, "torch": "1.13.1"}, {**run, "torch": "2.13.0"}, {**run, "torch": ""})
    assert old["predicted"] > 2 * today["predicted"]
    assert untold["predicted"] == old["predicted"]
    assert untold["low"] == today["low"] < old["low"]
    assert untold["high"] == old["high"]
    (named,) = compare({**run, "source": "yolov5 7.0.14 torch 2.13.0 at 640"})
    assert named["predicted"] == today["predicted"]


@pytest.mark.parametrize("release", ["latest", "2.x", "v2", "cu118"])
def test_what_is_no_release_of_torch_is_refused(refused, release):
    assert f"torch is '{release}'" in refused({"step_s": 0.1, "torch": release})
