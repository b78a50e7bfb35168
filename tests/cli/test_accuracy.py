"""``canitrain accuracy`` from a CSV to an exit code."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import msgspec
import pytest
from run_lines import HEADER, MODEL, row

from canitrain import catalog
from canitrain.catalog.measurements import COLUMNS, MORE_COLUMNS
from canitrain.cli.app import run
from canitrain.core.accuracy import MemoryKind


def test_a_line_with_memory_and_time_gives_two_rows(replay):
    _, out, _ = replay([row(step_s="0.1", images_per_s="160")], "--json")
    assert [each["figure"] for each in json.loads(out)["rows"]] == ["memory_bytes", "step_s"]


def test_a_pipe_is_read_once(capsys):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        file.write(f"{HEADER}\n{row()}\n")
    try:
        assert run(["accuracy", "--measurements", f"/dev/fd/{reading}", "--json"]) == 0
    finally:
        os.close(reading)
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1


def test_images_a_second_are_the_steps_of_all_gpus(replay):
    _, out, _ = replay(
        [row(gpus=4, memory_bytes="", step_s="0.1"), row(gpus=4, memory_bytes="", images_per_s="640")], "--json"
    )
    step, rate = json.loads(out)["rows"]
    # 4 x 16 images in one step
    assert rate["predicted"] == pytest.approx(64 / step["predicted"])
    assert rate["low"] == pytest.approx(64 / step["high"])


def test_an_error_that_rounds_to_nothing_has_no_minus(replay):
    _, out, _ = replay([row(memory_bytes="", step_s="0.1")], "--json")
    predicted_s = json.loads(out)["rows"][0]["predicted"]
    _, out, _ = replay([row(memory_bytes="", step_s=predicted_s * 1.0001)])
    assert "-0.0 %" not in out
    assert re.search(r" \+0 %", out)


def test_the_three_memory_kinds_are_predicted_in_order(replay):
    lines = [row(memory_kind=kind.value) for kind in MemoryKind]
    _, out, _ = replay(lines, "--json")
    allocated, reserved, device = (each["predicted"] for each in json.loads(out)["rows"])
    assert allocated <= reserved < device


def test_a_card_shows_no_more_than_it_has(replay):
    # 512 images of YOLOv5s take far more than 40 GiB; a run that was measured kept to its card, or had a larger one
    lines = [row(batch_size=512, memory_kind="device", memory_bytes=size) for size in (38e9, 60e9)]
    _, out, _ = replay([*lines, row(batch_size=512, memory_kind="reserved", memory_bytes=38e9)], "--json")
    device, larger, reserved = (each["predicted"] for each in json.loads(out)["rows"])
    assert (device, larger) == (40 * 2**30, 60e9)
    assert reserved > larger


@pytest.mark.parametrize(
    ("name", "text", "same_as"),
    [
        ("precision", "AMP", "amp"),
        ("precision", "mixed precision", "amp"),
        ("precision", "bf16", "amp"),
        ("precision", "float32", "fp32"),
        ("precision", "TF32", "fp32"),
        ("optimizer", "SGD momentum 0.9", "sgd-momentum"),
        ("optimizer", "SGD", "sgd-momentum"),
        ("optimizer", "AdamW(lr=1e-3)", "adamw"),
        ("optimizer", "FusedAdam", "adam"),
        ("image_size", "640x640", "640"),
        ("image_size", "640 X 640", "640"),
        ("image_size", "641", "672"),  # YOLOv5's script rounds up to its stride, 32
        ("gpu", "a100-sxm4-40gb", "A100"),
        ("batch_size", "16.0", "16"),
        ("image_size", "640.0", "640"),
        ("image_size", "640 px", "640"),
        ("image_size", '"(640, 640)"', "640"),
        ("precision", "fp32 (TF32)", "fp32"),
        ("precision", "no AMP", "fp32"),
        ("precision", "single precision", "fp32"),
        ("precision", "float16-mixed", "amp"),
        ("precision", "bf16-mixed", "amp"),
        ("precision", "native AMP (fp16)", "amp"),
        ("precision", "torch.float16", "amp"),
        ("precision", "Apex O1", "amp"),
    ],
)
def test_people_write_the_same_thing_in_several_ways(replay, name, text, same_as):
    _, out, _ = replay([row(**{name: text}), row(**{name: same_as})], "--json")
    one, other = json.loads(out)["rows"]
    assert one["predicted"] == other["predicted"]


def test_empty_fields_mean_the_implementations_defaults(replay):
    defaults = catalog.load_model(MODEL).defaults
    full = row(image_size=defaults.image_size.shorter, precision=defaults.precision.value, gpus=1)
    _, out, _ = replay([row(), full], "--json")
    one, other = json.loads(out)["rows"]
    assert one["predicted"] == other["predicted"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(model="yolov5q"), "row 2: no model is called 'yolov5q'"),
        (row(gpu="RTX 9999"), "row 2: no GPU is called 'RTX 9999'"),
        (row(batch_size="many"), "row 2: batch_size is 'many', not a positive number"),
        (row(batch_size="0"), "row 2: batch_size is '0', not a positive number"),
        (row(batch_size="1.5"), "row 2: batch_size is '1.5', not a whole number"),
        (row(batch_size=""), "row 2: batch_size is empty"),
        (row(memory_bytes="inf"), "row 2: memory_bytes is 'inf'"),
        (row(memory_bytes="6.1G"), "row 2: memory_bytes is '6.1G', and may mean two sizes"),
        (row(step_s="fast"), "row 2: step_s is 'fast', not a positive number"),
        (row(step_s="0s"), "row 2: step_s is '0s', not a positive number"),
        (row(step_s="1:45"), "row 2: step_s is '1:45', and may mean two times"),
        (row(images_per_s='"1,234"'), "row 2: images_per_s is '1,234', and may mean two numbers"),
        (row(memory_bytes="-3"), "row 2: memory_bytes is '-3'"),
        (row(memory_bytes="8.1"), "row 2: memory_bytes is '8.1', less than any run takes"),
        (row(memory_bytes="7700"), "row 2: memory_bytes is '7700', less than any run takes"),
        (row(batch_size="1e12"), "row 2: batch_size is '1e12', more than any run has"),
        (row(precision="fp32/amp"), "row 2: precision is 'fp32/amp'"),
        (row(precision="fp8"), "row 2: precision is 'fp8'"),
        (row(precision="precision"), "row 2: precision is 'precision'"),
        (row(gpu="TITAN X"), "row 2: 'TITAN X' could be several GPUs"),
        (row(gpu="T4 + L4"), "row 2: gpu is 'T4 + L4', 2 cards"),
        (row(step_s="1e999"), "row 2: step_s is '1e999'"),
        (row(memory_kind="used"), "row 2: memory_kind is 'used'"),
        (row(precision="int8"), "row 2: precision is 'int8'"),
        (row(optimizer="magic"), "row 2: optimizer is 'magic'"),
        (row(image_size="big"), "row 2: 'big' is not an image size"),
        (row(image_size="00x640"), "row 2: '00x640' is not an image size"),
        (row(model="efficientdet-d0", image_size=650), "row 2: image size 650 is not a multiple of 128"),
        (row(model="ssd300_vgg16", image_size=512), "row 2: ssd300_vgg16 resizes every image to 300 px itself"),
        (row(image_size=5000), "row 2: an image of 5000 x 5000 px is larger than any that was traced"),
        (row() + ",more", "row 2: 13 fields under 12 columns"),
        ('"' + row(), "row 2: unexpected end of data"),
    ],
)
def test_a_bad_field_is_one_line_with_its_row_and_a_hint(replay, line, message):
    code, out, err = replay([line], "--json")
    assert code == 2
    assert out == ""
    assert message in err
    assert [text.split(":")[0] for text in err.strip().splitlines()] == ["error", "hint"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("memory_bytes", "memory_gb"), "has a column 'memory_gb' and none called 'memory_bytes'"),
        (HEADER.replace("images_per_s", "image_per_s"), "has a column 'image_per_s' and none called 'images_per_s'"),
        ("model,gpu,batch_total,step_s", "has a column 'batch_total' and none called 'batch_size'"),
        ("model,gpu,batch_size,time_ms", "has a column 'time_ms' and none called 'step_s'"),
        (HEADER.replace("memory_bytes", "GPU_mem"), "has a column 'GPU_mem' and none called 'memory_bytes'"),
        ("model,gpu,batch_size,epoch_min", "has a column 'epoch_min' and none called 'epoch_s'"),
        ("model,gpu,batch_size,time_per_epoch", "has a column 'time_per_epoch' and none called 'epoch_s'"),
        ("model,gpu,batch_size,imgs/sec", "has a column 'imgs/sec' and none called 'images_per_s'"),
        (HEADER.replace(",", "/"), "no column 'model'"),
        (HEADER.replace("gpu,", "", 1), "no column 'gpu'"),
        (HEADER + ",model", "two columns 'model'"),
    ],
)
def test_a_bad_header_is_refused(replay, header, message):
    code, _, err = replay([], header=header)
    assert code == 2
    assert message in err


def test_other_columns_are_left_out_aloud_in_any_order_and_case(replay):
    fields = {
        "Note": "mine",
        "GPU": "T4",
        "step_s": "0.2",
        "Model": MODEL,
        "batch_size": "16",
        "memory_gb_per_card": "3",
    }
    code, out, err = replay(
        [",".join(fields.values()) + ",,"], "--json", header=",".join((*fields, "memory_bytes")) + ","
    )
    assert code == 0
    assert [each["figure"] for each in json.loads(out)["rows"]] == ["step_s"]
    assert err == "note: not read: column Note, memory_gb_per_card\n"


def test_a_row_shorter_than_the_header_is_refused(replay):
    code, _, err = replay([f"{MODEL},16"], header="model,batch_size,gpu,step_s")
    assert code == 2
    assert "row 2: 2 fields under 4 columns" in err


@pytest.mark.parametrize(
    ("kind", "same_as"),
    [
        ("max_memory_allocated", "allocated"),
        ("torch.cuda.max_memory_reserved()", "reserved"),
        ("nvidia-smi", "device"),
        ("DCGM", "device"),
    ],
)
def test_a_kind_of_memory_may_be_the_name_of_what_read_it(replay, kind, same_as):
    _, out, _ = replay([row(memory_kind=kind), row(memory_kind=same_as)], "--json")
    one, other = json.loads(out)["rows"]
    assert one["predicted"] == other["predicted"]


def test_a_card_may_carry_its_number_where_gpus_says_the_same(replay):
    line = row(gpu="8x V100", gpus=8, memory_bytes="", step_s="0.1")
    _, out, _ = replay([line, row(gpu="V100", gpus=8, memory_bytes="", step_s="0.1")], "--json")
    one, other = json.loads(out)["rows"]
    assert one["predicted"] == other["predicted"]

    code, _, err = replay([row(gpu="8x V100")])
    assert code == 2
    assert "row 2: gpu is '8x V100' and gpus is 1" in err


def test_figures_of_one_row_that_contradict_each_other_are_told(replay):
    # 16 images in 0.1 s are 160 a second; 100 of them may be a log's average, 20 are not of all GPUs
    assert replay([row(step_s="0.1", images_per_s="120")])[2] == ""
    assert "row 2: step_s was taken, and is 160 images a second" in replay([row(step_s="0.1", images_per_s="20")])[2]


def test_a_missing_or_binary_file_is_refused(tmp_path, capsys):
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\r\n\x00model")
    for name, message in (("absent.csv", "does not exist"), ("binary.csv", "not text in UTF-8"), ("", "")):
        assert run(["accuracy", "--measurements", str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err


def test_unknown_models_are_left_out_only_when_asked_to(replay):
    code, out, _ = replay([row(), row(model="yolov5q"), row(gpu="RTX 9999")], "--json", "--skip-unknown")
    document = json.loads(out)
    assert code == 0
    assert len(document["rows"]) == 1
    assert [each["row"] for each in document["skipped"]] == [3, 4]


def test_a_line_that_measures_nothing_is_left_out_and_said(replay):
    _, out, _ = replay([row(memory_bytes=""), row(memory_kind="")], "--json")
    assert [each["reason"] for each in json.loads(out)["skipped"]] == [
        "nothing was measured",
        "memory_bytes without a memory_kind",
    ]


def test_a_run_on_a_cpu_is_left_out_and_said(replay):
    code, out, _ = replay([row(gpu="cpu", memory_bytes="", step_s="1.5"), row()], "--json")
    assert code == 0
    assert json.loads(out)["skipped"] == [{"row": 2, "reason": "ran on a CPU, and the file does not say which"}]


def test_a_file_with_the_marks_of_a_spreadsheet_is_read(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{row()}\r\n\r\n,,,,,,,,,,,".encode())
    assert run(["accuracy", "--measurements", str(path), "--json"]) == 0
    assert len(msgspec.json.decode(capsys.readouterr().out)["rows"]) == 1


def test_a_run_at_a_size_that_was_not_traced_is_refused_and_not_predicted(replay):
    code, out, err = replay([row(model="vit_base_patch16_224", image_size=384)])
    assert (code, out) == (2, "")
    assert "row 2: vit_base_patch16_224 was traced at 224 px only, not at 384" in err


def test_a_run_at_a_size_that_was_not_traced_is_listed_as_skipped(replay):
    lines = [row(model="vit_base_patch16_224", image_size=size) for size in ("384", "224", "")]
    document = json.loads(replay(lines, "--json", "--skip-unknown")[1])
    assert len(document["rows"]) == 2


def test_a_file_without_a_run_is_refused(replay):
    code, out, err = replay([])
    assert (code, out) == (2, "")
    assert "holds no measured run" in err


def test_a_pool_read_before_validation_is_compared_with_a_pool_before_validation(replay):
    lines = [f"{row(memory_kind='reserved')},{validated}" for validated in ("no", "yes", "")]
    code, out, _ = replay(lines, "--json", header=f"{HEADER},validated")
    before, after, unsaid = json.loads(out)["rows"]
    assert code == 0
    # YOLOv5 validates twice the batch after each epoch
    assert before["predicted"] < after["predicted"]
    # unsaid: expected is what measure and the first epoch of a log see, but it may have been later
    assert (unsaid["predicted"], unsaid["low"]) == (before["predicted"], before["low"])
    assert unsaid["high"] == after["high"] > before["high"]


def test_whether_a_run_validated_is_yes_or_no(replay):
    code, _, said = replay([f"{row()},perhaps"], header=f"{HEADER},validated")
    assert code == 2
    assert "perhaps" in said


def test_the_page_of_the_format_names_every_column_and_its_example_is_read(replay):
    page = (Path(__file__).parents[2] / "docs" / "measured-runs.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(COLUMNS + MORE_COLUMNS)
    header, *lines = re.search(r"```csv\n(.*?)```", page, re.DOTALL)[1].splitlines()
    code, out, err = replay(lines, header=header)
    assert (code, err) == (0, "")
    assert out.startswith("3 figures of 2 measured runs")
