"""The rooms import each other as the design says, and the pure ones are pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "canitrain"
IMPURE_MODULES = {"os", "sys", "time", "random", "pathlib", "subprocess", "torch", "psutil", "pynvml", "datetime", "io"}
IMPURE_CALLS = {"open", "print", "input"}


def test_import_contracts_hold() -> None:
    lint = [str(Path(sys.executable).parent / "lint-imports"), "--config", "pyproject.toml", "--no-cache"]
    finished = subprocess.run(lint, capture_output=True, text=True, check=False, cwd=ROOT)

    assert finished.returncode == 0, finished.stdout + finished.stderr


def impurities(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from {name.name.split(".")[0] for name in names} & IMPURE_MODULES
            case ast.ImportFrom(module=str(module)):
                yield from {module.split(".")[0]} & IMPURE_MODULES
            case ast.Call(func=ast.Name(id=name)):
                yield from {name} & IMPURE_CALLS


def test_pure_rooms_touch_no_file_clock_or_chance() -> None:
    files = [path for room in ("estimate", "verdict", "render") for path in (SOURCE / room).glob("*.py")]
    found = {path.name: impure for path in [*files, SOURCE / "check.py"] if (impure := sorted(impurities(path)))}

    assert len(files) > 20
    assert found == {}


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "common", "manager", "misc"}
    sources = list((ROOT / "src").rglob("*.py"))

    assert {path.stem for path in sources}.isdisjoint(drawers)
    assert [path.name for path in sources if len(path.read_text().splitlines()) > 300] == []
