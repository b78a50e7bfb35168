"""docs/ci.md does what it says: its scripts run, its keys are in the report, GitHub gets its summary."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Terminal

PAGE = (Path(__file__).parent.parent.parent / "docs" / "ci.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
CHECK = ("check", "--model", "yolov5s", "--images", "5000", "--gpu", "T4", "--ram", "64GiB", "--disk", "1TB")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split("\n")[0][:40])
def test_the_scripts_of_the_page_run(script: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(  # the page's own commands
        ["/bin/sh", "-c", script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )

    assert (finished.returncode, "error:" in finished.stderr) == (0, False), finished.stderr


def test_the_scripts_tell_go_from_no_go(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def last_line(script: str) -> str:
        finished = subprocess.run(  # the page's own commands
            ["/bin/sh", "-c", script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True
        )
        return finished.stdout.splitlines()[-1]

    (gate,) = (script for script in SCRIPTS if "train.py" in script)
    (cases,) = (script for script in SCRIPTS if "case $code" in script)
    assert re.fullmatch(r"python train.py --batch-size \d+", last_line(gate))
    assert last_line(cases) == "does not fit, or takes too long"  # YOLOv5x at 640 px in 4 GB, within a day


def test_the_keys_that_the_page_names_are_in_the_report(terminal: Terminal) -> None:
    document = json.loads(terminal(*CHECK, "--price-per-hour", "2", "--json").out)

    names = re.findall(r"`((?:verdict|memory|time)\.[a-z_.\[\]]+)`", PAGE)
    assert len(names) > 5
    for name in names:
        value = document
        for part in name.split("."):
            value = value[part.removesuffix("[]")]
            value = value[0] if part.endswith("[]") else value
        assert value is not None, name


def test_on_github_the_tables_go_to_the_summary_and_annotations_to_the_log(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = terminal(*CHECK, "--format", "github").out
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    log = terminal(*CHECK, "--format", "github").out

    assert all(line.startswith("::") for line in log.splitlines())
    assert summary.read_text().startswith("before\n## ")
    assert both == log + "\n" + summary.read_text().removeprefix("before\n")


def test_a_summary_that_cannot_be_written_costs_no_answer(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = terminal(*CHECK, "--format", "github")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "summary.md"))

    finished = terminal(*CHECK, "--format", "github")

    assert (finished.code, finished.out) == (there.code, there.out)
    assert "GITHUB_STEP_SUMMARY" in finished.err


def test_a_folder_that_was_deleted_is_said_to_be(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    for command in (("check", "--model", "yolov5s", "--images", "5000"), ("probe",), ("doctor",)):
        finished = terminal(*command)
        assert (finished.code, finished.out) == (2, "")
        assert "deleted" in finished.err
