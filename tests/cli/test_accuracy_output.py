"""What `canitrain accuracy` prints and writes, and with which exit code."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from run_lines import HEADER, MODEL, row


def test_json_keeps_the_columns_and_adds_the_prediction(replay):
    code, out, _ = replay(
        [row(image_size=640, source="a run"), row(memory_bytes="", memory_kind="", step_s="0.1")], "--json"
    )
    document = json.loads(out)
    assert code == 0
    memory, step = document["rows"]
    assert set(HEADER.split(",")) <= set(memory)
    assert (memory["model"], memory["image_size"], memory["source"], memory["gpus"]) == (MODEL, "640", "a run", 1)
    assert memory["low"] <= memory["predicted"] <= memory["high"]
    assert memory["error"] == pytest.approx(memory["predicted"] / 2e9 - 1)
    assert memory["covered"] is (memory["low"] <= 2e9 <= memory["high"])
    assert (memory["figure"], step["figure"]) == ("memory_bytes", "step_s")
    assert step["memory_bytes"] is None
    assert {group["quantity"] for group in document["groups"]} == {"memory", "time"}


def test_the_text_says_how_many_lines_were_left_out_and_so_does_the_markdown(replay, tmp_path):
    lines = [row(), *[row(model="yolov5q")] * 7]
    _, out, _ = replay(lines, "--skip-unknown", "--markdown", str(tmp_path / "page.md"))
    assert out.startswith("1 figure of 1 measured run\n")
    assert "7 lines left out" in out
    assert "and 2 more: --json lists all" in out
    page = (tmp_path / "page.md").read_text()
    assert "Left out: 7 lines" in page
    assert "- no model is called 'yolov5q' (7)" in page


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_the_text_keeps_to_the_terminal_and_shows_names_whole_where_they_fit(replay, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [row(model="fasterrcnn_mobilenet_v3_large_320_fpn", gpu="RTX PRO 6000 Blackwell Max-Q"), row()]
    _, out, _ = replay(lines)
    assert max(map(len, out.splitlines())) <= max(80, columns)
    worst = out.split("farthest off\n")[1].splitlines()
    assert len({line.index(" batch ") for line in worst}) == 1
    assert ("fasterrcnn_mobilenet_v3_large_320_fpn, RTX PRO 6000" in out) is (columns >= 120)


def test_bounds_decide_the_exit_code(replay):
    wrong = row(memory_bytes="1e6")
    assert replay([wrong], "--max-median", "8%")[0] == 1
    assert replay([wrong], "--min-coverage", "0.5")[0] == 1
    assert replay([wrong], "--min-coverage", "0")[0] == 0
    code, _, err = replay([wrong], "--max-median", "0.08", "--min-coverage", "90 %")
    assert code == 1
    assert "missed: median error of memory is" in err
    assert "missed: coverage of memory is 0.0%, below 90.0%" in err


def test_bounds_are_missed_where_nothing_could_be_compared(replay):
    assert replay([row(gpu="cpu")], "--max-median", "8%")[0] == 1


@pytest.mark.parametrize("text", ["lots", "-1", "8", "101%", "nan"])
def test_a_bound_that_is_no_share_is_refused(replay, text):
    code, _, err = replay([row()], f"--max-median={text}")
    assert code == 2
    assert "--max-median is" in err


def test_tables_and_a_picture_are_written_on_request(replay, tmp_path):
    tables, picture = tmp_path / "accuracy.md", tmp_path / "accuracy.svg"
    code, out, _ = replay([row(), row(step_s="0.1")], "--markdown", str(tables), "--plot", str(picture))
    assert code == 0
    assert "memory, all" in out
    assert "| **memory, all** | 2 |" in tables.read_text()
    assert "(accuracy.svg)" in tables.read_text()
    # three dots: two of memory, one of time; one of the legend
    assert len(ET.fromstring(picture.read_text()).findall(".//{*}circle")) == 4


def test_nothing_is_written_beside_a_missing_folder(replay, tmp_path):
    code, _, err = replay([row()], "--markdown", str(tmp_path / "absent" / "accuracy.md"))
    assert code == 2
    assert "there is no folder" in err


def test_text_fits_eighty_columns(replay):
    _, out, _ = replay([row(), row(step_s="0.1"), row(gpu="H100"), row(memory_bytes="")])
    assert max(len(line) for line in out.splitlines()) <= 80
