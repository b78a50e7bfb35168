"""Runs whole command lines in this process: exit code, stdout, stderr."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canitrain.cli.app import run

HOSTS = Path(__file__).parent / "hosts"


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Finished:
        self.capture.readouterr()
        code = run(arguments)
        captured = self.capture.readouterr()
        return Finished(code=code, out=captured.out, err=captured.err)

    def check(self, *arguments: str, model: str = "fasterrcnn", host: str = "rtx3060-desktop") -> Finished:
        hardware = str(HOSTS / f"{host}.json")
        return self("check", "--model", model, "--images", "20000", "--hardware", hardware, *arguments)


def report(terminal: Terminal, *options: str, **where: str) -> dict[str, Any]:
    finished = terminal.check("--json", *options, **where)
    assert finished.err == ""
    return json.loads(finished.out)
