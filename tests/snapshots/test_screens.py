"""A dozen whole screens as plain text files: exit code, stdout, stderr.

``CANITRAIN_ACCEPT_SCREENS=1 pytest -p no:randomly tests/snapshots`` writes them anew; read the diff before you commit.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from canitrain.cli.app import run

SCREENS = Path(__file__).parent / "screens"
README = Path(__file__).parent.parent.parent / "README.md"
HOSTS = Path(__file__).parent.parent / "e2e" / "hosts"

CASES = {
    "go": ("rtx3060-desktop", 80, "--model fasterrcnn --images 20000"),
    "go-wide": ("rtx3060-desktop", 120, "--model fasterrcnn --images 20000"),
    "go-explained": ("rtx3060-desktop", 80, "--model yolov5s --images 5000 --explain"),
    "go-several-gpus": ("8x-a100", 80, "--model yolov5s --images 118287 --price-per-hour 12"),
    "several-nodes": ("8x-a100", 80, "--model yolov5m --images 118287 --nodes 4 --network 100Gb/s"),
    "tight": ("rtx3060-occupied", 80, "--model fasterrcnn --images 20000"),
    "tight-small-card-hard-disk": ("gtx1060-hdd", 80, "--model yolov5s --images 20000"),
    "no-go-time": ("cpu-only-laptop", 80, "--model fasterrcnn --images 20000"),
    "no-go-time-wide": ("cpu-only-laptop", 120, "--model fasterrcnn --images 20000"),
    "no-go-memory": ("gtx1060-hdd", 80, "--model yolov5s --images 20000 --batch-size 64"),
    "unknown": ("driver-broken", 80, "--model fasterrcnn --images 20000"),
    "markdown": ("rtx3060-desktop", 80, "--model yolov5s --images 5000 --format markdown"),
    "github": ("cpu-only-laptop", 80, "--model yolov5s --images 5000 --format github --max-time 1d"),
}


def screen(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    host, columns, options = CASES[name]
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    arguments = ["check", *options.split(), "--hardware", str(HOSTS / f"{host}.json")]
    code = run(arguments)
    captured = capsys.readouterr()
    assert captured.err == ""
    return f"$ canitrain check {options} --hardware {host}.json\n\n{captured.out}\nexit {int(code)}\n"


@pytest.mark.parametrize("name", CASES)
def test_screen_is_as_accepted(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(name, capsys, monkeypatch)
    accepted = SCREENS / f"{name}.txt"
    if os.environ.get("CANITRAIN_ACCEPT_SCREENS"):
        accepted.write_text(shown, encoding="utf-8")

    assert shown == accepted.read_text(encoding="utf-8")


def test_readme_shows_the_accepted_screen() -> None:
    head, tail = "<!-- screen: go -->\n", "<!-- /screen -->"
    accepted = (SCREENS / "go.txt").read_text(encoding="utf-8")
    block = "```text\n" + accepted.split("\n\n", 1)[1].split("\nexit ")[0] + "```\n"
    before, _, rest = README.read_text(encoding="utf-8").partition(head)
    shown, _, after = rest.partition(tail)
    if os.environ.get("CANITRAIN_ACCEPT_SCREENS"):
        README.write_text(f"{before}{head}{block}{tail}{after}", encoding="utf-8")
        shown = block

    assert shown == block


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("markdown", "github")])
def test_screen_fits_its_terminal(name: str) -> None:
    lines = (SCREENS / f"{name}.txt").read_text(encoding="utf-8").splitlines()

    assert max(len(line) for line in lines[1:]) <= CASES[name][1]


def test_every_screen_is_asked_for() -> None:
    assert {path.stem for path in SCREENS.glob("*.txt")} == set(CASES)
